//! Finding records by their time.

use std::sync::Arc;

use highwater_records::RecordBatch;
use highwater_types::{LeaderEpoch, Offset, Timestamp};

use crate::batch_scan::{damaged, read_batch};
use crate::error::ReadError;
use crate::log_reader::LogReader;
use crate::segment::{Segment, indexed};

/// A record found by its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimestampOffset {
    /// Offset of the record.
    pub offset: Offset,
    /// Its timestamp.
    pub timestamp: Timestamp,
    /// Leader epoch of its batch.
    pub leader_epoch: LeaderEpoch,
}

impl LogReader {
    /// The largest timestamp of the batch that holds `offset`, or of the next one where there is a gap; `None` at the log
    /// end, and where the records have no timestamp. Reads headers only, and none that is in memory.
    pub fn timestamp_near(&self, offset: Offset) -> Result<Option<Timestamp>, ReadError> {
        self.consistently(|view| {
            let header = self.header_at(view, offset.max(self.log_start()))?;
            Ok(header.map(|header| indexed(&header, 0).max_timestamp).filter(|&timestamp| timestamp != Timestamp::NONE))
        })
    }

    /// The first record at or behind the log start whose timestamp is at least `timestamp`. Exact for timestamps in any
    /// order: batches are read, and decompressed where needed.
    pub fn offset_for_timestamp(&self, timestamp: Timestamp) -> Result<Option<TimestampOffset>, ReadError> {
        self.consistently(|view| {
            let log_start = self.log_start();
            for segment in &view.segments[view.floor(log_start)..] {
                if segment.largest_timestamp(self.interval_bytes())? >= timestamp
                    && let Some(found) = self.find_in_segment(segment, timestamp, log_start)?
                {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
    }

    /// The record with the largest timestamp, the first one if several have it; `None` if no record has a timestamp.
    pub fn max_timestamp(&self) -> Result<Option<TimestampOffset>, ReadError> {
        self.consistently(|view| {
            let log_start = self.log_start();
            let mut largest: Option<(Timestamp, &Arc<Segment>)> = None;
            for segment in &view.segments[view.floor(log_start)..] {
                let timestamp = self.largest_readable(segment, log_start)?;
                if timestamp > largest.map_or(Timestamp::NONE, |(so_far, _)| so_far) {
                    largest = Some((timestamp, segment));
                }
            }
            match largest {
                Some((timestamp, segment)) => self.find_in_segment(segment, timestamp, log_start),
                None => Ok(None),
            }
        })
    }

    fn find_in_segment(
        &self,
        segment: &Arc<Segment>,
        timestamp: Timestamp,
        log_start: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let from = self.ask_index(segment, |index| index.offset_before_time(timestamp))?.max(log_start);
        self.walk_near(segment, from, |mut walk| {
            while let Some((position, header)) = walk.next_header()? {
                if header.max_timestamp >= timestamp && header.last_offset() >= log_start {
                    let batch = read_batch(segment, position, &header)?;
                    if let Some(found) = first_in_batch(segment, position, &batch, timestamp, log_start)? {
                        return Ok(Some(found));
                    }
                }
            }
            Ok(None)
        })
    }

    /// The largest timestamp of records at or behind the log start.
    fn largest_readable(&self, segment: &Arc<Segment>, log_start: Offset) -> Result<Timestamp, ReadError> {
        if segment.base() >= log_start {
            return segment.largest_timestamp(self.interval_bytes());
        }
        self.walk_near(segment, log_start, |mut walk| {
            let mut largest = Timestamp::NONE;
            while let Some((position, header)) = walk.next_header()? {
                if header.base_offset >= log_start {
                    largest = largest.max(indexed(&header, position).max_timestamp);
                } else if header.last_offset() >= log_start {
                    let batch = read_batch(segment, position, &header)?;
                    largest = largest.max(largest_in_batch(segment, position, &batch, log_start)?);
                }
            }
            Ok(largest)
        })
    }
}

/// The first record of `batch` at or behind the log start that is not older than `timestamp`.
fn first_in_batch(
    segment: &Segment,
    position: u64,
    batch: &RecordBatch,
    timestamp: Timestamp,
    log_start: Offset,
) -> Result<Option<TimestampOffset>, ReadError> {
    let header = batch.header();
    let found = |offset, timestamp| TimestampOffset { offset, timestamp, leader_epoch: header.partition_leader_epoch };
    if header.base_offset >= log_start {
        let first = batch.find_timestamp(timestamp).map_err(|error| damaged(segment, position, &error))?;
        return Ok(first.map(|first| found(first.offset, first.timestamp)));
    }
    let records = batch.records().map_err(|error| damaged(segment, position, &error))?;
    for record in &records {
        let record = record.map_err(|error| damaged(segment, position, &error))?;
        if record.timestamp >= timestamp && record.offset >= log_start {
            return Ok(Some(found(record.offset, record.timestamp)));
        }
    }
    Ok(None)
}

fn largest_in_batch(
    segment: &Segment,
    position: u64,
    batch: &RecordBatch,
    log_start: Offset,
) -> Result<Timestamp, ReadError> {
    let mut largest = Timestamp::NONE;
    let records = batch.records().map_err(|error| damaged(segment, position, &error))?;
    for record in &records {
        let record = record.map_err(|error| damaged(segment, position, &error))?;
        if record.offset >= log_start {
            largest = largest.max(record.timestamp);
        }
    }
    Ok(largest)
}
