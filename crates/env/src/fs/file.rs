//! One open file, read and written at explicit positions.

#![expect(clippy::disallowed_types, reason = "wraps the files that nothing else may name")]

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

use super::real;
use crate::sim::SimFile;

/// An open file. There is no cursor, so all methods take `&self` and may run concurrently; writers keep to disjoint ranges.
#[derive(Debug)]
pub enum File {
    /// The operating system's.
    Real(std::fs::File),
    /// In memory.
    Sim(SimFile),
}

impl File {
    /// Writes all of `buffer` from `position` on, extending the file when needed.
    ///
    /// # Errors
    /// After an error, any part may have been written.
    pub fn write_all_at(&self, buffer: &[u8], position: u64) -> io::Result<()> {
        match self {
            Self::Real(file) => file.write_all_at(buffer, position),
            Self::Sim(file) => file.write_at(&[IoSlice::new(buffer)], position),
        }
    }

    /// Writes all `buffers`, one after the other from `position` on, in one system call where the system can.
    ///
    /// # Errors
    /// After an error, any part may have been written.
    pub fn write_vectored_all_at(&self, buffers: &[IoSlice<'_>], position: u64) -> io::Result<()> {
        match self {
            Self::Real(file) => real::write_vectored_all_at(file, buffers, position),
            Self::Sim(file) => file.write_at(buffers, position),
        }
    }

    /// Fills `buffer` from `position` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the file ends before.
    pub fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        match self {
            Self::Real(file) => file.read_exact_at(buffer, position),
            Self::Sim(file) => match file.read_at(buffer, position)? == buffer.len() {
                true => Ok(()),
                false => Err(io::ErrorKind::UnexpectedEof.into()),
            },
        }
    }

    /// Reads into `buffer` from `position` on and returns how much; 0 at or behind the end.
    pub fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        match self {
            Self::Real(file) => file.read_at(buffer, position),
            Self::Sim(file) => file.read_at(buffer, position),
        }
    }

    /// Makes the content durable, and the length as far as reading it back needs (`fdatasync`).
    ///
    /// # Errors
    /// After an error the content may be lost although it can still be read: the system forgets that it was not written.
    /// Never try again; take the disk out of service.
    pub fn sync_data(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.sync_data(),
            Self::Sim(file) => file.sync(),
        }
    }

    /// As [`File::sync_data`], with all of the file's attributes (`fsync`).
    pub fn sync_all(&self) -> io::Result<()> {
        match self {
            Self::Real(file) => file.sync_all(),
            Self::Sim(file) => file.sync(),
        }
    }

    /// Cuts or extends (with zeros) the file to `length` bytes.
    pub fn set_len(&self, length: u64) -> io::Result<()> {
        match self {
            Self::Real(file) => file.set_len(length),
            Self::Sim(file) => file.set_len(length),
        }
    }

    /// Length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "asking costs a system call that can fail")]
    pub fn len(&self) -> io::Result<u64> {
        match self {
            Self::Real(file) => file.metadata().map(|metadata| metadata.len()),
            Self::Sim(file) => file.len(),
        }
    }

    /// The descriptor, for `sendfile`; `None` in memory.
    pub fn raw_fd(&self) -> Option<RawFd> {
        match self {
            Self::Real(file) => Some(file.as_raw_fd()),
            Self::Sim(_) => None,
        }
    }
}
