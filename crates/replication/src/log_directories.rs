//! What the log directories of this broker hold, for tools.

use std::path::PathBuf;
use std::sync::Arc;

use highwater_log::LogDirectory;
use highwater_types::{PartitionIndex, TopicName};

use crate::PartitionStatus;
use crate::context::Context;
use crate::future_log::FutureLog;
use crate::partition::Partition;

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
    /// The copies of replicas on their way into it, likewise.
    pub futures: Vec<FutureReplicaStatus>,
}

/// A replica that is copied to another log directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FutureReplicaStatus {
    /// Name of the topic.
    pub topic: TopicName,
    /// Index in the topic.
    pub partition: PartitionIndex,
    /// Size of what is copied, in bytes.
    pub size_bytes: u64,
    /// How many records are missing.
    pub offset_lag: i64,
}

/// All directories, those that could not be opened last. Asks the volumes for their sizes, which may block.
pub(crate) fn statuses(context: &Context, directories: &LogDirectories) -> Vec<LogDirectoryStatus> {
    let partitions: Vec<_> = context.partitions.read().values().cloned().collect();
    // One look at each: a move that ends meanwhile must not make a replica appear in both directories, or in none.
    let places: Vec<_> = partitions.iter().map(|partition| (partition, partition.places())).collect();
    let one = |directory: &Arc<LogDirectory>| {
        let is_here = |home: &Option<Arc<LogDirectory>>| home.as_ref().is_some_and(|home| Arc::ptr_eq(home, directory));
        let here = places.iter().filter(|(_, (home, _))| is_here(home));
        let coming = places.iter().filter_map(|(partition, (_, future))| Some((partition, future.as_ref()?)));
        let coming = coming.filter(|(_, future)| future.is_in(directory));
        let (fs, path) = (&context.node.env.fs, directory.path());
        LogDirectoryStatus {
            path: path.to_owned(),
            online: directory.is_online(),
            total_bytes: fs.total_bytes(path).ok(),
            usable_bytes: fs.available_bytes(path).ok(),
            replicas: here.map(|(partition, _)| partition.status()).collect(),
            futures: coming.map(|(partition, future)| future_status(partition, future)).collect(),
        }
    };
    let unreadable = |path: &PathBuf| LogDirectoryStatus {
        path: path.clone(),
        online: false,
        total_bytes: None,
        usable_bytes: None,
        replicas: Vec::new(),
        futures: Vec::new(),
    };
    directories.opened.iter().map(one).chain(directories.unreadable.iter().map(unreadable)).collect()
}

fn future_status(partition: &Partition, future: &FutureLog) -> FutureReplicaStatus {
    FutureReplicaStatus {
        topic: partition.name.topic.clone(),
        partition: partition.name.partition,
        size_bytes: future.size_bytes(),
        offset_lag: (partition.snapshot().log_end.get() - future.log_end().get()).max(0),
    }
}
