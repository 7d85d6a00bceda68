//! The page cache before a cell: full, as on a machine that has been up for days.
//!
//! On a virtual machine the host takes free memory back, and the first write to each page of it then costs microseconds: system
//! time of whoever writes, some 4 s a GB where this was written, which is more than all that a broker does with that GB. Pages
//! that hold a file are not taken back, and are given over to what a broker writes at little cost. So free memory is filled
//! with a file of zeros, which has no blocks on the disk.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// One part in so many of all memory is left free: where the kernel begins to give up pages by itself.
const LEFT_FREE: u64 = 7;
/// No cell writes more than that, on all its nodes together.
const MOST_BYTES: u64 = 32 * 1024 * 1024 * 1024;
/// Read between two looks at what is free.
const STEP_BYTES: u64 = 64 * 1024 * 1024;
/// Of the file: more than all cells together fill. It takes no room.
const FILE_BYTES: u64 = 8 * 1024 * 1024 * 1024 * 1024;

/// A file that takes up what is free of the page cache. Its file is removed when it is dropped.
pub struct Filler {
    file: File,
    path: PathBuf,
}

impl Filler {
    /// A new one, in that directory.
    pub fn create(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let path = directory.join("page-cache-filler");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        file.set_len(FILE_BYTES)?;
        Ok(Self { file, path })
    }

    /// Reads on in the file until memory is nearly full. What was read before is given up first, as the oldest.
    pub fn fill(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 1024 * 1024];
        let mut filled = 0;
        let left_free = memory_bytes("MemTotal:")? / LEFT_FREE;
        while filled < MOST_BYTES && memory_bytes("MemFree:")? > left_free {
            let mut step = 0;
            while step < STEP_BYTES {
                match self.file.read(&mut buffer)? {
                    0 => self.file.seek(SeekFrom::Start(0)).map(drop)?,
                    read => step += read as u64,
                }
            }
            filled += step;
        }
        Ok(())
    }

    /// Gives all of it up.
    pub fn empty(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.set_len(FILE_BYTES)?;
        self.file.seek(SeekFrom::Start(0)).map(drop)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// What the kernel tells of memory under that name; nothing if it does not.
fn memory_bytes(name: &str) -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    Ok(kilobytes.unwrap_or(0) * 1024)
}
