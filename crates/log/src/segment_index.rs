//! The two sparse indexes of one segment, in memory: offset -> position and timestamp -> offset.
//!
//! They have Kafka's entries and file formats. An offset entry is the last offset of a batch and the position where that
//! batch starts, made before the first batch that comes after `index.interval.bytes` of other batches. A time entry is the
//! largest timestamp so far and the last offset of the first batch that has it.
//!
//! Both only save reading: every answer is checked against the batches, so a lost or shortened index changes none.

use highwater_types::{Offset, Timestamp};

/// Bytes of an entry in an `.index` file: relative offset i32, position i32.
pub(crate) const OFFSET_ENTRY_BYTES: usize = 8;
/// Bytes of an entry in a `.timeindex` file: timestamp i64, relative offset i32.
pub(crate) const TIME_ENTRY_BYTES: usize = 12;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OffsetEntry {
    relative: u32,
    position: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TimeEntry {
    timestamp: i64,
    relative: u32,
}

/// A batch as the indexes see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IndexedBatch {
    pub(crate) last_offset: Offset,
    pub(crate) max_timestamp: Timestamp,
    /// Where it starts in the segment.
    pub(crate) position: u64,
    pub(crate) size: u64,
}

/// The indexes of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentIndex {
    base: Offset,
    /// Offsets and positions strictly increase.
    offsets: Vec<OffsetEntry>,
    /// Timestamps strictly increase, offsets do not decrease.
    times: Vec<TimeEntry>,
    /// Bytes of batches since the last offset entry, its own batch included.
    bytes_since_entry: u64,
    /// Largest timestamp of all batches; -1 before the first.
    max_timestamp: Timestamp,
    /// Last offset of the first batch with that timestamp.
    offset_of_max: Offset,
}

impl SegmentIndex {
    /// The indexes of an empty segment.
    pub(crate) fn new(base: Offset) -> Self {
        Self {
            base,
            offsets: Vec::new(),
            times: Vec::new(),
            bytes_since_entry: 0,
            max_timestamp: Timestamp::NONE,
            offset_of_max: base,
        }
    }

