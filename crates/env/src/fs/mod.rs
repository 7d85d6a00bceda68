//! Files and directories: the operating system's, or a disk in memory that forgets what was not flushed.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "wraps the files that nothing else may name")]

mod file;
mod real;
mod sync_point;

use std::io;
use std::path::Path;

use crate::file_terms::{DirEntry, OpenMode};
use crate::sim::{SimFs, SimLock};

pub use file::File;
pub use sync_point::SyncPoint;

/// Suffix of the file that [`Fs::write_atomic`] writes before it renames. Left behind by a crash, it may be deleted.
const TEMPORARY_SUFFIX: &str = ".tmp";
/// Name of the file that [`Fs::lock_dir`] locks, as in Kafka.
const LOCK_FILE: &str = ".lock";

/// A file system. Every method is synchronous; [`File::sync_data`] and its like can take milliseconds and longer.
#[derive(Debug, Clone)]
pub enum Fs {
    /// The operating system's.
    Real,
    /// In memory.
    Sim(SimFs),
}

/// Holds a directory against other processes until dropped. The system releases it when the process dies.
#[derive(Debug)]
pub struct DirLock(#[expect(dead_code, reason = "held for its drop")] Held);

#[derive(Debug)]
#[expect(dead_code, reason = "held for its drop")]
enum Held {
    Real(std::fs::File),
    Sim(SimLock),
}

impl Fs {
    /// Opens the file at `path`. A created file survives a crash once it was synced or its directory was.
    pub fn open(&self, path: &Path, mode: OpenMode) -> io::Result<File> {
        match self {
            Self::Real => real::open(path, mode).map(File::Real),
            Self::Sim(disk) => disk.open(path, mode).map(File::Sim),
        }
    }

    /// Creates `path` and its missing ancestors. Nothing happens if it is a directory already.
    pub fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Real => std::fs::create_dir_all(path),
            Self::Sim(disk) => disk.create_dir_all(path),
        }
    }

    /// The names in `path`, sorted.
    pub fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        match self {
            Self::Real => real::read_dir(path),
            Self::Sim(disk) => disk.read_dir(path),
        }
    }

    /// Renames `from` to `to`, replacing a file there. Survives a crash once the directory was synced with [`Fs::sync_dir`].
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match self {
            Self::Real => std::fs::rename(from, to),
            Self::Sim(disk) => disk.rename(from, to),
        }
    }

    /// Removes a file; open handles stay usable. Survives a crash once the directory was synced.
    pub fn remove_file(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Real => std::fs::remove_file(path),
            Self::Sim(disk) => disk.remove_file(path),
        }
    }

    /// Removes a directory and all below it.
    pub fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Real => std::fs::remove_dir_all(path),
            Self::Sim(disk) => disk.remove_dir_all(path),
        }
    }

    /// Whether anything is at `path`.
    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        match self {
            Self::Real => path.try_exists(),
            Self::Sim(disk) => disk.exists(path),
        }
    }

    /// Makes all creations, renames and removals in the directory `path` durable.
    pub fn sync_dir(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Real => std::fs::File::open(path)?.sync_all(),
            Self::Sim(disk) => disk.sync_dir(path),
        }
    }

    /// A way to make everything below the directory `path` durable at once; `None` where the system would not tell that it
    /// failed. To be asked for before anything below is written: it tells of failures from then on.
    pub fn sync_point(&self, path: &Path) -> io::Result<Option<SyncPoint>> {
        SyncPoint::new(self, path)
    }

    /// Replaces the content of `path` so that after a crash at any point it has either its old or its new content, and
    /// after return the new one. One writer at a time per path.
    pub fn write_atomic(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("{} names no file", path.display()));
        let mut temporary_name = path.file_name().ok_or_else(invalid)?.to_owned();
        temporary_name.push(TEMPORARY_SUFFIX);
        let temporary = path.with_file_name(temporary_name);
        let file = self.open(&temporary, OpenMode::Truncate)?;
        if let Err(error) = file.write_all_at(content, 0).and_then(|()| file.sync_all()) {
            drop(file);
            // On a full disk it would keep the room that others need.
            let _ = self.remove_file(&temporary);
            return Err(error);
        }
        drop(file);
        self.rename(&temporary, path)?;
        self.sync_dir(parent_of(path))
    }

    /// The whole content of `path`.
    pub fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        match self {
            Self::Real => std::fs::read(path),
            Self::Sim(disk) => disk.read(path),
        }
    }

    /// Bytes that may still be written to the file system that holds `path`.
    pub fn available_bytes(&self, path: &Path) -> io::Result<u64> {
        match self {
            Self::Real => real::space(path).map(|space| space.available_bytes),
            Self::Sim(disk) => disk.available_bytes(),
        }
    }

    /// Size of the file system that holds `path`, in bytes.
    pub fn total_bytes(&self, path: &Path) -> io::Result<u64> {
        match self {
            Self::Real => real::space(path).map(|space| space.total_bytes),
            Self::Sim(disk) => disk.total_bytes(),
        }
    }

    /// Takes the directory `path` for this process: an exclusive lock on `.lock` in it, which is created if missing.
    ///
    /// # Errors
    /// `WouldBlock` when another process (or another holder in this one) has it.
    pub fn lock_dir(&self, path: &Path) -> io::Result<DirLock> {
        let lock_file = path.join(LOCK_FILE);
        match self {
            Self::Real => real::lock(&lock_file).map(|file| DirLock(Held::Real(file))),
            Self::Sim(disk) => disk.lock(&lock_file).map(|lock| DirLock(Held::Sim(lock))),
        }
    }
}

/// The directory of `path`; `.` for a bare name.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
