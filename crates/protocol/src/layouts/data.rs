//! Layouts of the APIs for producing, fetching and finding partitions, from the message definitions of Apache Kafka 4.3.

use crate::layout::Kind::Struct;
use crate::layout::{BOOL, BYTES, INT8, INT16, INT32, INT64, MessageLayout, STRING, UUID, array, field};

pub(crate) const PRODUCE: MessageLayout = MessageLayout {
    request: &[
        field("TransactionalId", STRING).nullable(3),
        field("Acks", INT16),
        field("TimeoutMs", INT32),
        array(
            "TopicData",
            &Struct(&[
                field("Name", STRING).until(12),
                field("TopicId", UUID).since(13),
                array("PartitionData", &Struct(&[field("Index", INT32), field("Records", BYTES).nullable(0)])),
            ]),
        ),
    ],
    response: &[
        array(
            "Responses",
            &Struct(&[
                field("Name", STRING).until(12),
                field("TopicId", UUID).since(13),
                array(
                    "PartitionResponses",
                    &Struct(&[
                        field("Index", INT32),
                        field("ErrorCode", INT16),
                        field("BaseOffset", INT64),
                        field("LogAppendTimeMs", INT64),
                        field("LogStartOffset", INT64).since(5),
                        array(
                            "RecordErrors",
                            &Struct(&[field("BatchIndex", INT32), field("BatchIndexErrorMessage", STRING).nullable(8)]),
                        )
                        .since(8),
                        field("ErrorMessage", STRING).since(8).nullable(8),
                        field("CurrentLeader", Struct(&[field("LeaderId", INT32), field("LeaderEpoch", INT32)]))
                            .since(10)
                            .tagged(0),
                    ]),
                ),
            ]),
        ),
        field("ThrottleTimeMs", INT32),
        array(
            "NodeEndpoints",
            &Struct(&[
                field("NodeId", INT32),
                field("Host", STRING),
                field("Port", INT32),
                field("Rack", STRING).nullable(10),
            ]),
        )
        .since(10)
        .tagged(0),
    ],
};

pub(crate) const FETCH: MessageLayout = MessageLayout {
    request: &[
        field("ClusterId", STRING).since(12).nullable(12).tagged(0),
        field("ReplicaId", INT32).until(14),
        field("ReplicaState", Struct(&[field("ReplicaId", INT32), field("ReplicaEpoch", INT64)])).since(15).tagged(1),
        field("MaxWaitMs", INT32),
        field("MinBytes", INT32),
        field("MaxBytes", INT32),
        field("IsolationLevel", INT8),
        field("SessionId", INT32).since(7),
        field("SessionEpoch", INT32).since(7),
        array(
            "Topics",
            &Struct(&[
                field("Topic", STRING).until(12),
                field("TopicId", UUID).since(13),
                array(
                    "Partitions",
                    &Struct(&[
                        field("Partition", INT32),
                        field("CurrentLeaderEpoch", INT32).since(9),
                        field("FetchOffset", INT64),
                        field("LastFetchedEpoch", INT32).since(12),
                        field("LogStartOffset", INT64).since(5),
                        field("PartitionMaxBytes", INT32),
                        field("ReplicaDirectoryId", UUID).since(17).tagged(0),
                        field("HighWatermark", INT64).since(18).tagged(1),
                    ]),
                ),
            ]),
        ),
        array(
            "ForgottenTopicsData",
            &Struct(&[field("Topic", STRING).until(12), field("TopicId", UUID).since(13), array("Partitions", &INT32)]),
        )
        .since(7),
        field("RackId", STRING).since(11),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        field("ErrorCode", INT16).since(7),
        field("SessionId", INT32).since(7),
        array(
            "Responses",
            &Struct(&[
                field("Topic", STRING).until(12),
                field("TopicId", UUID).since(13),
                array(
                    "Partitions",
                    &Struct(&[
                        field("PartitionIndex", INT32),
                        field("ErrorCode", INT16),
                        field("HighWatermark", INT64),
                        field("LastStableOffset", INT64),
                        field("LogStartOffset", INT64).since(5),
                        field("DivergingEpoch", Struct(&[field("Epoch", INT32), field("EndOffset", INT64)]))
                            .since(12)
                            .tagged(0),
                        field("CurrentLeader", Struct(&[field("LeaderId", INT32), field("LeaderEpoch", INT32)]))
                            .since(12)
                            .tagged(1),
                        field("SnapshotId", Struct(&[field("EndOffset", INT64), field("Epoch", INT32)]))
                            .since(12)
                            .tagged(2),
                        array(
                            "AbortedTransactions",
                            &Struct(&[field("ProducerId", INT64), field("FirstOffset", INT64)]),
                        )
                        .nullable(4),
                        field("PreferredReadReplica", INT32).since(11),
                        field("Records", BYTES).nullable(0),
                    ]),
                ),
            ]),
        ),
        array(
            "NodeEndpoints",
            &Struct(&[
                field("NodeId", INT32),
                field("Host", STRING),
                field("Port", INT32),
                field("Rack", STRING).nullable(16),
            ]),
        )
        .since(16)
        .tagged(0),
    ],
};

