//! What a batch must satisfy before a leader appends it: the checks of Kafka's `ProduceRequest`, `UnifiedLog` and
//! `LogValidator`, in their order and with their messages.
//!
//! Where this differs from Kafka on purpose:
//! - Compressed batches are decompressed only if the topic needs it: compacted (keys), a bound on old timestamps, another
//!   codec, or header timestamps that are out of bounds or contradict each other.
//! - Offset deltas must count up from 0; Kafka rewrites or stores wrong ones.
//! - Attribute bits that producers have no use for are refused; Kafka stores them.

use bytes::Bytes;
use highwater_types::{ErrorCode, TopicPartition};

use crate::batch::compute_crc;
use crate::builder::assemble;
use crate::compression::Compression;
use crate::header::{BatchHeader, HEADER_LENGTH, LOG_OVERHEAD, MAGIC_POSITION, MAGIC_V2};
use crate::inspect::Inspection;
use crate::rejection::ProduceRejection;
use crate::validation_limits::{AppendOrigin, ValidationLimits};

/// First produce version that may carry zstd (KIP-110).
const FIRST_VERSION_WITH_ZSTD: i16 = 7;

/// Length of the header of format v0, the smallest that a length field may claim before the magic is known.
const SMALLEST_LENGTH: i32 = 14;

/// A batch that satisfies the rules of its topic: the only thing a leader appends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedBatch {
    /// As sent, except that `max_timestamp` is that of the records where they were inspected.
    header: BatchHeader,
    /// The whole batch. Its stored checksum holds for these bytes.
    bytes: Bytes,
}

impl ValidatedBatch {
    /// The header; base offset and leader epoch are the producer's. [`crate::patched_header`] gives the one to store.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch as sent, header included.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What follows the header, to be stored as it is.
    pub fn body(&self) -> Bytes {
        self.bytes.slice(HEADER_LENGTH..)
    }

    /// Length in bytes, header included; the stored batch has the same.
    pub fn size_in_bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// Checks the record data that a Produce request, or a coordinator, has for one partition: exactly one batch, format v2,
/// checksum, size, count, producer fields, and per record keys, offsets and times as far as the topic asks for them.
///
/// Memory: bounded by the batch, plus the windows of its codec; only another `compression.type` decompresses it as a whole,
/// up to [`crate::MAX_DECOMPRESSED_BYTES`].
pub fn validate_produce(
    records: Bytes,
    partition: &TopicPartition,
    limits: &ValidationLimits,
) -> Result<ValidatedBatch, ProduceRejection> {
    let bytes = sole_batch(records, limits)?;
    let header = BatchHeader::from_bytes(bytes.first_chunk().expect("sole_batch returns at least a header"));
    let from_client = matches!(limits.origin, AppendOrigin::Client { .. });

    if from_client && header.base_offset.get() != 0 {
        return Err(ProduceRejection::new(
            ErrorCode::InvalidRecord,
            format!(
                "The baseOffset of the record batch in the append to {partition} should be 0, but it is {}",
                header.base_offset
            ),
        ));
    }
    check_size(bytes.len(), partition, limits)?;
    let computed = compute_crc(&bytes);
    if computed != header.crc {
        return Err(ProduceRejection::new(
            ErrorCode::CorruptMessage,
            format!(
                "Record is corrupt (stored crc = {}, computed crc = {computed}) in topic partition {partition}.",
                header.crc
            ),
        ));
    }
    let codec =
        header.attributes.compression().map_err(|error| ProduceRejection::from_batch_error(&error, partition))?;
    let header = match from_client {
        true => {
            check_client_header(&header, partition)?;
            Inspection::new(partition, limits, &header).run(codec, &bytes[HEADER_LENGTH..])?
        }
        false => BatchHeader::parse(&bytes).map_err(|error| ProduceRejection::from_batch_error(&error, partition))?,
    };
    match limits.compression {
        Some(target) if target != codec => recompress(&header, &bytes, codec, target, partition, limits),
        _ => Ok(ValidatedBatch { header, bytes }),
    }
}

/// The one batch that the record data must consist of. Bytes behind it that cannot be a batch are left out, as Kafka does.
fn sole_batch(records: Bytes, limits: &ValidationLimits) -> Result<Bytes, ProduceRejection> {
    let version = match limits.origin {
        AppendOrigin::Client { produce_version } => produce_version,
        AppendOrigin::Coordinator => i16::MAX,
    };
    let only = |what: &str| {
        Err(ProduceRejection::new(ErrorCode::InvalidRecord, format!("Produce requests with version {version} {what}")))
    };
    let Some(size) = batch_size(&records)? else {
        return only("must have at least one record batch per partition");
    };
    let magic = records[MAGIC_POSITION] as i8;
    if magic != MAGIC_V2 {
        return only("are only allowed to contain record batches with magic version 2");
    }
    if size < HEADER_LENGTH {
        return Err(ProduceRejection::new(
            ErrorCode::CorruptMessage,
            format!(
                "Record batch is corrupt (the size {size} is smaller than the minimum allowed overhead {HEADER_LENGTH})"
            ),
        ));
    }
    let header = BatchHeader::from_bytes(records.first_chunk().expect("a header's length was checked"));
    if version < FIRST_VERSION_WITH_ZSTD && header.attributes.compression() == Ok(Compression::Zstd) {
        return Err(ProduceRejection::new(
            ErrorCode::UnsupportedCompressionType,
            format!("Produce requests with version {version} are not allowed to use ZStandard compression"),
        ));
    }
    if batch_size(&records[size..])?.is_some() {
        return only("are only allowed to contain exactly one record batch per partition");
    }
    Ok(records.slice(..size))
}

/// Size of the batch of any format at the start of `bytes`; `None` if no whole one is there.
fn batch_size(bytes: &[u8]) -> Result<Option<usize>, ProduceRejection> {
    let corrupt = |message| Err(ProduceRejection::new(ErrorCode::CorruptMessage, message));
    let Some((overhead, rest)) = bytes.split_first_chunk::<LOG_OVERHEAD>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*overhead.last_chunk().expect("the length ends the overhead"));
    if length < SMALLEST_LENGTH {
        return corrupt(format!("Record size {length} is less than the minimum record overhead ({SMALLEST_LENGTH})"));
    }
    let Some(&magic) = bytes.get(MAGIC_POSITION) else {
        return Ok(None);
    };
    if !(0..=MAGIC_V2).contains(&(magic as i8)) {
        return corrupt(format!("Invalid magic found in record: {}", magic as i8));
    }
    let length = length as usize;
    Ok((rest.len() >= length).then_some(LOG_OVERHEAD + length))
}

