//! The task of a link: connect, open, take in, acknowledge, and again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use highwater_env::{GrpcOptions, grpc_channel, run_blocking};
use highwater_partition::EpochEnd;
use highwater_rpc::replication::{
    FollowerFrame, Hello, Incoming, Lane, LeaderFrame, OpenOutcome, Opened, ReplicationClient, Slot,
};
use highwater_types::{BrokerEpoch, TopicIdPartition};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::Lease;
use crate::backoff::Backoff;
use crate::following::PushError;
use crate::link::Link;
use crate::node::{Counters, Node};
use crate::partition::Partition;
use crate::throttle::Throttle;
use crate::window::{MAX_FRAME_BYTES, WINDOW_FRAMES};

/// A stream must be accepted, and each opening answered, within this time; else the stream is given up.
const OPEN_DEADLINE: Duration = Duration::from_secs(5);
/// Frames towards the leader that wait for the connection. They are small, and each is written at once when it can be.
const QUEUED_FRAMES: usize = 16;
/// How long a frame that was handled may go unreported. The leader holds small pushes back meanwhile.
const REPORT_DELAY: Duration = Duration::from_millis(5);
/// Openings in one frame.
const OPENS_PER_FRAME: usize = 1000;

/// Runs until it is aborted.
pub(crate) async fn run_link(node: Arc<Node>, link: Arc<Link>) {
    let mut backoff = Backoff::reconnect();
    loop {
        link.wanted().await;
        let ended = match LinkStream::connect(&node, &link).await {
            Ok(mut stream) => {
                link.opened();
                let ended = stream.run(&mut backoff).await;
                if ended.code() != Code::Ok {
                    link.broke();
                }
                ended
            }
            Err(status) => status,
        };
        tracing::debug!(leader = %link.leader, status = %ended, "replication stream ended");
        backoff.pause().await;
    }
}

/// One stream to the leader.
struct LinkStream {
    link: Arc<Link>,
    counters: Arc<Counters>,
    lease: Arc<dyn Lease>,
    /// The registration that the leader was told of.
    broker_epoch: BrokerEpoch,
    /// Holds reports of handled frames back, and so the leader.
    throttle: Option<Arc<Throttle>>,
    outgoing: mpsc::Sender<FollowerFrame>,
    incoming: Incoming<LeaderFrame>,
    slots: BTreeMap<Slot, Arc<Partition>>,
    /// Openings without an answer yet, and when it must be there.
    unanswered: BTreeMap<Slot, Instant>,
    by_partition: BTreeMap<TopicIdPartition, Slot>,
    /// Partitions whose opening was refused, and when to try again.
    retries: BTreeMap<TopicIdPartition, (Instant, Backoff)>,
    frames_received: u64,
    frames_reported: u64,
    /// When the leader is told that frames were handled, if nothing else tells it before.
    report_due: Option<Instant>,
    closes: Vec<Slot>,
}

impl LinkStream {
    async fn connect(node: &Node, link: &Arc<Link>) -> Result<Self, Status> {
        let image = node.image.load_full();
        let leader = image.broker(link.leader).ok_or_else(|| Status::unavailable("the leader is not registered"))?;
        let channel = grpc_channel(node.env.net, &leader.internal.to_string(), GrpcOptions::default());
        let (outgoing, frames) = mpsc::channel(QUEUED_FRAMES);
        let broker_epoch = node.lease.broker_epoch();
        let hello = Hello {
            replica: node.config.node_id,
            broker_epoch,
            cluster_id: image.cluster_id().unwrap_or_default().to_owned(),
            leader: link.leader,
            lane: link.lane,
        };
        let first = FollowerFrame { hello: Some(hello), ..FollowerFrame::default() };
        outgoing.try_send(first).map_err(|_| Status::internal("the queue is new"))?;
        let mut client = ReplicationClient::new(channel, MAX_FRAME_BYTES);
        let accepted = timeout(OPEN_DEADLINE, client.replicate(ReceiverStream::new(frames))).await;
        let incoming = accepted.map_err(|_| Status::deadline_exceeded("stream not accepted"))??;
        // Acknowledgements of earlier streams mean nothing on this one.
        link.acks.take(true);
        link.with_inbox(|inbox| {
            inbox.reopen = inbox.wanted.keys().copied().collect();
            inbox.dropped.clear();
        });
        tracing::debug!(leader = %link.leader, lane = ?link.lane, "replication stream opened");
        Ok(Self {
            link: link.clone(),
            counters: node.counters.clone(),
            lease: node.lease.clone(),
            broker_epoch,
            throttle: (link.lane == Lane::Throttled).then(|| node.throttles.follower.clone()),
            outgoing,
            incoming,
            slots: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            by_partition: BTreeMap::new(),
            retries: BTreeMap::new(),
            frames_received: 0,
            frames_reported: 0,
            report_due: None,
            closes: Vec::new(),
        })
    }

