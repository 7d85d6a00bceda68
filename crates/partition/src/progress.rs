//! How far one follower is, as its leader knows it.

use highwater_types::{BrokerEpoch, MonoMs, Offset};

use crate::{Durability, SessionId};

/// A follower in the leader's current epoch.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    /// The open session; `None` while its stream is gone or before it came.
    pub session: Option<SessionId>,
    /// Registration it opened with; NONE before it came.
    pub broker_epoch: BrokerEpoch,
    /// Its log end offset, -1 before it came in this epoch. Never above the leader's.
    pub log_end: Offset,
    /// What it has on disk; at most `log_end`.
    pub flushed: Offset,
    /// The latest time at which it held all that the leader had.
    pub caught_up_at: MonoMs,
    /// What the leader had at some time: once the follower holds it, it was caught up at that time.
    mark: Option<(Offset, MonoMs)>,
    /// Do not propose it for the ISR before this time: the controller refused it.
    pub not_before: MonoMs,
}

impl Progress {
    /// A follower that has not come yet. It gets `lag_max` from now to catch up.
    pub fn unknown(now: MonoMs) -> Self {
        Self {
            session: None,
            broker_epoch: BrokerEpoch::NONE,
            log_end: Offset::NONE,
            flushed: Offset::NONE,
            caught_up_at: now,
            mark: None,
            not_before: MonoMs(0),
        }
    }

    /// It opened the partition anew: what it acknowledged before counts no more.
    pub fn on_opened(&mut self, session: SessionId, broker_epoch: BrokerEpoch) {
        self.session = Some(session);
        self.broker_epoch = broker_epoch;
        self.mark = None;
    }

    /// The offset below which it holds everything.
    pub fn held(&self, durability: Durability) -> Offset {
        match durability {
            Durability::Strict => self.flushed,
            Durability::Relaxed => self.log_end,
        }
    }

    /// The leader is about to append at `log_end`: whoever was caught up begins to lag only now.
    pub fn on_leader_append(&mut self, log_end: Offset, durability: Durability, now: MonoMs) {
        if self.held(durability) >= log_end {
            self.caught_up_at = now;
            self.mark = None;
        }
    }

    /// It acknowledged; the leader's log ends at `leader_end`.
    pub fn on_ack(
        &mut self,
        log_end: Offset,
        flushed: Offset,
        leader_end: Offset,
        durability: Durability,
        now: MonoMs,
    ) {
        self.log_end = log_end;
        self.flushed = flushed.min(log_end);
        let held = self.held(durability);
        if held >= leader_end {
            self.caught_up_at = now;
            self.mark = None;
            return;
        }
        match self.mark {
            Some((offset, _)) if held < offset => {}
            passed => {
                if let Some((_, at)) = passed {
                    self.caught_up_at = self.caught_up_at.max(at);
                }
                self.mark = Some((leader_end, now));
            }
        }
    }

    /// Whether it holds all of the leader's log.
    pub fn is_caught_up(&self, leader_end: Offset, durability: Durability) -> bool {
        self.held(durability) >= leader_end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A follower that is always one round trip behind a busy leader was nevertheless caught up one round trip ago.
    #[test]
    fn a_busy_follower_counts_as_caught_up() {
        let mut progress = Progress::unknown(MonoMs(0));
        let mut leader_end = Offset(0);
        for round in 1..100u64 {
            let acked = leader_end;
            progress.on_leader_append(leader_end, Durability::Relaxed, MonoMs(round * 10));
            leader_end = leader_end.plus(5);
            progress.on_ack(acked, acked, leader_end, Durability::Relaxed, MonoMs(round * 10 + 5));
        }
        assert!(progress.caught_up_at >= MonoMs(980), "{progress:?}");
        assert!(!progress.is_caught_up(leader_end, Durability::Relaxed));
    }

    #[test]
    fn a_stuck_follower_does_not_count_as_caught_up() {
        let mut progress = Progress::unknown(MonoMs(0));
        progress.on_ack(Offset(3), Offset(3), Offset(3), Durability::Strict, MonoMs(10));
        for round in 0..100 {
            progress.on_leader_append(Offset(3 + round), Durability::Strict, MonoMs(20 + 10 * round as u64));
            progress.on_ack(
                Offset(4 + round),
                Offset(3),
                Offset(4 + round),
                Durability::Strict,
                MonoMs(25 + 10 * round as u64),
            );
        }
        assert_eq!(progress.caught_up_at, MonoMs(20));
    }
}
