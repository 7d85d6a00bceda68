//! Files and directories that were deleted and stay on disk for `file.delete.delay.ms`.
//!
//! They have names that nothing opens (`.deleted`, `-delete`). What a process did not get to remove, the next one removes:
//! files when it opens the log, directories when it starts.

use std::io;
use std::path::{Path, PathBuf};

use highwater_env::Fs;
use highwater_env::lock::Mutex;
use highwater_types::Timestamp;

use crate::error::{LogError, is_disk_full};
use crate::segment::remove_if_there;
use crate::swap::with_suffix;

/// Ends the name of a file of a deleted segment.
const DELETED_FILE_SUFFIX: &str = ".deleted";

/// The doomed of one log directory.
#[derive(Debug, Default)]
pub(crate) struct DoomedFiles {
    queue: Mutex<Vec<Doomed>>,
}

#[derive(Debug)]
struct Doomed {
    due: Timestamp,
    path: PathBuf,
    is_dir: bool,
}

impl DoomedFiles {
    /// Takes a file away: for good if `delay_ms` is 0, else under another name for that long. One that is gone is no error.
    pub(crate) fn take_away(&self, fs: &Fs, path: &Path, now: Timestamp, delay_ms: i64) -> io::Result<()> {
        let aside = with_suffix(path, DELETED_FILE_SUFFIX);
        let renamed = if delay_ms > 0 { fs.rename(path, &aside).map(|()| true) } else { Ok(false) };
        match renamed {
            Ok(true) => self.add(aside, false, now, delay_ms),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // There is no room for another name, and this is to make room.
            Err(error) if is_disk_full(&error) => remove_if_there(fs, path)?,
            Err(error) => return Err(error),
            Ok(false) => remove_if_there(fs, path)?,
        }
        Ok(())
    }

    /// A directory that got its last name already.
    pub(crate) fn add_dir(&self, path: PathBuf, now: Timestamp, delay_ms: i64) {
        self.add(path, true, now, delay_ms);
    }

    fn add(&self, path: PathBuf, is_dir: bool, now: Timestamp, delay_ms: i64) {
        let due = Timestamp(now.0.saturating_add(delay_ms.max(0)));
        self.queue.lock().push(Doomed { due, path, is_dir });
    }

    /// Removes what is due. Returns of how many files and directories.
    pub(crate) fn remove_due(&self, fs: &Fs, now: Timestamp) -> Result<usize, LogError> {
        let due: Vec<Doomed> = self.queue.lock().extract_if(.., |doomed| doomed.due <= now).collect();
        if let Some(parent) = due.iter().filter(|doomed| doomed.is_dir).find_map(|doomed| doomed.path.parent()) {
            // All are in the log directory, and got their last names there: a power loss must not take that back now.
            fs.sync_dir(parent).map_err(LogError::io(parent))?;
        }
        for doomed in &due {
            let removed = if doomed.is_dir { fs.remove_dir_all(&doomed.path) } else { fs.remove_file(&doomed.path) };
            match removed {
                // Its directory was deleted as a whole meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(LogError::io(&doomed.path))?,
            }
        }
        Ok(due.len())
    }
}
