//! Where a replica's log is.

use std::sync::{Arc, Weak};

use highwater_log::{DiskSpace, LogDirectory, SyncScheduler};

/// A log directory, as a replica in it uses it.
pub(crate) struct Home {
    /// Not kept alive by its replicas, so that its lock is free as soon as the node lets go of it.
    directory: Weak<LogDirectory>,
    pub sync: Arc<SyncScheduler>,
    pub space: Arc<DiskSpace>,
}

impl Home {
    pub fn new(directory: &Arc<LogDirectory>) -> Self {
        Self { directory: Arc::downgrade(directory), sync: directory.sync().clone(), space: directory.space().clone() }
    }

    /// The directory, while the node runs.
    pub fn directory(&self) -> Option<Arc<LogDirectory>> {
        self.directory.upgrade()
    }

    /// Whether it is that one.
    pub fn is(&self, directory: &Arc<LogDirectory>) -> bool {
        std::ptr::eq(self.directory.as_ptr(), Arc::as_ptr(directory))
    }
}
