//! A partition as follower: opening with the leader, repair of a diverging log, and taking in what is pushed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use highwater_env::clock;
use highwater_log::{AppendError, SpaceUse};
use highwater_partition::{EpochEnd, Event, RoleKind};
use highwater_rpc::replication::{Lane, Open, Push, Slot};
use highwater_types::{BrokerId, LeaderEpoch, Offset};

use crate::aftermath::Aftermath;
use crate::link::Link;
use crate::link_slot::LinkSlot;
use crate::partition::{Partition, State};

/// Why a push was not taken; the partition must be opened again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushError {
    /// The slot is not the partition's current one, or its epoch is over.
    #[error("not open")]
    NotOpen,
    /// The log refused the batches.
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl Partition {
    /// What to ask the leader of `link`, if that is whom this replica follows on that lane, and it is not open. Acknowledgements
    /// go to the link.
    pub fn begin_open(self: &Arc<Self>, link: &Link, slot: Slot) -> Option<Open> {
        self.locked(|state, aftermath| {
            if !state.wants(link) {
                return None;
            }
            let replica = &state.replica;
            let last_epoch = state.log.latest_epoch()?;
            let cursors = replica.cursors();
            let open = Open {
                slot,
                partition: self.id,
                leader_epoch: replica.leader_epoch(),
                log_end: cursors.log_end,
                flushed: cursors.flushed,
                last_epoch,
            };
            state.link = Some(Box::new(LinkSlot::new(&link.acks, slot, open.leader_epoch)));
            if cursors.flushed < cursors.log_end && state.is_strict() {
                aftermath.flush();
            }
            Some(open)
        })
    }

    /// The leader accepted the opening.
    pub fn on_open_accepted(self: &Arc<Self>, slot: Slot, high_watermark: Offset, log_start: Offset) {
        self.locked(|state, aftermath| {
            let Some(leader_epoch) = state.slot_epoch(slot) else { return };
            state.step(self, Event::OpenAccepted { leader_epoch, high_watermark, log_start }, aftermath);
            // The log may start higher than what this process knows to be durable.
            if state.durable_log_start < state.replica.cursors().log_start {
                aftermath.secure_log_start();
            }
            state.maybe_leave_catch_up(self, aftermath);
        });
    }

    /// The logs diverge: cuts this one. False if that has to wait for room. Blocks for the disk.
    pub fn on_diverged(self: &Arc<Self>, slot: Slot, leader: EpochEnd) -> bool {
        self.on_slot(slot, |leader_epoch, state, aftermath| {
            let found = state.epoch_end(self, leader.epoch, aftermath);
            let (epoch, end_offset) = found.unwrap_or((LeaderEpoch::NONE, Offset::NONE));
            Event::Diverged { leader_epoch, leader, local: EpochEnd { epoch, end_offset } }
        })
    }

    /// Nothing here is of use to the leader: starts anew at its first offset. False if that has to wait for room. Blocks for the
    /// disk.
    pub fn on_out_of_range(self: &Arc<Self>, slot: Slot, log_start: Offset) -> bool {
        self.on_slot(slot, |leader_epoch, _, _| Event::OutOfRange { leader_epoch, log_start })
    }

    /// Takes in a push: appends, moves the positions, and asks for a flush.
    pub fn on_push(self: &Arc<Self>, push: &Push) -> Result<(), PushError> {
        self.locked(|state, aftermath| {
            let Some(leader_epoch) = state.slot_epoch(push.slot) else { return Err(PushError::NotOpen) };
            if !state.replica.accepts_push(leader_epoch) {
                return Err(PushError::NotOpen);
            }
            for batches in &push.batches {
                state.append_pushed(self, batches, aftermath)?;
            }
            let (high_watermark, log_start) = (push.high_watermark, push.log_start);
            state.step(self, Event::LeaderMoved { leader_epoch, high_watermark, log_start }, aftermath);
            state.maybe_leave_catch_up(self, aftermath);
            Ok(())
        })
    }

    /// The slot is gone: its stream broke, or the leader closed it. Returns whether the partition still wants this link.
    pub fn on_link_lost(self: &Arc<Self>, slot: Slot, link: &Link) -> bool {
        self.locked(|state, aftermath| {
            if state.slot_epoch(slot).is_some() {
                state.link = None;
                state.step(self, Event::LinkLost, aftermath);
            }
            state.wants(link)
        })
    }

    /// Whether it is to catch up on the throttled lane.
    pub fn is_throttled(&self) -> bool {
        self.throttled.load(Ordering::Relaxed)
    }

    /// Whether it is to; one that catches up changes over.
    pub fn set_throttled(self: &Arc<Self>, throttled: bool) {
        if self.throttled.swap(throttled, Ordering::Relaxed) != throttled {
            self.locked(|state, aftermath| {
                if state.lane != Lane::InSync {
                    let lane = state.starting_lane(self);
                    state.change_lane(self, lane, aftermath);
                }
            });
        }
    }

    fn on_slot(
        self: &Arc<Self>,
        slot: Slot,
        event: impl FnOnce(LeaderEpoch, &mut State, &mut Aftermath) -> Event,
    ) -> bool {
        self.locked(|state, aftermath| {
            if let Some(epoch) = state.slot_epoch(slot) {
                let event = event(epoch, state, aftermath);
                state.step(self, event, aftermath);
            }
            !aftermath.uncut
        })
    }
}

