//! What compaction makes of a batch: the same batch with fewer records.
//!
//! Offsets, sequences, producer, epoch and codec stay, so that nothing which refers to the batch (a consumer's position, a
//! retry of its producer) notices. A batch that lost all of its records is a header alone, as in Kafka.

use bytes::Bytes;
use highwater_types::Timestamp;

use crate::attributes::TimestampType;
use crate::batch::{RecordBatch, Records};
use crate::builder::{assemble, encode_record};
use crate::error::BatchError;
use crate::header::BatchHeader;
use crate::record::Header;

impl Records {
    /// The batch with those records for whose index `keep` is true, in the same codec. If none is left, it is
    /// [`RecordBatch::emptied`].
    ///
    /// A `delete_horizon` is noted in the header, unless there is one already (KIP-534).
    ///
    /// # Errors
    /// If the records cannot be read.
    pub fn retain(&self, keep: &[bool], delete_horizon: Option<Timestamp>) -> Result<Bytes, BatchError> {
        let mut header = self.header;
        if let Some(horizon) = delete_horizon
            && header.delete_horizon().is_none()
        {
            header.attributes = header.attributes.with_delete_horizon();
            header.base_timestamp = horizon;
        }
        let mut body = Vec::with_capacity(self.body.len());
        let mut largest = Timestamp::NONE;
        header.record_count = 0;
        for (record, _) in self.iter().zip(keep).filter(|(_, keep)| **keep) {
            let record = record?;
            let timestamp = self.header.base_timestamp.0.wrapping_add(record.timestamp_delta);
            let delta = timestamp.wrapping_sub(header.base_timestamp.0);
            let headers: Vec<Header<'_>> = record.headers.collect();
            encode_record(&mut body, delta, record.offset_delta, record.key, record.value, &headers);
            largest = largest.max(Timestamp(timestamp));
            header.record_count += 1;
        }
        if header.record_count == 0 {
            return Ok(empty(&self.header));
        }
        if header.attributes.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = largest;
        }
        Ok(assemble(header, &header.attributes.compression()?.compress(body)))
    }
}

impl RecordBatch {
    /// The batch without records: 61 bytes that keep its offsets and its producer's sequences.
    pub fn emptied(&self) -> Bytes {
        empty(self.header())
    }
}

fn empty(header: &BatchHeader) -> Bytes {
    let emptied = BatchHeader {
        attributes: header.attributes.of_empty_batch(),
        base_timestamp: header.max_timestamp,
        record_count: 0,
        ..*header
    };
    assemble(emptied, &[])
}

#[cfg(test)]
mod tests {
    use highwater_types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence};

    use super::*;
    use crate::{BatchBuilder, Compression};

    fn batch(compression: Compression) -> RecordBatch {
        let mut builder = BatchBuilder::new(compression)
            .producer(ProducerId(7), ProducerEpoch(1), Sequence(40))
            .placed_at(Offset(100), LeaderEpoch(3));
        for number in 0..5_u8 {
            let header = Header { key: b"h", value: Some(&[number]) };
            let value = [number; 3];
            let value = (number != 2).then_some(&value[..]);
            builder.append(Timestamp(1_000 + i64::from(number)), Some(&[number]), value, &[header]);
        }
        RecordBatch::parse(&builder.build()).unwrap()
    }

    #[test]
    fn what_stays_is_as_it_was() {
        for compression in Compression::ALL {
            let original = batch(compression);
            let records = original.records().unwrap();
            for horizon in [None, Some(Timestamp(5_000_000))] {
                let bytes = records.retain(&[false, true, true, false, false], horizon).unwrap();
                let retained = RecordBatch::parse(&bytes).unwrap();
                let header = retained.header();
                assert_eq!(header.delete_horizon(), horizon);
                assert_eq!((header.base_offset, header.last_offset()), (Offset(100), Offset(104)));
                assert_eq!((header.base_sequence, header.last_sequence()), (Sequence(40), Sequence(44)));
                assert_eq!((header.record_count, header.max_timestamp), (2, Timestamp(1_002)));
                assert_eq!(header.attributes.compression().unwrap(), compression);
                let kept: Vec<_> = records.iter().skip(1).take(2).map(|record| record.unwrap()).collect();
                let found = retained.records().unwrap();
                for (record, kept) in found.iter().zip(kept) {
                    let record = record.unwrap();
                    assert_eq!((record.offset, record.timestamp), (kept.offset, kept.timestamp));
                    assert_eq!((record.key, record.value), (kept.key, kept.value));
                    assert_eq!(record.headers.collect::<Vec<_>>(), kept.headers.collect::<Vec<_>>());
                }
                let again = found.retain(&[true, true], horizon.map(|_| Timestamp(9))).unwrap();
                assert_eq!(again, bytes, "the first horizon stays");
            }
        }
    }

    #[test]
    fn a_batch_without_records_keeps_its_place() {
        let original = batch(Compression::Zstd);
        let bytes = original.records().unwrap().retain(&[false; 5], Some(Timestamp(9))).unwrap();
        assert_eq!(bytes, original.emptied());
        let emptied = RecordBatch::parse(&bytes).unwrap();
        assert_eq!(bytes.len(), crate::HEADER_LENGTH);
        assert_eq!(emptied.header().last_sequence(), Sequence(44));
        assert_eq!(emptied.header().next_offset(), Offset(105));
        assert_eq!(emptied.header().delete_horizon(), None);
        assert!(emptied.records().unwrap().iter().next().is_none());
    }
}
