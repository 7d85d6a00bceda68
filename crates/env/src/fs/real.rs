//! What the operating system does for [`Fs::Real`](super::Fs).

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "the one place that opens files")]

use std::ffi::CString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::file_terms::{DirEntry, OpenMode};

/// Most buffers one `pwritev` takes (`IOV_MAX` on Linux).
const MAX_BUFFERS: usize = 1024;

/// Size and free room of a file system.
pub(super) struct Space {
    pub(super) total_bytes: u64,
    pub(super) available_bytes: u64,
}

pub(super) fn open(path: &Path, mode: OpenMode) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(mode != OpenMode::Read);
    options.create(matches!(mode, OpenMode::Create | OpenMode::Truncate)).truncate(mode == OpenMode::Truncate);
    options.open(path)
}

pub(super) fn read_dir(path: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        entries.push(DirEntry {
            name: entry.file_name().to_string_lossy().into_owned(),
            // Follows symbolic links: a log directory may be one.
            is_dir: entry.path().is_dir(),
        });
    }
    entries.sort();
    Ok(entries)
}

pub(super) fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(io::Error::new(io::ErrorKind::WouldBlock, format!("{} is locked by another process", path.display())))
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

pub(super) fn space(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `path` is a NUL-terminated string and `stat` is writable memory of the right size; both outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: statvfs returned 0, so it filled `stat`.
    let stat = unsafe { stat.assume_init() };
    Ok(Space { total_bytes: stat.f_blocks * stat.f_frsize, available_bytes: stat.f_bavail * stat.f_frsize })
}

pub(super) fn write_vectored_all_at(file: &File, buffers: &[IoSlice<'_>], position: u64) -> io::Result<()> {
    let wanted: usize = buffers.iter().map(|buffer| buffer.len()).sum();
    let written = pwritev(file, buffers, position)?;
    if written == wanted {
        return Ok(());
    }
    finish_vectored(file, buffers, position, written)
}

/// Goes on after a short write: rare (a signal, more than [`MAX_BUFFERS`] buffers, a nearly full disk).
#[cold]
fn finish_vectored(file: &File, buffers: &[IoSlice<'_>], position: u64, already: usize) -> io::Result<()> {
    let mut remaining: Vec<IoSlice<'_>> = buffers.iter().map(|buffer| IoSlice::new(buffer)).collect();
    let mut remaining = remaining.as_mut_slice();
    IoSlice::advance_slices(&mut remaining, already);
    let mut position = position + already as u64;
    while !remaining.is_empty() {
        let written = pwritev(file, remaining, position)?;
        if written == 0 && remaining.iter().any(|buffer| !buffer.is_empty()) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        position += written as u64;
        IoSlice::advance_slices(&mut remaining, written);
    }
    Ok(())
}

fn pwritev(file: &File, buffers: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
    let count = buffers.len().min(MAX_BUFFERS);
    let position = i64::try_from(position).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    loop {
        // SAFETY: `IoSlice` is guaranteed to have the layout of `iovec`; the `count` first of them are valid for the call.
        let written =
            unsafe { libc::pwritev(file.as_raw_fd(), buffers.as_ptr().cast(), count as libc::c_int, position) };
        if written >= 0 {
            return Ok(written as usize);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
