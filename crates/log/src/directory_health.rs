//! Whether a log directory is in service.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use highwater_env::lock::Mutex;

use crate::error::LogError;

type Callback = Box<dyn Fn(&str) + Send + Sync>;

/// In service until the first I/O error or failed flush, then out of it for the rest of the process: after a failed flush
/// the system may have dropped the data while still showing it, so nothing is ever tried again.
pub(crate) struct DirectoryHealth {
    path: PathBuf,
    offline: AtomicBool,
    on_offline: Mutex<Option<Callback>>,
}

impl DirectoryHealth {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), offline: AtomicBool::new(false), on_offline: Mutex::new(None) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn is_online(&self) -> bool {
        !self.offline.load(Ordering::Acquire)
    }

    /// An error for callers if the directory is out of service.
    pub(crate) fn check(&self) -> Result<(), LogError> {
        if self.is_online() { Ok(()) } else { Err(LogError::Offline(self.path.clone())) }
    }

    /// Sets what is told, once, when the directory goes out of service. It is called with locks of the failed operation
    /// held and must not call back into the log.
    pub(crate) fn set_on_offline(&self, callback: Callback) {
        *self.on_offline.lock() = Some(callback);
    }

    /// Takes the directory out of service.
    pub(crate) fn fail(&self, reason: &str) {
        if self.offline.swap(true, Ordering::AcqRel) {
            return;
        }
        tracing::error!(directory = %self.path.display(), reason, "log directory goes out of service");
        let callback = self.on_offline.lock().take();
        if let Some(callback) = callback {
            callback(reason);
        }
    }

    /// Passes `result` on; an error takes the directory out of service first. A full disk does not: nothing was lost, and there
    /// may be room again.
    pub(crate) fn watch<T>(&self, result: Result<T, LogError>) -> Result<T, LogError> {
        match result {
            Err(error) if error.is_disk_full() => Err(error),
            result => self.watch_flush(result),
        }
    }

    /// As [`Self::watch`], for what is half done when it fails, so that memory and disk do not tell the same: that must not go on,
    /// also if only room was lacking.
    pub(crate) fn watch_half_done<T>(&self, result: Result<T, LogError>) -> Result<T, LogError> {
        self.watch_flush(result)
    }

    /// As [`Self::watch`], for a flush: whatever its error is, what was to be flushed may be lost.
    pub(crate) fn watch_flush<T>(&self, result: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(error @ LogError::Io { .. }) = &result {
            self.fail(&error.to_string());
        }
        result
    }
}

impl std::fmt::Debug for DirectoryHealth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectoryHealth").field("path", &self.path).field("online", &self.is_online()).finish()
    }
}
