//! One replica on this broker: the core, its log, and the lock around both.
//!
//! Every change goes through [`Partition::locked`]: the lock is taken, the core steps, its actions on the log and the queues
//! are carried out, the new picture is published, the lock is released, and only then others are woken ([`Aftermath`]).
//!
//! Architecture invariant: the lock is held for memory operations, one write to the page cache, or (on the blocking pool) a
//! truncation, the end of a move to another directory, or the closing of an idle log; never while waiting for another task or for
//! a flush.
//! Lock order: partition, then the copy for another directory, or any one of the queues (streams, links, proposals, attention),
//! which take no further lock.

mod figures;
mod rest;

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::{ArcSwap, ArcSwapOption};
use highwater_env::lock::{Mutex, RwLock};
use highwater_env::{clock, run_blocking};
use highwater_log::{FlushTarget, Log, LogDirectory, LogError, LogReader, ReadError, SpaceUse};
use highwater_metadata::PartitionImage;
use highwater_partition::{Action, Actions, Durability, Event, IsrChange, LogCursors, Replica, RoleKind};
use highwater_rpc::replication::Lane;
use highwater_types::{BrokerId, ErrorCode, Offset, Timestamp, TopicIdPartition, TopicPartition};

use crate::aftermath::{Aftermath, News};
use crate::follower_stream::FollowerSlot;
use crate::future_log::FutureLog;
use crate::home::Home;
use crate::link_slot::LinkSlot;
use crate::log_slot::{LogSlot, cursors_of};
use crate::on_flushed::OnFlushed;
use crate::parked_acks::ParkedAcks;
use crate::snapshot::Snapshot;
use crate::waiter::Waiters;
use crate::{Lease, PartitionRole};

/// What a partition asks of the rest of the broker. Called without the partition's lock.
pub(crate) trait Surroundings: Send + Sync {
    /// Ask the controller for this change.
    fn propose(&self, partition: &Arc<Partition>, change: IsrChange);
    /// What [`Partition::source`] says has changed, or it is to be opened anew.
    fn follow(&self, partition: &Arc<Partition>);
    /// Call [`Partition::tick`] before long.
    fn attend(&self, partition: &Arc<Partition>);
    /// Its log is damaged.
    fn on_damaged(&self, partition: TopicIdPartition);
    /// The controller changed the ISR of a partition led here.
    fn on_isr_changed(&self, grown: bool, shrunk: bool);
}

/// What all replicas of a broker have in common.
pub(crate) struct Host {
    pub lease: Arc<dyn Lease>,
    /// They own the partitions, not the other way round.
    pub surroundings: Weak<dyn Surroundings>,
}

/// One replica. A node may have very many that nobody uses: a test of the broker counts what each of them holds.
pub(crate) struct Partition {
    pub id: TopicIdPartition,
    pub name: TopicPartition,
    pub host: Arc<Host>,
    home: ArcSwap<Home>,
    /// Set when the log is opened, and when it was moved to another directory.
    handles: ArcSwapOption<Handles>,
    state: Mutex<State>,
    published: RwLock<Snapshot>,
    waiters: Waiters,
    /// Whether its log is damaged.
    damaged: AtomicBool,
    /// Whether its log is compacted.
    compacted: AtomicBool,
    /// Whether a compaction is at work on its log.
    pub compacting: AtomicBool,
    /// Whether it is to catch up on the throttled lane.
    pub throttled: AtomicBool,
    /// Whether a tick was asked for.
    watched: AtomicBool,
    /// The high watermark that was checkpointed last.
    checkpointed: AtomicI64,
}

/// What the lock protects.
pub(crate) struct State {
    pub replica: Replica,
    pub log: LogSlot,
    /// The disk refused something: neither leader nor follower any more.
    pub failed: bool,
    /// Since the last append, one was refused that is to be tried again.
    pub has_refused: bool,
    pub parked: ParkedAcks,
    /// As leader: deletions that not all replicas have made durable.
    pub deletions: ParkedAcks,
    /// Everything below is deleted and stays so, whatever happens to this machine. Never above the log start.
    pub durable_log_start: Offset,
    /// As leader: one per follower with an open session.
    pub followers: Arc<[Arc<FollowerSlot>]>,
    /// As follower: the opening on the stream to the leader.
    pub link: Option<Box<LinkSlot>>,
    /// The copy on its way to another directory.
    pub future: Option<Arc<FutureLog>>,
    /// As follower: which stream that is, or will be.
    pub lane: Lane,
    /// As the metadata last said.
    pub assigned: Option<Arc<PartitionImage>>,
}