    /// Runs until the stream breaks or nothing is wanted any more, and returns why.
    async fn run(&mut self, backoff: &mut Backoff) -> Status {
        loop {
            if self.lease.broker_epoch() != self.broker_epoch {
                // As the one that it was, this broker joins no ISR.
                return Status::ok("this broker has registered anew");
            }
            if let Err(status) = self.send_pending().await {
                return status;
            }
            if self.slots.is_empty() && self.link.with_inbox(|inbox| inbox.wanted.is_empty()) {
                return Status::ok("nothing is wanted");
            }
            let wake_at = self.next_timer();
            tokio::select! {
                biased;
                frame = self.incoming.message() => match frame {
                    Ok(Some(frame)) => {
                        backoff.reset();
                        self.handle(frame).await;
                    }
                    Ok(None) => return Status::unavailable("the leader ended the stream"),
                    Err(status) => return status,
                },
                () = self.link.acks.rung() => {}
                () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
            }
            if self.is_overdue() {
                return Status::deadline_exceeded("an opening was not answered");
            }
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        self.unanswered.values().copied().chain(self.retries.values().map(|(at, _)| *at)).chain(self.report_due).min()
    }

    fn is_overdue(&self) -> bool {
        let now = Instant::now();
        self.unanswered.values().any(|deadline| *deadline <= now)
    }

    /// Sends openings, closings, acknowledgements and the window, if there are any.
    async fn send_pending(&mut self) -> Result<(), Status> {
        loop {
            let due = self.take_due();
            let more = due.len() == OPENS_PER_FRAME;
            let opens = due.into_iter().filter_map(|id| self.open(id)).collect();
            let reportable = self.reportable(Instant::now());
            let window = reportable - self.frames_reported >= WINDOW_FRAMES / 2;
            let report = window || self.report_due.is_some_and(|due| due <= Instant::now());
            let frame = FollowerFrame {
                hello: None,
                opens,
                acks: self.link.acks.take(report),
                closes: std::mem::take(&mut self.closes),
                frames_received: reportable,
            };
            if report || !frame.opens.is_empty() || !frame.acks.is_empty() || !frame.closes.is_empty() {
                self.frames_reported = reportable;
                if reportable == self.frames_received {
                    self.report_due = None;
                }
                self.outgoing.send(frame).await.map_err(|_| Status::unavailable("the stream is closed"))?;
            }
            if !more {
                return Ok(());
            }
        }
    }

    /// How many handled frames the leader may hear of. While the throttle holds new ones back, the report is due when it lets
    /// them go.
    fn reportable(&mut self, now: Instant) -> u64 {
        match self.throttle.as_ref().and_then(|throttle| throttle.ready_at(now)) {
            Some(ready_at) if self.frames_received > self.frames_reported => {
                self.report_due = Some(ready_at);
                self.frames_reported
            }
            _ => self.frames_received,
        }
    }

    /// The partitions to open now.
    fn take_due(&mut self) -> Vec<TopicIdPartition> {
        let (dropped, reopen) = self.link.with_inbox(|inbox| {
            let rest = match inbox.reopen.iter().nth(OPENS_PER_FRAME).copied() {
                Some(first) => inbox.reopen.split_off(&first),
                None => Default::default(),
            };
            (std::mem::take(&mut inbox.dropped), std::mem::replace(&mut inbox.reopen, rest))
        });
        for partition in &dropped {
            self.forget(*partition);
        }
        let now = Instant::now();
        let retried = self.retries.iter().filter(|(_, (at, _))| *at <= now).map(|(&id, _)| id);
        let due: std::collections::BTreeSet<_> = reopen.into_iter().chain(retried).take(OPENS_PER_FRAME).collect();
        due.into_iter().collect()
    }

    /// Closes the slot of a partition, if it has one.
    fn forget(&mut self, partition: TopicIdPartition) {
        self.retries.remove(&partition);
        if let Some(slot) = self.by_partition.remove(&partition) {
            self.take_slot(slot);
            self.closes.push(slot);
        }
    }

    fn take_slot(&mut self, slot: Slot) -> Option<Arc<Partition>> {
        self.unanswered.remove(&slot);
        self.slots.remove(&slot)
    }

    fn open(&mut self, id: TopicIdPartition) -> Option<highwater_rpc::replication::Open> {
        let Some(partition) = self.link.with_inbox(|inbox| inbox.wanted.get(&id).cloned()) else {
            self.retries.remove(&id);
            return None;
        };
        let slot = self.link.next_slot();
        let Some(open) = partition.begin_open(&self.link, slot) else {
            self.retries.remove(&id);
            return None;
        };
        // The entry stays until this time, when the partition is found to be open: while openings are refused, or pushes are not
        // taken (no room on the disk), its pauses go on growing.
        if let Some((at, _)) = self.retries.get_mut(&id) {
            *at = Instant::now() + 2 * OPEN_DEADLINE;
        }
        if let Some(former) = self.by_partition.insert(id, slot) {
            self.take_slot(former);
            self.closes.push(former);
        }
        self.slots.insert(slot, partition);
        self.unanswered.insert(slot, Instant::now() + OPEN_DEADLINE);
        Some(open)
    }

    async fn handle(&mut self, frame: LeaderFrame) {
        self.frames_received += 1;
        for opened in frame.opened {
            self.on_opened(opened).await;
        }
        for push in &frame.pushes {
            let Some(partition) = self.slots.get(&push.slot) else { continue };
            let bytes: usize = push.batches.iter().map(bytes::Bytes::len).sum();
            self.counters.replication_bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
            if let Some(throttle) = &self.throttle {
                self.counters.throttled_bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
                throttle.take(bytes, Instant::now());
            }
            match partition.on_push(push) {
                Ok(()) => {}
                // It has just changed to another lane.
                Err(PushError::NotOpen) => self.lose(push.slot),
                Err(error) => {
                    tracing::warn!(partition = %partition.name, leader = %self.link.leader, %error, "push not taken");
                    self.lose(push.slot);
                }
            }
        }
        for slot in frame.closed {
            self.lose(slot);
        }
        // The leader of a throttled stream waits for the report of every frame.
        let is_throttled = self.throttle.is_some();
        if self.report_due.is_none() && (is_throttled || frame.pushes.iter().any(|push| !push.batches.is_empty())) {
            self.report_due = Some(Instant::now() + if is_throttled { Duration::ZERO } else { REPORT_DELAY });
        }
    }

    async fn on_opened(&mut self, opened: Opened) {
        let slot = opened.slot;
        let Some(partition) = self.slots.get(&slot).cloned() else { return };
        self.unanswered.remove(&slot);
        match opened.outcome {
            OpenOutcome::Accepted { high_watermark, log_start } => {
                partition.on_open_accepted(slot, high_watermark, log_start);
            }
            OpenOutcome::Diverged { epoch, end_offset } => {
                let cut = partition.clone();
                let is_cut = run_blocking(move || cut.on_diverged(slot, EpochEnd { epoch, end_offset })).await;
                self.open_again(slot, &partition, is_cut);
            }
            OpenOutcome::OutOfRange { log_start } => {
                let cut = partition.clone();
                let is_cut = run_blocking(move || cut.on_out_of_range(slot, log_start)).await;
                self.open_again(slot, &partition, is_cut);
            }
            OpenOutcome::Refused(code) => {
                tracing::debug!(partition = %partition.name, leader = %self.link.leader, code = code.name(), "open refused");
                self.lose(slot);
            }
        }
    }

    /// The log was cut: opens with what it is now. Where there was no room for that, tries again after a pause.
    fn open_again(&mut self, slot: Slot, partition: &Arc<Partition>, is_cut: bool) {
        if !is_cut {
            return self.lose(slot);
        }
        self.take_slot(slot);
        self.by_partition.remove(&partition.id);
        if partition.on_link_lost(slot, &self.link) {
            self.link.with_inbox(|inbox| inbox.reopen.insert(partition.id));
        }
    }

    /// The slot is of no use any more: tries again after a pause, if the partition still wants this leader.
    fn lose(&mut self, slot: Slot) {
        let Some(partition) = self.take_slot(slot) else { return };
        self.by_partition.remove(&partition.id);
        self.closes.push(slot);
        if partition.on_link_lost(slot, &self.link) {
            let (at, backoff) =
                self.retries.entry(partition.id).or_insert_with(|| (Instant::now(), Backoff::reconnect()));
            *at = Instant::now() + backoff.next();
        }
    }
}

impl Drop for LinkStream {
    /// Also when the task is dropped with its runtime.
    fn drop(&mut self) {
        for (slot, partition) in std::mem::take(&mut self.slots) {
            partition.on_link_lost(slot, &self.link);
        }
    }
}
