//! Kafka's producer snapshot file, version 1: `version i16, crc u32, count i32`, then entries of 46 bytes; all big-endian,
//! the CRC-32C over what follows it.
//!
//! Kafka writes one entry per producer, its newest batch, and so forgets after a restart the older batches that a client
//! may still retry. We write one entry per remembered batch, oldest first. Kafka reads such a file as it reads its own (the
//! last entry of a producer wins), and its own files are read here as producers with one batch.

use std::collections::BTreeMap;

use highwater_types::{Offset, ProducerEpoch, ProducerId, Sequence, Timestamp};

use super::entry::REMEMBERED_BATCHES;
use super::{AppendedBatch, ProducerEntry};

const VERSION: i16 = 1;
/// Version, CRC and count.
const HEADER_LENGTH: usize = 2 + 4 + 4;
/// Where the bytes start that the CRC covers.
const CRC_START: usize = 6;
const ENTRY_LENGTH: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;

/// Why a file is no producer snapshot. It is then deleted and the state rebuilt from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SnapshotError {
    #[error("version {0}, not {VERSION}")]
    Version(i16),
    #[error("CRC does not match")]
    Crc,
    #[error("its length is not what its number of entries needs")]
    Length,
}

pub(super) fn encode(entries: &BTreeMap<ProducerId, ProducerEntry>) -> Vec<u8> {
    let count: usize = entries.values().map(|entry| entry.batches.len().max(1)).sum();
    let mut bytes = Vec::with_capacity(HEADER_LENGTH + count * ENTRY_LENGTH);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&i32::try_from(count).expect("fewer than 2^31 producers fit in memory").to_be_bytes());
    for (&producer_id, entry) in entries {
        match entry.batches.split_last() {
            None => {
                let none = AppendedBatch {
                    last_sequence: Sequence::NONE,
                    last_offset: Offset::NONE,
                    offset_delta: 0,
                    timestamp: entry.last_timestamp,
                };
                encode_entry(&mut bytes, producer_id, entry, &none, entry.open_transaction);
            }
            Some((newest, older)) => {
                older.iter().for_each(|batch| encode_entry(&mut bytes, producer_id, entry, batch, None));
                let newest = AppendedBatch { timestamp: entry.last_timestamp, ..*newest };
                encode_entry(&mut bytes, producer_id, entry, &newest, entry.open_transaction);
            }
        }
    }
    let crc = crc32c::crc32c(&bytes[CRC_START..]);
    bytes[2..CRC_START].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn encode_entry(
    bytes: &mut Vec<u8>,
    producer_id: ProducerId,
    entry: &ProducerEntry,
    batch: &AppendedBatch,
    open_transaction: Option<Offset>,
) {
    bytes.extend_from_slice(&producer_id.get().to_be_bytes());
    bytes.extend_from_slice(&entry.epoch.get().to_be_bytes());
    bytes.extend_from_slice(&batch.last_sequence.get().to_be_bytes());
    bytes.extend_from_slice(&batch.last_offset.get().to_be_bytes());
    bytes.extend_from_slice(&batch.offset_delta.to_be_bytes());
    bytes.extend_from_slice(&batch.timestamp.0.to_be_bytes());
    bytes.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
    bytes.extend_from_slice(&open_transaction.unwrap_or(Offset::NONE).get().to_be_bytes());
}

pub(super) fn decode(bytes: &[u8], now: Timestamp) -> Result<BTreeMap<ProducerId, ProducerEntry>, SnapshotError> {
    let (header, body) = bytes.split_at_checked(HEADER_LENGTH).ok_or(SnapshotError::Length)?;
    let mut header = Fields(header);
    let version = i16::from_be_bytes(header.take());
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    if u32::from_be_bytes(header.take()) != crc32c::crc32c(&bytes[CRC_START..]) {
        return Err(SnapshotError::Crc);
    }
    let count = usize::try_from(i32::from_be_bytes(header.take())).map_err(|_| SnapshotError::Length)?;
    if count.checked_mul(ENTRY_LENGTH) != Some(body.len()) {
        return Err(SnapshotError::Length);
    }
    let mut entries: BTreeMap<ProducerId, ProducerEntry> = BTreeMap::new();
    for fields in body.chunks_exact(ENTRY_LENGTH) {
        decode_entry(Fields(fields), now, &mut entries);
    }
    Ok(entries)
}

fn decode_entry(mut fields: Fields<'_>, now: Timestamp, entries: &mut BTreeMap<ProducerId, ProducerEntry>) {
    let producer_id = ProducerId(i64::from_be_bytes(fields.take()));
    let epoch = ProducerEpoch(i16::from_be_bytes(fields.take()));
    let batch = AppendedBatch {
        last_sequence: Sequence(i32::from_be_bytes(fields.take())),
        last_offset: Offset(i64::from_be_bytes(fields.take())),
        offset_delta: i32::from_be_bytes(fields.take()),
        timestamp: Timestamp(i64::from_be_bytes(fields.take())),
    };
    let coordinator_epoch = i32::from_be_bytes(fields.take());
    let open_transaction = Offset(i64::from_be_bytes(fields.take()));

    let entry = entries.entry(producer_id).or_insert_with(|| ProducerEntry::new(epoch));
    if batch.last_offset >= Offset::ZERO {
        entry.add_batch(epoch, batch);
    }
    entry.epoch = epoch;
    entry.last_timestamp = batch.timestamp;
    entry.coordinator_epoch = coordinator_epoch;
    entry.open_transaction = Some(open_transaction).filter(|offset| *offset >= Offset::ZERO);
    entry.last_used = now.max(batch.timestamp);
    debug_assert!(entry.batches.len() <= REMEMBERED_BATCHES);
}

/// Big-endian fields of a slice whose length was checked.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the entry's length was checked");
        self.0 = rest;
        *field
    }
}
