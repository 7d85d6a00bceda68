//! The table of advertised APIs: what ApiVersions answers, what is decoded, what `docs/api-matrix.md` lists.

/// One advertised Kafka API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiSpec {
    /// Kafka's API key.
    pub key: i16,
    /// Kafka's name, e.g. `OffsetForLeaderEpoch`.
    pub name: &'static str,
    /// Lowest version that ApiVersions lists.
    pub min: i16,
    /// Lowest version that is decoded. Differs from `min` for Produce only: librdkafka silently turns compression off
    /// unless Produce 0 is listed, though nothing sends it (Kafka does the same, KIP-896).
    pub served_min: i16,
    /// Highest version, both listed and decoded.
    pub max: i16,
    /// First version with compact encodings and tagged fields (KIP-482); above `max` if there is none yet.
    pub flexible_from: i16,
}

impl ApiSpec {
    /// Whether requests of `version` are decoded.
    pub const fn serves(&self, version: i16) -> bool {
        self.served_min <= version && version <= self.max
    }

    /// Whether `version` uses compact encodings and tagged fields (KIP-482).
    pub const fn is_flexible(&self, version: i16) -> bool {
        version >= self.flexible_from
    }

    /// Version of the response header: 1 for flexible versions, else 0. ApiVersions always has 0, because a client that
    /// sent an unknown version must be able to read the answer (KIP-511).
    pub const fn response_header_version(&self, version: i16) -> i16 {
        if self.is_flexible(version) && self.key != API_VERSIONS_KEY { 1 } else { 0 }
    }
}

/// Key of ApiVersions, which has rules of its own.
pub const API_VERSIONS_KEY: i16 = 18;

/// The advertised API of that key.
pub fn find_api(key: i16) -> Option<&'static ApiSpec> {
    APIS.binary_search_by_key(&key, |api| api.key).ok().map(|index| &APIS[index])
}

