//! The simulated file system as callers and tests use it.

use std::fmt;
use std::io::{self, IoSlice};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lock::Mutex;

use super::disk::{Directory, Disk, Inode, InodeId, not_found};
use super::file_image::FileImage;
use super::{CrashMode, DiskFault};
use crate::file_terms::{DirEntry, OpenMode};

/// Size of a disk without a capacity limit.
const UNLIMITED_BYTES: u64 = 1 << 40;

/// A disk in memory. Clones share it: the host of a simulation keeps one, each run of its node gets a clone.
#[derive(Clone, Default)]
pub struct SimFs {
    disk: Arc<Mutex<Disk>>,
}

/// An open file of a [`SimFs`].
pub struct SimFile {
    disk: Arc<Mutex<Disk>>,
    inode: InodeId,
    /// As opened; faults go by it.
    path: PathBuf,
    writable: bool,
    generation: u64,
}

/// A held directory lock of a [`SimFs`].
pub struct SimLock {
    disk: Arc<Mutex<Disk>>,
    inode: InodeId,
    generation: u64,
}

/// For tests: crashes, faults, and a look at what is durable.
impl SimFs {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses power (with [`CrashMode::Keep`]: only the process). Every open file and lock is dead afterwards.
    pub fn crash(&self, mode: CrashMode, seed: u64) {
        self.disk.lock().crash(mode, seed);
    }

    /// Replaces everything by an empty disk: the operator put in a new one.
    pub fn wipe(&self) {
        let mut disk = self.disk.lock();
        let generation = disk.generation + 1;
        *disk = Disk::default();
        disk.generation = generation;
    }

    /// Makes operations on files whose path as opened starts with `prefix` fail, until [`SimFs::heal`].
    pub fn inject(&self, prefix: impl Into<PathBuf>, fault: DiskFault) {
        self.disk.lock().faults.inject(prefix.into(), fault);
    }

    /// Makes the next `count` syncs of files or directories fail. The file content they were to make durable stays readable
    /// and is lost at the next crash, even if a later sync succeeds.
    pub fn fail_next_syncs(&self, count: u32) {
        self.disk.lock().faults.fail_next_syncs(count);
    }

    /// From now on, syncs of files whose name ends with `suffix` succeed and make nothing durable: a mutant that a test of
    /// durability must catch. `None` ends it.
    pub fn lie_about_syncs(&self, suffix: Option<&'static str>) {
        self.disk.lock().faults.lying_suffix = suffix;
    }

    /// Lets `changes` more writes, creations, renames, removals, truncations and syncs succeed; after them every operation
    /// fails until the next crash, as if the power had gone in the middle of what the node was doing.
    pub fn stop_after(&self, changes: u64) {
        self.disk.lock().faults.stop_after(Some(changes));
    }

    /// Lets `changes` more writes, creations, renames, removals, truncations and syncs succeed; the one after them fails with an
    /// error of that kind and changes nothing, and those behind it succeed again.
    pub fn fail_one_after(&self, changes: u64, kind: io::ErrorKind) {
        self.disk.lock().faults.fail_one_after(changes, kind);
    }

    /// Whether that failure is still to come.
    pub fn is_one_to_fail(&self) -> bool {
        self.disk.lock().faults.is_one_to_fail()
    }

    /// Ends all injected faults but the capacity limit.
    pub fn heal(&self) {
        self.disk.lock().faults.heal();
    }

    /// Limits the disk to `bytes` in all files; `None` lifts the limit. A write that does not fit writes what fits and fails.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.disk.lock().faults.capacity_bytes = bytes;
    }

    /// Bytes in all files.
    pub fn used_bytes(&self) -> u64 {
        self.disk.lock().used_bytes()
    }

    /// Inverts one byte of a file, on the disk as well as in what readers see.
    pub fn decay(&self, path: &Path, position: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let inode = disk.lookup(path)?.ok_or_else(|| not_found(path))?;
        disk.file_mut(inode)?.decay(position as usize);
        Ok(())
    }

    /// What a power loss now would leave at `path`: `None` if nothing.
    pub fn durable_content(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let disk = self.disk.lock();
        disk.lookup_durable(path)?.map(|inode| disk.file(inode).map(|image| image.durable().to_vec())).transpose()
    }

    /// Bytes written to any file since its last sync.
    pub fn unflushed_bytes(&self) -> usize {
        self.disk.lock().unflushed_bytes()
    }
}

