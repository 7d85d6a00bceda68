//! The steps of a compaction that need the log's writer.

use std::sync::Arc;

use highwater_types::{Offset, Timestamp};

use super::pass::{Compaction, CompactionSettings, OpenTransactions};
use crate::error::{CompactionError, LogError};
use crate::file_names::FileKind;
use crate::log::Log;
use crate::producers::ProducerStates;
use crate::recovery::remove_snapshots;
use crate::segment::Segment;
use crate::swap::{commit_swap, complete_swap, rename_indexes};

impl Log {
    /// Begins to compact what lies below `stable`, the last stable offset. `None` if nothing is to be done. One at a time.
    pub fn begin_compaction(
        &mut self,
        now: Timestamp,
        stable: Offset,
        settings: CompactionSettings,
    ) -> Result<Option<Compaction>, LogError> {
        self.health().check()?;
        if !self.config().compact_policy {
            return Ok(None);
        }
        let range = self.clean_range(now, stable)?;
        if range.clean == range.segments.len() {
            return Ok(None);
        }
        let truncations = self.reader_ref().view().truncations;
        Ok(Some(Compaction::new(self, range, truncations, settings, now)))
    }

    /// Puts the segment that `compaction` has ready in place of those it was made from. Blocks for the disk.
    ///
    /// # Errors
    /// [`CompactionError::Abandoned`] if the log was cut or lost some of those segments meanwhile: the compaction is over.
    pub fn install_compacted(&mut self, compaction: &mut Compaction) -> Result<(), CompactionError> {
        self.health().check()?;
        let Some((old, base)) = compaction.ready() else { return Ok(()) };
        let old = old.to_vec();
        let view = self.reader_ref().view();
        let position = view.segments.iter().position(|segment| Arc::ptr_eq(segment, &old[0]));
        let Some(position) = position.filter(|&first| {
            let present = view.segments[first..].iter().zip(&old).filter(|(now, then)| Arc::ptr_eq(now, then)).count();
            view.truncations == compaction.truncations
                && present == old.len()
                && first + old.len() < view.segments.len()
        }) else {
            compaction.abandon();
            return Err(CompactionError::Abandoned);
        };
        // Recovery takes a gap over the durable mark for damage: see there.
        let prepared =
            self.persist_durable_mark().and_then(|()| self.prepare_swap(base, compaction.take_group_starts()));
        if let Err(error) = self.health().clone().watch(prepared) {
            compaction.abandon();
            return Err(if error.is_disk_full() { CompactionError::DiskFull } else { error.into() });
        }
        let replacement = self.swap(base, &old, compaction.now());
        let replacement = self.health().clone().watch_half_done(replacement)?;
        let mut segments = view.segments.clone();
        segments.splice(position..position + old.len(), [replacement]);
        // It may hold records that went, and the new segment's transaction index does not tell which of them were aborted.
        self.reader_ref().tail().clear();
        self.reader_ref().publish_segments(segments);
        self.flush_target().on_replaced(&old);
        compaction.on_installed();
        Ok(())
    }

    /// What can fail for lack of room and leave all as it was.
    fn prepare_swap(&mut self, base: Offset, starts: Vec<(Offset, OpenTransactions)>) -> Result<(), LogError> {
        for (offset, open) in starts {
            self.correct_snapshot(offset, &open)?;
        }
        let dir = self.reader_ref().dir();
        rename_indexes(self.fs(), dir, base).map_err(LogError::io(dir))
    }

    /// Makes the snapshot at `offset` say which transactions are open there by what is left of the segments before it. It may
    /// name one of which nothing is left; its marker then goes too, in time, and whoever starts from the snapshot would wait
    /// for it for ever.
    fn correct_snapshot(&mut self, offset: Offset, open: &OpenTransactions) -> Result<(), LogError> {
        if !self.snapshots_mut().contains(&offset) {
            return Ok(());
        }
        let path = FileKind::ProducerSnapshot.path(self.reader_ref().dir(), offset);
        let bytes = self.fs().read(&path).map_err(LogError::io(&path))?;
        match ProducerStates::decode(&bytes, Timestamp::NONE) {
            Ok(mut states) if states.open_transactions() != *open => {
                states.set_open_transactions(open);
                self.fs().write_atomic(&path, &states.encode()).map_err(LogError::io(&path))
            }
            // A broken one is made anew when it is needed.
            _ => Ok(()),
        }
    }

    fn swap(&mut self, base: Offset, old: &[Arc<Segment>], now: Timestamp) -> Result<Arc<Segment>, LogError> {
        let (fs, dir) = (self.fs().clone(), self.reader_ref().dir().clone());
        let replaced: Vec<Offset> = old[1..].iter().map(|segment| segment.base()).collect();
        let swapped = commit_swap(&fs, &dir, base).and_then(|()| {
            complete_swap(&fs, &dir, base, &replaced, |path| self.take_away(path, now))?;
            Segment::open(&fs, &dir, base)
        });
        let segment = swapped.map_err(LogError::io(&dir))?;
        remove_snapshots(&fs, &dir, self.snapshots_mut(), |offset| replaced.contains(&offset))?;
        Ok(Arc::new(segment))
    }

    /// Notes durably how far the log is compacted.
    pub fn finish_compaction(&mut self, compaction: &Compaction) -> Result<(), LogError> {
        self.health().check()?;
        if self.reader_ref().view().truncations != compaction.truncations {
            return Ok(());
        }
        let result = self.set_cleaner_offset(compaction.end());
        self.health().clone().watch(result)
    }
}
