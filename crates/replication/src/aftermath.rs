//! What a change of a partition makes others do, once its lock is released.

use std::sync::Arc;

use highwater_partition::IsrChange;
use highwater_types::ErrorCode;

use crate::follower_stream::FollowerSlot;
use crate::parked_acks::Reply;

/// What the followers are to hear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum News {
    #[default]
    None,
    /// Soon: a new high watermark or log start.
    Positions,
    /// At once.
    Records,
}

/// What is done after the lock is released.
#[derive(Default)]
pub(crate) struct Aftermath {
    /// Requests to answer, and what with.
    pub released: Vec<(Reply, Result<(), ErrorCode>)>,
    /// Changes of the ISR to ask the controller for.
    pub proposals: Vec<IsrChange>,
    /// What the followers are to hear.
    pub news: News,
    /// Bytes of the new records.
    pub news_bytes: usize,
    /// Whether fetches that wait are to look again.
    pub wake_fetches: bool,
    /// Whether the log is to be flushed.
    pub flush: bool,
    /// Whether it follows another leader, on another lane, in another epoch, or nobody any more.
    pub follow: bool,
    /// Whether the ISR has grown, and shrunk.
    pub isr_changed: Option<(bool, bool)>,
    /// Slots of followers that are to open again.
    pub closed: Vec<Arc<FollowerSlot>>,
    /// Whether the log start is to be made durable.
    pub persist_log_start: bool,
    /// Whether time alone changes something.
    pub watch: bool,
    /// Whether the log was to be cut and could not be: the disk is full.
    pub uncut: bool,
}

impl Aftermath {
    /// New records are to be pushed, so many bytes, or an opening was accepted.
    pub fn tell_followers(&mut self, bytes: usize) {
        self.news = News::Records;
        self.news_bytes += bytes;
    }

    /// The log is to be flushed.
    pub fn flush(&mut self) {
        self.flush = true;
    }

    /// The log start is to be made durable, and then acknowledged.
    pub fn secure_log_start(&mut self) {
        self.persist_log_start = true;
    }

    /// These requests hear that this broker does not lead.
    pub fn refuse(&mut self, replies: impl Iterator<Item = Reply>) {
        self.released.extend(replies.map(|reply| (reply, Err(ErrorCode::NotLeaderOrFollower))));
    }

    /// These requests are answered.
    pub fn answer(&mut self, replies: impl Iterator<Item = Reply>) {
        self.released.extend(replies.map(|reply| (reply, Ok(()))));
    }
}
