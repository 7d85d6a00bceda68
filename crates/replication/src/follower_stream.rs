//! The leader's side of one follower's stream: which of its partitions have news, and how they become frames.
//!
//! An append marks the follower's slot dirty and wakes the sender; the sender goes through the dirty slots and fills a
//! frame. Batching comes from backlog: what is appended while a frame is under way goes into the next one. Positions without
//! records (the high watermark after an acknowledgement) ride with the records that come next; only where none come within
//! [`POSITIONS_DELAY`] do they get a frame.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use highwater_partition::SessionId;
use highwater_rpc::replication::{LeaderFrame, Open, Opened, Push, Slot};
use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use crate::node::Counters;
use crate::window::WINDOW_FRAMES;

/// A frame is sent once it holds so many bytes of records: HTTP/2 frames are of this size, and larger messages save nothing.
const FRAME_BYTES: usize = 1024 * 1024;
/// What one partition may put into a frame while others wait, so that one that catches up does not delay the rest.
const SHARE_BYTES: usize = 256 * 1024;
/// How long a new high watermark may wait for records to ride with. Nobody waits for it: a follower uses it to checkpoint, and
/// to know sooner, once it leads, what was committed.
const POSITIONS_DELAY: Duration = Duration::from_millis(10);

/// Where the pushes of a slot come from: the partition.
pub(crate) trait PushSource: Send + Sync {
    /// What to send to a follower next: records from `from` on, at most about `max_bytes` but one batch at least, and the
    /// positions (high watermark, log start) if they are not those of `told`.
    fn next_push(&self, slot: &FollowerSlot, from: Offset, told: (Offset, Offset), max_bytes: usize) -> NextPush;
}

/// What the sender gets for one slot.
pub(crate) enum NextPush {
    /// The follower has everything, or the session is over.
    Nothing,
    /// Something to send, and whether more is left.
    Push(Push, bool),
    /// What the follower needs next is not in the log any more, or the disk refuses: it has to open again.
    Lost(String),
}

/// One stream of one follower.
pub(crate) struct FollowerStream {
    pub replica: BrokerId,
    pub broker_epoch: BrokerEpoch,
    counters: Arc<Counters>,
    outbox: Mutex<Outbox>,
    notify: Notify,
}

#[derive(Default)]
struct Outbox {
    opened: Vec<Opened>,
    closed: Vec<Slot>,
    dirty: VecDeque<Arc<FollowerSlot>>,
    /// Slots with new positions and no new records, and when the first of them becomes dirty with all others.
    positions: Vec<Arc<FollowerSlot>>,
    positions_due: Option<Instant>,
    frames_sent: u64,
    frames_received: u64,
    ended: bool,
}

/// One opening of a partition on a stream.
pub(crate) struct FollowerSlot {
    pub stream: Arc<FollowerStream>,
    pub slot: Slot,
    pub session: SessionId,
    pub epoch: LeaderEpoch,
    /// The partition owns the slot, not the other way round.
    source: Weak<dyn PushSource>,
    /// Whether it is in the outbox's dirty queue.
    queued: AtomicBool,
    /// Whether it is among the slots with new positions.
    positions_wait: AtomicBool,
    /// What the follower has deleted durably.
    log_start: AtomicI64,
    sent: Mutex<Sent>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    next: Offset,
    /// High watermark and log start as last told.
    told: (Offset, Offset),
}

impl FollowerSlot {
    pub fn new(stream: &Arc<FollowerStream>, source: Weak<dyn PushSource>, open: &Open, session: SessionId) -> Self {
        Self {
            stream: stream.clone(),
            slot: open.slot,
            session,
            epoch: open.leader_epoch,
            source,
            queued: AtomicBool::new(false),
            positions_wait: AtomicBool::new(false),
            log_start: AtomicI64::new(0),
            sent: Mutex::new(Sent { next: open.log_end, told: (Offset::NONE, Offset::NONE) }),
        }
    }

    /// The partition has news for this follower.
    pub fn mark_dirty(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.stream.outbox.lock().dirty.push_back(self.clone());
            self.stream.notify.notify_one();
        }
    }

    /// The partition's high watermark or log start moved, and it has no new records.
    pub fn on_positions(self: &Arc<Self>) {
        if self.queued.load(Ordering::Acquire) || self.positions_wait.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut outbox = self.stream.outbox.lock();
        outbox.positions.push(self.clone());
        if outbox.positions_due.is_none() {
            outbox.positions_due = Some(Instant::now() + POSITIONS_DELAY);
            drop(outbox);
            self.stream.notify.notify_one();
        }
    }

    /// The follower's log start, as far as it is durable there.
    pub fn log_start(&self) -> Offset {
        Offset(self.log_start.load(Ordering::Acquire))
    }

    /// The follower has deleted everything below `log_start` durably.
    pub fn on_log_start(&self, log_start: Offset) {
        self.log_start.store(log_start.get(), Ordering::Release);
    }

    /// The leadership or the session is over: the follower is told to open again.
    pub fn close(&self) {
        self.stream.outbox.lock().closed.push(self.slot);
        self.stream.notify.notify_one();
    }

    /// The sender took records up to `next` and these positions.
    pub fn on_read(&self, next: Offset, told: (Offset, Offset)) {
        *self.sent.lock() = Sent { next, told };
    }
}