/// What [`Fs`](crate::Fs) is made of.
impl SimFs {
    pub(crate) fn open(&self, path: &Path, mode: OpenMode) -> io::Result<SimFile> {
        let mut disk = self.disk.lock();
        disk.faults.check(path, DiskFault::Any)?;
        let inode = match (disk.lookup(path)?, mode) {
            (Some(inode), _) => inode,
            (None, OpenMode::Read | OpenMode::ReadWrite) => return Err(not_found(path)),
            (None, OpenMode::Create | OpenMode::Truncate) => {
                disk.faults.check(path, DiskFault::Write)?;
                let (parent, name) = disk.lookup_parent(path)?;
                disk.create(parent, name, Inode::File(FileImage::default()))?
            }
        };
        if mode == OpenMode::Truncate && !disk.file(inode)?.current().is_empty() {
            disk.faults.check(path, DiskFault::Write)?;
            disk.file_mut(inode)?.set_len(0);
        }
        disk.file(inode)?;
        disk.open_handle(inode);
        let writable = mode != OpenMode::Read;
        Ok(SimFile { disk: self.disk.clone(), inode, path: path.to_owned(), writable, generation: disk.generation })
    }

    pub(crate) fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        for ancestor in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            match disk.lookup(ancestor)? {
                Some(inode) if disk.is_dir(inode) => {}
                Some(_) => return Err(io::ErrorKind::AlreadyExists.into()),
                None => {
                    disk.faults.check(ancestor, DiskFault::Write)?;
                    let (parent, name) = disk.lookup_parent(ancestor)?;
                    disk.create(parent, name, Inode::Dir(Directory::default()))?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut disk = self.disk.lock();
        disk.faults.check(path, DiskFault::Any)?;
        let inode = disk.lookup(path)?.ok_or_else(|| not_found(path))?;
        let entry = |(name, child): (&String, &InodeId)| DirEntry { name: name.clone(), is_dir: disk.is_dir(*child) };
        Ok(disk.directory(inode)?.current.iter().map(entry).collect())
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.faults.check(from, DiskFault::Write)?;
        disk.faults.check(to, DiskFault::Write)?;
        let (from_parent, from_name) = disk.lookup_parent(from)?;
        let (to_parent, to_name) = disk.lookup_parent(to)?;
        let inode = *disk.directory(from_parent)?.current.get(from_name).ok_or_else(|| not_found(from))?;
        if from_parent != to_parent {
            // Its durability would depend on two directories at once; nothing in a node needs it.
            return Err(io::Error::new(io::ErrorKind::Unsupported, "simulated disks do not rename across directories"));
        }
        match disk.lookup(to)? {
            Some(replaced) if replaced == inode => return Ok(()),
            Some(replaced) if disk.is_dir(replaced) && !disk.directory(replaced)?.current.is_empty() => {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            Some(replaced) if disk.is_dir(replaced) != disk.is_dir(inode) => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            _ => {}
        }
        disk.rename(from_parent, from_name, to_name, inode)
    }

    pub(crate) fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.faults.check(path, DiskFault::Write)?;
        let (parent, name) = disk.lookup_parent(path)?;
        let inode = *disk.directory(parent)?.current.get(name).ok_or_else(|| not_found(path))?;
        disk.file(inode)?;
        disk.unlink(parent, name)
    }

    pub(crate) fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.faults.check(path, DiskFault::Write)?;
        let (parent, name) = disk.lookup_parent(path)?;
        let inode = *disk.directory(parent)?.current.get(name).ok_or_else(|| not_found(path))?;
        disk.directory(inode)?;
        disk.unlink(parent, name)
    }

