//! Which partition of `__consumer_offsets` holds a group.

use highwater_types::PartitionIndex;

/// The absolute value of Java's `String.hashCode` over UTF-16 units, modulo the number of partitions. `Utils.abs` makes 0 of the
/// one value that has none.
///
/// # Panics
/// If `partition_count` is not positive.
pub fn partition_for(group_id: &str, partition_count: i32) -> PartitionIndex {
    assert!(partition_count > 0, "__consumer_offsets has {partition_count} partitions");
    let hash = group_id.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    PartitionIndex(hash.checked_abs().unwrap_or(0) % partition_count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_as_java_does() {
        // Values of `Utils.abs("...".hashCode()) % 50` by a JVM; "polygenelubricants" hashes to Integer.MIN_VALUE.
        for (group, partition) in [
            ("", 0),
            ("a", 47),
            ("console-consumer-1234", 9),
            ("newcomers", 17),
            ("polygenelubricants", 0),
            ("grüße-\u{1F600}", 27),
        ] {
            assert_eq!(partition_for(group, 50), PartitionIndex(partition), "{group:?}");
        }
    }
}