/// What works on an open log without the partition's lock.
struct Handles {
    reader: Arc<LogReader>,
    flush: Arc<FlushTarget>,
}

impl Partition {
    /// A replica with its log; it is offline until metadata assigns it.
    pub fn new(
        id: TopicIdPartition,
        (host, home): (&Arc<Host>, &Arc<Home>),
        (name, log): (TopicPartition, LogSlot),
        (replica, compacted): (Replica, bool),
    ) -> Arc<Self> {
        // What was checkpointed at a clean stop is durable; what recovery found, it has yet to make so.
        let durable_log_start = if log.as_open().is_some() { Offset::ZERO } else { replica.cursors().log_start };
        let mut state = State {
            replica,
            failed: false,
            has_refused: false,
            parked: ParkedAcks::default(),
            deletions: ParkedAcks::default(),
            durable_log_start,
            followers: Arc::default(),
            link: None,
            future: None,
            lane: Lane::default(),
            assigned: None,
            log,
        };
        let partition = Arc::new(Self {
            id,
            name,
            host: host.clone(),
            home: ArcSwap::new(home.clone()),
            handles: ArcSwapOption::empty(),
            published: RwLock::new(state.snapshot()),
            state: Mutex::new(state),
            waiters: Waiters::default(),
            damaged: AtomicBool::new(false),
            compacted: AtomicBool::new(compacted),
            compacting: AtomicBool::new(false),
            throttled: AtomicBool::new(false),
            watched: AtomicBool::new(false),
            checkpointed: AtomicI64::new(Offset::ZERO.get()),
        });
        if let Some(log) = partition.state.lock().log.as_open() {
            partition.on_opened(log);
        }
        partition
    }

    /// The log was opened.
    fn on_opened(self: &Arc<Self>, log: &Log) {
        let this = Arc::downgrade(self);
        log.flush_target().set_listener(Arc::new(OnFlushed(move || {
            if let Some(partition) = this.upgrade() {
                partition.locked(|state, aftermath| state.on_flushed(&partition, aftermath));
            }
        })));
        self.hand_out(log);
    }

    /// Makes the sides of the log known that work without the lock.
    fn hand_out(&self, log: &Log) {
        self.handles.store(Some(Arc::new(Handles { reader: log.reader(), flush: log.flush_target() })));
    }

    /// The log is there from now on, and open.
    pub fn on_home(self: &Arc<Self>, home: &Arc<Home>, log: &Log) {
        self.home.store(home.clone());
        self.on_opened(log);
    }

    /// The directory of its log, while the node runs.
    pub fn directory(&self) -> Option<Arc<LogDirectory>> {
        self.home.load().directory()
    }

    /// Where its log is.
    pub fn home(&self) -> Arc<Home> {
        self.home.load_full()
    }

    /// Whether so many bytes may be written to its directory.
    pub fn admits(&self, bytes: usize, space_use: SpaceUse) -> bool {
        self.home.load().space.admits(bytes as u64, space_use)
    }

    /// The read side of the log, which is opened if it is not yet: that blocks for the disk, though nothing is recovered.
    ///
    /// # Errors
    /// The replica is out of service.
    pub fn reader(self: &Arc<Self>) -> Result<Arc<LogReader>, ErrorCode> {
        self.handles().map(|handles| handles.reader.clone())
    }

    /// The flush side of the log, which is opened if it is not yet.
    pub fn flush_target(self: &Arc<Self>) -> Result<Arc<FlushTarget>, ErrorCode> {
        self.handles().map(|handles| handles.flush.clone())
    }

    fn handles(self: &Arc<Self>) -> Result<Arc<Handles>, ErrorCode> {
        if let Some(handles) = self.handles.load_full() {
            return Ok(handles);
        }
        self.locked(|state, aftermath| state.open_log(self, aftermath).is_some());
        self.handles.load_full().ok_or(ErrorCode::KafkaStorageError)
    }

    /// The latest picture.
    pub fn snapshot(&self) -> Snapshot {
        *self.published.read()
    }

    /// Whether `cleanup.policy` has `compact`.
    pub fn is_compacted(&self) -> bool {
        self.compacted.load(Ordering::Relaxed)
    }

    /// Takes over that part of the topic's configuration.
    pub fn set_compacted(&self, compacted: bool) {
        self.compacted.store(compacted, Ordering::Relaxed);
    }

