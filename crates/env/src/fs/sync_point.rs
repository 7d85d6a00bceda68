//! Flushing a whole directory tree by one call, where that costs less than a flush of each file.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "wraps the files that nothing else may name")]

use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use super::Fs;
use crate::sim::SimFs;

/// Since this version of Linux `syncfs` tells of every failure: of writing pages back (5.8) and of the journal (5.17).
const TELLS_FAILURES_SINCE: (u32, u32) = (5, 17);

/// With more than this waiting to be written, a sync would mostly wait for others.
const MUCH_DIRTY_BYTES: u64 = 16 * 1024 * 1024;

/// Makes everything below one directory durable: files, entries, renames and removals.
#[derive(Debug)]
pub struct SyncPoint(Kind);

#[derive(Debug)]
enum Kind {
    /// The directory, open all the time: failures since it was opened are told.
    Real(std::fs::File),
    Sim(SimFs, PathBuf),
}

impl SyncPoint {
    pub(super) fn new(fs: &Fs, path: &Path) -> io::Result<Option<Self>> {
        Ok(match fs {
            Fs::Real if tells_failures(&release()?) => Some(Self(Kind::Real(std::fs::File::open(path)?))),
            Fs::Real => None,
            Fs::Sim(disk) => Some(Self(Kind::Sim(disk.clone(), path.to_owned()))),
        })
    }

    /// Whether so little waits to be written on this machine that a sync does not wait long for what others wrote.
    pub fn is_cheap(&self) -> bool {
        match &self.0 {
            Kind::Real(_) => std::fs::read_to_string("/proc/meminfo")
                .is_ok_and(|info| dirty_bytes(&info).is_some_and(|dirty| dirty <= MUCH_DIRTY_BYTES)),
            Kind::Sim(..) => true,
        }
    }

    /// Makes durable what was written before the call. Blocks for the disk, also for what others wrote to the same file
    /// system.
    ///
    /// # Errors
    /// As with [`File::sync_data`](super::File::sync_data): never try again.
    pub fn sync(&self) -> io::Result<()> {
        match &self.0 {
            // SAFETY: the descriptor is open for as long as `directory` lives.
            Kind::Real(directory) => match unsafe { libc::syncfs(directory.as_raw_fd()) } {
                // Older kernels say so as well of an ext4 whose journal was aborted. A flush of one inode does not.
                0 => directory.sync_data(),
                _ => Err(io::Error::last_os_error()),
            },
            Kind::Sim(disk, path) => disk.sync_tree(path),
        }
    }
}

/// The kernel's version, as `uname -r` prints it.
fn release() -> io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/osrelease")
}

fn tells_failures(release: &str) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= TELLS_FAILURES_SINCE
}

/// Pages that wait to be written, or are being written, by `/proc/meminfo`.
fn dirty_bytes(meminfo: &str) -> Option<u64> {
    let kilobytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    Some((kilobytes("Dirty:")? + kilobytes("Writeback:")?) * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_are_not_believed() {
        for (release, told) in [
            ("6.1.0-28-amd64", true),
            ("5.17.0", true),
            ("5.16.12", false),
            ("4.19.0-27-cloud-amd64", false),
            ("10.2-rc1", true),
            ("unknown", false),
            ("", false),
        ] {
            assert_eq!(tells_failures(release), told, "{release}");
        }
    }

    #[test]
    fn dirty_pages_are_counted() {
        let info = "MemTotal:       24689456 kB\nDirty:              1204 kB\nWriteback:             8 kB\nWritebackTmp:          7 kB\n";
        assert_eq!(dirty_bytes(info), Some(1212 * 1024));
        assert_eq!(dirty_bytes("Dirty: 12 kB\n"), None);
    }

    #[test]
    fn the_real_one_syncs() {
        let directory = std::env::temp_dir();
        if let Some(point) = Fs::Real.sync_point(&directory).unwrap() {
            point.sync().unwrap();
        }
    }
}
