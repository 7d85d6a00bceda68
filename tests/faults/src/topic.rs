//! What the load produces to.

use highwater_history::Key;

/// Its name.
pub const TOPIC: &str = "faults";
/// Its partitions: each node leads some, so that a fault on any node is felt.
pub const PARTITIONS: i32 = 6;

/// A partition's name in a history.
pub fn key(partition: i32) -> Key {
    Key { topic: TOPIC.into(), partition }
}
