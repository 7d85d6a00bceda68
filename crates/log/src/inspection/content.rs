//! What is in a file, by its name.

use std::path::Path;

use highwater_env::Fs;
use highwater_types::{LeaderEpoch, Offset, Timestamp, TopicId, TopicPartition};

use super::{BatchFile, InspectionError};
use crate::aborted_transaction::AbortedTransaction;
use crate::file_names::{FileKind, LEADER_EPOCH_CHECKPOINT, PARTITION_METADATA, parse_file_name};
use crate::leader_epochs::LeaderEpochs;
use crate::producers::{ProducerStates, SnapshotEntry};
use crate::properties::parse_partition_metadata;
use crate::segment_index::{OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES};
use crate::transaction_index::TransactionIndex;

/// Ends the names of the files with one offset per partition.
const CHECKPOINT_SUFFIX: &str = "-checkpoint";

/// What a file holds.
#[derive(Debug)]
pub enum FileContent {
    /// `.log`.
    Batches(BatchFile),
    /// `.index`: last offset of a batch, and where it starts.
    Offsets(Vec<(Offset, u64)>),
    /// `.timeindex`: largest timestamp so far, and the offset that has it.
    Times(Vec<(Timestamp, Offset)>),
    /// `.txnindex`.
    Transactions(Vec<AbortedTransaction>),
    /// `.snapshot`.
    Producers(Vec<SnapshotEntry>),
    /// `leader-epoch-checkpoint`: epochs and where they start.
    LeaderEpochs(Vec<(LeaderEpoch, Offset)>),
    /// `partition.metadata`.
    TopicId(TopicId),
    /// Recovery points, high watermarks, log starts or cleaner offsets of a log directory.
    PartitionOffsets(Vec<(TopicPartition, Offset)>),
}

/// Whether a partition's directory has a file of this name: a segment, an index, a snapshot, its epochs or its topic id.
pub fn is_partition_file(name: &str) -> bool {
    parse_file_name(name).is_some() || [LEADER_EPOCH_CHECKPOINT, PARTITION_METADATA].contains(&name)
}

/// Reads the file at `path`, whose name says what it is.
pub fn read_file(fs: &Fs, path: &Path) -> Result<FileContent, InspectionError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let malformed = |reason| InspectionError::Malformed { path: path.to_owned(), reason };
    let read = || fs.read(path).map_err(InspectionError::io(path));
    Ok(match (parse_file_name(&name), &*name) {
        (Some((_, FileKind::Log)), _) => FileContent::Batches(BatchFile::open(fs, path)?),
        (Some((base, FileKind::OffsetIndex)), _) => FileContent::Offsets(read_offsets(path, base, &read()?)?),
        (Some((base, FileKind::TimeIndex)), _) => FileContent::Times(read_times(path, base, &read()?)?),
        (Some((base, FileKind::TransactionIndex)), _) => {
            let index = TransactionIndex::decode(base, &read()?);
            let index = index.ok_or_else(|| InspectionError::malformed(path, "it is no transaction index"))?;
            FileContent::Transactions(index.entries().to_vec())
        }
        (Some((_, FileKind::ProducerSnapshot)), _) => {
            let states = ProducerStates::decode(&read()?, Timestamp::NONE);
            let states = states.map_err(|error| InspectionError::malformed(path, error.to_string()))?;
            FileContent::Producers(states.snapshot_entries())
        }
        (None, LEADER_EPOCH_CHECKPOINT) => {
            let epochs = LeaderEpochs::parse(&read()?).map_err(malformed)?;
            FileContent::LeaderEpochs(epochs.starts().collect())
        }
        (None, PARTITION_METADATA) => FileContent::TopicId(parse_partition_metadata(&read()?).map_err(malformed)?),
        (None, other) if other.ends_with(CHECKPOINT_SUFFIX) => {
            let offsets = crate::offset_checkpoint::parse(&read()?).map_err(malformed)?;
            FileContent::PartitionOffsets(offsets.iter().collect())
        }
        (None, _) => return Err(InspectionError::UnknownFile(path.to_owned())),
    })
}

fn read_offsets(path: &Path, base: Offset, bytes: &[u8]) -> Result<Vec<(Offset, u64)>, InspectionError> {
    let (entries, []) = bytes.as_chunks::<OFFSET_ENTRY_BYTES>() else {
        return Err(InspectionError::malformed(path, "its size is no multiple of an entry's"));
    };
    let entry = |entry: &[u8; OFFSET_ENTRY_BYTES]| {
        let (relative, position) = entry.split_at(4);
        (base.plus(be_i32(relative).into()), be_i32(position).max(0) as u64)
    };
    Ok(without_zeros(entries).iter().map(entry).collect())
}

fn read_times(path: &Path, base: Offset, bytes: &[u8]) -> Result<Vec<(Timestamp, Offset)>, InspectionError> {
    let (entries, []) = bytes.as_chunks::<TIME_ENTRY_BYTES>() else {
        return Err(InspectionError::malformed(path, "its size is no multiple of an entry's"));
    };
    let entry = |entry: &[u8; TIME_ENTRY_BYTES]| {
        let (timestamp, relative) = entry.split_at(8);
        let timestamp = i64::from_be_bytes(timestamp.try_into().expect("eight bytes"));
        (Timestamp(timestamp), base.plus(be_i32(relative).into()))
    };
    Ok(without_zeros(entries).iter().map(entry).collect())
}

/// Kafka's indexes of the active segment have their final size from the start; what is not used yet is zero.
fn without_zeros<const N: usize>(entries: &[[u8; N]]) -> &[[u8; N]] {
    let used = entries.iter().rposition(|entry| *entry != [0; N]).map_or(0, |last| last + 1);
    &entries[..used]
}

fn be_i32(bytes: &[u8]) -> i32 {
    i32::from_be_bytes(bytes.try_into().expect("four bytes"))
}
