//! Builds batches: for coordinators, tests and clients.

use bytes::{BufMut, Bytes};
use highwater_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use crate::attributes::Attributes;
use crate::batch::compute_crc;
use crate::compression::Compression;
use crate::header::{BatchHeader, CRC_POSITION, HEADER_LENGTH, LOG_OVERHEAD, MAGIC_V2};
use crate::record::Header;
use crate::varint::{put_varint, put_varlong, varlong_size};

/// Collects records and makes one batch of them.
#[derive(Debug, Clone)]
pub struct BatchBuilder {
    compression: Compression,
    attributes: Attributes,
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: Sequence,
    base_timestamp: Timestamp,
    max_timestamp: Timestamp,
    last_offset_delta: i32,
    record_count: i32,
    /// Records, not compressed.
    body: Vec<u8>,
}

impl BatchBuilder {
    /// A batch at base offset 0, not of an idempotent producer, leader epoch unknown.
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            attributes: Attributes::default().with_compression(compression),
            base_offset: Offset::ZERO,
            leader_epoch: LeaderEpoch::NONE,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: Sequence::NONE,
            base_timestamp: Timestamp::NONE,
            max_timestamp: Timestamp::NONE,
            last_offset_delta: -1,
            record_count: 0,
            body: Vec::new(),
        }
    }

    /// Sets the fields of an idempotent producer (KIP-98).
    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: Sequence) -> Self {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// Marks the batch as part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes = self.attributes.transactional();
        self
    }

    /// Marks the records as control records.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.attributes = self.attributes.control();
        self
    }

    /// Sets base offset and leader epoch, as a log would.
    #[must_use]
    pub fn placed_at(mut self, base_offset: Offset, leader_epoch: LeaderEpoch) -> Self {
        self.base_offset = base_offset;
        self.leader_epoch = leader_epoch;
        self
    }

    /// Records so far.
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Size of the batch in bytes if nothing is compressed.
    pub fn uncompressed_size_in_bytes(&self) -> usize {
        HEADER_LENGTH + self.body.len()
    }

    /// Appends a record at the next offset. `None` is null.
    pub fn append(&mut self, timestamp: Timestamp, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header<'_>]) {
        self.append_at(self.last_offset_delta + 1, timestamp, key, value, headers);
    }

    /// Appends a record at a given distance from the base offset, which must be more than that of the last one: compaction
    /// leaves gaps.
    pub fn append_at(
        &mut self,
        offset_delta: i32,
        timestamp: Timestamp,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header<'_>],
    ) {
        assert!(offset_delta > self.last_offset_delta, "offsets of a batch ascend");
        if self.record_count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.last_offset_delta = offset_delta;
        self.record_count += 1;

        let timestamp_delta = timestamp.0.wrapping_sub(self.base_timestamp.0);
        encode_record(&mut self.body, timestamp_delta, offset_delta, key, value, headers);
    }

    /// The batch. There must be a record in it.
    pub fn build(self) -> Bytes {
        assert!(self.record_count > 0, "a batch has at least one record");
        let body = self.compression.compress(self.body);
        let header = BatchHeader {
            base_offset: self.base_offset,
            length: 0,
            partition_leader_epoch: self.leader_epoch,
            magic: MAGIC_V2,
            crc: 0,
            attributes: self.attributes,
            last_offset_delta: self.last_offset_delta,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.record_count,
        };
        assemble(header, &body)
    }
}

/// Puts a header, with length and checksum made right, in front of a body.
pub(crate) fn assemble(mut header: BatchHeader, body: &[u8]) -> Bytes {
    let size = HEADER_LENGTH + body.len();
    header.length = i32::try_from(size - LOG_OVERHEAD).expect("a batch is shorter than 2 GiB");
    let mut batch = Vec::with_capacity(size);
    batch.extend_from_slice(&header.to_bytes());
    batch.extend_from_slice(body);
    let crc = compute_crc(&batch);
    batch[CRC_POSITION..CRC_POSITION + 4].copy_from_slice(&crc.to_be_bytes());
    batch.into()
}

/// Appends one record as it lies in the body of a batch.
pub(crate) fn encode_record(
    body: &mut Vec<u8>,
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[Header<'_>],
) {
    let length = 1
        + varlong_size(timestamp_delta)
        + varlong_size(offset_delta.into())
        + nullable_size(key)
        + nullable_size(value)
        + varlong_size(headers.len() as i64)
        + headers.iter().map(|header| nullable_size(Some(header.key)) + nullable_size(header.value)).sum::<usize>();
    put_varint(body, i32::try_from(length).expect("a record is shorter than 2 GiB"));
    body.put_i8(0);
    put_varlong(body, timestamp_delta);
    put_varint(body, offset_delta);
    put_nullable(body, key);
    put_nullable(body, value);
    put_varlong(body, headers.len() as i64);
    for header in headers {
        put_nullable(body, Some(header.key));
        put_nullable(body, header.value);
    }
}

fn nullable_size(field: Option<&[u8]>) -> usize {
    match field {
        None => varlong_size(-1),
        Some(bytes) => varlong_size(bytes.len() as i64) + bytes.len(),
    }
}

fn put_nullable(output: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => put_varint(output, -1),
        Some(bytes) => {
            put_varlong(output, bytes.len() as i64);
            output.extend_from_slice(bytes);
        }
    }
}
