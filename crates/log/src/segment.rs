//! One segment: a file of batches and its two indexes.

use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use highwater_env::lock::{Mutex, RwLock};
use highwater_env::{File, Fs, OpenMode};
use highwater_types::{Offset, Timestamp};

use crate::aborted_transaction::EndedTransaction;
use crate::error::{ReadError, is_disk_full};
use crate::file_names::FileKind;
use crate::header_walk::HeaderWalk;
use crate::producers::ProducerStates;
use crate::room;
use crate::segment_index::{IndexedBatch, SegmentIndex, TIME_ENTRY_BYTES};
use crate::transaction_index::TransactionIndex;

/// A segment. The log's writer appends; any number of readers read what is below [`Segment::size`].
///
/// The file is opened when first used; the indexes are loaded when first used and can be dropped again once the segment is
/// rolled.
#[derive(Debug)]
pub(crate) struct Segment {
    fs: Fs,
    dir: Arc<Path>,
    base: Offset,
    file: Mutex<Option<Arc<File>>>,
    /// Bytes that readers may use. Stored after the bytes were written and the index knows them.
    size: AtomicU64,
    indexes: RwLock<Indexes>,
    /// Whether the directory entry of the file is durable.
    entry_durable: AtomicBool,
    /// Whether the file was used since [`Segment::release_if_idle`] last looked.
    used: AtomicBool,
    /// Wall clock when this process completed the segment, in milliseconds; -1 if another one did.
    complete_since: AtomicI64,
    /// Whether the index stays in memory, because the files on disk are about to be those of another segment.
    pinned: AtomicBool,
    /// Whether the segment is rolled: its index files are complete and it gets no more batches.
    rolled: AtomicBool,
    /// Where the room ends that was written ahead of the batches; below [`Segment::size`] if there is none.
    room_end: AtomicU32,
}

/// What is in memory of the indexes.
#[derive(Debug, Default)]
struct Indexes {
    sparse: Option<SegmentIndex>,
    transactions: Transactions,
}

/// What is known of the aborted transactions that end in a segment.
#[derive(Debug, Default)]
enum Transactions {
    #[default]
    Unknown,
    /// There are none.
    None,
    /// The lowest first offset; the rest is in the file.
    First(Offset),
    Loaded(Box<TransactionIndex>),
}

impl Transactions {
    fn new(index: TransactionIndex) -> Self {
        if index.is_empty() { Self::None } else { Self::Loaded(Box::new(index)) }
    }

    fn unload(&mut self) {
        if let Self::Loaded(index) = self {
            *self = Self::First(index.first_offset());
        }
    }
}

impl Segment {
    /// Creates an empty segment.
    pub(crate) fn create(fs: &Fs, dir: &Arc<Path>, base: Offset) -> io::Result<Self> {
        let file = fs.open(&FileKind::Log.path(dir, base), OpenMode::Truncate)?;
        let segment = Self::new(fs, dir, base, 0);
        *segment.file.lock() = Some(Arc::new(file));
        *segment.indexes.write() = Indexes { sparse: Some(SegmentIndex::new(base)), transactions: Transactions::None };
        Ok(segment)
    }

    /// Takes over the segment that is on disk, without its index. It counts as rolled until [`Segment::reactivate`].
    pub(crate) fn open(fs: &Fs, dir: &Arc<Path>, base: Offset) -> io::Result<Self> {
        let file = fs.open(&FileKind::Log.path(dir, base), OpenMode::ReadWrite)?;
        let segment = Self::new(fs, dir, base, file.len()?);
        segment.entry_durable.store(true, Ordering::Relaxed);
        segment.rolled.store(true, Ordering::Relaxed);
        Ok(segment)
    }

    fn new(fs: &Fs, dir: &Arc<Path>, base: Offset, size: u64) -> Self {
        Self {
            fs: fs.clone(),
            dir: dir.clone(),
            base,
            file: Mutex::new(None),
            size: AtomicU64::new(size),
            indexes: RwLock::default(),
            entry_durable: AtomicBool::new(false),
            used: AtomicBool::new(false),
            complete_since: AtomicI64::new(Timestamp::NONE.0),
            pinned: AtomicBool::new(false),
            rolled: AtomicBool::new(false),
            room_end: AtomicU32::new(0),
        }
    }

