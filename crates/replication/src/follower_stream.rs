//! The leader's side of one follower's stream: which of its partitions have news, and how they become frames.
//!
//! An append marks the follower's slot dirty and wakes the connection, which asks [`LeaderFrames`] for the next frame; that
//! goes through the dirty slots. Batching comes from backlog: while the follower has not reported the frame before, what is
//! appended waits for it, until it is worth a frame of its own ([`WORTH_A_FRAME_BYTES`]; RFC 896 does so in TCP), but not
//! longer than [`PAUSE`]. Where records keep arriving during round trips, small frames always keep that pause between them:
//! each costs a dozen wake-ups on two nodes. An idle stream, or one whose producer waits for each acknowledgement, delays
//! nothing. Positions without records (the high watermark after an acknowledgement) ride with the records that come next;
//! only where none come within [`POSITIONS_DELAY`], or where consumers read from the follower, do they get a frame.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::task::AtomicWaker;
use highwater_env::lock::Mutex;
use highwater_partition::SessionId;
use highwater_rpc::replication::{Lane, LeaderFrame, Open, Opened, Push, Slot};
use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::Status;

use crate::node::Counters;
use crate::throttle::Throttle;
use crate::window::WINDOW_FRAMES;

/// A frame is sent once it holds so many bytes of records: HTTP/2 frames are of this size, and larger messages save nothing.
const FRAME_BYTES: usize = 1024 * 1024;
/// What one partition may put into a frame while others wait, so that one that catches up does not delay the rest.
const SHARE_BYTES: usize = 256 * 1024;
/// So many bytes of new records are sent although the follower has not reported the frame before.
const WORTH_A_FRAME_BYTES: usize = 64 * 1024;
/// Between small frames of a busy stream, or of one whose follower has not reported the frame before.
const PAUSE: Duration = Duration::from_millis(1);
/// A stream is busy if records waited when so many of the last round trips ended, in 256ths (a moving average over about
/// [`TRIPS`]).
const BUSY: u32 = 64;
const TRIPS: u32 = 16;
/// How long a new high watermark may wait for records to ride with, where no consumer waits for it: a follower uses it to
/// checkpoint, and to know sooner, once it leads, what was committed.
const POSITIONS_DELAY: Duration = Duration::from_millis(10);

/// Where the pushes of a slot come from: the partition.
pub(crate) trait PushSource: Send + Sync {
    /// What to send to a follower next: records from `from` on, at most about `max_bytes` but one batch at least, and the
    /// positions (high watermark, log start) if they are not those of `told`.
    fn next_push(
        self: Arc<Self>,
        slot: &FollowerSlot,
        from: Offset,
        told: (Offset, Offset),
        max_bytes: usize,
    ) -> NextPush;
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
    /// Whether its followers are out of sync, so that what they want was written long ago.
    pub is_catching_up: bool,
    counters: Arc<Counters>,
    /// Of a stream of throttled replicas.
    throttle: Option<Arc<Throttle>>,
    outbox: Mutex<Outbox>,
    /// The connection, when it waits for a frame.
    connection: AtomicWaker,
    /// Rung once the connection is gone.
    gone: Notify,
}