    /// The directory of its log and the copy on its way to another one, at one moment.
    pub fn places(&self) -> (Option<Arc<LogDirectory>>, Option<Arc<FutureLog>>) {
        let state = self.state.lock();
        (self.directory(), state.future.clone())
    }

    /// The copy on its way to another directory.
    pub fn future(&self) -> Option<Arc<FutureLog>> {
        self.state.lock().future.clone()
    }

    /// Whether it is that one.
    pub fn has_future(&self, future: &Arc<FutureLog>) -> bool {
        self.future().is_some_and(|present| Arc::ptr_eq(&present, future))
    }

    /// Whether [`Self::note_damage`] was called.
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Its log is damaged below what had been flushed: the controller is told, so that the replica is given up and begins anew
    /// once another one is in sync. Returns whether that is news.
    pub fn note_damage(&self, reason: &str) -> bool {
        if self.damaged.swap(true, Ordering::Relaxed) {
            return false;
        }
        tracing::error!(partition = %self.name, reason, "the log is damaged");
        if let Some(surroundings) = self.host.surroundings.upgrade() {
            surroundings.on_damaged(self.id);
        }
        true
    }

    /// As [`Self::note_damage`]. A follower goes out of service at once; a leader goes on until another one has taken over: what
    /// is intact is nowhere safer before.
    pub fn on_damage(self: &Arc<Self>, reason: &str) {
        if self.note_damage(reason) && self.snapshot().role != RoleKind::Leader {
            self.fail(reason);
        }
    }

    /// A read failed: damage is reported, and a disk that refuses goes out of service. A file that is gone says nothing about
    /// the disk: its log may have been deleted meanwhile.
    pub fn note_read_error(&self, error: &ReadError) {
        match error {
            ReadError::OutOfRange { .. } => {}
            ReadError::Corrupt { .. } => _ = self.note_damage(&error.to_string()),
            ReadError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {}
            ReadError::Io { .. } => {
                if let Some(directory) = self.directory() {
                    directory.take_offline(&error.to_string());
                }
            }
        }
    }

    /// Whether its log is in that directory.
    pub fn is_in(&self, directory: &Arc<LogDirectory>) -> bool {
        self.home.load().is(directory)
    }

    /// Asks for a flush of what the log holds now.
    pub fn request_flush(&self) {
        if let Some(handles) = &*self.handles.load() {
            self.home.load().sync.request(&handles.flush);
        }
    }

    /// The high watermark to checkpoint, if it is not the one that was checkpointed last.
    pub fn uncheckpointed(&self) -> Option<(TopicPartition, Offset)> {
        let high_watermark = self.snapshot().high_watermark;
        let last = self.checkpointed.swap(high_watermark.get(), Ordering::Relaxed);
        (last != high_watermark.get()).then(|| (self.name.clone(), high_watermark))
    }

    /// The high watermark that the checkpoint holds.
    pub fn set_checkpointed(&self, high_watermark: Offset) {
        self.checkpointed.store(high_watermark.get(), Ordering::Relaxed);
    }

    /// Whether retention has to look at the log itself.
    pub fn is_worth_retention(&self, now: Timestamp) -> bool {
        self.state.lock().log.is_worth_retention(now)
    }

    /// Those who wait for a change.
    pub fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    /// Runs `work` under the lock, publishes, and does the rest without the lock.
    pub fn locked<R>(self: &Arc<Self>, work: impl FnOnce(&mut State, &mut Aftermath) -> R) -> R {
        let mut aftermath = Aftermath::default();
        let (result, followers) = {
            let mut state = self.state.lock();
            let result = work(&mut state, &mut aftermath);
            state.release_deletions(&mut aftermath);
            let snapshot = state.snapshot();
            let before = std::mem::replace(&mut *self.published.write(), snapshot);
            aftermath.wake_fetches |= snapshot.role != before.role
                || snapshot.leader_epoch != before.leader_epoch
                || snapshot.failed != before.failed;
            // Those who wait must hear of it when the disk fails under the flush they wait for, and when the lease lapses.
            let waited_for = !state.parked.is_empty() || !state.deletions.is_empty();
            aftermath.watch = state.replica.needs_ticks(clock::mono_ms()) || waited_for;
            (result, (aftermath.news > News::None).then(|| state.followers.clone()))
        };
        self.finish(aftermath, followers);
        result
    }

    /// Feeds one event to the core.
    pub fn step(self: &Arc<Self>, event: Event) {
        self.locked(|state, aftermath| state.step(self, event, aftermath));
    }

