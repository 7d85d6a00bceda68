//! The checks that look at single records.

use highwater_types::{ErrorCode, Timestamp, TopicPartition};

use crate::attributes::TimestampType;
use crate::batch::record_timestamp;
use crate::compression::Compression;
use crate::error::BatchError;
use crate::header::BatchHeader;
use crate::record::read_record;
use crate::record_reader::{RecordFacts, RecordReader};
use crate::rejection::{MAX_RECORD_ERRORS, ProduceRejection, RecordError};
use crate::validation_limits::ValidationLimits;

/// How many record errors the message of a rejection quotes, as in Kafka.
const QUOTED_ERRORS: usize = 3;

/// Goes through the records of one batch of a client.
pub(crate) struct Inspection<'a> {
    partition: &'a TopicPartition,
    limits: &'a ValidationLimits,
    header: &'a BatchHeader,
    /// The first [`MAX_RECORD_ERRORS`] of `error_count` errors.
    errors: Vec<RecordError>,
    error_count: usize,
    /// Whether one of the errors is about a time.
    bad_timestamp: bool,
    /// Largest time of the records seen so far.
    max_timestamp: Timestamp,
}

impl<'a> Inspection<'a> {
    pub(crate) fn new(partition: &'a TopicPartition, limits: &'a ValidationLimits, header: &'a BatchHeader) -> Self {
        Self {
            partition,
            limits,
            header,
            errors: Vec::new(),
            error_count: 0,
            bad_timestamp: false,
            max_timestamp: Timestamp::NONE,
        }
    }

    /// Checks the records in `body` and gives the header with the largest time that they have.
    pub(crate) fn run(mut self, codec: Compression, body: &[u8]) -> Result<BatchHeader, ProduceRejection> {
        if self.header.attributes.timestamp_type() == TimestampType::LogAppendTime {
            for index in 0..self.header.record_count {
                self.timestamp_error(index, || {
                    "Invalid timestamp type in message. Producer should not set timestamp type to LogAppendTime."
                        .to_owned()
                });
            }
            return self.finish();
        }
        if codec == Compression::None {
            self.read_slice(body)
        } else if self.needs_decompression() {
            self.read_stream(codec, body)
        } else {
            return Ok(*self.header);
        }
        .map_err(|error| ProduceRejection::from_batch_error(&error, self.partition))?;
        self.finish()
    }

    /// Whether the header of a compressed batch is not enough to judge its records.
    fn needs_decompression(&self) -> bool {
        let (limits, header) = (self.limits, self.header);
        let bounds_times = limits.timestamp_type == TimestampType::CreateTime;
        limits.compacted
            || header.max_timestamp < header.base_timestamp
            || (bounds_times && limits.before_max_ms != i64::MAX)
            || (bounds_times && self.is_out_of_bounds(header.max_timestamp))
    }

    fn read_slice(&mut self, mut body: &[u8]) -> Result<(), BatchError> {
        for index in 0..self.header.record_count {
            let record = read_record(&mut body).map_err(|reason| BatchError::Record { index, reason })?;
            let facts = RecordFacts {
                timestamp_delta: record.timestamp_delta,
                offset_delta: record.offset_delta,
                has_key: record.key.is_some(),
            };
            self.check(index, facts);
        }
        if body.is_empty() { Ok(()) } else { Err(BatchError::Count("records still remaining in file")) }
    }

    fn read_stream(&mut self, codec: Compression, body: &[u8]) -> Result<(), BatchError> {
        let mut reader = RecordReader::new(codec, body, self.header.record_count)?;
        let mut index = 0;
        while let Some(facts) = reader.next_record()? {
            self.check(index, facts);
            index += 1;
        }
        Ok(())
    }

    /// Judges one record; like Kafka, names the first thing that is wrong with it.
    fn check(&mut self, index: i32, facts: RecordFacts) {
        let limits = self.limits;
        let timestamp = record_timestamp(self.header, facts.timestamp_delta);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        if limits.compacted && !facts.has_key {
            let partition = self.partition;
            self.error(index, || {
                format!("Compacted topic cannot accept message without key in topic partition {partition}")
            });
        } else if facts.offset_delta != index {
            self.error(index, || format!("Offset delta {} of record {index} of its batch.", facts.offset_delta));
        } else if limits.timestamp_type == TimestampType::CreateTime && self.is_out_of_bounds(timestamp) {
            self.timestamp_error(index, || {
                format!(
                    "Timestamp {} of message with offset {} is out of range. The timestamp should be within [{}, {}]",
                    timestamp.0,
                    facts.offset_delta,
                    limits.now.0.saturating_sub(limits.before_max_ms),
                    limits.now.0.saturating_add(limits.after_max_ms),
                )
            });
        }
    }

    /// Whether a time is too old or too far ahead; "no time" never is.
    fn is_out_of_bounds(&self, timestamp: Timestamp) -> bool {
        let age_ms = self.limits.now.0.saturating_sub(timestamp.0);
        timestamp != Timestamp::NONE
            && (age_ms > self.limits.before_max_ms || age_ms.saturating_neg() > self.limits.after_max_ms)
    }

    fn timestamp_error(&mut self, index: i32, message: impl FnOnce() -> String) {
        self.bad_timestamp = true;
        self.error(index, message);
    }

    fn error(&mut self, batch_index: i32, message: impl FnOnce() -> String) {
        self.error_count += 1;
        if self.errors.len() < MAX_RECORD_ERRORS {
            self.errors.push(RecordError { batch_index, message: message() });
        }
    }

    fn finish(self) -> Result<BatchHeader, ProduceRejection> {
        if self.error_count == 0 {
            return Ok(BatchHeader { max_timestamp: self.max_timestamp, ..*self.header });
        }
        if self.bad_timestamp {
            return Err(ProduceRejection {
                code: ErrorCode::InvalidTimestamp,
                message: "One or more records have been rejected due to invalid timestamp".to_owned(),
                record_errors: self.errors,
            });
        }
        let quoted: Vec<String> = self
            .errors
            .iter()
            .take(QUOTED_ERRORS)
            .map(|error| format!("RecordError(batchIndex={}, message='{}')", error.batch_index, error.message))
            .collect();
        let message = format!(
            "One or more records have been rejected due to {} record errors in total, and only showing the first three errors \
             at most: [{}]",
            self.error_count,
            quoted.join(", ")
        );
        Err(ProduceRejection { code: ErrorCode::InvalidRecord, message, record_errors: self.errors })
    }
}
