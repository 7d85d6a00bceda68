//! DescribeLogDirs (key 35): what lies in the log directories of this broker, and how full they are (KIP-113, KIP-827).

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_env::run_blocking;
use highwater_protocol::messages::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use highwater_protocol::messages::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use highwater_replication::LogDirectoryStatus;
use highwater_types::{ErrorCode, PartitionIndex};

use crate::state::{GatewayState, RequestContext};
use crate::wire::{name_of, text};

/// First version that tells how large the volume of a directory is.
const VOLUME_VERSION: i16 = 4;
/// What is answered for a volume whose size is not known.
const UNKNOWN_BYTES: i64 = -1;

pub(crate) async fn handle(
    state: Arc<GatewayState>,
    context: RequestContext,
    body: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let replicas = Arc::clone(&state.services.replicas);
    // Asks the volumes for their sizes.
    let directories = run_blocking(move || replicas.log_directories()).await;
    let wanted = Wanted::of(&body);
    let results = directories.iter().map(|directory| describe(directory, &wanted, context.version));
    DescribeLogDirsResponse::default().with_results(results.collect())
}

/// Partitions that are asked for, by topic; `None` for all.
struct Wanted(Option<BTreeMap<String, Vec<i32>>>);

impl Wanted {
    fn of(body: &DescribeLogDirsRequest) -> Self {
        let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
        for topic in body.topics.iter().flatten() {
            topics.entry(topic.topic.to_string()).or_default().extend(&topic.partitions);
        }
        Self(body.topics.is_some().then_some(topics))
    }

    fn has(&self, topic: &str, partition: i32) -> bool {
        let Some(topics) = &self.0 else { return true };
        topics.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }
}

fn describe(directory: &LogDirectoryStatus, wanted: &Wanted, version: i16) -> DescribeLogDirsResult {
    let mut result = DescribeLogDirsResult::default().with_log_dir(text(&directory.path.to_string_lossy()));
    if version >= VOLUME_VERSION {
        let bytes = |known: Option<u64>| known.map_or(UNKNOWN_BYTES, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        result.total_bytes = bytes(directory.total_bytes);
        result.usable_bytes = bytes(directory.usable_bytes);
    }
    if !directory.online {
        return result.with_error_code(ErrorCode::KafkaStorageError.code());
    }
    let replicas = directory.replicas.iter().map(|replica| {
        let lag = (replica.high_watermark.get() - replica.log_end.get()).max(0);
        (&replica.topic, partition(replica.partition, replica.size_bytes, lag))
    });
    let futures = directory.futures.iter().map(|future| {
        let partition = partition(future.partition, future.size_bytes, future.offset_lag);
        (&future.topic, partition.with_is_future_key(true))
    });
    let mut topics: BTreeMap<&str, DescribeLogDirsTopic> = BTreeMap::new();
    for (name, partition) in replicas.chain(futures) {
        if wanted.has(name.as_str(), partition.partition_index) {
            let new = || DescribeLogDirsTopic::default().with_name(name_of(name));
            topics.entry(name.as_str()).or_insert_with(new).partitions.push(partition);
        }
    }
    result.with_topics(topics.into_values().collect())
}

fn partition(index: PartitionIndex, size_bytes: u64, offset_lag: i64) -> DescribeLogDirsPartition {
    DescribeLogDirsPartition::default()
        .with_partition_index(index.get())
        .with_partition_size(i64::try_from(size_bytes).unwrap_or(i64::MAX))
        .with_offset_lag(offset_lag)
}
