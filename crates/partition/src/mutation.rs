//! Deliberate defects that the tests must catch: a checker that has never failed proves nothing.

/// A defect. Tests of this crate switch one on at run time; other builds contain none, unless compiled with
/// `--cfg mutant="<name>"` to show that the whole-node simulation catches it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Count what is appended though strict durability wants it flushed (P5).
    NoFlush,
    /// Count acknowledgements of earlier epochs and openings (P5).
    NoEpochCheck,
    /// Drop a lagging replica from the ISR before the controller agrees (P4).
    ShrinkAlone,
    /// Count the smaller set while an expansion is in flight (P4).
    SmallerIsrInFlight,
    /// Cut the log to the local high watermark when a leader is found, as before KIP-101 (P1, P2).
    TruncateToHighWatermark,
    /// Skip the divergence check (P1).
    NoTruncation,
    /// Tell clients the local high watermark of a new leader at once (P3).
    ExposeEarly,
    /// Let a follower join at the leader's local high watermark, below the epoch's start (P2).
    ExpandEarly,
    /// Let the high watermark move while fewer than the minimum are in sync (P2: eligible leader replicas, KIP-966).
    AdvanceBelowMinIsr,
    /// Go back to the old ISR when an expansion of unknown outcome is refused once (P4).
    ForgetInDoubt,
    /// Do not wait for the leader's own flush (P5).
    IgnoreOwnFlush,
    /// Commit without the eligible leader replicas (P4, KIP-966).
    IgnoreElr,
}

impl Mutation {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::NoFlush,
        Self::NoEpochCheck,
        Self::ShrinkAlone,
        Self::SmallerIsrInFlight,
        Self::TruncateToHighWatermark,
        Self::NoTruncation,
        Self::ExposeEarly,
        Self::ExpandEarly,
        Self::AdvanceBelowMinIsr,
        Self::ForgetInDoubt,
        Self::IgnoreOwnFlush,
        Self::IgnoreElr,
    ];

    /// Whether this build was compiled with the defect.
    #[cfg_attr(test, allow(dead_code))]
    pub(crate) const fn is_compiled_in(self) -> bool {
        match self {
            Self::NoFlush => cfg!(mutant = "no-flush"),
            Self::NoEpochCheck => cfg!(mutant = "no-epoch-check"),
            Self::ShrinkAlone => cfg!(mutant = "shrink-alone"),
            Self::SmallerIsrInFlight => cfg!(mutant = "smaller-isr-in-flight"),
            Self::TruncateToHighWatermark => cfg!(mutant = "truncate-to-high-watermark"),
            Self::NoTruncation => cfg!(mutant = "no-truncation"),
            Self::ExposeEarly => cfg!(mutant = "expose-early"),
            Self::ExpandEarly => cfg!(mutant = "expand-early"),
            Self::AdvanceBelowMinIsr => cfg!(mutant = "advance-below-min-isr"),
            Self::ForgetInDoubt => cfg!(mutant = "forget-in-doubt"),
            Self::IgnoreOwnFlush => cfg!(mutant = "ignore-own-flush"),
            Self::IgnoreElr => cfg!(mutant = "ignore-elr"),
        }
    }
}

/// Which defect is on, if any. Costs nothing outside tests.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Defects {
    #[cfg(test)]
    pub(crate) active: Option<Mutation>,
}

impl Defects {
    /// Whether that defect is on.
    #[inline]
    pub(crate) const fn has(self, mutation: Mutation) -> bool {
        #[cfg(test)]
        {
            matches!(self.active, Some(active) if active as u8 == mutation as u8)
        }
        #[cfg(not(test))]
        {
            mutation.is_compiled_in()
        }
    }
}
