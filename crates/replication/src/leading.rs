//! A partition as leader: appends, and the sessions of its followers.

use std::sync::{Arc, Weak};

use highwater_env::clock;
use highwater_log::{AppendError, LeaderAppend, LogRead, SpaceUse};
use highwater_partition::{AppendRefusal, EpochEnd, Event, OpenCheck, OpenedFollower, RoleKind, SessionId, check_open};
use highwater_records::{ValidatedBatch, split_batches};
use highwater_rpc::replication::{Ack, Open, OpenOutcome, Opened, Push};
use highwater_types::{ErrorCode, LeaderEpoch, Offset, Timestamp};
use tokio::sync::oneshot;

use crate::aftermath::Aftermath;
use crate::follower_stream::{FollowerSlot, FollowerStream, NextPush, PushSource};
use crate::partition::{Partition, State};
use crate::{Acks, AppendOutcome, HighWatermarkWait, LeaderHint, ProduceError};

impl Partition {
    /// Appends a batch. `epoch` restricts it to one leadership.
    pub fn append(
        self: &Arc<Self>,
        batch: &ValidatedBatch,
        acks: Acks,
        epoch: Option<LeaderEpoch>,
    ) -> Result<AppendOutcome, ProduceError> {
        let (is_leased, now) = (self.host.lease.is_valid(), clock::wall_ms());
        self.locked(|state, aftermath| {
            let appended = match is_leased {
                true => state.append(self, (batch, acks, epoch), now, aftermath),
                false => Err(ProduceError::new(ErrorCode::NotLeaderOrFollower, "the lease of this broker has lapsed")),
            };
            state.has_refused |= appended.as_ref().is_err_and(ProduceError::is_to_be_tried_again);
            appended
        })
    }

    /// A follower opens this partition. Queues the answer on its stream, before anything that is pushed; returns the slot
    /// if it was accepted.
    pub fn open_follower(
        self: &Arc<Self>,
        stream: &Arc<FollowerStream>,
        open: &Open,
        next_session: impl FnOnce() -> SessionId,
    ) -> Option<Arc<FollowerSlot>> {
        self.locked(|state, aftermath| {
            let outcome = state.check_open(self, stream, open, aftermath).unwrap_or_else(OpenOutcome::Refused);
            let accepted = matches!(outcome, OpenOutcome::Accepted { .. });
            let source: Weak<dyn PushSource> = Arc::<Self>::downgrade(self);
            // Here, so that of two streams the one that is let in later has the later session.
            let slot = accepted.then(|| Arc::new(FollowerSlot::new(stream, source, open, next_session())));
            stream.answer(Opened { slot: open.slot, outcome });
            if let Some(slot) = &slot {
                state.add_follower(self, slot, open, aftermath);
            }
            slot
        })
    }

    /// A follower acknowledged.
    pub fn on_follower_ack(self: &Arc<Self>, slot: &FollowerSlot, ack: &Ack) {
        slot.on_log_start(ack.log_start, ack.first_offset);
        self.step(Event::FollowerAcked {
            replica: slot.stream.replica,
            session: slot.session,
            leader_epoch: slot.epoch,
            log_end: ack.log_end,
            flushed: ack.flushed,
        });
    }

    /// A follower's stream ended, or it closed the slot.
    pub fn on_follower_closed(self: &Arc<Self>, slot: &Arc<FollowerSlot>) {
        slot.end();
        self.locked(|state, aftermath| {
            state.followers = state.followers.iter().filter(|other| !Arc::ptr_eq(other, slot)).cloned().collect();
            let event = Event::FollowerClosed { replica: slot.stream.replica, session: slot.session };
            state.step(self, event, aftermath);
        });
    }
}

impl PushSource for Partition {
    fn next_push(
        self: Arc<Self>,
        slot: &FollowerSlot,
        from: Offset,
        told: (Offset, Offset),
        max_bytes: usize,
    ) -> NextPush {
        let before = self.snapshot();
        if !before.leads(slot.epoch) {
            return NextPush::Nothing;
        }
        let read = match self.read_for_push(from, before.log_end, max_bytes) {
            Ok(read) => read,
            Err(reason) => return NextPush::Lost(reason),
        };
        let now = self.snapshot();
        // If the leadership ended during the read, the log may have been cut and continued by another leader meanwhile.
        if !now.leads(slot.epoch) || (read.size == 0 && told == (now.high_watermark, now.log_start)) {
            return NextPush::Nothing;
        }
        if slot.stream.is_catching_up
            && let Err(error) = check_batches(&read)
        {
            // The follower would refuse it, and ask for it again and again.
            self.note_damage(&error);
            return NextPush::Lost(error);
        }
        let more = read.next_offset < now.log_end;
        slot.on_read(read.next_offset, (now.high_watermark, now.log_start));
        let (high_watermark, log_start) = (now.high_watermark, now.log_start);
        NextPush::Push(Push { slot: slot.slot, batches: read.batches, high_watermark, log_start }, more)
    }
}

