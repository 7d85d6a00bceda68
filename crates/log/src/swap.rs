//! Putting a compacted segment in the place of the segments it was made from, so that a crash at any point leaves either
//! all of the old ones or something that the next opening completes.
//!
//! The steps, with Kafka's file names:
//! 1. `<base>.*.cleaned` are written and synced. A crash: they are removed.
//! 2. They are renamed to `<base>.*.swap`, the log last, and the directory is synced. A crash: without `.log.swap` the
//!    others are removed; with it, step 3 is done by the next opening.
//! 3. The segments between `<base>` and the end of the new one are removed, newest first; the new indexes, then the new log
//!    take the names of the first old segment's; the directory is synced. Each step can be repeated: while `.log.swap` is
//!    there, indexes under final names are not believed unless they were just put there.
//!
//! Only one group of segments is in any of these steps at a time. A tombstone that is dropped with a later group is thus
//! never gone while the record it deletes could come back with an earlier one.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use highwater_env::Fs;
use highwater_types::Offset;

use crate::file_names::FileKind;
use crate::segment::remove_if_there;

/// Ends the names of files that a compaction is writing.
pub(crate) const CLEANED_SUFFIX: &str = ".cleaned";
/// Ends the names of files that a compaction finished and that are to replace others.
pub(crate) const SWAP_SUFFIX: &str = ".swap";

/// `path` with something behind its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Begins step 2. Without the log, which comes last, they mean nothing.
pub(crate) fn rename_indexes(fs: &Fs, dir: &Path, base: Offset) -> io::Result<()> {
    FileKind::INDEXES.into_iter().try_for_each(|kind| rename_cleaned(fs, &kind.path(dir, base)))
}

/// Completes step 2: from here on the compacted segment at `base` is the truth.
pub(crate) fn commit_swap(fs: &Fs, dir: &Path, base: Offset) -> io::Result<()> {
    rename_cleaned(fs, &FileKind::Log.path(dir, base))?;
    fs.sync_dir(dir)
}

fn rename_cleaned(fs: &Fs, path: &Path) -> io::Result<()> {
    fs.rename(&with_suffix(path, CLEANED_SUFFIX), &with_suffix(path, SWAP_SUFFIX))
}

/// Step 3. `replaced` are the base offsets of the old segments other than the one at `base`, ascending; `remove` takes a
/// file away.
pub(crate) fn complete_swap(
    fs: &Fs,
    dir: &Path,
    base: Offset,
    replaced: &[Offset],
    remove: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    for &offset in replaced.iter().rev() {
        for kind in FileKind::OF_SEGMENT {
            remove(&kind.path(dir, offset))?;
        }
    }
    for kind in FileKind::INDEXES {
        let path = kind.path(dir, base);
        let swap = with_suffix(&path, SWAP_SUFFIX);
        match fs.exists(&swap)? {
            true => fs.rename(&swap, &path)?,
            false => remove_if_there(fs, &path)?,
        }
    }
    let path = FileKind::Log.path(dir, base);
    fs.rename(&with_suffix(&path, SWAP_SUFFIX), &path)?;
    fs.sync_dir(dir)
}