    /// The first offset that may be in it.
    pub(crate) fn base(&self) -> Offset {
        self.base
    }

    /// Bytes of batches.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Path of one of its files.
    pub(crate) fn path(&self, kind: FileKind) -> PathBuf {
        kind.path(&self.dir, self.base)
    }

    /// The open file of batches.
    pub(crate) fn file(&self) -> io::Result<Arc<File>> {
        self.used.store(true, Ordering::Relaxed);
        let mut slot = self.file.lock();
        if let Some(file) = slot.as_ref() {
            return Ok(file.clone());
        }
        let file = Arc::new(self.fs.open(&self.path(FileKind::Log), OpenMode::ReadWrite)?);
        *slot = Some(file.clone());
        Ok(file)
    }

    /// Writes `buffers` behind the last batch. Nothing is visible before [`Segment::publish`].
    pub(crate) fn write(&self, buffers: &[IoSlice<'_>]) -> io::Result<()> {
        self.file()?.write_vectored_all_at(buffers, self.size())
    }

    /// Writes room ahead if batches that end at `end`, which were just written, have used up what there was. There is none where the disk is
    /// full.
    pub(crate) fn write_room(&self, end: u64) -> io::Result<()> {
        if end <= self.room_end() {
            return Ok(());
        }
        match room::write(&*self.file()?, end) {
            // Positions in a segment are `i32`, of which the largest leaves room for this.
            Ok(room_end) => self.room_end.store(room_end as u32, Ordering::Relaxed),
            Err(error) if is_disk_full(&error) => self.cut_file(end)?,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn room_end(&self) -> u64 {
        self.room_end.load(Ordering::Relaxed).into()
    }

    /// Takes back the room that was written ahead. The writer's to call: what was written and not published would go as well.
    pub(crate) fn give_room_back(&self) -> io::Result<()> {
        match self.room_end() > self.size() {
            true => self.cut_file(self.size()),
            false => Ok(()),
        }
    }

    /// Cuts the file behind the last batch that stays. Durable after [`Segment::sync`].
    pub(crate) fn cut_file(&self, size: u64) -> io::Result<()> {
        self.file()?.set_len(size)?;
        self.room_end.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Makes the batches written last visible to readers.
    pub(crate) fn publish(&self, batches: &[IndexedBatch], interval_bytes: u64) {
        let mut slot = self.indexes.write();
        let index = slot.sparse.as_mut().expect("the active segment's index stays in memory");
        let mut size = self.size();
        for batch in batches {
            debug_assert_eq!(batch.position, size);
            index.append(*batch, interval_bytes);
            size += batch.size;
        }
        drop(slot);
        self.size.store(size, Ordering::Release);
    }

    /// Whether the segment has no room left in an index.
    pub(crate) fn index_is_full(&self, limit_bytes: u64) -> bool {
        self.indexes.read().sparse.as_ref().is_some_and(|index| index.is_full(limit_bytes))
    }

    /// Whether the index is in memory.
    pub(crate) fn is_index_loaded(&self) -> bool {
        self.indexes.read().sparse.is_some()
    }

    /// Drops the index of a rolled segment from memory.
    pub(crate) fn unload_index(&self) {
        let mut slot = self.indexes.write();
        if self.rolled.load(Ordering::Acquire) && !self.pinned.load(Ordering::Acquire) {
            slot.sparse = None;
            slot.transactions.unload();
        }
    }

    /// Opens the file and loads the index for as long as somebody uses this segment: its files are about to be replaced,
    /// and those who read it must not open the new ones in their place.
    pub(crate) fn pin(&self, interval_bytes: u64) -> Result<(), ReadError> {
        let path = self.path(FileKind::Log);
        self.file().map_err(ReadError::io(&path))?;
        self.pinned.store(true, Ordering::Release);
        self.with_index(interval_bytes, |_| ())
    }

    /// Whether the file was used since the last call.
    pub(crate) fn take_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// Closes the file, and drops the index of a rolled segment, if the file was not used since the last call. Everything in it
    /// must be durable: what a write-back that fails later has to say, only an open file hears. Returns whether a file was closed.
    pub(crate) fn release_if_idle(&self) -> bool {
        // Whoever says that it uses the file while this looks gets its lock later, and opens it again.
        let mut slot = self.file.lock();
        if self.take_used() || self.pinned.load(Ordering::Acquire) {
            return false;
        }
        let file = slot.take();
        drop(slot);
        self.unload_index();
        file.is_some()
    }

    /// Whether its file is open.
    pub(crate) fn is_open(&self) -> bool {
        self.file.lock().is_some()
    }

    /// Its files stay after all.
    pub(crate) fn unpin(&self) {
        if self.pinned.swap(false, Ordering::AcqRel) {
            self.unload_index();
        }
    }

    /// Walks over the headers from `position`, which must be where a batch starts, to the end there is now.
    pub(crate) fn walk(&self, position: u64) -> Result<HeaderWalk, ReadError> {
        let path = self.path(FileKind::Log);
        let end = self.size();
        let file = self.file().map_err(ReadError::io(&path))?;
        Ok(HeaderWalk::new(file, path, self.base, position, end))
    }

    /// Asks the index, which is loaded or made anew from the batches if it is not in memory.
    pub(crate) fn with_index<R>(
        &self,
        interval_bytes: u64,
        ask: impl FnOnce(&SegmentIndex) -> R,
    ) -> Result<R, ReadError> {
        if let Some(index) = self.indexes.read().sparse.as_ref() {
            return Ok(ask(index));
        }
        let index = match self.load_index()? {
            Some(index) => index,
            None => self.build_index(interval_bytes)?,
        };
        // The writer may have put one in place meanwhile (a truncation made this the active segment): it knows better.
        Ok(ask(self.indexes.write().sparse.get_or_insert(index)))
    }

    /// Reads the index files. `None` if one is missing or does not fit the segment.
    pub(crate) fn load_index(&self) -> Result<Option<SegmentIndex>, ReadError> {
        let Some(offsets) = self.read_if_there(FileKind::OffsetIndex)? else { return Ok(None) };
        let Some(times) = self.read_if_there(FileKind::TimeIndex)? else { return Ok(None) };
        let index = SegmentIndex::decode(self.base, self.size(), &offsets, &times);
        if index.is_none() {
            tracing::warn!(segment = %self.path(FileKind::Log).display(), "index files do not fit the segment; rebuilding");
        }
        Ok(index)
    }

    fn read_if_there(&self, kind: FileKind) -> Result<Option<Vec<u8>>, ReadError> {
        let path = self.path(kind);
        match self.fs.read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ReadError::Io { path, source }),
        }
    }

    /// Asks the transaction index, if it is in memory.
    pub(crate) fn loaded_transactions<R, F: FnOnce(&TransactionIndex) -> R>(&self, ask: F) -> Result<R, F> {
        match &self.indexes.read().transactions {
            Transactions::None => Ok(ask(&TransactionIndex::default())),
            Transactions::Loaded(index) => Ok(ask(index)),
            Transactions::Unknown | Transactions::First(_) => Err(ask),
        }
    }

    /// Reads the transaction index's file. `None` if it is missing or does not fit the segment.
    pub(crate) fn load_transactions(&self) -> Result<Option<TransactionIndex>, ReadError> {
        let Some(bytes) = self.read_if_there(FileKind::TransactionIndex)? else { return Ok(None) };
        let index = TransactionIndex::decode(self.base, &bytes);
        if index.is_none() {
            let path = self.path(FileKind::TransactionIndex);
            tracing::warn!(path = %path.display(), "the transaction index does not fit the segment; rebuilding");
        }
        Ok(index)
    }

    /// Keeps a transaction index in memory, unless there is one, and asks it.
    pub(crate) fn keep_transactions<R>(&self, index: TransactionIndex, ask: impl FnOnce(&TransactionIndex) -> R) -> R {
        let mut slot = self.indexes.write();
        match &slot.transactions {
            Transactions::Loaded(index) => return ask(index),
            Transactions::None => return ask(&TransactionIndex::default()),
            Transactions::Unknown | Transactions::First(_) => {}
        }
        let answer = ask(&index);
        slot.transactions = Transactions::new(index);
        answer
    }

    /// Whether it is known that all aborted transactions that end in this segment begin at or behind `offset`, without
    /// looking them up.
    pub(crate) fn none_aborted_before(&self, offset: Offset) -> bool {
        match &self.indexes.read().transactions {
            Transactions::None => true,
            Transactions::First(first) => *first >= offset,
            Transactions::Unknown | Transactions::Loaded(_) => false,
        }
    }

    /// A transaction's marker was appended to this, the active segment.
    pub(crate) fn on_transaction_ended(&self, ended: &EndedTransaction) {
        if ended.committed {
            return;
        }
        match &mut self.indexes.write().transactions {
            Transactions::Loaded(index) => index.on_ended(ended),
            slot => {
                debug_assert!(matches!(slot, Transactions::None), "the active segment's stay in memory");
                let mut index = TransactionIndex::default();
                index.on_ended(ended);
                *slot = Transactions::new(index);
            }
        }
    }

    /// Reads the producer snapshot that belongs where the segment begins. False, and no change, if there is none to read.
    pub(crate) fn load_producers(&self, producers: &mut ProducerStates) -> Result<bool, ReadError> {
        let Some(bytes) = self.read_if_there(FileKind::ProducerSnapshot)? else { return Ok(false) };
        let Ok(read) = ProducerStates::decode(&bytes, Timestamp::NONE) else { return Ok(false) };
        *producers = read;
        Ok(true)
    }

    /// Makes the index from the batches' headers.
    pub(crate) fn build_index(&self, interval_bytes: u64) -> Result<SegmentIndex, ReadError> {
        let mut index = SegmentIndex::new(self.base);
        let mut walk = self.walk(0)?;
        while let Some((position, header)) = walk.next_header()? {
            index.append(indexed(&header, position), interval_bytes);
        }
        Ok(index)
    }

    /// The largest timestamp in the segment, -1 if none; reads only the end of the time index where it can.
    pub(crate) fn largest_timestamp(&self, interval_bytes: u64) -> Result<Timestamp, ReadError> {
        if !self.is_index_loaded() && self.size() > 0 {
            let path = self.path(FileKind::TimeIndex);
            if let Ok(file) = self.fs.open(&path, OpenMode::Read) {
                let length = file.len().map_err(ReadError::io(&path))?;
                if length >= TIME_ENTRY_BYTES as u64 && length % TIME_ENTRY_BYTES as u64 == 0 {
                    let mut timestamp = [0; 8];
                    let position = length - TIME_ENTRY_BYTES as u64;
                    file.read_exact_at(&mut timestamp, position).map_err(ReadError::io(&path))?;
                    let timestamp = Timestamp(i64::from_be_bytes(timestamp));
                    if timestamp > Timestamp(0) {
                        return Ok(timestamp);
                    }
                }
            }
        }
        self.with_index(interval_bytes, |index| index.max_timestamp().0)
    }

    /// Writes the index files, complete. They are durable after [`Segment::sync`]; until then the segment must not be
    /// believed, as a shortened transaction index cannot be told from a whole one.
    pub(crate) fn write_index_files(&self) -> io::Result<()> {
        let transactions = self.path(FileKind::TransactionIndex);
        // Of an earlier time, or cut short by a full disk, it would be taken for the whole.
        remove_if_there(&self.fs, &transactions)?;
        for (kind, bytes) in self.encode_indexes() {
            let file = self.fs.open(&self.path(kind), OpenMode::Truncate)?;
            if let Err(error) = file.write_all_at(&bytes, 0) {
                remove_if_there(&self.fs, &transactions)?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes the index files durable of a segment that is believed already: its transaction index is there as a whole or not
    /// at all.
    pub(crate) fn replace_index_files(&self) -> io::Result<()> {
        for (kind, bytes) in self.encode_indexes() {
            let path = self.path(kind);
            match kind == FileKind::TransactionIndex && !bytes.is_empty() {
                true => self.fs.write_atomic(&path, &bytes)?,
                false => self.fs.open(&path, OpenMode::Truncate)?.write_all_at(&bytes, 0)?,
            }
        }
        self.sync()
    }

    fn encode_indexes(&self) -> [(FileKind, Vec<u8>); 3] {
        let (offsets, times) = {
            let mut slot = self.indexes.write();
            let index = slot.sparse.as_mut().expect("only a segment with its index in memory is rolled or closed");
            index.seal();
            (index.encode_offsets(), index.encode_times())
        };
        let aborted = self.loaded_transactions(TransactionIndex::encode);
        let aborted = aborted.unwrap_or_else(|_| panic!("the transaction index is in memory along with the others"));
        [(FileKind::OffsetIndex, offsets), (FileKind::TimeIndex, times), (FileKind::TransactionIndex, aborted)]
    }

    /// Since when nothing was appended, as far as this process knows: `opened` if it found the segment complete.
    pub(crate) fn complete_since(&self, opened: Timestamp) -> Timestamp {
        match Timestamp(self.complete_since.load(Ordering::Relaxed)) {
            Timestamp::NONE => opened,
            since => since,
        }
    }

    /// Notes when it was completed.
    pub(crate) fn set_complete_since(&self, now: Timestamp) {
        self.complete_since.store(now.0, Ordering::Relaxed);
    }

    /// The segment gets no more batches. Its index files must have been written.
    pub(crate) fn set_rolled(&self) {
        self.rolled.store(true, Ordering::Release);
    }

    /// Makes it the active segment again, cut to `size`, with the index of what remains.
    pub(crate) fn reactivate(&self, size: u64, index: SegmentIndex, transactions: TransactionIndex) {
        let mut slot = self.indexes.write();
        self.rolled.store(false, Ordering::Release);
        *slot = Indexes { sparse: Some(index), transactions: Transactions::new(transactions) };
        self.size.store(size, Ordering::Release);
    }

    /// Makes the batches durable, and for a rolled segment the index files. Directory entries are the caller's.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file()?.sync_data()?;
        if self.rolled.load(Ordering::Acquire) {
            sync_if_there(&self.fs, &self.path(FileKind::OffsetIndex))?;
            sync_if_there(&self.fs, &self.path(FileKind::TimeIndex))?;
            sync_if_there(&self.fs, &self.path(FileKind::TransactionIndex))?;
        }
        Ok(())
    }

    /// Whether the directory entry still has to be made durable.
    pub(crate) fn is_entry_durable(&self) -> bool {
        self.entry_durable.load(Ordering::Acquire)
    }

    /// The directory was synced since the segment was created.
    pub(crate) fn set_entry_durable(&self) {
        self.entry_durable.store(true, Ordering::Release);
    }

    /// Removes its files, the batches first: without them the others are recognised as left-overs. Open handles stay usable.
    pub(crate) fn remove_files(&self) -> io::Result<()> {
        for kind in FileKind::OF_SEGMENT {
            remove_if_there(&self.fs, &self.path(kind))?;
        }
        Ok(())
    }
}

/// A batch as the indexes take it. One that compaction emptied has no timestamp, whatever its header says.
pub(crate) fn indexed(header: &highwater_records::BatchHeader, position: u64) -> IndexedBatch {
    IndexedBatch {
        last_offset: header.last_offset(),
        max_timestamp: if header.record_count == 0 { Timestamp::NONE } else { header.max_timestamp },
        position,
        size: header.size_in_bytes() as u64,
    }
}

/// Syncs a file by name; one that is gone needs none.
pub(crate) fn sync_if_there(fs: &Fs, path: &Path) -> io::Result<()> {
    match fs.open(path, OpenMode::ReadWrite) {
        Ok(file) => file.sync_data(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a file that may be gone already.
pub(crate) fn remove_if_there(fs: &Fs, path: &Path) -> io::Result<()> {
    match fs.remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