    fn finish(self: &Arc<Self>, aftermath: Aftermath, followers: Option<Arc<[Arc<FollowerSlot>]>>) {
        if aftermath.flush {
            self.request_flush();
        }
        for slot in followers.iter().flat_map(|followers| followers.iter()) {
            match aftermath.news {
                News::Records => slot.mark_dirty(aftermath.news_bytes),
                News::Positions | News::None => slot.on_positions(),
            }
        }
        if aftermath.persist_log_start {
            let partition = self.clone();
            tokio::spawn(run_blocking(move || partition.secure_log_start()));
        }
        if !aftermath.released.is_empty() {
            let leased = self.host.lease.is_valid();
            for (reply, result) in aftermath.released {
                // M9: what a fenced broker acknowledges may be gone.
                let result = if leased { result } else { Err(ErrorCode::NotLeaderOrFollower) };
                // The caller may have given up waiting.
                let _ = reply.send(result);
            }
        }
        if aftermath.wake_fetches {
            self.waiters.wake();
        }
        for slot in aftermath.closed {
            slot.close();
        }
        let Some(surroundings) = self.host.surroundings.upgrade() else { return };
        for change in aftermath.proposals {
            surroundings.propose(self, change);
        }
        if let Some((grown, shrunk)) = aftermath.isr_changed {
            surroundings.on_isr_changed(grown, shrunk);
        }
        if aftermath.follow {
            surroundings.follow(self);
        }
        if aftermath.watch && !self.watched.swap(true, Ordering::AcqRel) {
            surroundings.attend(self);
        }
    }

    /// Time passed since [`Surroundings::attend`].
    pub fn tick(self: &Arc<Self>) {
        self.watched.store(false, Ordering::Release);
        if self.directory().is_some_and(|directory| !directory.is_online()) {
            return self.fail("the log directory is offline");
        }
        // A leader that is cut off from the controllers cannot know that it still leads, and its clients should look elsewhere.
        let leased = self.host.lease.is_valid();
        self.locked(|state, aftermath| {
            if !leased {
                state.turn_away(aftermath);
            }
            if state.replica.role() != RoleKind::Leader {
                state.parked.forget_abandoned();
            }
            state.step(self, Event::Tick, aftermath);
        });
    }

    /// The disk failed: out of service.
    pub fn fail(self: &Arc<Self>, reason: &str) {
        self.locked(|state, aftermath| state.fail(self, reason, aftermath));
    }

    /// Stops everything and hands the log out, for closing or deleting it.
    pub fn stop(self: &Arc<Self>) -> LogSlot {
        self.locked(|state, aftermath| {
            state.step(self, Event::WentOffline, aftermath);
            // Whoever works on the copy gives it up.
            state.future = None;
            state.log.take()
        })
    }

    /// Runs `work` on the log, under the lock, and tells the core where the log starts now. `None` if the log is closed or
    /// cannot be opened. Of the first one to use it, opening it blocks for the disk.
    pub fn with_log<R>(self: &Arc<Self>, work: impl FnOnce(&mut Log, &Replica) -> R) -> Option<R> {
        self.locked(|state, aftermath| {
            state.open_log(self, aftermath)?;
            let log = state.log.as_open_mut()?;
            let result = work(log, &state.replica);
            let log_start = log.log_start();
            if log_start > state.replica.cursors().log_start {
                state.step(self, Event::LogStartMoved { log_start }, aftermath);
                aftermath.tell_followers(0);
                state.tell_leader();
            }
            Some(result)
        })
    }
}

impl State {
    /// What readers are to see from now on.
    fn snapshot(&mut self) -> Snapshot {
        let (replica, cursors) = (&self.replica, self.replica.cursors());
        let high_watermark = replica.high_watermark();
        let last_stable_offset = self.log.last_stable_offset(high_watermark);
        Snapshot {
            failed: self.failed || self.log.is_gone(),
            role: replica.role(),
            in_sync_follower: replica.is_following() && self.isr().contains(&replica.id()),
            leader: replica.leader(),
            leader_epoch: replica.leader_epoch(),
            log_start: cursors.log_start,
            high_watermark,
            exposed: replica.exposed_high_watermark().is_some(),
            last_stable_offset,
            log_end: cursors.log_end,
        }
    }

    fn role(&self) -> PartitionRole {
        match self.replica.role() {
            _ if self.failed => PartitionRole::Offline,
            RoleKind::Leader => PartitionRole::Leader,
            RoleKind::Follower => PartitionRole::Follower,
            RoleKind::Offline => PartitionRole::Offline,
        }
    }

