//! For tests: what a consumer with `isolation.level=read_committed` makes of what it is sent, worked out as Kafka's client
//! libraries do.

use std::collections::BTreeSet;

use bytes::Bytes;
use highwater_records::{EndTransactionMarker, split_batches};
use highwater_types::Offset;

use crate::{LogReader, ReadError};

/// Offsets of the records that a consumer at `from` gets when it fetches `max_bytes` at a time.
pub(crate) fn consume(
    reader: &LogReader,
    from: Offset,
    last_stable_offset: Offset,
    max_bytes: usize,
) -> Result<BTreeSet<Offset>, ReadError> {
    let (mut position, mut seen) = (from, BTreeSet::new());
    loop {
        let (read, told) = reader.read_committed(position, last_stable_offset, max_bytes, true)?;
        if read.size == 0 {
            return Ok(seen);
        }
        let mut told = told.into_iter().peekable();
        let mut aborted = BTreeSet::new();
        for batch in split_batches(&Bytes::from(read.batches.concat())) {
            let batch = batch.expect("whole batches");
            let header = *batch.header();
            while let Some(transaction) = told.next_if(|next| next.first_offset <= header.last_offset()) {
                aborted.insert(transaction.producer_id);
            }
            if header.is_control() {
                let marker = EndTransactionMarker::from_batch(&batch).expect("a readable marker");
                if marker.is_some_and(|marker| !marker.committed) {
                    aborted.remove(&header.producer_id);
                }
                continue;
            }
            if header.is_transactional() && aborted.contains(&header.producer_id) {
                continue;
            }
            let records = batch.records().expect("readable");
            let offsets = records.iter().map(|record| record.expect("readable").offset);
            seen.extend(offsets.filter(|offset| *offset >= position));
        }
        position = read.next_offset;
    }
}