impl FollowerStream {
    pub fn new(replica: BrokerId, broker_epoch: BrokerEpoch, counters: Arc<Counters>) -> Arc<Self> {
        Arc::new(Self { replica, broker_epoch, counters, outbox: Mutex::default(), notify: Notify::new() })
    }

    /// An answer to an opening, to be sent before anything of that slot.
    pub fn answer(&self, opened: Opened) {
        self.outbox.lock().opened.push(opened);
        self.notify.notify_one();
    }

    /// The follower has handled so many frames.
    pub fn on_received(&self, frames: u64) {
        self.outbox.lock().frames_received = frames;
        self.notify.notify_one();
    }

    /// The stream is over.
    pub fn end(&self) {
        let mut outbox = self.outbox.lock();
        outbox.ended = true;
        outbox.dirty.clear();
        outbox.positions.clear();
        drop(outbox);
        self.notify.notify_one();
    }

    /// Sends frames until the stream ends on either side.
    pub async fn send_all(&self, frames: mpsc::Sender<Result<LeaderFrame, Status>>) {
        loop {
            let due = self.outbox.lock().positions_due;
            tokio::select! {
                () = self.notify.notified() => {}
                () = frames.closed() => return,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.positions_are_due(),
            }
            loop {
                if self.outbox.lock().ended {
                    return;
                }
                let Some(frame) = self.next_frame() else { break };
                if frames.send(Ok(frame)).await.is_err() {
                    return;
                }
            }
        }
    }

    /// Positions have waited long enough. Those that were sent with records meanwhile are found to be told already.
    fn positions_are_due(&self) {
        let slots = {
            let mut outbox = self.outbox.lock();
            outbox.positions_due = None;
            std::mem::take(&mut outbox.positions)
        };
        for slot in slots {
            slot.positions_wait.store(false, Ordering::Release);
            slot.mark_dirty();
        }
    }

    /// The next frame, if there is something to send and the window is open.
    fn next_frame(&self) -> Option<LeaderFrame> {
        {
            let outbox = self.outbox.lock();
            if outbox.frames_sent.saturating_sub(outbox.frames_received) >= WINDOW_FRAMES {
                return None;
            }
        }
        let mut frame = LeaderFrame::default();
        let mut size = 0;
        while size < FRAME_BYTES {
            let Some((slot, alone)) = self.next_dirty() else { break };
            let budget = FRAME_BYTES - size;
            size += self.push(&slot, if alone { budget } else { budget.min(SHARE_BYTES) }, &mut frame);
        }
        // Last, because a slot is answered before it is marked: the answer to every slot in the frame is there by now, and
        // the follower handles answers first.
        let mut outbox = self.outbox.lock();
        frame.opened = std::mem::take(&mut outbox.opened);
        frame.closed.append(&mut outbox.closed);
        if frame == LeaderFrame::default() {
            return None;
        }
        self.counters.replication_bytes_out.fetch_add(size as u64, Ordering::Relaxed);
        outbox.frames_sent += 1;
        Some(frame)
    }

    /// Takes a slot out of the queue, and says whether no other waits.
    fn next_dirty(&self) -> Option<(Arc<FollowerSlot>, bool)> {
        let mut outbox = self.outbox.lock();
        let slot = outbox.dirty.pop_front()?;
        let alone = outbox.dirty.is_empty();
        // What comes after this is not in the push, and marks the slot again.
        slot.queued.store(false, Ordering::Release);
        Some((slot, alone))
    }

    /// Puts the news of one slot into the frame and returns the bytes of records.
    fn push(&self, slot: &Arc<FollowerSlot>, max_bytes: usize, frame: &mut LeaderFrame) -> usize {
        let Some(source) = slot.source.upgrade() else { return 0 };
        let Sent { next, told } = *slot.sent.lock();
        match source.next_push(slot, next, told, max_bytes) {
            NextPush::Nothing => 0,
            NextPush::Push(push, more) => {
                let size = push.batches.iter().map(bytes::Bytes::len).sum();
                frame.pushes.push(push);
                if more {
                    slot.mark_dirty();
                }
                size
            }
            NextPush::Lost(reason) => {
                tracing::info!(slot = ?slot.slot, follower = %self.replica, reason, "follower must open again");
                frame.closed.push(slot.slot);
                0
            }
        }
    }
}