impl State {
    /// Whom it follows, and on which lane.
    pub fn source(&self) -> Option<(BrokerId, Lane)> {
        (self.replica.role() == RoleKind::Follower).then(|| (self.replica.leader(), self.lane))
    }

    /// Whether it is to be opened on that link.
    fn wants(&self, link: &Link) -> bool {
        self.replica.wants_open() && self.source() == Some((link.leader, link.lane))
    }

    /// The epoch in which that slot was opened, if it is the current one.
    fn slot_epoch(&self, slot: Slot) -> Option<LeaderEpoch> {
        self.link.as_ref().filter(|link| link.slot == slot).map(|link| link.epoch)
    }

    /// The lane of a replica that follows anew, or has just left the ISR.
    pub fn starting_lane(&self, partition: &Partition) -> Lane {
        match self.isr().contains(&self.replica.id()) {
            true => Lane::InSync,
            false if partition.is_throttled() => Lane::Throttled,
            false => Lane::CatchUp,
        }
    }

    /// A replica that holds what is committed is about to join the ISR: what is still behind shall not delay it then.
    pub fn maybe_leave_catch_up(&mut self, partition: &Arc<Partition>, aftermath: &mut Aftermath) {
        if self.lane != Lane::InSync && self.replica.is_level() {
            self.change_lane(partition, Lane::InSync, aftermath);
        }
    }

    /// Goes on with the same leader on another stream, where it opens again.
    pub fn change_lane(&mut self, partition: &Arc<Partition>, lane: Lane, aftermath: &mut Aftermath) {
        if self.replica.role() != RoleKind::Follower || lane == self.lane {
            return;
        }
        self.lane = lane;
        if self.link.take().is_some() {
            self.step(partition, Event::LinkLost, aftermath);
        }
        aftermath.follow = true;
    }

    fn append_pushed(
        &mut self,
        partition: &Arc<Partition>,
        batches: &bytes::Bytes,
        aftermath: &mut Aftermath,
    ) -> Result<(), PushError> {
        // Internal topics are what the cluster needs to go on.
        let is_bounded = !partition.name.topic.is_internal();
        if is_bounded && !partition.admits(batches.len(), SpaceUse::Replicate) {
            return Err(AppendError::DiskFull.into());
        }
        let strict = self.is_strict();
        let Some(log) = self.open_log(partition, aftermath) else { return Err(PushError::NotOpen) };
        let result = log.append_follower(batches, clock::wall_ms());
        // After an error, a prefix may have been appended. Of a log that could not be put back it ends earlier: that is out of
        // service now.
        let log_end = log.log_end().max(self.replica.cursors().log_end);
        self.step(partition, Event::Appended { log_end }, aftermath);
        if strict || result.as_ref().is_ok_and(|appended| appended.rolled) {
            aftermath.flush();
        }
        match result {
            Ok(_) => Ok(()),
            Err(AppendError::Log(error)) => {
                self.fail(partition, &error.to_string(), aftermath);
                Err(AppendError::Log(error).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
