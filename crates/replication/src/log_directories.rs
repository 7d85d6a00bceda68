//! What the log directories of this broker hold, for tools.

use std::path::PathBuf;
use std::sync::Arc;

use highwater_log::LogDirectory;

use crate::PartitionStatus;
use crate::context::Context;

/// The entries of `log.dirs`, as they were found at start.
#[derive(Debug, Clone, Default)]
pub struct LogDirectories {
    /// Those that were opened, in the order of the configuration.
    pub opened: Vec<Arc<LogDirectory>>,
    /// Those that the disk refused to open.
    pub unreadable: Vec<PathBuf>,
}

/// One log directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirectoryStatus {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is in service.
    pub online: bool,
    /// Size of its volume, if the system tells.
    pub total_bytes: Option<u64>,
    /// What this process may still write there, if the system tells.
    pub usable_bytes: Option<u64>,
    /// The replicas in it, in ascending order of key.
    pub replicas: Vec<PartitionStatus>,
}

/// All directories, those that could not be opened last. Asks the volumes for their sizes, which may block.
pub(crate) fn statuses(context: &Context, directories: &LogDirectories) -> Vec<LogDirectoryStatus> {
    let partitions: Vec<_> = context.partitions.read().values().cloned().collect();
    let one = |directory: &Arc<LogDirectory>| {
        let here = partitions.iter().filter(|partition| partition.is_in(directory));
        let (fs, path) = (&context.node.env.fs, directory.path());
        LogDirectoryStatus {
            path: path.to_owned(),
            online: directory.is_online(),
            total_bytes: fs.total_bytes(path).ok(),
            usable_bytes: fs.available_bytes(path).ok(),
            replicas: here.map(|partition| partition.status()).collect(),
        }
    };
    let unreadable = |path: &PathBuf| LogDirectoryStatus {
        path: path.clone(),
        online: false,
        total_bytes: None,
        usable_bytes: None,
        replicas: Vec::new(),
    };
    directories.opened.iter().map(one).chain(directories.unreadable.iter().map(unreadable)).collect()
}