    /// The assigned replicas.
    pub fn replicas(&self) -> &[BrokerId] {
        self.assigned.as_ref().map_or(&[], |assigned| &assigned.replicas)
    }

    /// The in-sync replicas as the metadata last said; a leader's core knows better.
    pub fn isr(&self) -> &[BrokerId] {
        self.assigned.as_ref().map_or(&[], |assigned| &assigned.isr)
    }

    /// Effective `min.insync.replicas`.
    fn min_isr(&self) -> usize {
        self.replica.settings().min_isr.min(self.replicas().len()).max(1)
    }

    /// As follower: acknowledges where the log is now, though nothing was appended or flushed.
    pub fn tell_leader(&mut self) {
        let cursors = self.replica.cursors();
        if let Some(link) = self.link.as_mut().filter(|link| self.replica.accepts_push(link.epoch)) {
            link.acknowledge(cursors, self.durable_log_start, false);
        }
    }

    /// Whether a flush must follow an append.
    pub fn is_strict(&self) -> bool {
        self.replica.settings().durability == Durability::Strict
    }

    /// The log, opened if nobody has used it yet. If that fails, the replica goes out of service.
    pub fn open_log(&mut self, partition: &Arc<Partition>, aftermath: &mut Aftermath) -> Option<&mut Log> {
        if matches!(self.log, LogSlot::Cold(_)) {
            let directory = partition.directory().filter(|_| !self.failed)?;
            match self.log.warm_up(&directory, &partition.name, partition.id) {
                Ok(()) => partition.on_opened(self.log.as_open()?),
                // Somebody may make room: it is tried again.
                Err(error) if error.is_disk_full() => return None,
                Err(error) => {
                    self.fail_for(partition, &error, aftermath);
                    return None;
                }
            }
        }
        self.log.as_open_mut()
    }

    /// Feeds one event to the core and carries out what it wants.
    pub fn step(&mut self, partition: &Arc<Partition>, event: Event, aftermath: &mut Aftermath) {
        let mut actions = Actions::new();
        self.replica.step(clock::mono_ms(), event, &mut actions);
        for action in actions {
            self.act(partition, action, aftermath);
        }
    }

    fn act(&mut self, partition: &Arc<Partition>, action: Action, aftermath: &mut Aftermath) {
        match action {
            Action::StartLeaderEpoch { leader_epoch, start } => {
                self.log.assign_epoch_start(leader_epoch);
                tracing::debug!(partition = %partition.name, %leader_epoch, %start, "leading");
                aftermath.flush |= self.is_strict();
            }
            Action::Resign => self.resign(aftermath),
            Action::Follow { leader, leader_epoch } => {
                tracing::debug!(partition = %partition.name, %leader, %leader_epoch, "following");
                self.link = None;
                self.lane = self.starting_lane(partition);
                aftermath.follow = true;
                aftermath.flush |= self.is_strict();
            }
            Action::StopFollowing => {
                self.link = None;
                aftermath.follow = true;
                if self.replica.role() == RoleKind::Offline {
                    self.turn_away(aftermath);
                }
            }
            Action::HighWatermarkMoved { high_watermark, enough_in_sync } => {
                let result = if enough_in_sync { Ok(()) } else { Err(ErrorCode::NotEnoughReplicasAfterAppend) };
                aftermath.released.extend(self.parked.release(high_watermark).map(|reply| (reply, result)));
                aftermath.wake_fetches = true;
                aftermath.news = aftermath.news.max(News::Positions);
            }
            Action::ProposeIsr(change) => aftermath.proposals.push(change),
            Action::IsrCommitted { grown, shrunk } => {
                let isr = self.replica.isr().map(|isr| isr.committed().to_vec()).unwrap_or_default();
                tracing::debug!(partition = %partition.name, ?isr, grown, shrunk, "in-sync replicas changed");
                aftermath.isr_changed = Some((grown, shrunk));
            }
            Action::TruncateTo { offset } => self.cut(partition, offset, false, aftermath),
            Action::StartAt { offset } => self.cut(partition, offset, true, aftermath),
            Action::RefuseTruncation { offset, high_watermark } => tracing::error!(
                partition = %partition.name, %offset, %high_watermark, leader = %self.replica.leader(),
                "the leader's log lacks records that were committed here, and no unclean election explains it: this replica \
                 keeps its data and stays out of sync until the leader changes; allow unclean.leader.election.enable for \
                 the topic to give the records up"
            ),
            Action::AdvanceLogStart { log_start } => self.advance_log_start(partition, log_start, aftermath),
            Action::Acknowledge { log_end, flushed } => {
                let flush_awaited = self.is_strict();
                let cursors = LogCursors { log_start: self.replica.cursors().log_start, flushed, log_end };
                if let Some(link) = &mut self.link {
                    link.acknowledge(cursors, self.durable_log_start, flush_awaited);
                }
            }
        }
    }