pub(crate) const LIST_OFFSETS: MessageLayout = MessageLayout {
    request: &[
        field("ReplicaId", INT32),
        field("IsolationLevel", INT8).since(2),
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                array(
                    "Partitions",
                    &Struct(&[
                        field("PartitionIndex", INT32),
                        field("CurrentLeaderEpoch", INT32).since(4),
                        field("Timestamp", INT64),
                    ]),
                ),
            ]),
        ),
        field("TimeoutMs", INT32).since(10),
    ],
    response: &[
        field("ThrottleTimeMs", INT32).since(2),
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                array(
                    "Partitions",
                    &Struct(&[
                        field("PartitionIndex", INT32),
                        field("ErrorCode", INT16),
                        field("Timestamp", INT64),
                        field("Offset", INT64),
                        field("LeaderEpoch", INT32).since(4),
                    ]),
                ),
            ]),
        ),
    ],
};

pub(crate) const METADATA: MessageLayout = MessageLayout {
    request: &[
        array("Topics", &Struct(&[field("TopicId", UUID).since(10), field("Name", STRING).nullable(10)])).nullable(1),
        field("AllowAutoTopicCreation", BOOL).since(4),
        field("IncludeClusterAuthorizedOperations", BOOL).since(8).until(10),
        field("IncludeTopicAuthorizedOperations", BOOL).since(8),
    ],
    response: &[
        field("ThrottleTimeMs", INT32).since(3),
        array(
            "Brokers",
            &Struct(&[
                field("NodeId", INT32),
                field("Host", STRING),
                field("Port", INT32),
                field("Rack", STRING).since(1).nullable(1),
            ]),
        ),
        field("ClusterId", STRING).since(2).nullable(2),
        field("ControllerId", INT32).since(1),
        array(
            "Topics",
            &Struct(&[
                field("ErrorCode", INT16),
                field("Name", STRING).nullable(12),
                field("TopicId", UUID).since(10),
                field("IsInternal", BOOL).since(1),
                array(
                    "Partitions",
                    &Struct(&[
                        field("ErrorCode", INT16),
                        field("PartitionIndex", INT32),
                        field("LeaderId", INT32),
                        field("LeaderEpoch", INT32).since(7),
                        array("ReplicaNodes", &INT32),
                        array("IsrNodes", &INT32),
                        array("OfflineReplicas", &INT32).since(5),
                    ]),
                ),
                field("TopicAuthorizedOperations", INT32).since(8),
            ]),
        ),
        field("ClusterAuthorizedOperations", INT32).since(8).until(10),
        field("ErrorCode", INT16).since(13),
    ],
};

pub(crate) const API_VERSIONS: MessageLayout = MessageLayout {
    request: &[field("ClientSoftwareName", STRING).since(3), field("ClientSoftwareVersion", STRING).since(3)],
    response: &[
        field("ErrorCode", INT16),
        array("ApiKeys", &Struct(&[field("ApiKey", INT16), field("MinVersion", INT16), field("MaxVersion", INT16)])),
        field("ThrottleTimeMs", INT32).since(1),
        array(
            "SupportedFeatures",
            &Struct(&[field("Name", STRING), field("MinVersion", INT16), field("MaxVersion", INT16)]),
        )
        .since(3)
        .tagged(0),
        field("FinalizedFeaturesEpoch", INT64).since(3).tagged(1),
        array(
            "FinalizedFeatures",
            &Struct(&[field("Name", STRING), field("MaxVersionLevel", INT16), field("MinVersionLevel", INT16)]),
        )
        .since(3)
        .tagged(2),
        field("ZkMigrationReady", BOOL).since(3).tagged(3),
    ],
};

pub(crate) const INIT_PRODUCER_ID: MessageLayout = MessageLayout {
    request: &[
        field("TransactionalId", STRING).nullable(0),
        field("TransactionTimeoutMs", INT32),
        field("ProducerId", INT64).since(3),
        field("ProducerEpoch", INT16).since(3),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        field("ErrorCode", INT16),
        field("ProducerId", INT64),
        field("ProducerEpoch", INT16),
    ],
};

pub(crate) const OFFSET_FOR_LEADER_EPOCH: MessageLayout = MessageLayout {
    request: &[
        field("ReplicaId", INT32).since(3),
        array(
            "Topics",
            &Struct(&[
                field("Topic", STRING),
                array(
                    "Partitions",
                    &Struct(&[
                        field("Partition", INT32),
                        field("CurrentLeaderEpoch", INT32),
                        field("LeaderEpoch", INT32),
                    ]),
                ),
            ]),
        ),
    ],
    response: &[
        field("ThrottleTimeMs", INT32),
        array(
            "Topics",
            &Struct(&[
                field("Topic", STRING),
                array(
                    "Partitions",
                    &Struct(&[
                        field("ErrorCode", INT16),
                        field("Partition", INT32),
                        field("LeaderEpoch", INT32),
                        field("EndOffset", INT64),
                    ]),
                ),
            ]),
        ),
    ],
};
