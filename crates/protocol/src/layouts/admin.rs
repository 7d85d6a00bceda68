//! Layouts of the APIs for administration, from the message definitions of Apache Kafka 4.3.

use crate::layout::Kind::{self, Struct};
use crate::layout::{BOOL, Field, INT8, INT16, INT32, INT64, MessageLayout, STRING, UINT16, UUID, array, field};

pub(crate) const CREATE_TOPICS: MessageLayout = MessageLayout {
    request: &[
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                field("NumPartitions", INT32),
                field("ReplicationFactor", INT16),
                array("Assignments", &Struct(&[field("PartitionIndex", INT32), array("BrokerIds", &INT32)])),
                array("Configs", &Struct(&[field("Name", STRING), field("Value", STRING).nullable(0)])),
            ]),
        ),
        field("timeoutMs", INT32),
        field("validateOnly", BOOL),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                field("TopicId", UUID).since(7),
                field("ErrorCode", INT16),
                field("ErrorMessage", STRING).nullable(0),
                field("TopicConfigErrorCode", INT16).since(5).tagged(0),
                field("NumPartitions", INT32).since(5),
                field("ReplicationFactor", INT16).since(5),
                array(
                    "Configs",
                    &Struct(&[
                        field("Name", STRING),
                        field("Value", STRING).nullable(5),
                        field("ReadOnly", BOOL),
                        field("ConfigSource", INT8),
                        field("IsSensitive", BOOL),
                    ]),
                )
                .since(5)
                .nullable(5),
            ]),
        ),
    ],
};

pub(crate) const DELETE_TOPICS: MessageLayout = MessageLayout {
    request: &[
        array("Topics", &Struct(&[field("Name", STRING).nullable(6), field("TopicId", UUID)])).since(6),
        array("TopicNames", &STRING).until(5),
        field("TimeoutMs", INT32),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        array(
            "Responses",
            &Struct(&[
                field("Name", STRING).nullable(6),
                field("TopicId", UUID).since(6),
                field("ErrorCode", INT16),
                field("ErrorMessage", STRING).since(5).nullable(5),
            ]),
        ),
    ],
};

pub(crate) const DELETE_RECORDS: MessageLayout = MessageLayout {
    request: &[
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                array("Partitions", &Struct(&[field("PartitionIndex", INT32), field("Offset", INT64)])),
            ]),
        ),
        field("TimeoutMs", INT32),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                array(
                    "Partitions",
                    &Struct(&[field("PartitionIndex", INT32), field("LowWatermark", INT64), field("ErrorCode", INT16)]),
                ),
            ]),
        ),
    ],
};

pub(crate) const DESCRIBE_PRODUCERS: MessageLayout = MessageLayout {
    request: &[array("Topics", &Struct(&[field("Name", STRING), array("PartitionIndexes", &INT32)]))],
    response: &[
        field("ThrottleTimeMs", INT32),
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                array(
                    "Partitions",
                    &Struct(&[
                        field("PartitionIndex", INT32),
                        field("ErrorCode", INT16),
                        field("ErrorMessage", STRING).nullable(0),
                        array(
                            "ActiveProducers",
                            &Struct(&[
                                field("ProducerId", INT64),
                                field("ProducerEpoch", INT32),
                                field("LastSequence", INT32),
                                field("LastTimestamp", INT64),
                                field("CoordinatorEpoch", INT32),
                                field("CurrentTxnStartOffset", INT64),
                            ]),
                        ),
                    ]),
                ),
            ]),
        ),
    ],
};

pub(crate) const DESCRIBE_CONFIGS: MessageLayout = MessageLayout {
    request: &[
        array(
            "Resources",
            &Struct(&[
                field("ResourceType", INT8),
                field("ResourceName", STRING),
                array("ConfigurationKeys", &STRING).nullable(0),
            ]),
        ),
        field("IncludeSynonyms", BOOL),
        field("IncludeDocumentation", BOOL).since(3),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        array(
            "Results",
            &Struct(&[
                field("ErrorCode", INT16),
                field("ErrorMessage", STRING).nullable(0),
                field("ResourceType", INT8),
                field("ResourceName", STRING),
                array(
                    "Configs",
                    &Struct(&[
                        field("Name", STRING),
                        field("Value", STRING).nullable(0),
                        field("ReadOnly", BOOL),
                        field("ConfigSource", INT8),
                        field("IsSensitive", BOOL),
                        array(
                            "Synonyms",
                            &Struct(&[
                                field("Name", STRING),
                                field("Value", STRING).nullable(0),
                                field("Source", INT8),
                            ]),
                        ),
                        field("ConfigType", INT8).since(3),
                        field("Documentation", STRING).since(3).nullable(0),
                    ]),
                ),
            ]),
        ),
    ],
};

