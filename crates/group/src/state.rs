//! States of a classic group, and the only legal moves between them.
//!
//! ```text
//! from \ to            Preparing  Completing  Stable  Empty  Dead   on
//! Empty                    x                                   x     a member joins; deletion, expiry
//! PreparingRebalance                  x               x        x     all members rejoined; none is left; unload
//! CompletingRebalance      x                     x             x     membership changed; the leader's SyncGroup; unload
//! Stable                   x                                   x     membership changed; unload
//! Dead                                                               (final)
//! ```
//! A group is born Empty; a group read back from the log may be born Stable.

use std::fmt;

/// State of a classic group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupState {
    /// No members, perhaps offsets.
    Empty,
    /// Members are asked to rejoin; JoinGroup requests wait.
    PreparingRebalance,
    /// Members joined; SyncGroup requests wait for the leader's assignment.
    CompletingRebalance,
    /// Every member can have its assignment.
    Stable,
    /// Deleted or moved to another coordinator.
    Dead,
}

impl GroupState {
    /// Every state.
    pub const ALL: [Self; 5] =
        [Self::Empty, Self::PreparingRebalance, Self::CompletingRebalance, Self::Stable, Self::Dead];

    /// Kafka's name, as ListGroups and DescribeGroups show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
            Self::Dead => "Dead",
        }
    }

    /// Whether a group may move from `self` to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        use GroupState::{CompletingRebalance, Dead, Empty, PreparingRebalance, Stable};
        matches!(
            (self, next),
            (Empty | CompletingRebalance | Stable, PreparingRebalance)
                | (PreparingRebalance, CompletingRebalance | Empty)
                | (CompletingRebalance, Stable)
                | (Empty | PreparingRebalance | CompletingRebalance | Stable, Dead)
        )
    }
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
