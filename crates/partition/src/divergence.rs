//! Where two logs part (KIP-101, KIP-279).
//!
//! Each leader epoch has one leader, and a leader only appends; so two logs that both have records of epoch `e` agree up to
//! where the shorter one's part of `e` ends. A follower tells the epoch of its end; the leader answers with the largest
//! epoch not above it that the leader has, and where that ends; the follower cuts and asks again until both agree.

use highwater_types::{LeaderEpoch, Offset};

use crate::{EpochEnd, LogCursors};

/// What a leader finds when a follower opens a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenCheck {
    /// The follower's log is a prefix of the leader's (as far as neither has deleted it).
    Accept,
    /// It is not: the follower must cut and open again.
    Diverged(EpochEnd),
    /// The follower has nothing that the leader still has: it must start at the leader's first offset.
    OutOfRange {
        /// The leader's first offset.
        log_start: Offset,
    },
}

/// Compares a follower's end (`follower_end`, and `last_epoch` of its epoch cache, NONE when that is empty) with the
/// leader's log; `answer` is the leader's epoch look-up of `last_epoch`, `epoch` NONE when it knows none.
pub fn check_open(log: LogCursors, follower_end: Offset, last_epoch: LeaderEpoch, answer: EpochEnd) -> OpenCheck {
    let out_of_range = OpenCheck::OutOfRange { log_start: log.log_start };
    if follower_end < log.log_start {
        return out_of_range;
    }
    if last_epoch == LeaderEpoch::NONE {
        // An empty log: it has nothing to disagree about, wherever it wants to begin.
        return if follower_end <= log.log_end { OpenCheck::Accept } else { out_of_range };
    }
    // Nothing of the follower's epoch is left here. Its records, all below the leader's first offset or contradicted, may be
    // anything: kept, a follower that is elected later would serve them.
    if answer.epoch == LeaderEpoch::NONE || answer.end_offset <= log.log_start {
        return out_of_range;
    }
    if answer.epoch < last_epoch || answer.end_offset < follower_end {
        OpenCheck::Diverged(answer)
    } else {
        OpenCheck::Accept
    }
}

/// Where a diverging log must be cut: `leader` is the leader's answer, `local` the follower's own look-up of `leader.epoch`.
pub(crate) fn truncation_point(leader: EpochEnd, local: EpochEnd, log_end: Offset) -> Offset {
    if local.epoch == LeaderEpoch::NONE {
        return leader.end_offset.min(log_end);
    }
    leader.end_offset.min(local.end_offset).min(log_end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn end(epoch: i32, end_offset: i64) -> EpochEnd {
        EpochEnd { epoch: LeaderEpoch(epoch), end_offset: Offset(end_offset) }
    }

    #[test]
    fn open_is_checked_against_the_leaders_epochs() {
        let log = LogCursors { log_start: Offset(10), flushed: Offset(50), log_end: Offset(50) };
        let start = OpenCheck::OutOfRange { log_start: Offset(10) };
        // (follower end, its last epoch, leader's answer) -> check
        let cases = [
            ((50, 3), end(3, 50), OpenCheck::Accept),
            ((40, 3), end(3, 50), OpenCheck::Accept),
            ((51, 3), end(3, 50), OpenCheck::Diverged(end(3, 50))),
            ((45, 4), end(3, 40), OpenCheck::Diverged(end(3, 40))),
            ((40, 4), end(3, 40), OpenCheck::Diverged(end(3, 40))),
            ((9, 1), end(1, 20), start),
            ((0, -1), end(-1, -1), start),
            ((10, -1), end(-1, -1), OpenCheck::Accept),
            ((51, -1), end(-1, -1), start),
            ((30, 7), end(-1, -1), start),
            ((10, 1), end(1, 10), start),
            ((30, 1), end(1, 10), start),
        ];
        for ((follower_end, last_epoch), answer, expected) in cases {
            let check = check_open(log, Offset(follower_end), LeaderEpoch(last_epoch), answer);
            assert_eq!(check, expected, "follower at {follower_end} in epoch {last_epoch}");
        }
    }
}