pub(crate) const CREATE_PARTITIONS: MessageLayout = MessageLayout {
    request: &[
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                field("Count", INT32),
                array("Assignments", &Struct(&[array("BrokerIds", &INT32)])).nullable(0),
            ]),
        ),
        field("TimeoutMs", INT32),
        field("ValidateOnly", BOOL),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        array(
            "Results",
            &Struct(&[field("Name", STRING), field("ErrorCode", INT16), field("ErrorMessage", STRING).nullable(0)]),
        ),
    ],
};

pub(crate) const INCREMENTAL_ALTER_CONFIGS: MessageLayout = MessageLayout {
    request: &[
        array(
            "Resources",
            &Struct(&[
                field("ResourceType", INT8),
                field("ResourceName", STRING),
                array(
                    "Configs",
                    &Struct(&[
                        field("Name", STRING),
                        field("ConfigOperation", INT8),
                        field("Value", STRING).nullable(0),
                    ]),
                ),
            ]),
        ),
        field("ValidateOnly", BOOL),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        array(
            "Responses",
            &Struct(&[
                field("ErrorCode", INT16),
                field("ErrorMessage", STRING).nullable(0),
                field("ResourceType", INT8),
                field("ResourceName", STRING),
            ]),
        ),
    ],
};

pub(crate) const DESCRIBE_CLUSTER: MessageLayout = MessageLayout {
    request: &[
        field("IncludeClusterAuthorizedOperations", BOOL),
        field("EndpointType", INT8).since(1),
        field("IncludeFencedBrokers", BOOL).since(2),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        field("ErrorCode", INT16),
        field("ErrorMessage", STRING).nullable(0),
        field("EndpointType", INT8).since(1),
        field("ClusterId", STRING),
        field("ControllerId", INT32),
        array(
            "Brokers",
            &Struct(&[
                field("BrokerId", INT32),
                field("Host", STRING),
                field("Port", INT32),
                field("Rack", STRING).nullable(0),
                field("IsFenced", BOOL).since(2),
            ]),
        ),
        field("ClusterAuthorizedOperations", INT32),
    ],
};

pub(crate) const DESCRIBE_TOPIC_PARTITIONS: MessageLayout = MessageLayout {
    request: &[
        array("Topics", &Struct(&[field("Name", STRING)])),
        field("ResponsePartitionLimit", INT32),
        field("Cursor", Struct(&[field("TopicName", STRING), field("PartitionIndex", INT32)])).nullable(0),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        array(
            "Topics",
            &Struct(&[
                field("ErrorCode", INT16),
                field("Name", STRING).nullable(0),
                field("TopicId", UUID),
                field("IsInternal", BOOL),
                array(
                    "Partitions",
                    &Struct(&[
                        field("ErrorCode", INT16),
                        field("PartitionIndex", INT32),
                        field("LeaderId", INT32),
                        field("LeaderEpoch", INT32),
                        array("ReplicaNodes", &INT32),
                        array("IsrNodes", &INT32),
                        array("EligibleLeaderReplicas", &INT32).nullable(0),
                        array("LastKnownElr", &INT32).nullable(0),
                        array("OfflineReplicas", &INT32),
                    ]),
                ),
                field("TopicAuthorizedOperations", INT32),
            ]),
        ),
        field("NextCursor", Struct(&[field("TopicName", STRING), field("PartitionIndex", INT32)])).nullable(0),
    ],
};

