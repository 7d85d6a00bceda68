//! Finding the aborted transactions of a rolled segment: in its file, or in the batches where the file is missing or damaged.

use std::sync::Arc;

use highwater_records::EndTransactionMarker;
use highwater_types::{Offset, Timestamp};

use crate::batch_scan::{BatchScan, Scanned, damaged};
use crate::error::ReadError;
use crate::producers::ProducerStates;
use crate::segment::Segment;
use crate::transaction_index::TransactionIndex;

/// Asks the transaction index of segment `number`, which is brought into memory if it is not there.
pub(crate) fn with_transactions<R>(
    segments: &[Arc<Segment>],
    number: usize,
    ask: impl FnOnce(&TransactionIndex) -> R,
) -> Result<R, ReadError> {
    let segment = &segments[number];
    let ask = match segment.loaded_transactions(ask) {
        Ok(answer) => return Ok(answer),
        Err(ask) => ask,
    };
    let index = match segment.load_transactions()? {
        Some(index) => index,
        None => scan(segments, number)?,
    };
    // The writer may have put one in place meanwhile (a truncation made this the active segment): it knows better.
    Ok(segment.keep_transactions(index, ask))
}

/// Makes the transaction index of segment `number` from the batches. What began in earlier segments is in the producer
/// snapshot where the segment begins, or in those segments.
fn scan(segments: &[Arc<Segment>], number: usize) -> Result<TransactionIndex, ReadError> {
    let mut index = TransactionIndex::default();
    if !has_control_batch(&segments[number])? {
        return Ok(index);
    }
    let mut producers = ProducerStates::default();
    let mut first = number;
    while !segments[first].load_producers(&mut producers)? && first > 0 {
        first -= 1;
    }
    // Who only wants the index asks for no last stable offset.
    producers.expect_committed(Offset(i64::MAX));
    for segment in &segments[first..number] {
        replay(segment, &mut producers, &mut TransactionIndex::default())?;
    }
    replay(&segments[number], &mut producers, &mut index)?;
    Ok(index)
}

fn has_control_batch(segment: &Segment) -> Result<bool, ReadError> {
    let mut walk = segment.walk(0)?;
    while let Some((_, header)) = walk.next_header()? {
        if header.is_control() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn replay(segment: &Segment, producers: &mut ProducerStates, index: &mut TransactionIndex) -> Result<(), ReadError> {
    let mut scan = BatchScan::new(segment, 0)?;
    loop {
        let position = scan.position();
        let batch = match scan.next_batch()? {
            Scanned::Batch(_, batch) => batch,
            Scanned::End => return Ok(()),
            Scanned::Damaged(reason) => {
                let path = segment.path(crate::file_names::FileKind::Log);
                return Err(ReadError::Corrupt { path, position, reason });
            }
        };
        let marker = EndTransactionMarker::from_batch(&batch).map_err(|error| damaged(segment, position, &error))?;
        if let Some(ended) = producers.apply(batch.header(), marker.as_ref(), Timestamp::NONE) {
            index.on_ended(&ended);
        }
    }
}