    /// Takes in the next batch of the segment.
    pub(crate) fn append(&mut self, batch: IndexedBatch, interval_bytes: u64) {
        if batch.max_timestamp > self.max_timestamp {
            self.max_timestamp = batch.max_timestamp;
            self.offset_of_max = batch.last_offset;
        }
        if self.bytes_since_entry > interval_bytes {
            let position = u32::try_from(batch.position).expect("segments end below 2 GiB");
            self.offsets.push(OffsetEntry { relative: self.relative(batch.last_offset), position });
            self.append_time_entry();
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += batch.size;
    }

    /// Completes the time index, so that its last entry is the segment's largest timestamp: before it goes to a file.
    pub(crate) fn seal(&mut self) {
        self.append_time_entry();
    }

    fn append_time_entry(&mut self) {
        let last = self.times.last().map_or(Timestamp::NONE.0, |entry| entry.timestamp);
        if self.max_timestamp.0 > last {
            let entry = TimeEntry { timestamp: self.max_timestamp.0, relative: self.relative(self.offset_of_max) };
            self.times.push(entry);
        }
    }

    fn relative(&self, offset: Offset) -> u32 {
        u32::try_from(offset.get() - self.base.get()).expect("the segment was rolled before an offset overflows")
    }

    /// A position at or before the start of the batch that holds `offset`, as near as the index knows.
    pub(crate) fn position_before(&self, offset: Offset) -> u64 {
        let wanted = offset.get() - self.base.get();
        let above = self.offsets.partition_point(|entry| i64::from(entry.relative) <= wanted);
        above.checked_sub(1).map_or(0, |index| u64::from(self.offsets[index].position))
    }

    /// An offset such that all batches which end before it have smaller timestamps than `timestamp`.
    pub(crate) fn offset_before_time(&self, timestamp: Timestamp) -> Offset {
        let above = self.times.partition_point(|entry| entry.timestamp <= timestamp.0);
        above.checked_sub(1).map_or(self.base, |index| self.base.plus(self.times[index].relative.into()))
    }

    /// The largest timestamp in the segment and the last offset of the first batch that has it.
    pub(crate) fn max_timestamp(&self) -> (Timestamp, Offset) {
        (self.max_timestamp, self.offset_of_max)
    }

    /// Whether one of the files would grow beyond `limit_bytes` with another entry.
    pub(crate) fn is_full(&self, limit_bytes: u64) -> bool {
        let grown = |entries: usize, entry_bytes: usize| ((entries + 1) * entry_bytes) as u64 > limit_bytes;
        grown(self.offsets.len(), OFFSET_ENTRY_BYTES) || grown(self.times.len(), TIME_ENTRY_BYTES)
    }

    /// Forgets what is known of batches that end at or beyond `end`, and the state behind the last remaining entry. Returns
    /// the position from which batches must be taken in again with [`SegmentIndex::replay`].
    pub(crate) fn rewind(&mut self, end: Offset) -> u64 {
        let limit = end.get() - self.base.get();
        let kept = self.offsets.partition_point(|entry| i64::from(entry.relative) < limit);
        self.offsets.truncate(kept);
        let kept = self.times.partition_point(|entry| i64::from(entry.relative) < limit);
        self.times.truncate(kept);
        let (max_timestamp, offset_of_max) = match self.times.last() {
            Some(entry) => (Timestamp(entry.timestamp), self.base.plus(entry.relative.into())),
            None => (Timestamp::NONE, self.base),
        };
        (self.max_timestamp, self.offset_of_max) = (max_timestamp, offset_of_max);
        self.bytes_since_entry = 0;
        self.offsets.last().map_or(0, |entry| u64::from(entry.position))
    }

    /// Takes in a batch again after [`SegmentIndex::rewind`]; the first one may be the last that has an entry.
    pub(crate) fn replay(&mut self, batch: IndexedBatch, interval_bytes: u64) {
        let indexed = self.offsets.last().is_some_and(|entry| u64::from(entry.position) == batch.position);
        if indexed {
            self.bytes_since_entry = batch.size;
        } else {
            self.append(batch, interval_bytes);
        }
    }

    /// Content of the `.index` file.
    pub(crate) fn encode_offsets(&self) -> Vec<u8> {
        let entry = |entry: &OffsetEntry| [entry.relative.to_be_bytes(), entry.position.to_be_bytes()];
        self.offsets.iter().flat_map(entry).flatten().collect()
    }

    /// Content of the `.timeindex` file.
    pub(crate) fn encode_times(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.times.len() * TIME_ENTRY_BYTES);
        for entry in &self.times {
            bytes.extend_from_slice(&entry.timestamp.to_be_bytes());
            bytes.extend_from_slice(&entry.relative.to_be_bytes());
        }
        bytes
    }

    /// Reads the two files of a segment of `size` bytes. `None` if they are not what such a segment can have: then they are
    /// made anew from the log.
    pub(crate) fn decode(base: Offset, size: u64, offsets: &[u8], times: &[u8]) -> Option<Self> {
        let (offset_entries, []) = offsets.as_chunks::<OFFSET_ENTRY_BYTES>() else { return None };
        let (time_entries, []) = times.as_chunks::<TIME_ENTRY_BYTES>() else { return None };
        let mut index = Self::new(base);
        for entry in offset_entries {
            let (relative, position) = entry.split_at(4);
            let entry = OffsetEntry { relative: be_u32(relative)?, position: be_u32(position)? };
            let grows = index
                .offsets
                .last()
                .is_none_or(|last| entry.relative > last.relative && entry.position > last.position);
            if !grows || u64::from(entry.position) >= size {
                return None;
            }
            index.offsets.push(entry);
        }
        for entry in time_entries {
            let (timestamp, relative) = entry.split_at(8);
            let entry =
                TimeEntry { timestamp: i64::from_be_bytes(timestamp.try_into().ok()?), relative: be_u32(relative)? };
            let grows = index
                .times
                .last()
                .is_none_or(|last| entry.timestamp > last.timestamp && entry.relative >= last.relative);
            if !grows || entry.timestamp < 0 {
                return None;
            }
            index.times.push(entry);
        }
        if size > 0 && index.times.is_empty() {
            // A sealed time index is empty only if no batch has a timestamp: cheaper to look than to trust.
            return None;
        }
        if let Some(last) = index.times.last() {
            index.max_timestamp = Timestamp(last.timestamp);
            index.offset_of_max = base.plus(last.relative.into());
        }
        Some(index)
    }
}

