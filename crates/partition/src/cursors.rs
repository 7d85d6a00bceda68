//! Positions of one log, and which of them promises durability.

use highwater_types::Offset;

/// When an offset counts as held by a replica (`highwater.durability`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// Once it is flushed: what is acknowledged with acks=all survives power loss of every node.
    #[default]
    Strict,
    /// Once it is appended: it may be in the page cache only. Kafka's behaviour.
    Relaxed,
}

/// Positions of a log: `log_start <= flushed <= log_end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogCursors {
    /// First offset.
    pub log_start: Offset,
    /// Everything below is on disk.
    pub flushed: Offset,
    /// The offset the next record will get.
    pub log_end: Offset,
}

impl LogCursors {
    /// The offset below which this log holds everything, in that mode.
    pub fn held(&self, durability: Durability) -> Offset {
        match durability {
            Durability::Strict => self.flushed,
            Durability::Relaxed => self.log_end,
        }
    }
}