/// The frames of one stream, as its connection asks for them. Dropping them ends the stream.
pub(crate) struct LeaderFrames {
    stream: Arc<FollowerStream>,
    /// Wakes when positions are due.
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Default)]
struct Outbox {
    opened: Vec<Opened>,
    closed: Vec<Slot>,
    dirty: VecDeque<Arc<FollowerSlot>>,
    /// About how many bytes of records the dirty slots have.
    dirty_bytes: usize,
    /// Slots with new positions and no new records, and when the first of them becomes dirty with all others.
    positions: Vec<Arc<FollowerSlot>>,
    positions_due: Option<Instant>,
    /// Frames with records that may be under way.
    window: u64,
    frames_sent: u64,
    frames_received: u64,
    /// The number of the last frame with records, and when it was sent.
    last_with_records: u64,
    last_sent: Option<Instant>,
    /// After how many of the last round trips records waited, in 256ths.
    busy: u32,
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
    /// Whether nothing is pushed any more.
    over: AtomicBool,
    /// What the follower has deleted durably.
    log_start: AtomicI64,
    /// The first offset that can be read there; none before the first acknowledgement.
    first_offset: AtomicI64,
    /// Whether consumers were sent to this follower.
    has_readers: AtomicBool,
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
            over: AtomicBool::new(false),
            log_start: AtomicI64::new(0),
            first_offset: AtomicI64::new(i64::MAX),
            has_readers: AtomicBool::new(false),
            sent: Mutex::new(Sent { next: open.log_end, told: (Offset::NONE, Offset::NONE) }),
        }
    }

    /// The partition has news for this follower, with so many bytes of records.
    pub fn mark_dirty(self: &Arc<Self>, bytes: usize) {
        let mut outbox = self.stream.outbox.lock();
        let first = outbox.dirty.is_empty();
        if !self.queued.swap(true, Ordering::AcqRel) {
            outbox.dirty.push_back(self.clone());
        }
        outbox.dirty_bytes = outbox.dirty_bytes.saturating_add(bytes);
        // For the first one, the connection may have to set its timer.
        let wake = first || outbox.may_send(Instant::now());
        drop(outbox);
        if wake {
            self.stream.connection.wake();
        }
    }

    /// The partition's high watermark or log start moved, and it has no new records.
    pub fn on_positions(self: &Arc<Self>) {
        if self.has_readers.load(Ordering::Relaxed) {
            return self.mark_dirty(0);
        }
        if self.queued.load(Ordering::Acquire) || self.positions_wait.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut outbox = self.stream.outbox.lock();
        outbox.positions.push(self.clone());
        if outbox.positions_due.is_none() {
            outbox.positions_due = Some(Instant::now() + POSITIONS_DELAY);
            drop(outbox);
            self.stream.connection.wake();
        }
    }

    /// The follower's log start, as far as it is durable there.
    pub fn log_start(&self) -> Offset {
        Offset(self.log_start.load(Ordering::Acquire))
    }

    /// The first offset that can be read from the follower.
    pub fn first_offset(&self) -> Offset {
        Offset(self.first_offset.load(Ordering::Acquire))
    }

    /// The follower has deleted everything below `deleted` durably, and what can be read there begins at `first_offset`, if it
    /// serves consumers at all.
    pub fn on_log_start(&self, deleted: Offset, first_offset: Option<Offset>) {
        self.log_start.store(deleted.get(), Ordering::Release);
        self.first_offset.store(first_offset.map_or(i64::MAX, Offset::get), Ordering::Release);
    }

    /// Consumers of this partition read from the follower from now on, as far as it knows the high watermark: it hears of that
    /// without delay.
    pub fn on_readers(&self) {
        self.has_readers.store(true, Ordering::Relaxed);
    }

    /// Nothing more is pushed: the follower wants it no more, or not on this stream, which may go on with other partitions.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// The leadership or the session is over: the follower is told to open again.
    pub fn close(&self) {
        self.end();
        self.stream.outbox.lock().closed.push(self.slot);
        self.stream.connection.wake();
    }

    /// The sender took records up to `next` and these positions.
    pub fn on_read(&self, next: Offset, told: (Offset, Offset)) {
        *self.sent.lock() = Sent { next, told };
    }
}

impl Outbox {
    /// Whether the next frame may go out at once, if there is anything to put into it.
    fn may_send(&self, now: Instant) -> bool {
        let in_time = self.may_hurry() || self.pause_ends().is_none_or(|end| end <= now);
        let worth_it = in_time || self.dirty_bytes >= WORTH_A_FRAME_BYTES;
        let is_answering = !self.opened.is_empty() || !self.closed.is_empty();
        (worth_it && self.has_room()) || (is_answering && self.under_way() < WINDOW_FRAMES)
    }

    fn under_way(&self) -> u64 {
        self.frames_sent.saturating_sub(self.frames_received)
    }

    /// Whether the next frame may hold records.
    fn has_room(&self) -> bool {
        self.under_way() < self.window
    }

    /// Whether small frames need not wait for the pause to end.
    fn may_hurry(&self) -> bool {
        self.is_reported() && self.busy < BUSY
    }

    /// Whether the follower has handled every frame with records.
    fn is_reported(&self) -> bool {
        self.frames_received >= self.last_with_records
    }

    fn pause_ends(&self) -> Option<Instant> {
        self.last_sent.map(|sent| sent + PAUSE)
    }

    /// When the next frame may be due by itself.
    fn next_timer(&self, now: Instant) -> Option<Instant> {
        let pause = self.pause_ends().filter(|end| *end > now && !self.dirty.is_empty());
        pause.into_iter().chain(self.positions_due).min()
    }

    fn on_received(&mut self, frames: u64) {
        let was_reported = self.is_reported();
        self.frames_received = frames;
        if !was_reported && self.is_reported() {
            let waited = if self.dirty.is_empty() { 0 } else { 256 };
            self.busy = (self.busy * (TRIPS - 1) + waited) / TRIPS;
        }
    }
}

impl FollowerStream {
    pub fn new(
        replica: BrokerId,
        broker_epoch: BrokerEpoch,
        lane: Lane,
        counters: Arc<Counters>,
        throttle: Option<Arc<Throttle>>,
    ) -> Arc<Self> {
        let is_catching_up = lane != Lane::InSync;
        // One frame at a time: the follower's throttle holds its report back.
        let window = if throttle.is_some() { 1 } else { WINDOW_FRAMES };
        let outbox = Mutex::new(Outbox { window, ..Outbox::default() });
        let (connection, gone) = (AtomicWaker::new(), Notify::new());
        Arc::new(Self { replica, broker_epoch, is_catching_up, counters, throttle, outbox, connection, gone })
    }

    /// What the connection is to send.
    pub fn frames(self: &Arc<Self>) -> LeaderFrames {
        LeaderFrames { stream: self.clone(), timer: None }
    }

