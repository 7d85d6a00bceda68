//! Faults a test injects into a simulated disk.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What fails below a path, until it is healed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskFault {
    /// Every operation, with EIO.
    Any,
    /// Reading file content.
    Read,
    /// Writing, truncating, creating, renaming, removing.
    Write,
    /// Syncing files and directories; what was not yet durable never will be.
    Sync,
}

/// The faults of one disk.
#[derive(Debug, Default)]
pub(super) struct Faults {
    by_prefix: BTreeMap<PathBuf, Vec<DiskFault>>,
    syncs_to_fail: u32,
    /// Changes and syncs that still succeed before the power goes.
    changes_left: Option<u64>,
    /// Changes and syncs that still succeed before one fails, and how.
    one_fails: Option<(u64, io::ErrorKind)>,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) lying_suffix: Option<&'static str>,
}

impl Faults {
    pub(super) fn inject(&mut self, prefix: PathBuf, fault: DiskFault) {
        self.by_prefix.entry(prefix).or_default().push(fault);
    }

    pub(super) fn fail_next_syncs(&mut self, count: u32) {
        self.syncs_to_fail = count;
    }

    pub(super) fn stop_after(&mut self, changes: Option<u64>) {
        self.changes_left = changes;
    }

    pub(super) fn fail_one_after(&mut self, changes: u64, kind: io::ErrorKind) {
        self.one_fails = Some((changes, kind));
    }

    pub(super) fn is_one_to_fail(&self) -> bool {
        self.one_fails.is_some()
    }

    /// Whether the power has gone already: what fails now was never tried.
    pub(super) fn is_stopped(&self) -> bool {
        self.changes_left == Some(0)
    }

    /// Ends all faults but the capacity limit.
    pub(super) fn heal(&mut self) {
        self.by_prefix.clear();
        self.syncs_to_fail = 0;
        self.changes_left = None;
        self.one_fails = None;
    }

    /// Fails if `operation` on `path` is to fail. A sync counts against the number of syncs to fail.
    pub(super) fn check(&mut self, path: &Path, operation: DiskFault) -> io::Result<()> {
        if let Some(left) = &mut self.changes_left {
            if *left == 0 {
                return Err(injected(path, operation));
            }
            *left -= u64::from(matches!(operation, DiskFault::Write | DiskFault::Sync));
        }
        if let Some((left, kind)) = &mut self.one_fails
            && matches!(operation, DiskFault::Write | DiskFault::Sync)
        {
            if *left == 0 {
                let kind = *kind;
                self.one_fails = None;
                return Err(kind.into());
            }
            *left -= 1;
        }
        if operation == DiskFault::Sync && self.syncs_to_fail > 0 {
            self.syncs_to_fail -= 1;
            return Err(injected(path, operation));
        }
        let hit = |fault: &DiskFault| *fault == DiskFault::Any || *fault == operation;
        let failing = self.by_prefix.iter().any(|(prefix, faults)| path.starts_with(prefix) && faults.iter().any(hit));
        if failing { Err(injected(path, operation)) } else { Ok(()) }
    }
}

fn injected(path: &Path, operation: DiskFault) -> io::Error {
    io::Error::other(format!("injected I/O error ({operation:?}) on {}", path.display()))
}
