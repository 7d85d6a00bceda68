//! Until when leases may last that other controllers granted. Pure: time is an argument.
//!
//! A controller grants leases only while a quorum has confirmed it lately. Whatever quorum elects the next one shares a voter with
//! that quorum, and this voter took a message of the old controller that was sent no earlier than what confirmed it. So the voters
//! tell with their votes how long ago they took a leader's last message; the latest of these moments bounds the confirmation of
//! every earlier controller, and sessions count from it instead of from the election. `docs/adr/0009-leases-and-refused-connections.md`
//! has the whole argument.

use std::time::Duration;

use highwater_types::MonoMs;

/// What one controller knows of it. All of a method is done while nobody else looks.
#[derive(Debug)]
pub(crate) struct PastLeases {
    /// When this node last took a leader's message, granted a lease or became active; at first, when it began.
    heard: MonoMs,
    /// The latest term in which it gave its vote to another node, or was active itself.
    voted: u64,
    /// The votes that it was given, in the latest term: until when their voters had heard leaders, by this node's clock.
    votes: Option<(u64, MonoMs)>,
}

impl PastLeases {
    pub(crate) fn new(now: MonoMs) -> Self {
        Self { heard: now, voted: 0, votes: None }
    }

    /// A message of a leader has come. To be called before Raft sees it, so that it counts for every vote given afterwards.
    pub(crate) fn heard(&mut self, now: MonoMs) {
        self.heard = self.heard.max(now);
    }

    /// Whether this node may grant a lease as the active controller of `term`. Not once it has voted in a later one: what it told
    /// with that vote would be wrong. `is_confirmed` says whether a quorum has confirmed it lately.
    pub(crate) fn may_grant(&mut self, term: u64, now: MonoMs, is_confirmed: impl FnOnce() -> bool) -> bool {
        let may_grant = self.voted <= term && is_confirmed();
        if may_grant {
            self.heard(now);
        }
        may_grant
    }

    /// Raft has given this node's vote in `term`. How long ago a leader was heard: goes with the vote.
    pub(crate) fn vote_given(&mut self, term: u64, now: MonoMs) -> Duration {
        self.voted = self.voted.max(term);
        now - self.heard
    }

    /// A vote came, for this node in `term`. `silent` is what its voter told; one that tells nothing may have heard a leader until
    /// now. To be called before Raft counts the vote.
    pub(crate) fn vote_received(&mut self, term: u64, silent: Option<Duration>, now: MonoMs) {
        let silent_ms = silent.map_or(0, |silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX));
        let heard = MonoMs(now.0.saturating_sub(silent_ms));
        self.votes = match self.votes {
            Some((latest, others)) if latest == term => Some((term, others.max(heard))),
            Some((latest, others)) if latest > term => Some((latest, others)),
            _ => Some((term, heard)),
        };
    }

    /// This node becomes active in `term`. No controller before it was confirmed later than at the moment returned.
    pub(crate) fn begin(&mut self, term: u64, now: MonoMs) -> MonoMs {
        let until = match self.votes {
            Some((voted, others)) if voted == term => self.heard.max(others).min(now),
            _ => now,
        };
        self.voted = self.voted.max(term);
        self.heard(now);
        until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Option<Duration> {
        Some(Duration::from_millis(ms))
    }

    #[test]
    fn the_latest_that_any_voter_heard_counts() {
        let mut candidate = PastLeases::new(MonoMs(0));
        candidate.heard(MonoMs(5_000));
        candidate.vote_received(3, ms(2_900), MonoMs(8_000));
        candidate.vote_received(3, ms(2_000), MonoMs(8_100));
        candidate.vote_received(3, ms(2_500), MonoMs(8_100));
        assert_eq!(candidate.begin(3, MonoMs(8_200)), MonoMs(6_100));
        candidate.heard(MonoMs(9_000));
        candidate.vote_received(5, ms(4_000), MonoMs(12_000));
        assert_eq!(candidate.begin(5, MonoMs(12_000)), MonoMs(9_000), "its own vote is one as well");
    }

    #[test]
    fn what_nobody_told_is_now() {
        let mut candidate = PastLeases::new(MonoMs(0));
        candidate.vote_received(3, ms(2_000), MonoMs(8_000));
        candidate.vote_received(3, None, MonoMs(8_100));
        assert_eq!(candidate.begin(3, MonoMs(8_200)), MonoMs(8_100), "a voter of an earlier version");
        assert_eq!(candidate.begin(4, MonoMs(9_000)), MonoMs(9_000), "votes of another term say nothing");
        candidate.vote_received(6, ms(3_000), MonoMs(12_000));
        candidate.vote_received(5, ms(0), MonoMs(12_500));
        assert_eq!(
            candidate.begin(6, MonoMs(13_000)),
            MonoMs(9_000),
            "when it was active itself; a late vote changes nothing"
        );
    }

    #[test]
    fn a_voter_tells_how_long_it_has_heard_no_leader() {
        let mut voter = PastLeases::new(MonoMs(1_000));
        assert_eq!(voter.vote_given(1, MonoMs(1_700)), Duration::from_millis(700), "since it began");
        voter.heard(MonoMs(4_000));
        assert_eq!(voter.vote_given(2, MonoMs(4_001)), Duration::from_millis(1));
    }

    #[test]
    fn who_has_voted_grants_no_lease_of_an_earlier_term() {
        let mut active = PastLeases::new(MonoMs(0));
        active.begin(2, MonoMs(1_000));
        assert!(!active.may_grant(2, MonoMs(5_000), || false));
        assert!(active.may_grant(2, MonoMs(5_000), || true));
        assert_eq!(active.vote_given(3, MonoMs(5_010)), Duration::from_millis(10), "its own leases count");
        assert!(!active.may_grant(2, MonoMs(5_020), || true), "Raft may not have told yet that it leads no more");
        active.begin(4, MonoMs(6_000));
        assert!(!active.may_grant(2, MonoMs(6_000), || true), "a stream of the term before");
        assert!(active.may_grant(4, MonoMs(6_000), || true));
    }
}