    /// An answer to an opening, to be sent before anything of that slot.
    pub fn answer(&self, opened: Opened) {
        self.outbox.lock().opened.push(opened);
        self.connection.wake();
    }

    /// The follower has handled so many frames.
    pub fn on_received(&self, frames: u64) {
        let mut outbox = self.outbox.lock();
        outbox.on_received(frames);
        let wake = !outbox.dirty.is_empty() && outbox.may_send(Instant::now());
        drop(outbox);
        if wake {
            self.connection.wake();
        }
    }

    /// The stream is over.
    pub fn end(&self) {
        let mut outbox = self.outbox.lock();
        outbox.ended = true;
        outbox.dirty.clear();
        outbox.positions.clear();
        drop(outbox);
        self.connection.wake();
        self.gone.notify_one();
    }

    /// Waits until the connection is gone.
    pub async fn gone(&self) {
        self.gone.notified().await;
    }

    /// Marks the slots with new positions, if they have waited long enough. Those that were sent with records meanwhile are found to be told already.
    fn positions_are_due(&self) {
        let slots = {
            let mut outbox = self.outbox.lock();
            if outbox.positions_due.is_none_or(|due| due > Instant::now()) {
                return;
            }
            outbox.positions_due = None;
            std::mem::take(&mut outbox.positions)
        };
        for slot in slots {
            slot.positions_wait.store(false, Ordering::Release);
            slot.mark_dirty(0);
        }
    }

    /// The next frame, if there is something to send and the window is open.
    fn next_frame(&self, now: Instant) -> Option<LeaderFrame> {
        let has_room = {
            let outbox = self.outbox.lock();
            if !outbox.may_send(now) {
                return None;
            }
            outbox.has_room()
        };
        let mut frame = LeaderFrame::default();
        let mut size = 0;
        let frame_bytes = match &self.throttle {
            // Openings and closings go out all the same.
            _ if !has_room => 0,
            None => FRAME_BYTES,
            Some(throttle) if throttle.ready_at(now).is_some() => 0,
            Some(throttle) => throttle.frame_bytes(),
        };
        while size < frame_bytes {
            let Some((slot, alone)) = self.next_dirty() else { break };
            let budget = frame_bytes - size;
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
        if let Some(throttle) = &self.throttle {
            self.counters.throttled_bytes_out.fetch_add(size as u64, Ordering::Relaxed);
            throttle.take(size, now);
        }
        outbox.frames_sent += 1;
        if size > 0 {
            outbox.last_with_records = outbox.frames_sent;
            outbox.last_sent = Some(now);
        }
        Some(frame)
    }

    /// When the connection must look again by itself, if no frame may go at `now`.
    fn next_timer(&self, now: Instant) -> Option<Instant> {
        let outbox = self.outbox.lock();
        let throttled = self.throttle.as_ref().filter(|_| !outbox.dirty.is_empty());
        let ready_at = throttled.and_then(|throttle| throttle.ready_at(now));
        outbox.next_timer(now).into_iter().chain(ready_at).min()
    }

    /// Takes a slot out of the queue, and says whether no other waits.
    fn next_dirty(&self) -> Option<(Arc<FollowerSlot>, bool)> {
        let mut outbox = self.outbox.lock();
        let slot = outbox.dirty.pop_front()?;
        let alone = outbox.dirty.is_empty();
        if alone {
            outbox.dirty_bytes = 0;
        }
        // What comes after this is not in the push, and marks the slot again.
        slot.queued.store(false, Ordering::Release);
        Some((slot, alone))
    }

    /// Puts the news of one slot into the frame and returns the bytes of records.
    fn push(&self, slot: &Arc<FollowerSlot>, max_bytes: usize, frame: &mut LeaderFrame) -> usize {
        let Some(source) = slot.source.upgrade().filter(|_| !slot.over.load(Ordering::Relaxed)) else { return 0 };
        let Sent { next, told } = *slot.sent.lock();
        match source.next_push(slot, next, told, max_bytes) {
            NextPush::Nothing => 0,
            NextPush::Push(push, more) => {
                let size = push.batches.iter().map(bytes::Bytes::len).sum();
                frame.pushes.push(push);
                if more {
                    slot.mark_dirty(WORTH_A_FRAME_BYTES);
                }
                size
            }
            NextPush::Lost(reason) => {
                tracing::info!(slot = ?slot.slot, follower = %self.replica, reason, "follower must open again");
                slot.end();
                frame.closed.push(slot.slot);
                0
            }
        }
    }
}

impl Stream for LeaderFrames {
    type Item = Result<LeaderFrame, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.connection.register(context.waker());
        loop {
            if self.stream.outbox.lock().ended {
                return Poll::Ready(None);
            }
            let now = Instant::now();
            if let Some(frame) = self.stream.next_frame(now) {
                return Poll::Ready(Some(Ok(frame)));
            }
            let Some(due) = self.stream.next_timer(now) else { return Poll::Pending };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.stream.positions_are_due();
        }
    }
}

impl Drop for LeaderFrames {
    fn drop(&mut self) {
        self.stream.end();
    }
}
