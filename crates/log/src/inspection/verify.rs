//! Checks the files of a partition against each other.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use highwater_env::Fs;
use highwater_records::{BatchHeader, EndTransactionMarker};
use highwater_types::{LeaderEpoch, Offset, Timestamp};

use super::index_check::IndexCheck;
use super::rebuild::{list, starting_producers};
use super::{BatchFile, FileContent, InspectionError, read_file};
use crate::aborted_transaction::AbortedTransaction;
use crate::file_names::{FileKind, LEADER_EPOCH_CHECKPOINT, PARTITION_METADATA};
use crate::partition_files::PartitionFiles;
use crate::producers::ProducerStates;
use crate::transaction_index::TransactionIndex;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Name of the file.
    pub file: String,
    /// Where in it, if it is about a place in a segment.
    pub position: Option<u64>,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(position) => write!(f, "{} at byte {position}: {}", self.file, self.problem),
            None => write!(f, "{}: {}", self.file, self.problem),
        }
    }
}

/// What was looked at, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// What is wrong, in the order of offsets.
    pub findings: Vec<Finding>,
    /// Segments looked at.
    pub segments: u64,
    /// Batches in them.
    pub batches: u64,
    /// Records in those.
    pub records: u64,
    /// Places where offsets are left out, as compaction does.
    pub gaps: u64,
    /// Snapshots that could be compared with the batches before them.
    pub snapshots: u64,
    /// The first offset.
    pub start: Offset,
    /// The offset behind the last batch.
    pub end: Offset,
}

/// Reads every file of the partition in `dir`: checksums, records, order of offsets and epochs, indexes, producer snapshots,
/// leader epochs, topic id. Changes nothing.
///
/// # Errors
/// If the directory cannot be read or holds no segment. What is wrong with the files are findings.
pub fn verify_partition(fs: &Fs, dir: &Path) -> Result<Verification, InspectionError> {
    let files = list(fs, dir)?;
    let start = files.segments.first().copied().expect("there is a segment");
    let mut check = Check {
        fs,
        dir,
        producers: starting_producers(fs, dir, &files),
        snapshots: files.snapshots.clone(),
        epochs: Vec::new(),
        latest_epoch: LeaderEpoch::NONE,
        expected_aborted: TransactionIndex::default(),
        result: Verification { start, end: start, ..Verification::default() },
    };
    check.check_texts();
    check.check_segments(&files)?;
    for offset in std::mem::take(&mut check.snapshots) {
        let end = check.result.end;
        check.find_in(FileKind::ProducerSnapshot, offset, format!("the log ends at {end} already"));
    }
    Ok(check.result)
}

struct Check<'a> {
    fs: &'a Fs,
    dir: &'a Path,
    /// State by the batches so far, if it is known.
    producers: Option<ProducerStates>,
    /// Snapshots that are still to be reached.
    snapshots: BTreeSet<Offset>,
    /// Of the checkpoint.
    epochs: Vec<(LeaderEpoch, Offset)>,
    latest_epoch: LeaderEpoch,
    /// Of the segment that is looked at.
    expected_aborted: TransactionIndex,
    result: Verification,
}