pub(crate) const ELECT_LEADERS: MessageLayout = MessageLayout {
    request: &[
        field("ElectionType", INT8).since(1),
        array("TopicPartitions", &Struct(&[field("Topic", STRING), array("Partitions", &INT32)])).nullable(0),
        field("TimeoutMs", INT32),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        field("ErrorCode", INT16).since(1),
        array(
            "ReplicaElectionResults",
            &Struct(&[
                field("Topic", STRING),
                array(
                    "PartitionResult",
                    &Struct(&[
                        field("PartitionId", INT32),
                        field("ErrorCode", INT16),
                        field("ErrorMessage", STRING).nullable(0),
                    ]),
                ),
            ]),
        ),
    ],
};

pub(crate) const ALTER_PARTITION_REASSIGNMENTS: MessageLayout = MessageLayout {
    request: &[
        field("TimeoutMs", INT32),
        field("AllowReplicationFactorChange", BOOL).since(1),
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                array("Partitions", &Struct(&[field("PartitionIndex", INT32), array("Replicas", &INT32).nullable(0)])),
            ]),
        ),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        field("AllowReplicationFactorChange", BOOL).since(1),
        field("ErrorCode", INT16),
        field("ErrorMessage", STRING).nullable(0),
        array(
            "Responses",
            &Struct(&[
                field("Name", STRING),
                array(
                    "Partitions",
                    &Struct(&[
                        field("PartitionIndex", INT32),
                        field("ErrorCode", INT16),
                        field("ErrorMessage", STRING).nullable(0),
                    ]),
                ),
            ]),
        ),
    ],
};

pub(crate) const LIST_PARTITION_REASSIGNMENTS: MessageLayout = MessageLayout {
    request: &[
        field("TimeoutMs", INT32),
        array("Topics", &Struct(&[field("Name", STRING), array("PartitionIndexes", &INT32)])).nullable(0),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        field("ErrorCode", INT16),
        field("ErrorMessage", STRING).nullable(0),
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                array(
                    "Partitions",
                    &Struct(&[
                        field("PartitionIndex", INT32),
                        array("Replicas", &INT32),
                        array("AddingReplicas", &INT32),
                        array("RemovingReplicas", &INT32),
                    ]),
                ),
            ]),
        ),
    ],
};

pub(crate) const UNREGISTER_BROKER: MessageLayout = MessageLayout {
    request: &[field("BrokerId", INT32)],
    response: &[field("ThrottleTimeMs", INT32), field("ErrorCode", INT16), field("ErrorMessage", STRING).nullable(0)],
};

/// One replica in a description of the quorum.
const REPLICA_STATE: Kind = Struct(&[
    field("ReplicaId", INT32),
    field("ReplicaDirectoryId", UUID).since(2),
    field("LogEndOffset", INT64),
    field("LastFetchTimestamp", INT64).since(1),
    field("LastCaughtUpTimestamp", INT64).since(1),
]);

pub(crate) const DESCRIBE_QUORUM: MessageLayout = MessageLayout {
    request: &[array(
        "Topics",
        &Struct(&[field("TopicName", STRING), array("Partitions", &Struct(&[field("PartitionIndex", INT32)]))]),
    )],
    response: &[
        field("ErrorCode", INT16),
        field("ErrorMessage", STRING).since(2).nullable(2),
        array(
            "Topics",
            &Struct(&[
                field("TopicName", STRING),
                array(
                    "Partitions",
                    &Struct(&[
                        field("PartitionIndex", INT32),
                        field("ErrorCode", INT16),
                        field("ErrorMessage", STRING).since(2).nullable(2),
                        field("LeaderId", INT32),
                        field("LeaderEpoch", INT32),
                        field("HighWatermark", INT64),
                        array("CurrentVoters", &REPLICA_STATE),
                        array("Observers", &REPLICA_STATE),
                    ]),
                ),
            ]),
        ),
        array(
            "Nodes",
            &Struct(&[
                field("NodeId", INT32),
                array("Listeners", &Struct(&[field("Name", STRING), field("Host", STRING), field("Port", UINT16)])),
            ]),
        )
        .since(2),
    ],
};

