//! Head-room on the volume of a log directory (`highwater.disk.reserve.bytes`).
//!
//! What clients write stops at the reserve; what the node needs to go on, and to get out of it, does not: metadata, checkpoints,
//! committed offsets, deletions. The volume is asked once per so many bytes written, so that an append costs nothing; below the
//! reserve it is asked every time, so that freed room shows at once, without a timer.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use highwater_env::Fs;

/// Part of the room above the reserve that may be written before the volume is asked again: others write to it as well.
const CREDIT_SHARE: u64 = 8;
/// Most bytes that may be written before the volume is asked again.
const MAX_CREDIT_BYTES: u64 = 16 << 20;

/// Largest part of a volume that is kept free: a small one would otherwise take nothing at all.
const MAX_RESERVE_SHARE: u64 = 4;

/// Who writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpaceUse {
    /// A client, to the leader. It is refused below the reserve.
    Produce,
    /// A leader, to a follower. What the leader took is refused only below half of the reserve: of replicas that fill up
    /// together, the leader stops first, and no follower leaves the ISR over what is under way.
    Replicate,
}

/// The room left in one log directory. There is none when the volume cannot be asked: then writing will tell.
#[derive(Debug)]
pub struct DiskSpace {
    fs: Fs,
    path: PathBuf,
    /// 0 for none.
    reserve_bytes: AtomicU64,
    /// Bytes that may be written before the volume is asked again; 0 or less for at once.
    credit: AtomicI64,
    low: AtomicBool,
}

impl DiskSpace {
    pub(crate) fn new(fs: Fs, path: &Path) -> Self {
        let (reserve_bytes, credit, low) = (AtomicU64::new(0), AtomicI64::new(0), AtomicBool::new(false));
        Self { fs, path: path.to_owned(), reserve_bytes, credit, low }
    }

    /// Keeps so many bytes free (`highwater.disk.reserve.bytes`), but at most a quarter of the volume; 0 for none, as at first.
    pub fn set_reserve(&self, bytes: u64) {
        let most = self.fs.total_bytes(&self.path).map_or(u64::MAX, |total| total / MAX_RESERVE_SHARE);
        self.reserve_bytes.store(bytes.min(most), Ordering::Relaxed);
    }

    /// Whether writers were refused when the volume was asked last.
    pub fn is_low(&self) -> bool {
        self.low.load(Ordering::Relaxed)
    }

    /// Whether so many bytes may be written. They count as written then.
    pub fn admits(&self, bytes: u64, space_use: SpaceUse) -> bool {
        let wanted = i64::try_from(bytes).unwrap_or(i64::MAX);
        let reserve_bytes = self.reserve_bytes.load(Ordering::Relaxed);
        if reserve_bytes == 0 || self.credit.fetch_sub(wanted, Ordering::Relaxed) > wanted {
            return true;
        }
        let Ok(available) = self.fs.available_bytes(&self.path) else { return true };
        let left = available.saturating_sub(bytes);
        let above = left.saturating_sub(reserve_bytes);
        let credit = (above / CREDIT_SHARE).min(MAX_CREDIT_BYTES);
        self.credit.store(i64::try_from(credit).unwrap_or(i64::MAX), Ordering::Relaxed);
        self.note(left < reserve_bytes, available, reserve_bytes);
        match space_use {
            SpaceUse::Produce => left >= reserve_bytes,
            SpaceUse::Replicate => left >= reserve_bytes / 2,
        }
    }

    fn note(&self, low: bool, available_bytes: u64, reserve_bytes: u64) {
        if self.low.swap(low, Ordering::Relaxed) == low {
            return;
        }
        let directory = self.path.display();
        if low {
            tracing::error!(
                %directory, available_bytes, reserve_bytes,
                "disk full: no records are taken from producers until more than the reserve is free; reads, deletions and offset \
                 commits go on. Delete records or topics, shorten retention.ms or retention.bytes, or enlarge the volume"
            );
        } else {
            tracing::info!(%directory, available_bytes, reserve_bytes, "there is room on the disk again: records are taken");
        }
    }
}

#[cfg(test)]
mod tests {
    use highwater_env::{OpenMode, SimFs};

    use super::*;

    fn fill(fs: &Fs, bytes: usize) {
        fs.open(Path::new("filler"), OpenMode::Create).unwrap().write_all_at(&vec![1; bytes], 0).unwrap();
    }

    fn space(fs: &Fs, reserve_bytes: u64) -> DiskSpace {
        let space = DiskSpace::new(fs.clone(), Path::new("."));
        space.set_reserve(reserve_bytes);
        space
    }

    #[test]
    fn clients_stop_at_the_reserve_and_go_on_when_there_is_room() {
        let disk = SimFs::new();
        disk.set_capacity(Some(2_000));
        let fs = Fs::Sim(disk.clone());
        let space = space(&fs, 400);
        assert!(space.admits(1_600, SpaceUse::Produce), "just down to the reserve");
        assert!(!space.admits(1_601, SpaceUse::Produce) && space.is_low());
        fill(&fs, 1_700);
        assert!(!space.admits(1, SpaceUse::Produce));
        assert!(space.admits(100, SpaceUse::Replicate) && !space.admits(101, SpaceUse::Replicate));
        fs.remove_file(Path::new("filler")).unwrap();
        assert!(space.admits(1, SpaceUse::Produce) && !space.is_low());
    }

    #[test]
    fn the_volume_is_asked_before_the_reserve_is_used_up() {
        let disk = SimFs::new();
        disk.set_capacity(Some(100_000));
        let fs = Fs::Sim(disk.clone());
        let too_much = space(&fs, 1 << 40);
        let mut written = 0;
        while too_much.admits(500, SpaceUse::Produce) {
            written += 500;
            fill(&fs, written);
        }
        assert_eq!(written, 75_000, "a quarter of a small volume is enough");
        assert!(space(&fs, 0).admits(1 << 40, SpaceUse::Produce), "0 turns it off");
    }
}