impl Partition {
    fn read_for_push(self: &Arc<Self>, from: Offset, log_end: Offset, max_bytes: usize) -> Result<LogRead, String> {
        if from == log_end {
            // Nobody may have opened the log yet.
            return Ok(LogRead { next_offset: from, ..LogRead::default() });
        }
        let reader = self.reader().map_err(|_| "the replica is out of service".to_owned())?;
        reader.read(from, log_end, max_bytes, true).map_err(|error| {
            self.note_read_error(&error);
            error.to_string()
        })
    }
}

/// Checks what was read from the disk, for which nobody else may have asked since it was written.
fn check_batches(read: &LogRead) -> Result<(), String> {
    let mut batches = read.batches.iter().flat_map(split_batches);
    batches
        .try_for_each(|batch| batch.map(drop))
        .map_err(|error| format!("a batch before offset {}: {error}", read.next_offset))
}

impl State {
    fn append(
        &mut self,
        partition: &Arc<Partition>,
        (batch, acks, epoch): (&ValidatedBatch, Acks, Option<LeaderEpoch>),
        now: Timestamp,
        aftermath: &mut Aftermath,
    ) -> Result<AppendOutcome, ProduceError> {
        let leader_epoch = self.check_append(acks, epoch)?;
        // What the node itself writes (committed offsets) may use the reserve.
        let is_client = epoch.is_none();
        if is_client && !partition.admits(batch.size_in_bytes(), SpaceUse::Produce) {
            return Err(ProduceError::new(ErrorCode::KafkaStorageError, "the disk is full: only the reserve is left"));
        }
        let strict = self.is_strict();
        let has_refused = std::mem::take(&mut self.has_refused);
        let Some(log) = self.open_log(partition, aftermath) else { return Err(out_of_service()) };
        if has_refused {
            log.on_refusal();
        }
        let appended = match log.append_leader(batch, leader_epoch, now) {
            Ok(appended) => appended,
            Err(error) => {
                let refusal = ProduceError::new(error.code(), error.to_string());
                if let AppendError::Log(error) = error {
                    self.fail(partition, &error.to_string(), aftermath);
                }
                return Err(refusal);
            }
        };
        if !appended.duplicate {
            let log_end = log.log_end();
            self.step(partition, Event::Appended { log_end }, aftermath);
            aftermath.tell_followers(batch.size_in_bytes());
        }
        if strict || appended.rolled {
            aftermath.flush();
        }
        let wait = (acks == Acks::All).then(|| self.wait_for(&appended));
        Ok(AppendOutcome {
            base_offset: appended.base_offset,
            append_time: appended.append_time,
            log_start: appended.log_start,
            duplicate: appended.duplicate,
            wait,
        })
    }

    fn check_append(&self, acks: Acks, epoch: Option<LeaderEpoch>) -> Result<LeaderEpoch, ProduceError> {
        if self.failed || self.log.is_gone() {
            return Err(out_of_service());
        }
        if acks == Acks::All && self.parked.is_full() {
            let message = "too many requests wait for the in-sync replicas already";
            return Err(ProduceError::new(ErrorCode::NotEnoughReplicas, message));
        }
        let leader = self.replica.leader();
        let hint = LeaderHint { leader, epoch: self.replica.leader_epoch() };
        let leader_epoch = self.replica.check_append(acks == Acks::All).map_err(|refusal| match refusal {
            AppendRefusal::NotLeader => {
                let error =
                    ProduceError::new(ErrorCode::NotLeaderOrFollower, "this broker does not lead the partition");
                ProduceError { leader: Some(hint), ..error }
            }
            AppendRefusal::NotEnoughReplicas { in_sync, required } => {
                let message = format!("{in_sync} replicas are in sync, min.insync.replicas asks for {required}");
                ProduceError::new(ErrorCode::NotEnoughReplicas, message)
            }
        })?;
        match epoch {
            Some(epoch) if epoch != leader_epoch => {
                let message = format!("the leader epoch is {leader_epoch}, not {epoch}");
                Err(ProduceError { leader: Some(hint), ..ProduceError::new(ErrorCode::FencedLeaderEpoch, message) })
            }
            _ => Ok(leader_epoch),
        }
    }

