//! The two images of one simulated file: what a reader sees, and what a power loss would leave.

use rand::Rng;
use rand::rngs::SmallRng;

use super::CrashMode;

/// What a disk writes or does not write as a whole.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Clone)]
enum Change {
    Write { position: usize, data: Vec<u8> },
    SetLength(usize),
}

/// Content of one file.
///
/// Invariant: while no sync has failed, `durable` with all `unflushed` applied is `current`.
#[derive(Debug, Default)]
pub(super) struct FileImage {
    current: Vec<u8>,
    durable: Vec<u8>,
    unflushed: Vec<Change>,
}

impl FileImage {
    pub(super) fn current(&self) -> &[u8] {
        &self.current
    }

    pub(super) fn durable(&self) -> &[u8] {
        &self.durable
    }

    /// Bytes written since the last sync.
    pub(super) fn unflushed_bytes(&self) -> usize {
        let written = |change: &Change| if let Change::Write { data, .. } = change { data.len() } else { 0 };
        self.unflushed.iter().map(written).sum()
    }

    pub(super) fn write(&mut self, position: usize, data: Vec<u8>) {
        apply_write(&mut self.current, position, &data);
        self.unflushed.push(Change::Write { position, data });
    }

    pub(super) fn set_len(&mut self, length: usize) {
        self.current.resize(length, 0);
        self.unflushed.push(Change::SetLength(length));
    }

    pub(super) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unflushed) {
            apply(&mut self.durable, &change);
        }
    }

    /// A sync that failed: the system marks the pages clean, so no later sync writes them, although they can be read.
    pub(super) fn fail_sync(&mut self) {
        self.unflushed.clear();
    }

    /// Inverts all bits of one byte in both images: a decayed disk.
    pub(super) fn decay(&mut self, position: usize) {
        for image in [&mut self.current, &mut self.durable] {
            if let Some(byte) = image.get_mut(position) {
                *byte = !*byte;
            }
        }
    }

    pub(super) fn crash(&mut self, mode: CrashMode, rng: &mut SmallRng) {
        let unflushed = std::mem::take(&mut self.unflushed);
        match mode {
            CrashMode::Drop => {}
            CrashMode::Keep => unflushed.iter().for_each(|change| apply(&mut self.durable, change)),
            CrashMode::Torn => match rng.random_range(0..4) {
                0 => {}
                1 => unflushed.iter().for_each(|change| apply(&mut self.durable, change)),
                2 => self.keep_prefix(&unflushed, rng),
                _ => self.keep_random_sectors(&unflushed, rng),
            },
        }
        self.current.clone_from(&self.durable);
    }

    /// The disk wrote in order and stopped within one write.
    fn keep_prefix(&mut self, unflushed: &[Change], rng: &mut SmallRng) {
        let kept = rng.random_range(0..=unflushed.len());
        unflushed[..kept].iter().for_each(|change| apply(&mut self.durable, change));
        if let Some(Change::Write { position, data }) = unflushed.get(kept) {
            let whole = sectors(*position, data.len()).count();
            let torn = sectors(*position, data.len()).take(rng.random_range(0..whole.max(1)));
            for (from, to) in torn {
                apply_write(&mut self.durable, position + from, &data[from..to]);
            }
        }
    }

    /// The disk wrote in no order: each sector of each write is there or not, holes read as zeros.
    fn keep_random_sectors(&mut self, unflushed: &[Change], rng: &mut SmallRng) {
        for change in unflushed {
            match change {
                Change::SetLength(_) if rng.random_bool(0.5) => apply(&mut self.durable, change),
                Change::SetLength(_) => {}
                Change::Write { position, data } => {
                    for (from, to) in sectors(*position, data.len()) {
                        if rng.random_bool(0.5) {
                            apply_write(&mut self.durable, position + from, &data[from..to]);
                        }
                    }
                }
            }
        }
    }
}

/// The ranges of a write of `length` bytes at `position` that each fall into one sector, relative to the write.
fn sectors(position: usize, length: usize) -> impl Iterator<Item = (usize, usize)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        if from == length {
            return None;
        }
        let to = length.min(from + SECTOR_BYTES - (position + from) % SECTOR_BYTES);
        let range = (from, to);
        from = to;
        Some(range)
    })
}

fn apply(image: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { position, data } => apply_write(image, *position, data),
        Change::SetLength(length) => image.resize(*length, 0),
    }
}

fn apply_write(image: &mut Vec<u8>, position: usize, data: &[u8]) {
    let end = position + data.len();
    if data.is_empty() {
        return;
    }
    if image.len() < end {
        image.resize(end, 0);
    }
    image[position..end].copy_from_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_are_cut_at_absolute_positions() {
        assert_eq!(sectors(0, 0).count(), 0);
        assert_eq!(sectors(0, 1024).collect::<Vec<_>>(), [(0, 512), (512, 1024)]);
        assert_eq!(sectors(500, 600).collect::<Vec<_>>(), [(0, 12), (12, 524), (524, 600)]);
    }
}