pub(crate) const LIST_CONFIG_RESOURCES: MessageLayout = MessageLayout {
    request: &[array("ResourceTypes", &INT8).since(1)],
    response: &[
        field("ThrottleTimeMs", INT32),
        field("ErrorCode", INT16),
        array("ConfigResources", &Struct(&[field("ResourceName", STRING), field("ResourceType", INT8).since(1)])),
    ],
};

pub(crate) const ALTER_CONFIGS: MessageLayout = MessageLayout {
    request: &[
        array(
            "Resources",
            &Struct(&[
                field("ResourceType", INT8),
                field("ResourceName", STRING),
                array("Configs", &Struct(&[field("Name", STRING), field("Value", STRING).nullable(0)])),
            ]),
        ),
        field("ValidateOnly", BOOL),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        array(
            "Responses",
            &Struct(&[
                field("ErrorCode", INT16),
                field("ErrorMessage", STRING).nullable(0),
                field("ResourceType", INT8),
                field("ResourceName", STRING),
            ]),
        ),
    ],
};

pub(crate) const ALTER_REPLICA_LOG_DIRS: MessageLayout = MessageLayout {
    request: &[array(
        "Dirs",
        &Struct(&[
            field("Path", STRING),
            array("Topics", &Struct(&[field("Name", STRING), array("Partitions", &INT32)])),
        ]),
    )],
    response: &[
        field("ThrottleTimeMs", INT32),
        array(
            "Results",
            &Struct(&[
                field("TopicName", STRING),
                array("Partitions", &Struct(&[field("PartitionIndex", INT32), field("ErrorCode", INT16)])),
            ]),
        ),
    ],
};

pub(crate) const DESCRIBE_LOG_DIRS: MessageLayout = MessageLayout {
    request: &[array("Topics", &Struct(&[field("Topic", STRING), array("Partitions", &INT32)])).nullable(0)],
    response: &[
        field("ThrottleTimeMs", INT32),
        field("ErrorCode", INT16).since(3),
        array(
            "Results",
            &Struct(&[
                field("ErrorCode", INT16),
                field("LogDir", STRING),
                array(
                    "Topics",
                    &Struct(&[
                        field("Name", STRING),
                        array(
                            "Partitions",
                            &Struct(&[
                                field("PartitionIndex", INT32),
                                field("PartitionSize", INT64),
                                field("OffsetLag", INT64),
                                field("IsFutureKey", BOOL),
                            ]),
                        ),
                    ]),
                ),
                field("TotalBytes", INT64).since(4),
                field("UsableBytes", INT64).since(4),
            ]),
        ),
    ],
};
pub(crate) const UPDATE_FEATURES: MessageLayout = MessageLayout {
    request: &[
        field("timeoutMs", INT32),
        array(
            "FeatureUpdates",
            &Struct(&[
                field("Feature", STRING),
                field("MaxVersionLevel", INT16),
                field("AllowDowngrade", BOOL).until(0),
                field("UpgradeType", INT8).since(1),
            ]),
        ),
        field("ValidateOnly", BOOL).since(1),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        field("ErrorCode", INT16),
        field("ErrorMessage", STRING).nullable(0),
        array(
            "Results",
            &Struct(&[field("Feature", STRING), field("ErrorCode", INT16), field("ErrorMessage", STRING).nullable(0)]),
        )
        .until(1),
    ],
};

/// KIP-853.
pub(crate) const ADD_RAFT_VOTER: MessageLayout = MessageLayout {
    request: &[
        field("ClusterId", STRING).nullable(0),
        field("TimeoutMs", INT32),
        field("VoterId", INT32),
        field("VoterDirectoryId", UUID),
        array("Listeners", &Struct(&[field("Name", STRING), field("Host", STRING), field("Port", UINT16)])),
    ],
    response: VOTER_CHANGED,
};

/// KIP-853.
pub(crate) const REMOVE_RAFT_VOTER: MessageLayout = MessageLayout {
    request: &[field("ClusterId", STRING).nullable(0), field("VoterId", INT32), field("VoterDirectoryId", UUID)],
    response: VOTER_CHANGED,
};

const VOTER_CHANGED: &[Field] =
    &[field("ThrottleTimeMs", INT32), field("ErrorCode", INT16), field("ErrorMessage", STRING).nullable(0)];