    /// What an acks=all append waits for. It may be committed already: alone in sync and relaxed, or a duplicate.
    fn wait_for(&mut self, appended: &LeaderAppend) -> HighWatermarkWait {
        let needed = appended.last_offset.plus(1);
        if self.replica.high_watermark() < needed {
            return HighWatermarkWait::new(self.parked.park(needed));
        }
        let (reply, receiver) = oneshot::channel();
        let enough = self.replica.has_enough_in_sync();
        let _ = reply.send(if enough { Ok(()) } else { Err(ErrorCode::NotEnoughReplicasAfterAppend) });
        HighWatermarkWait::new(receiver)
    }

    /// Whether the follower may replicate from here on, or must cut its log first; or why it may not at all.
    fn check_open(
        &mut self,
        partition: &Arc<Partition>,
        stream: &FollowerStream,
        open: &Open,
        aftermath: &mut Aftermath,
    ) -> Result<OpenOutcome, ErrorCode> {
        if self.failed || self.log.is_gone() {
            return Err(ErrorCode::KafkaStorageError);
        }
        let epoch = self.replica.leader_epoch();
        if open.leader_epoch < epoch {
            return Err(ErrorCode::FencedLeaderEpoch);
        }
        // The follower has newer metadata than this broker; or this broker does not know it as a replica yet.
        if open.leader_epoch > epoch || !self.replicas().contains(&stream.replica) {
            return Err(ErrorCode::UnknownLeaderEpoch);
        }
        if self.replica.role() != RoleKind::Leader {
            return Err(ErrorCode::NotLeaderOrFollower);
        }
        if self.replica.is_outdated_follower(stream.replica, stream.broker_epoch) {
            return Err(ErrorCode::StaleBrokerEpoch);
        }
        let (epoch, end_offset) =
            self.epoch_end(partition, open.last_epoch, aftermath).ok_or(ErrorCode::KafkaStorageError)?;
        let cursors = self.replica.cursors();
        Ok(match check_open(cursors, open.log_end, open.last_epoch, EpochEnd { epoch, end_offset }) {
            OpenCheck::Accept => {
                OpenOutcome::Accepted { high_watermark: self.replica.high_watermark(), log_start: cursors.log_start }
            }
            OpenCheck::Diverged(end) => OpenOutcome::Diverged { epoch: end.epoch, end_offset: end.end_offset },
            OpenCheck::OutOfRange { log_start } => OpenOutcome::OutOfRange { log_start },
        })
    }

    /// See [`highwater_log::Log::epoch_end`]; `None` if the log cannot be opened.
    pub fn epoch_end(
        &mut self,
        partition: &Arc<Partition>,
        epoch: LeaderEpoch,
        aftermath: &mut Aftermath,
    ) -> Option<(LeaderEpoch, Offset)> {
        if self.log.epoch_end(epoch).is_none() {
            self.open_log(partition, aftermath)?;
        }
        self.log.epoch_end(epoch)
    }

    fn add_follower(
        &mut self,
        partition: &Arc<Partition>,
        slot: &Arc<FollowerSlot>,
        open: &Open,
        aftermath: &mut Aftermath,
    ) {
        let replica = slot.stream.replica;
        let (former, others): (Vec<_>, Vec<_>) =
            self.followers.iter().cloned().partition(|other| other.stream.replica == replica);
        self.followers = others.into_iter().chain([slot.clone()]).collect();
        // (1) The follower opens on one stream, changes lanes, and opens on another; (2) the second opening comes first. The
        // one that it counts on must not be dropped silently: told to open again, it does so on the right stream.
        aftermath.closed.extend(former);
        let follower = OpenedFollower {
            replica,
            broker_epoch: slot.stream.broker_epoch,
            session: slot.session,
            log_end: open.log_end,
            flushed: open.flushed,
        };
        self.step(partition, Event::FollowerOpened { leader_epoch: open.leader_epoch, follower }, aftermath);
        aftermath.tell_followers(0);
    }
}

fn out_of_service() -> ProduceError {
    ProduceError::new(ErrorCode::KafkaStorageError, "the log directory of this replica has failed")
}

impl ProduceError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), leader: None }
    }

    /// Whether clients send the same batch again.
    fn is_to_be_tried_again(&self) -> bool {
        let codes = [ErrorCode::NotLeaderOrFollower, ErrorCode::NotEnoughReplicas, ErrorCode::KafkaStorageError];
        codes.contains(&self.code)
    }
}