fn be_u32(bytes: &[u8]) -> Option<u32> {
    // Kafka's fields are signed; neither offsets nor positions are negative.
    u32::try_from(i32::from_be_bytes(bytes.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SegmentIndex {
        let mut index = SegmentIndex::new(Offset(100));
        // Ten batches of 60 bytes and 3 records each; timestamps go up and down.
        for (number, timestamp) in [50, 40, 70, 60, 65, 70, 90, 80, 10, 95].into_iter().enumerate() {
            let batch = IndexedBatch {
                last_offset: Offset(102 + 3 * number as i64),
                max_timestamp: Timestamp(timestamp),
                position: 60 * number as u64,
                size: 60,
            };
            index.append(batch, 100);
        }
        index
    }

    #[test]
    fn bytes_are_kafkas() {
        let mut index = sample();
        // An entry precedes a batch once more than 100 bytes passed: batches 2, 4, 6, 8.
        let offsets: Vec<[u8; 4]> = [8u32, 120, 14, 240, 20, 360, 26, 480].map(u32::to_be_bytes).to_vec();
        assert_eq!(index.encode_offsets(), offsets.concat());
        assert_eq!(index.times.iter().map(|e| (e.timestamp, e.relative)).collect::<Vec<_>>(), [(70, 8), (90, 20)]);
        index.seal();
        assert_eq!(index.times.last(), Some(&TimeEntry { timestamp: 95, relative: 29 }));
        assert_eq!(index.encode_times()[..12], [0, 0, 0, 0, 0, 0, 0, 70, 0, 0, 0, 8]);
        index.seal();
        assert_eq!(index.times.len(), 3);
    }

    #[test]
    fn look_ups_are_lower_bounds() {
        let index = sample();
        let table = [(100, 0), (107, 0), (108, 120), (109, 120), (114, 240), (129, 480), (1000, 480)];
        for (offset, position) in table {
            assert_eq!(index.position_before(Offset(offset)), position, "offset {offset}");
        }
        for (timestamp, offset) in [(0, 100), (69, 100), (70, 108), (89, 108), (90, 120), (99, 120)] {
            assert_eq!(index.offset_before_time(Timestamp(timestamp)), Offset(offset), "timestamp {timestamp}");
        }
    }

    #[test]
    fn files_round_trip_and_damage_is_noticed() {
        let mut index = sample();
        index.seal();
        let (offsets, times) = (index.encode_offsets(), index.encode_times());
        let mut read = SegmentIndex::decode(Offset(100), 600, &offsets, &times).unwrap();
        assert_eq!(read.max_timestamp(), (Timestamp(95), Offset(129)));
        read.bytes_since_entry = index.bytes_since_entry;
        assert_eq!(read, index);
        assert!(SegmentIndex::decode(Offset(100), 480, &offsets, &times).is_none(), "points beyond the segment");
        assert!(SegmentIndex::decode(Offset(100), 600, &offsets[1..], &times).is_none());
        assert!(SegmentIndex::decode(Offset(100), 600, &[0; 32], &times).is_none(), "preallocated zeros");
        assert!(SegmentIndex::decode(Offset(100), 600, &offsets, &[0; 24]).is_none());
        assert!(SegmentIndex::decode(Offset(100), 600, &offsets, &[]).is_none());
        assert!(SegmentIndex::decode(Offset(100), 0, &[], &[]).is_some());
    }

    #[test]
    fn rewinding_forgets_the_tail() {
        let full = sample();
        let mut index = full.clone();
        index.seal();
        assert_eq!(index.rewind(Offset(118)), 240, "batches that end before 118 remain");
        assert_eq!(index.max_timestamp(), (Timestamp(70), Offset(108)));
        for (number, timestamp) in [(4u64, 65), (5, 70)] {
            let last_offset = Offset(102 + 3 * number as i64);
            let batch =
                IndexedBatch { last_offset, max_timestamp: Timestamp(timestamp), position: 60 * number, size: 60 };
            index.replay(batch, 100);
        }
        assert_eq!((index.offsets.len(), index.bytes_since_entry), (2, 120));
        assert_eq!(index.rewind(Offset(100)), 0);
        assert_eq!(index, SegmentIndex::new(Offset(100)));
    }
}
