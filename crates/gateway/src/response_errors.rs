//! The error codes in a response, as Kafka counts them: one for each resource that the response speaks of.
//!
//! `match` over [`ResponseBody`] is exhaustive: an API that is served without its errors being counted does not compile.

use highwater_protocol::ResponseBody;

/// Calls `count` with each error code in `body` that is not 0.
pub(crate) fn for_each_error(body: &ResponseBody, count: impl FnMut(i16)) {
    let mut errors = Errors { count };
    macro_rules! by_partition {
        ($topics:expr) => {
            errors.add($topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error_code))
        };
    }
    match body {
        ResponseBody::Produce(body) => {
            errors.add(body.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error.code()));
        }
        ResponseBody::Fetch(body) => {
            errors.one(body.error.code());
            errors.add(body.topics.iter().flat_map(|topic| &topic.partitions).map(|partition| partition.error.code()));
        }
        ResponseBody::ListOffsets(body) => by_partition!(body.topics),
        ResponseBody::Metadata(body) => {
            errors.one(body.error_code);
            errors.add(body.topics.iter().map(|topic| topic.error_code));
            by_partition!(body.topics);
        }
        ResponseBody::DescribeTopicPartitions(body) => {
            errors.add(body.topics.iter().map(|topic| topic.error_code));
            by_partition!(body.topics);
        }
        ResponseBody::OffsetForLeaderEpoch(body) => by_partition!(body.topics),
        ResponseBody::DescribeProducers(body) => by_partition!(body.topics),
        ResponseBody::DeleteRecords(body) => by_partition!(body.topics),
        ResponseBody::OffsetCommit(body) => by_partition!(body.topics),
        ResponseBody::OffsetFetch(body) => {
            errors.one(body.error_code);
            by_partition!(body.topics);
            for group in &body.groups {
                errors.one(group.error_code);
                by_partition!(group.topics);
            }
        }
        ResponseBody::FindCoordinator(body) => {
            errors.one(body.error_code);
            errors.add(body.coordinators.iter().map(|coordinator| coordinator.error_code));
        }
        ResponseBody::JoinGroup(body) => errors.one(body.error_code),
        ResponseBody::Heartbeat(body) => errors.one(body.error_code),
        ResponseBody::LeaveGroup(body) => {
            errors.one(body.error_code);
            errors.add(body.members.iter().map(|member| member.error_code));
        }
        ResponseBody::SyncGroup(body) => errors.one(body.error_code),
        ResponseBody::DescribeGroups(body) => errors.add(body.groups.iter().map(|group| group.error_code)),
        ResponseBody::ListGroups(body) => errors.one(body.error_code),
        ResponseBody::DeleteGroups(body) => errors.add(body.results.iter().map(|group| group.error_code)),
        ResponseBody::OffsetDelete(body) => {
            errors.one(body.error_code);
            by_partition!(body.topics);
        }
        ResponseBody::InitProducerId(body) => errors.one(body.error_code),
        ResponseBody::ApiVersions(body) => errors.one(body.error_code),
        ResponseBody::CreateTopics(body) => errors.add(body.topics.iter().map(|topic| topic.error_code)),
        ResponseBody::DeleteTopics(body) => errors.add(body.responses.iter().map(|topic| topic.error_code)),
        ResponseBody::CreatePartitions(body) => errors.add(body.results.iter().map(|topic| topic.error_code)),
        ResponseBody::DescribeConfigs(body) => errors.add(body.results.iter().map(|resource| resource.error_code)),
        ResponseBody::AlterConfigs(body) => errors.add(body.responses.iter().map(|resource| resource.error_code)),
        ResponseBody::IncrementalAlterConfigs(body) => {
            errors.add(body.responses.iter().map(|resource| resource.error_code));
        }
        ResponseBody::AlterReplicaLogDirs(body) => by_partition!(body.results),
        ResponseBody::DescribeLogDirs(body) => {
            errors.one(body.error_code);
            errors.add(body.results.iter().map(|directory| directory.error_code));
        }
        ResponseBody::ElectLeaders(body) => {
            errors.one(body.error_code);
            let partitions = body.replica_election_results.iter().flat_map(|topic| &topic.partition_result);
            errors.add(partitions.map(|partition| partition.error_code));
        }
        ResponseBody::AlterPartitionReassignments(body) => {
            errors.one(body.error_code);
            by_partition!(body.responses);
        }
        ResponseBody::ListPartitionReassignments(body) => errors.one(body.error_code),
        ResponseBody::UpdateFeatures(body) => {
            errors.one(body.error_code);
            errors.add(body.results.iter().map(|feature| feature.error_code));
        }
        ResponseBody::DescribeQuorum(body) => {
            errors.one(body.error_code);
            by_partition!(body.topics);
        }
        ResponseBody::AddRaftVoter(body) => errors.one(body.error_code),
        ResponseBody::RemoveRaftVoter(body) => errors.one(body.error_code),
        ResponseBody::DescribeCluster(body) => errors.one(body.error_code),
        ResponseBody::UnregisterBroker(body) => errors.one(body.error_code),
        ResponseBody::ListConfigResources(body) => errors.one(body.error_code),
    }
}

struct Errors<F> {
    count: F,
}

impl<F: FnMut(i16)> Errors<F> {
    fn one(&mut self, code: i16) {
        if code != 0 {
            (self.count)(code);
        }
    }

    fn add(&mut self, codes: impl Iterator<Item = i16>) {
        codes.for_each(|code| self.one(code));
    }
}

#[cfg(test)]
mod tests {
    use highwater_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
    use highwater_protocol::messages::{HeartbeatResponse, MetadataResponse};

    use super::*;

    fn errors_of(body: impl Into<ResponseBody>) -> Vec<i16> {
        let mut found = Vec::new();
        for_each_error(&body.into(), |code| found.push(code));
        found
    }

    #[test]
    fn every_resource_counts_and_success_does_not() {
        let partition = |code| MetadataResponsePartition::default().with_error_code(code);
        let topic =
            |code, partitions| MetadataResponseTopic::default().with_error_code(code).with_partitions(partitions);
        let topics = vec![topic(0, vec![partition(0), partition(5), partition(5)]), topic(3, Vec::new())];
        assert_eq!(errors_of(MetadataResponse::default().with_topics(topics)), [3, 5, 5]);
        assert_eq!(errors_of(HeartbeatResponse::default()), [] as [i16; 0]);
        assert_eq!(errors_of(HeartbeatResponse::default().with_error_code(27)), [27]);
    }
}
