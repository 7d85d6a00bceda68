//! What a client and this broker both remember between two fetches (KIP-227): which partitions the client asks for, and what
//! it was last told of each. A request then names only what changed, and an answer holds only what is news.
//!
//! Pure: requests and answers in, what to read and what to tell out. Transitions of the epoch: 1 when made, then +1 with each
//! request that continues the session, back to 1 after the largest.
//!
//! Architecture invariant: a session holds only partitions that existed when they were asked for, each once; so what a client
//! can make the broker keep is bounded by the partitions of the cluster, some 120 bytes each.

use std::collections::BTreeSet;

use highwater_protocol::FetchPartitionResponse;
use highwater_types::{BrokerId, ErrorCode, LeaderEpoch, Offset, TopicIdPartition};
use indexmap::IndexMap;

/// What a client asks of one partition. Within a session it stays in force until the client says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AskedPartition {
    /// Where to read from.
    pub(crate) offset: Offset,
    /// The epoch in which the client believes this broker leads, or [`LeaderEpoch::NONE`] (KIP-320).
    pub(crate) current_leader_epoch: LeaderEpoch,
    /// Epoch of the last record the client has, or [`LeaderEpoch::NONE`] (KIP-595).
    pub(crate) last_fetched_epoch: LeaderEpoch,
    /// Most bytes of this partition.
    pub(crate) max_bytes: i32,
}

/// Position of a request within its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionEpoch(pub(crate) i32);

impl SessionEpoch {
    /// Of a request for all its partitions, which asks for a new session.
    pub(crate) const INITIAL: Self = Self(0);
    /// Of a request for all its partitions, which wants no session.
    pub(crate) const FINAL: Self = Self(-1);

    /// Of the request after one of this epoch.
    pub(crate) fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(1))
    }

    /// Whether the request names all its partitions and continues no session.
    pub(crate) fn is_full(self) -> bool {
        self == Self::INITIAL || self == Self::FINAL
    }
}

/// One session. Its partitions are in the order in which they are read: those that gave records go to the end, so that a
/// budget that is too small for all is shared by all in turn.
#[derive(Debug)]
pub(crate) struct FetchSession {
    /// Whether its requests name topics by id (from version 13 on); a session cannot change that.
    by_id: bool,
    /// Of the next request.
    epoch: SessionEpoch,
    /// Its order is that of insertion and rotation, never that of hashes.
    partitions: IndexMap<TopicIdPartition, SessionPartition>,
}

#[derive(Debug)]
struct SessionPartition {
    asked: AskedPartition,
    /// What the client knows; `None` when the next answer must tell it in any case.
    told: Option<Told>,
    /// Whether the answer being made has records of it.
    gave_records: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    high_watermark: Offset,
    last_stable_offset: Offset,
    log_start: Offset,
}

impl FetchSession {
    /// The session that a request for these partitions makes; that request is still to be answered.
    pub(crate) fn new(by_id: bool, partitions: impl Iterator<Item = (TopicIdPartition, AskedPartition)>) -> Self {
        let capacity = partitions.size_hint().1.unwrap_or(0);
        let mut session =
            Self { by_id, epoch: SessionEpoch::INITIAL.next(), partitions: IndexMap::with_capacity(capacity) };
        partitions.for_each(|(key, asked)| session.ask(key, asked));
        session
    }

    /// A request continues the session; from now on the next epoch is expected.
    ///
    /// # Errors
    /// Nothing changed: INVALID_FETCH_SESSION_EPOCH for a request that is not the next one, FETCH_SESSION_TOPIC_ID_ERROR for
    /// one that names topics in the other way.
    pub(crate) fn begin(&mut self, epoch: SessionEpoch, by_id: bool) -> Result<(), ErrorCode> {
        if epoch != self.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if by_id != self.by_id {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        self.epoch = epoch.next();
        Ok(())
    }

    /// Adds a partition at the end, or changes what is asked of it.
    pub(crate) fn ask(&mut self, key: TopicIdPartition, asked: AskedPartition) {
        match self.partitions.get_mut(&key) {
            Some(partition) => partition.asked = asked,
            None => _ = self.partitions.insert(key, SessionPartition { asked, told: None, gave_records: false }),
        }
    }

    /// Removes partitions; those that are not there do not matter.
    pub(crate) fn forget(&mut self, keys: impl Iterator<Item = TopicIdPartition>) {
        let forgotten: BTreeSet<_> = keys.collect();
        if !forgotten.is_empty() {
            self.partitions.retain(|key, _| !forgotten.contains(key));
        }
    }

    /// What to read, in order.
    pub(crate) fn partitions(&self) -> impl ExactSizeIterator<Item = (TopicIdPartition, &AskedPartition)> {
        self.partitions.iter().map(|(key, partition)| (*key, &partition.asked))
    }

    /// How many partitions it has.
    pub(crate) fn size(&self) -> usize {
        self.partitions.len()
    }

    /// Starts the answer to the request of that epoch.
    ///
    /// # Errors
    /// INVALID_FETCH_SESSION_EPOCH when another request came meanwhile: the partitions are no longer those that were read.
    pub(crate) fn answer(&mut self, epoch: SessionEpoch) -> Result<SessionAnswer<'_>, ErrorCode> {
        if self.epoch == epoch.next() {
            Ok(SessionAnswer { session: self })
        } else {
            Err(ErrorCode::InvalidFetchSessionEpoch)
        }
    }

    /// Moves the partitions that gave records behind the others; the order is kept otherwise.
    fn rotate(&mut self) {
        let mut before_the_last_quiet = self.partitions.values().rev().skip_while(|partition| partition.gave_records);
        if before_the_last_quiet.any(|partition| partition.gave_records) {
            self.partitions.sort_by(|_, a, _, b| a.gave_records.cmp(&b.gave_records));
        }
        for partition in self.partitions.values_mut() {
            partition.gave_records = false;
        }
    }
}

/// An answer being put together; the session's order changes when it is dropped.
pub(crate) struct SessionAnswer<'a> {
    session: &'a mut FetchSession,
}

impl SessionAnswer<'_> {
    /// Whether the answer must hold this partition, which is at that position of [`FetchSession::partitions`]. Calling it
    /// tells the client.
    pub(crate) fn is_news(&mut self, position: usize, answer: &FetchPartitionResponse) -> bool {
        let (_, partition) = self.session.partitions.get_index_mut(position).expect("what was read is in the session");
        let told = told_by(answer);
        partition.gave_records = !answer.records.is_empty();
        let is_news = partition.gave_records
            || told.is_none()
            || told != partition.told
            || answer.preferred_read_replica != BrokerId::NONE;
        partition.told = told;
        is_news
    }
}

impl Drop for SessionAnswer<'_> {
    fn drop(&mut self) {
        self.session.rotate();
    }
}

/// What the client knows after that answer. After an error or a divergence it must hear of the partition again.
fn told_by(answer: &FetchPartitionResponse) -> Option<Told> {
    let told = Told {
        high_watermark: answer.high_watermark,
        last_stable_offset: answer.last_stable_offset,
        log_start: answer.log_start_offset,
    };
    (!answer.error.is_error() && answer.diverging_epoch.is_none()).then_some(told)
}

#[cfg(test)]
mod tests;
