//! Checks the sparse indexes of a segment against its batches, which pass by once: an index is good if every look-up by it
//! finds what a look-up without it finds.

use highwater_records::BatchHeader;
use highwater_types::{Offset, Timestamp};

use crate::segment::indexed;

/// What passes by, and what is wrong so far.
#[derive(Debug)]
pub(super) struct IndexCheck {
    offsets: std::vec::IntoIter<(Offset, u64)>,
    next_offset: Option<(Offset, u64)>,
    times: std::vec::IntoIter<(Timestamp, Offset)>,
    next_time: Option<(Timestamp, Offset)>,
    last_time: Option<Timestamp>,
    has_times: bool,
    /// Last offset of the batch before.
    before: Offset,
    /// Largest timestamp of batches so far.
    largest: Timestamp,
    /// The same by headers alone: Kafka's cleaner leaves the times of batches that it emptied.
    largest_in_headers: Timestamp,
    pub(super) offset_problems: Vec<String>,
    pub(super) time_problems: Vec<String>,
}

impl IndexCheck {
    pub(super) fn new(base: Offset, offsets: Vec<(Offset, u64)>, times: Vec<(Timestamp, Offset)>) -> Self {
        let (mut offset_problems, mut time_problems) = (Vec::new(), Vec::new());
        if let Some(pair) = offsets.windows(2).find(|pair| pair[1].0 <= pair[0].0 || pair[1].1 <= pair[0].1) {
            let (offset, position) = pair[1];
            offset_problems.push(format!("the entry {offset} -> {position} is not above the one before"));
        }
        if let Some(pair) = times.windows(2).find(|pair| pair[1].0 <= pair[0].0 || pair[1].1 < pair[0].1) {
            let (timestamp, offset) = pair[1];
            time_problems.push(format!("the entry {} -> {offset} is not above the one before", timestamp.0));
        }
        let last_time = times.last().map(|entry| entry.0);
        let (mut offsets, mut times) = (offsets.into_iter(), times.into_iter());
        Self {
            next_offset: offsets.next(),
            offsets,
            next_time: times.next(),
            times,
            last_time,
            has_times: true,
            before: base.plus(-1),
            largest: Timestamp::NONE,
            largest_in_headers: Timestamp::NONE,
            offset_problems,
            time_problems,
        }
    }

    /// For a segment without a time index.
    pub(super) fn without_times(base: Offset, offsets: Vec<(Offset, u64)>) -> Self {
        Self { has_times: false, ..Self::new(base, offsets, Vec::new()) }
    }

    /// The next batch, which starts at `at`.
    pub(super) fn on_batch(&mut self, at: u64, header: &BatchHeader) {
        while let Some((offset, position)) = self.next_offset.filter(|(_, position)| *position <= at) {
            if position < at {
                self.offset_problems.push(format!("{offset} -> {position}: no batch starts there"));
            } else if offset < header.base_offset || offset <= self.before {
                let found = header.base_offset;
                self.offset_problems.push(format!("{offset} -> {position}: the batch there begins at {found}"));
            }
            self.next_offset = self.offsets.next();
        }
        while let Some((timestamp, offset)) = self.next_time.filter(|(_, offset)| *offset <= header.last_offset()) {
            if self.largest >= timestamp {
                let (timestamp, largest) = (timestamp.0, self.largest.0);
                self.time_problems.push(format!("{timestamp} -> {offset}: an earlier batch has the time {largest}"));
            }
            self.next_time = self.times.next();
        }
        self.before = header.last_offset();
        self.largest = self.largest.max(indexed(header, at).max_timestamp);
        self.largest_in_headers = self.largest_in_headers.max(header.max_timestamp);
    }

    /// The segment is over. A complete one has its largest timestamp in the last entry.
    pub(super) fn on_end(&mut self, is_complete: bool) {
        if let Some((offset, position)) = self.next_offset {
            self.offset_problems.push(format!("{offset} -> {position}: the segment ends before"));
        }
        if let Some((timestamp, offset)) = self.next_time {
            self.time_problems.push(format!("{} -> {offset}: the segment ends before", timestamp.0));
        }
        let last = self.last_time.unwrap_or(Timestamp::NONE);
        let too_new = last > self.largest_in_headers && last > Timestamp(0);
        if too_new || (is_complete && self.has_times && last < self.largest) {
            let largest = self.largest.0;
            self.time_problems.push(format!("its last time is {}, where the segment's newest is {largest}", last.0));
        }
    }
}