impl Check<'_> {
    fn find(&mut self, file: impl Into<String>, position: Option<u64>, problem: impl Into<String>) {
        self.result.findings.push(Finding { file: file.into(), position, problem: problem.into() });
    }

    fn find_in(&mut self, kind: FileKind, base: Offset, problem: impl Into<String>) {
        let name = name_of(&kind.path(self.dir, base));
        self.find(name, None, problem);
    }

    fn read(&mut self, path: &Path) -> Option<FileContent> {
        match read_file(self.fs, path) {
            Ok(content) => Some(content),
            Err(InspectionError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
            Err(InspectionError::Malformed { reason, .. }) => {
                self.find(name_of(path), None, reason.to_string());
                None
            }
            Err(error) => {
                self.find(name_of(path), None, error.to_string());
                None
            }
        }
    }

    fn check_texts(&mut self) {
        match self.read(&self.dir.join(LEADER_EPOCH_CHECKPOINT)) {
            Some(FileContent::LeaderEpochs(epochs)) => self.epochs = epochs,
            _ => self.epochs = Vec::new(),
        }
        self.read(&self.dir.join(PARTITION_METADATA));
    }

    fn check_segments(&mut self, files: &PartitionFiles) -> Result<(), InspectionError> {
        let bases: Vec<Offset> = files.segments.iter().copied().collect();
        let mut all_aborted = Vec::new();
        for (number, &base) in bases.iter().enumerate() {
            let next = bases.get(number + 1).copied();
            self.check_segment(base, next, &mut all_aborted)?;
            self.result.segments += 1;
        }
        self.check_snapshots(self.result.end);
        self.check_last_stable_offsets(&all_aborted);
        Ok(())
    }

    fn check_segment(
        &mut self,
        base: Offset,
        next: Option<Offset>,
        all_aborted: &mut Vec<(Offset, AbortedTransaction)>,
    ) -> Result<(), InspectionError> {
        let path = FileKind::Log.path(self.dir, base);
        if base < self.result.end {
            self.find(name_of(&path), None, format!("the segment before it ends at {}", self.result.end));
        }
        self.result.gaps += u64::from(base > self.result.end);
        let mut indexes = self.index_check(base);
        self.expected_aborted = TransactionIndex::default();
        let mut batches = BatchFile::open(self.fs, &path)?;
        let mut is_whole = true;
        loop {
            let found = match batches.next_batch() {
                Ok(Some(found)) => found,
                Ok(None) => {
                    let (end, rest) = batches.position_and_rest();
                    // Only the last segment has room written ahead.
                    if rest > 0 && next.is_some() {
                        self.find(name_of(&path), Some(end), format!("{rest} zeros are no batch"));
                        is_whole = false;
                    }
                    break;
                }
                Err(InspectionError::Damaged { position, reason, .. }) => {
                    self.find(name_of(&path), Some(position), reason);
                    is_whole = false;
                    break;
                }
                Err(error) => return Err(error),
            };
            let header = *found.batch.header();
            if let Some(problem) = self.misplaced(&header, base, next) {
                self.find(name_of(&path), Some(found.position), problem);
            }
            indexes.on_batch(found.position, &header);
            self.check_snapshots(header.base_offset);
            self.result.gaps += u64::from(header.base_offset > self.result.end.max(base));
            self.result.end = self.result.end.max(header.next_offset());
            self.result.batches += 1;
            self.result.records += u64::try_from(header.record_count).unwrap_or(0);
            match found.damage {
                Some(damage) => {
                    self.find(name_of(&path), Some(found.position), damage);
                    // What it says of its producer cannot be believed.
                    self.producers = None;
                }
                None => self.take_in(&path, found.position, &found.batch),
            }
        }
        if is_whole {
            indexes.on_end(next.is_some());
            for problem in std::mem::take(&mut indexes.offset_problems) {
                self.find_in(FileKind::OffsetIndex, base, problem);
            }
            for problem in std::mem::take(&mut indexes.time_problems) {
                self.find_in(FileKind::TimeIndex, base, problem);
            }
            self.check_transactions(base, all_aborted);
        } else {
            self.producers = None;
        }
        Ok(())
    }

    fn index_check(&mut self, base: Offset) -> IndexCheck {
        let offsets = match self.read(&FileKind::OffsetIndex.path(self.dir, base)) {
            Some(FileContent::Offsets(offsets)) => offsets,
            _ => Vec::new(),
        };
        match self.read(&FileKind::TimeIndex.path(self.dir, base)) {
            Some(FileContent::Times(times)) => IndexCheck::new(base, offsets, times),
            // Without the file there is nothing to compare with.
            _ => IndexCheck::without_times(base, offsets),
        }
    }

    /// What is wrong with the place of a batch.
    fn misplaced(&mut self, header: &BatchHeader, base: Offset, next: Option<Offset>) -> Option<String> {
        let (first, last, epoch) = (header.base_offset, header.last_offset(), header.partition_leader_epoch);
        let end = self.result.end.max(base);
        let latest = self.latest_epoch;
        self.latest_epoch = latest.max(epoch);
        if first < end {
            return Some(format!("a batch from {first} on, where {end} comes next"));
        }
        if let Some(next) = next.filter(|next| last >= *next) {
            return Some(format!("a batch to {last}, where the next segment begins at {next}"));
        }
        if last.get() - base.get() > i64::from(i32::MAX) {
            return Some(format!("a batch to {last}, too far from the segment's base"));
        }
        if epoch < latest {
            return Some(format!("a batch of epoch {epoch} after one of epoch {latest}"));
        }
        let known = self.epochs.iter().rev().find(|(_, start)| *start <= first);
        let known = known.map(|(known, _)| *known).filter(|known| *known != epoch)?;
        Some(format!("a batch of epoch {epoch} at {first}, where {LEADER_EPOCH_CHECKPOINT} says {known}"))
    }

    fn take_in(&mut self, path: &Path, position: u64, batch: &highwater_records::RecordBatch) {
        match EndTransactionMarker::from_batch(batch) {
            Err(error) => self.find(name_of(path), Some(position), error.to_string()),
            Ok(marker) => {
                let producers = self.producers.as_mut();
                let ended = producers.and_then(|known| known.apply(batch.header(), marker.as_ref(), Timestamp::NONE));
                if let Some(ended) = ended {
                    self.expected_aborted.on_ended(&ended);
                }
            }
        }
    }

    /// Compares the snapshots up to `reached` with what the batches before say.
    fn check_snapshots(&mut self, reached: Offset) {
        while let Some(offset) = self.snapshots.first().copied().filter(|offset| *offset <= reached) {
            self.snapshots.remove(&offset);
            let path = FileKind::ProducerSnapshot.path(self.dir, offset);
            let bytes = self.fs.read(&path).map_err(|error| error.to_string());
            let states = bytes
                .and_then(|bytes| ProducerStates::decode(&bytes, Timestamp::NONE).map_err(|error| error.to_string()));
            let problems = match (states, &self.producers) {
                (Err(problem), _) => vec![problem],
                // One below the first segment tells of what is gone.
                (Ok(_), _) if offset < self.result.start => Vec::new(),
                (Ok(_), None) => Vec::new(),
                (Ok(states), Some(by_batches)) => {
                    self.result.snapshots += 1;
                    states.contradictions(by_batches)
                }
            };
            for problem in problems {
                self.find(name_of(&path), None, problem);
            }
        }
    }

    fn check_transactions(&mut self, base: Offset, all_aborted: &mut Vec<(Offset, AbortedTransaction)>) {
        let found = match self.read(&FileKind::TransactionIndex.path(self.dir, base)) {
            Some(FileContent::Transactions(found)) => found,
            _ => Vec::new(),
        };
        if self.producers.is_some() {
            let expected = std::mem::take(&mut self.expected_aborted);
            for aborted in expected.entries() {
                let same = |found: &&AbortedTransaction| {
                    found.producer_id == aborted.producer_id && found.last_offset == aborted.last_offset
                };
                let AbortedTransaction { producer_id, first_offset, last_offset, .. } = aborted;
                match found.iter().find(same) {
                    None => {
                        let problem = format!(
                            "the transaction of producer {producer_id} from {first_offset} to {last_offset}, aborted, \
                             is missing"
                        );
                        self.find_in(FileKind::TransactionIndex, base, problem);
                    }
                    Some(found) if found.first_offset > *first_offset => {
                        let problem = format!(
                            "the aborted transaction of producer {producer_id} to {last_offset} begins at {first_offset}, \
                             not at {}",
                            found.first_offset
                        );
                        self.find_in(FileKind::TransactionIndex, base, problem);
                    }
                    Some(_) => {}
                }
            }
            for aborted in &found {
                if !expected.entries().iter().any(|entry| entry.last_offset == aborted.last_offset) {
                    let AbortedTransaction { producer_id, last_offset, .. } = aborted;
                    let problem = format!("no transaction of producer {producer_id} was aborted at {last_offset}");
                    self.find_in(FileKind::TransactionIndex, base, problem);
                }
            }
        }
        all_aborted.extend(found.into_iter().map(|aborted| (base, aborted)));
    }

    /// Kafka stops to look for aborted transactions where an entry's last stable offset says that none follows.
    fn check_last_stable_offsets(&mut self, all: &[(Offset, AbortedTransaction)]) {
        let mut lowest = Offset(i64::MAX);
        let mut problems = Vec::new();
        for (base, aborted) in all.iter().rev() {
            if aborted.last_stable_offset > lowest {
                let (stable, last) = (aborted.last_stable_offset, aborted.last_offset);
                let problem = format!(
                    "the entry for the marker at {last} has the last stable offset {stable}, but a later one begins at \
                     {lowest}: Kafka may not tell read_committed consumers of it"
                );
                problems.push((*base, problem));
            }
            lowest = lowest.min(aborted.first_offset);
        }
        for (base, problem) in problems.into_iter().rev() {
            self.find_in(FileKind::TransactionIndex, base, problem);
        }
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
