//! Deliberate defects that the tests must catch: a checker that has never failed proves nothing.

/// A defect. Tests of this crate switch one on at run time, and so does the simulation of whole nodes, by the feature `mutants`;
/// other builds contain none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Take what is appended for flushed, as leader and as follower, though strict durability wants it flushed (P5).
    NoFlush,
    /// Count acknowledgements of earlier epochs and openings (P5).
    NoEpochCheck,
    /// Let a process replicate whose id another one has registered since (P8).
    NoBrokerEpochCheck,
    /// Do not wait for members that have not come in this epoch (P5).
    SkipUnheard,
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
        Self::NoBrokerEpochCheck,
        Self::SkipUnheard,
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
}

#[cfg(feature = "mutants")]
thread_local! {
    static INSTALLED: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

#[cfg(feature = "mutants")]
impl Mutation {
    /// Gives the defect to every core that this thread makes from now on. A simulation has all its nodes on one thread.
    pub fn install(self) {
        INSTALLED.set(Some(self));
    }
}

/// Which defect is on, if any. Costs nothing outside tests and simulations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Defects {
    #[cfg(any(test, feature = "mutants"))]
    pub(crate) active: Option<Mutation>,
}

impl Defects {
    /// Those of a new core.
    pub(crate) fn of_new_core() -> Self {
        Self {
            #[cfg(feature = "mutants")]
            active: INSTALLED.get(),
            #[cfg(all(test, not(feature = "mutants")))]
            active: None,
        }
    }

    /// Whether that defect is on.
    #[inline]
    pub(crate) fn has(self, mutation: Mutation) -> bool {
        #[cfg(any(test, feature = "mutants"))]
        {
            self.active == Some(mutation)
        }
        #[cfg(not(any(test, feature = "mutants")))]
        {
            let _ = mutation;
            false
        }
    }
}
