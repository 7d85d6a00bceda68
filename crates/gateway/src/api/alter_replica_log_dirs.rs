//! AlterReplicaLogDirs (key 34): moves replicas of this broker to other log directories of it (KIP-113). The answer says which
//! moves have begun; DescribeLogDirs tells how far they are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use highwater_env::run_blocking;
use highwater_protocol::messages::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use highwater_protocol::messages::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};
use highwater_types::{ErrorCode, PartitionIndex, TopicName, TopicPartition};

use crate::state::GatewayState;
use crate::wire::text;

pub(crate) async fn handle(state: Arc<GatewayState>, body: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
    let wanted = Wanted::of(&body);
    let asked: Vec<(TopicPartition, PathBuf)> =
        wanted.legal.iter().map(|(name, path)| (name.clone(), path.clone())).collect();
    let replicas = Arc::clone(&state.services.replicas);
    let results = run_blocking(move || {
        let results = replicas.alter_log_dirs(&asked);
        asked.into_iter().map(|(name, _)| name).zip(results).collect::<Vec<_>>()
    })
    .await;
    let mut topics = wanted.illegal;
    for (TopicPartition { topic, partition }, result) in results {
        let code = result.err().map_or(0, |code| code.code());
        topics.entry(topic.as_str().to_owned()).or_default().insert(partition.get(), code);
    }
    let topic = |(name, partitions): (String, BTreeMap<i32, i16>)| {
        let partition = |(index, code)| {
            AlterReplicaLogDirPartitionResult::default().with_partition_index(index).with_error_code(code)
        };
        AlterReplicaLogDirTopicResult::default()
            .with_topic_name(highwater_protocol::messages::TopicName(text(&name)))
            .with_partitions(partitions.into_iter().map(partition).collect())
    };
    AlterReplicaLogDirsResponse::default().with_results(topics.into_iter().map(topic).collect())
}

/// What is asked for; of a partition that is named twice, the last directory counts, as in Kafka.
struct Wanted {
    legal: BTreeMap<TopicPartition, PathBuf>,
    /// Error codes by topic and partition, of names that no topic can have.
    illegal: BTreeMap<String, BTreeMap<i32, i16>>,
}

impl Wanted {
    fn of(body: &AlterReplicaLogDirsRequest) -> Self {
        let mut wanted = Self { legal: BTreeMap::new(), illegal: BTreeMap::new() };
        for dir in &body.dirs {
            for topic in &dir.topics {
                let name = TopicName::new(&topic.name).ok();
                for &index in &topic.partitions {
                    match &name {
                        Some(name) => {
                            let name = TopicPartition { topic: name.clone(), partition: PartitionIndex(index) };
                            wanted.legal.insert(name, PathBuf::from(dir.path.as_str()));
                        }
                        None => {
                            let topic = wanted.illegal.entry(topic.name.to_string()).or_default();
                            topic.insert(index, ErrorCode::InvalidTopicException.code());
                        }
                    }
                }
            }
        }
        wanted
    }
}