    pub(crate) fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut disk = self.disk.lock();
        disk.faults.check(path, DiskFault::Any)?;
        Ok(disk.lookup(path)?.is_some())
    }

    pub(crate) fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        disk.faults.check(path, DiskFault::Sync)?;
        let inode = disk.lookup(path)?.ok_or_else(|| not_found(path))?;
        disk.sync_dir(inode)
    }

    /// Syncs the directory `path` and everything below it. What is hit by a fault is not synced, and the first is returned.
    pub(crate) fn sync_tree(&self, path: &Path) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let root = disk.lookup(path)?.ok_or_else(|| not_found(path))?;
        let (mut pending, mut result) = (vec![(path.to_owned(), root)], Ok(()));
        while let Some((path, inode)) = pending.pop() {
            let is_dir = disk.file(inode).is_err();
            match disk.faults.check(&path, DiskFault::Sync) {
                Ok(()) if is_dir => disk.sync_dir(inode)?,
                Ok(()) if disk.faults.lying_suffix.is_some_and(|suffix| path.to_string_lossy().ends_with(suffix)) => {}
                Ok(()) => disk.file_mut(inode)?.sync(),
                Err(error) => {
                    if !is_dir && !disk.faults.is_stopped() {
                        disk.file_mut(inode)?.fail_sync();
                    }
                    result = result.and(Err(error));
                }
            }
            pending.extend(disk.children(inode).into_iter().map(|(name, child)| (path.join(name), child)));
        }
        result
    }

    pub(crate) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut disk = self.disk.lock();
        disk.faults.check(path, DiskFault::Read)?;
        let inode = disk.lookup(path)?.ok_or_else(|| not_found(path))?;
        disk.file(inode).map(|image| image.current().to_vec())
    }

    pub(crate) fn available_bytes(&self) -> io::Result<u64> {
        let disk = self.disk.lock();
        let capacity = disk.faults.capacity_bytes.unwrap_or(UNLIMITED_BYTES);
        Ok(capacity.saturating_sub(disk.used_bytes()))
    }

    pub(crate) fn total_bytes(&self) -> io::Result<u64> {
        Ok(self.disk.lock().faults.capacity_bytes.unwrap_or(UNLIMITED_BYTES))
    }

    pub(crate) fn lock(&self, path: &Path) -> io::Result<SimLock> {
        let file = self.open(path, OpenMode::Create)?;
        let mut disk = self.disk.lock();
        if !disk.locks.insert(file.inode) {
            drop(disk);
            return Err(io::Error::new(io::ErrorKind::WouldBlock, format!("{} is locked", path.display())));
        }
        Ok(SimLock { disk: self.disk.clone(), inode: file.inode, generation: disk.generation })
    }
}

impl SimFile {
    pub(crate) fn write_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        self.check_alive(&mut disk, DiskFault::Write)?;
        let mut data = Vec::with_capacity(buffers.iter().map(|buffer| buffer.len()).sum());
        buffers.iter().for_each(|buffer| data.extend_from_slice(buffer));
        let fitting = self.fitting_bytes(&disk, position as usize, data.len())?;
        let fits = fitting == data.len();
        data.truncate(fitting);
        disk.file_mut(self.inode)?.write(position as usize, data);
        if fits { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let mut disk = self.disk.lock();
        self.check_alive(&mut disk, DiskFault::Read)?;
        let content = disk.file(self.inode)?.current();
        let available = content.get(position as usize..).unwrap_or_default();
        let length = available.len().min(buffer.len());
        buffer[..length].copy_from_slice(&available[..length]);
        Ok(length)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        let checked = self.check_alive(&mut disk, DiskFault::Sync);
        if let Err(error) = checked {
            if self.generation == disk.generation && !disk.faults.is_stopped() {
                disk.file_mut(self.inode)?.fail_sync();
            }
            return Err(error);
        }
        if disk.faults.lying_suffix.is_some_and(|suffix| self.path.to_string_lossy().ends_with(suffix)) {
            return Ok(());
        }
        disk.file_mut(self.inode)?.sync();
        disk.settle_links(self.inode);
        Ok(())
    }

    pub(crate) fn set_len(&self, length: u64) -> io::Result<()> {
        let mut disk = self.disk.lock();
        self.check_alive(&mut disk, DiskFault::Write)?;
        disk.file_mut(self.inode)?.set_len(length as usize);
        Ok(())
    }

    pub(crate) fn len(&self) -> io::Result<u64> {
        let mut disk = self.disk.lock();
        self.check_alive(&mut disk, DiskFault::Any)?;
        Ok(disk.file(self.inode)?.current().len() as u64)
    }

    fn check_alive(&self, disk: &mut Disk, operation: DiskFault) -> io::Result<()> {
        if self.generation != disk.generation {
            return Err(io::Error::other(format!("{} was opened before a crash", self.path.display())));
        }
        if operation == DiskFault::Write && !self.writable {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        disk.faults.check(&self.path, operation)
    }

    /// How many of `length` bytes at `position` the capacity allows.
    fn fitting_bytes(&self, disk: &Disk, position: usize, length: usize) -> io::Result<usize> {
        let Some(capacity) = disk.faults.capacity_bytes else { return Ok(length) };
        let free = usize::try_from(capacity.saturating_sub(disk.used_bytes())).unwrap_or(usize::MAX);
        let writable_end = disk.file(self.inode)?.current().len().saturating_add(free);
        Ok(length.min(writable_end.saturating_sub(position)))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.generation == self.generation {
            disk.close_handle(self.inode);
        }
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.generation == self.generation {
            disk.locks.remove(&self.inode);
        }
    }
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFs").finish_non_exhaustive()
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("path", &self.path).finish_non_exhaustive()
    }
}

impl fmt::Debug for SimLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimLock").finish_non_exhaustive()
    }
}