/// The one list of advertised APIs. Each line: name = key, lowest version listed, versions decoded, first flexible version,
/// request type, the type the gateway answers with, and the field layouts that bound decoding.
///
/// The ranges are those of Kafka 4.3 cut to what `kafka-protocol` carries (ListOffsets 11, OffsetCommit 10 and OffsetFetch 10
/// are missing there; so are DescribeLogDirs 5 and AddRaftVoter 1).
macro_rules! for_each_api {
    ($callback:ident) => {
        $callback! {
            Produce = 0, 0, 3..=13, flexible 9, ProduceRequest => ProduceResponseBody, PRODUCE;
            Fetch = 1, 4, 4..=18, flexible 12, FetchRequest => FetchResponseBody, FETCH;
            ListOffsets = 2, 1, 1..=10, flexible 6, ListOffsetsRequest => ListOffsetsResponse, LIST_OFFSETS;
            Metadata = 3, 0, 0..=13, flexible 9, MetadataRequest => MetadataResponse, METADATA;
            OffsetCommit = 8, 2, 2..=9, flexible 8, OffsetCommitRequest => OffsetCommitResponse, OFFSET_COMMIT;
            OffsetFetch = 9, 1, 1..=9, flexible 6, OffsetFetchRequest => OffsetFetchResponse, OFFSET_FETCH;
            FindCoordinator = 10, 0, 0..=6, flexible 3, FindCoordinatorRequest => FindCoordinatorResponse, FIND_COORDINATOR;
            JoinGroup = 11, 0, 0..=9, flexible 6, JoinGroupRequest => JoinGroupResponse, JOIN_GROUP;
            Heartbeat = 12, 0, 0..=4, flexible 4, HeartbeatRequest => HeartbeatResponse, HEARTBEAT;
            LeaveGroup = 13, 0, 0..=5, flexible 4, LeaveGroupRequest => LeaveGroupResponse, LEAVE_GROUP;
            SyncGroup = 14, 0, 0..=5, flexible 4, SyncGroupRequest => SyncGroupResponse, SYNC_GROUP;
            DescribeGroups = 15, 0, 0..=6, flexible 5, DescribeGroupsRequest => DescribeGroupsResponse, DESCRIBE_GROUPS;
            ListGroups = 16, 0, 0..=5, flexible 3, ListGroupsRequest => ListGroupsResponse, LIST_GROUPS;
            ApiVersions = 18, 0, 0..=4, flexible 3, ApiVersionsRequest => ApiVersionsResponse, API_VERSIONS;
            CreateTopics = 19, 2, 2..=7, flexible 5, CreateTopicsRequest => CreateTopicsResponse, CREATE_TOPICS;
            DeleteTopics = 20, 1, 1..=6, flexible 4, DeleteTopicsRequest => DeleteTopicsResponse, DELETE_TOPICS;
            DeleteRecords = 21, 0, 0..=2, flexible 2, DeleteRecordsRequest => DeleteRecordsResponse, DELETE_RECORDS;
            InitProducerId = 22, 0, 0..=5, flexible 2, InitProducerIdRequest => InitProducerIdResponse, INIT_PRODUCER_ID;
            OffsetForLeaderEpoch = 23, 2, 2..=4, flexible 4,
                OffsetForLeaderEpochRequest => OffsetForLeaderEpochResponse, OFFSET_FOR_LEADER_EPOCH;
            DescribeConfigs = 32, 1, 1..=4, flexible 4, DescribeConfigsRequest => DescribeConfigsResponse, DESCRIBE_CONFIGS;
            AlterConfigs = 33, 0, 0..=2, flexible 2, AlterConfigsRequest => AlterConfigsResponse, ALTER_CONFIGS;
            AlterReplicaLogDirs = 34, 1, 1..=2, flexible 2,
                AlterReplicaLogDirsRequest => AlterReplicaLogDirsResponse, ALTER_REPLICA_LOG_DIRS;
            DescribeLogDirs = 35, 1, 1..=4, flexible 2, DescribeLogDirsRequest => DescribeLogDirsResponse, DESCRIBE_LOG_DIRS;
            CreatePartitions = 37, 0, 0..=3, flexible 2,
                CreatePartitionsRequest => CreatePartitionsResponse, CREATE_PARTITIONS;
            DeleteGroups = 42, 0, 0..=2, flexible 2, DeleteGroupsRequest => DeleteGroupsResponse, DELETE_GROUPS;
            ElectLeaders = 43, 0, 0..=2, flexible 2, ElectLeadersRequest => ElectLeadersResponse, ELECT_LEADERS;
            IncrementalAlterConfigs = 44, 0, 0..=1, flexible 1,
                IncrementalAlterConfigsRequest => IncrementalAlterConfigsResponse, INCREMENTAL_ALTER_CONFIGS;
            AlterPartitionReassignments = 45, 0, 0..=1, flexible 0,
                AlterPartitionReassignmentsRequest => AlterPartitionReassignmentsResponse, ALTER_PARTITION_REASSIGNMENTS;
            ListPartitionReassignments = 46, 0, 0..=0, flexible 0,
                ListPartitionReassignmentsRequest => ListPartitionReassignmentsResponse, LIST_PARTITION_REASSIGNMENTS;
            OffsetDelete = 47, 0, 0..=0, flexible 1, OffsetDeleteRequest => OffsetDeleteResponse, OFFSET_DELETE;
            DescribeQuorum = 55, 0, 0..=2, flexible 0, DescribeQuorumRequest => DescribeQuorumResponse, DESCRIBE_QUORUM;
            UpdateFeatures = 57, 0, 0..=2, flexible 0, UpdateFeaturesRequest => UpdateFeaturesResponse, UPDATE_FEATURES;
            DescribeCluster = 60, 0, 0..=2, flexible 0, DescribeClusterRequest => DescribeClusterResponse, DESCRIBE_CLUSTER;
            DescribeProducers = 61, 0, 0..=0, flexible 0,
                DescribeProducersRequest => DescribeProducersResponse, DESCRIBE_PRODUCERS;
            UnregisterBroker = 64, 0, 0..=0, flexible 0,
                UnregisterBrokerRequest => UnregisterBrokerResponse, UNREGISTER_BROKER;
            ListConfigResources = 74, 0, 0..=1, flexible 0,
                ListConfigResourcesRequest => ListConfigResourcesResponse, LIST_CONFIG_RESOURCES;
            DescribeTopicPartitions = 75, 0, 0..=0, flexible 0,
                DescribeTopicPartitionsRequest => DescribeTopicPartitionsResponse, DESCRIBE_TOPIC_PARTITIONS;
            AddRaftVoter = 80, 0, 0..=0, flexible 0, AddRaftVoterRequest => AddRaftVoterResponse, ADD_RAFT_VOTER;
            RemoveRaftVoter = 81, 0, 0..=0, flexible 0,
                RemoveRaftVoterRequest => RemoveRaftVoterResponse, REMOVE_RAFT_VOTER;
        }
    };
}
pub(crate) use for_each_api;

macro_rules! define_table {
    ($($name:ident = $key:literal, $listed_min:literal, $min:literal ..= $max:literal, flexible $flexible:literal,
       $request:ident => $response:ident, $schema:ident;)*) => {
        /// Every advertised API in ascending order of key.
        pub const APIS: &[ApiSpec] = &[$(ApiSpec {
            key: $key,
            name: stringify!($name),
            min: $listed_min,
            served_min: $min,
            max: $max,
            flexible_from: $flexible,
        },)*];
    };
}
for_each_api!(define_table);

#[cfg(test)]
mod tests;