fn check_size(size: usize, partition: &TopicPartition, limits: &ValidationLimits) -> Result<(), ProduceRejection> {
    if size <= limits.max_message_bytes {
        return Ok(());
    }
    Err(ProduceRejection::new(
        ErrorCode::MessageTooLarge,
        format!(
            "The record batch size in the append to {partition} is {size} bytes which exceeds the maximum configured value of {}.",
            limits.max_message_bytes
        ),
    ))
}

/// What no client's header may say.
fn check_client_header(header: &BatchHeader, partition: &TopicPartition) -> Result<(), ProduceRejection> {
    let refuse = |what: String| {
        Err(ProduceRejection::new(ErrorCode::InvalidRecord, format!("{what} in topic partition {partition}")))
    };
    let (first, last) = (header.base_offset, header.last_offset());
    if header.last_offset_delta < 0 {
        return refuse(format!("Batch has an invalid offset range: [{first}, {last}]"));
    }
    if header.record_count <= 0 {
        return refuse(format!("Invalid reported count for record batch: {}", header.record_count));
    }
    // The count is at least 1 here.
    if header.last_offset_delta != header.record_count - 1 {
        return refuse(format!(
            "Inconsistent batch offset range [{first}, {last}] and count of records {}",
            header.record_count
        ));
    }
    if header.is_control() {
        return refuse("Clients are not allowed to write control records".to_owned());
    }
    if header.attributes.has_delete_horizon() || header.attributes.has_unknown_bits() {
        return refuse(format!("Unsupported attributes {:#06x} in record batch", header.attributes.0));
    }
    if header.has_producer_id() && header.base_sequence.get() < 0 {
        return refuse(format!(
            "Invalid sequence number {} in record batch with producerId {}",
            header.base_sequence, header.producer_id
        ));
    }
    if header.has_producer_id() && header.producer_epoch.get() < 0 {
        return refuse(format!(
            "Invalid producer epoch {} in record batch with producerId {}",
            header.producer_epoch, header.producer_id
        ));
    }
    if header.is_transactional() && !header.has_producer_id() {
        return refuse("A transactional record batch must have a producerId".to_owned());
    }
    Ok(())
}

/// The same records in the codec that the topic asks for.
fn recompress(
    header: &BatchHeader,
    bytes: &Bytes,
    from: Compression,
    to: Compression,
    partition: &TopicPartition,
    limits: &ValidationLimits,
) -> Result<ValidatedBatch, ProduceRejection> {
    let body = from
        .decompress(&bytes[HEADER_LENGTH..])
        .map_err(|error| ProduceRejection::from_batch_error(&error, partition))?;
    let header = BatchHeader { attributes: header.attributes.with_compression(to), ..*header };
    let bytes = assemble(header, &to.compress_at(limits.compression_level, body));
    check_size(bytes.len(), partition, limits)?;
    let header = BatchHeader::from_bytes(bytes.first_chunk().expect("assembled with a header"));
    Ok(ValidatedBatch { header, bytes })
}

#[cfg(test)]
mod tests;