    fn on_flushed(&mut self, partition: &Arc<Partition>, aftermath: &mut Aftermath) {
        // The log's own mark: a truncation lowered it, under this lock.
        let Some(flushed) = self.log.cursors().map(|cursors| cursors.flushed) else { return };
        self.step(partition, Event::Flushed { flushed }, aftermath);
    }

    /// Those who wait for a watermark will not hear of it from this broker.
    fn turn_away(&mut self, aftermath: &mut Aftermath) {
        let code = if self.failed { ErrorCode::KafkaStorageError } else { ErrorCode::NotLeaderOrFollower };
        let refused = Err(code);
        aftermath.released.extend(self.parked.take().chain(self.deletions.take()).map(|reply| (reply, refused)));
    }

    /// Who waits for an acknowledgement goes on waiting where the log shows what became of the records. To refuse them now would
    /// say that they are not there: librdkafka takes NOT_LEADER_OR_FOLLOWER for that, and if it begins a new producer epoch
    /// meanwhile, sends them again with numbers that nobody can compare.
    fn resign(&mut self, aftermath: &mut Aftermath) {
        if self.replica.role() == RoleKind::Offline {
            self.turn_away(aftermath);
        }
        aftermath.refuse(self.deletions.take());
        aftermath.closed.extend(self.followers.iter().cloned());
        self.followers = Arc::default();
    }

    fn cut(&mut self, partition: &Arc<Partition>, offset: Offset, anew: bool, aftermath: &mut Aftermath) {
        let Some(log) = self.open_log(partition, aftermath) else {
            aftermath.uncut = true;
            return;
        };
        let (log_end, now) = (log.log_end(), clock::wall_ms());
        if anew || offset < log_end {
            tracing::info!(partition = %partition.name, %offset, %log_end, anew, "cutting the log to follow the leader");
        }
        let result = if anew { log.truncate_fully_and_start_at(offset, now) } else { log.truncate_to(offset, now) };
        // One that is half cut has taken its directory out of service.
        if let Err(error) = &result
            && error.is_disk_full()
            && partition.directory().is_some_and(|directory| directory.is_online())
        {
            tracing::warn!(partition = %partition.name, %error, "the log is cut once there is room");
            aftermath.uncut = true;
            return;
        }
        let cursors = cursors_of(log);
        aftermath.refuse(self.parked.take_above(if anew { Offset::ZERO } else { offset }));
        if let Some(future) = &self.future {
            future.cut(offset, anew, now);
        }
        self.durable_log_start = self.durable_log_start.min(cursors.log_start);
        match result {
            Ok(()) => self.step(partition, Event::Truncated { cursors }, aftermath),
            Err(error) => self.fail_for(partition, &error, aftermath),
        }
    }

    fn advance_log_start(&mut self, partition: &Arc<Partition>, log_start: Offset, aftermath: &mut Aftermath) {
        let Some(log) = self.open_log(partition, aftermath) else { return };
        match log.set_log_start(log_start) {
            Ok(()) => {
                aftermath.persist_log_start = true;
                self.step(partition, Event::LogStartMoved { log_start }, aftermath);
            }
            Err(error) => self.fail(partition, &error.to_string(), aftermath),
        }
    }

    /// As [`Self::fail`]; damage is told.
    fn fail_for(&mut self, partition: &Arc<Partition>, error: &LogError, aftermath: &mut Aftermath) {
        if let LogError::Corrupt { .. } = error {
            partition.note_damage(&error.to_string());
        }
        self.fail(partition, &error.to_string(), aftermath);
    }

    /// The disk refused: neither leader nor follower any more.
    pub fn fail(&mut self, partition: &Arc<Partition>, reason: &str, aftermath: &mut Aftermath) {
        if !std::mem::replace(&mut self.failed, true) {
            tracing::error!(partition = %partition.name, reason, "replica out of service");
            self.step(partition, Event::WentOffline, aftermath);
        }
    }
}
