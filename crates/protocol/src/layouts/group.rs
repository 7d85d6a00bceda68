//! Layouts of the APIs for consumer groups, from the message definitions of Apache Kafka 4.3.

use crate::layout::Kind::Struct;
use crate::layout::{BOOL, BYTES, INT8, INT16, INT32, INT64, MessageLayout, STRING, array, field};

pub(crate) const OFFSET_COMMIT: MessageLayout = MessageLayout {
    request: &[
        field("GroupId", STRING),
        field("GenerationIdOrMemberEpoch", INT32),
        field("MemberId", STRING),
        field("GroupInstanceId", STRING).since(7).nullable(7),
        field("RetentionTimeMs", INT64).until(4),
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                array(
                    "Partitions",
                    &Struct(&[
                        field("PartitionIndex", INT32),
                        field("CommittedOffset", INT64),
                        field("CommittedLeaderEpoch", INT32).since(6),
                        field("CommittedMetadata", STRING).nullable(0),
                    ]),
                ),
            ]),
        ),
    ],
    response: &[
        field("ThrottleTimeMs", INT32).since(3),
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                array("Partitions", &Struct(&[field("PartitionIndex", INT32), field("ErrorCode", INT16)])),
            ]),
        ),
    ],
};

pub(crate) const OFFSET_FETCH: MessageLayout = MessageLayout {
    request: &[
        field("GroupId", STRING).until(7),
        array("Topics", &Struct(&[field("Name", STRING), array("PartitionIndexes", &INT32)])).until(7).nullable(2),
        array(
            "Groups",
            &Struct(&[
                field("GroupId", STRING),
                field("MemberId", STRING).since(9).nullable(9),
                field("MemberEpoch", INT32).since(9),
                array("Topics", &Struct(&[field("Name", STRING), array("PartitionIndexes", &INT32)])).nullable(8),
            ]),
        )
        .since(8),
        field("RequireStable", BOOL).since(7),
    ],
    response: &[
        field("ThrottleTimeMs", INT32).since(3),
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                array(
                    "Partitions",
                    &Struct(&[
                        field("PartitionIndex", INT32),
                        field("CommittedOffset", INT64),
                        field("CommittedLeaderEpoch", INT32).since(5),
                        field("Metadata", STRING).nullable(0),
                        field("ErrorCode", INT16),
                    ]),
                ),
            ]),
        )
        .until(7),
        field("ErrorCode", INT16).since(2).until(7),
        array(
            "Groups",
            &Struct(&[
                field("GroupId", STRING),
                array(
                    "Topics",
                    &Struct(&[
                        field("Name", STRING),
                        array(
                            "Partitions",
                            &Struct(&[
                                field("PartitionIndex", INT32),
                                field("CommittedOffset", INT64),
                                field("CommittedLeaderEpoch", INT32),
                                field("Metadata", STRING).nullable(8),
                                field("ErrorCode", INT16),
                            ]),
                        ),
                    ]),
                ),
                field("ErrorCode", INT16),
            ]),
        )
        .since(8),
    ],
};

pub(crate) const FIND_COORDINATOR: MessageLayout = MessageLayout {
    request: &[
        field("Key", STRING).until(3),
        field("KeyType", INT8).since(1),
        array("CoordinatorKeys", &STRING).since(4),
    ],
    response: &[
        field("ThrottleTimeMs", INT32).since(1),
        field("ErrorCode", INT16).until(3),
        field("ErrorMessage", STRING).since(1).until(3).nullable(1),
        field("NodeId", INT32).until(3),
        field("Host", STRING).until(3),
        field("Port", INT32).until(3),
        array(
            "Coordinators",
            &Struct(&[
                field("Key", STRING),
                field("NodeId", INT32),
                field("Host", STRING),
                field("Port", INT32),
                field("ErrorCode", INT16),
                field("ErrorMessage", STRING).nullable(4),
            ]),
        )
        .since(4),
    ],
};

pub(crate) const JOIN_GROUP: MessageLayout = MessageLayout {
    request: &[
        field("GroupId", STRING),
        field("SessionTimeoutMs", INT32),
        field("RebalanceTimeoutMs", INT32).since(1),
        field("MemberId", STRING),
        field("GroupInstanceId", STRING).since(5).nullable(5),
        field("ProtocolType", STRING),
        array("Protocols", &Struct(&[field("Name", STRING), field("Metadata", BYTES)])),
        field("Reason", STRING).since(8).nullable(8),
    ],
    response: &[
        field("ThrottleTimeMs", INT32).since(2),
        field("ErrorCode", INT16),
        field("GenerationId", INT32),
        field("ProtocolType", STRING).since(7).nullable(7),
        field("ProtocolName", STRING).nullable(7),
        field("Leader", STRING),
        field("SkipAssignment", BOOL).since(9),
        field("MemberId", STRING),
        array(
            "Members",
            &Struct(&[
                field("MemberId", STRING),
                field("GroupInstanceId", STRING).since(5).nullable(5),
                field("Metadata", BYTES),
            ]),
        ),
    ],
};

pub(crate) const HEARTBEAT: MessageLayout = MessageLayout {
    request: &[
        field("GroupId", STRING),
        field("GenerationId", INT32),
        field("MemberId", STRING),
        field("GroupInstanceId", STRING).since(3).nullable(3),
    ],
    response: &[field("ThrottleTimeMs", INT32).since(1), field("ErrorCode", INT16)],
};

pub(crate) const LEAVE_GROUP: MessageLayout = MessageLayout {
    request: &[
        field("GroupId", STRING),
        field("MemberId", STRING).until(2),
        array(
            "Members",
            &Struct(&[
                field("MemberId", STRING),
                field("GroupInstanceId", STRING).nullable(3),
                field("Reason", STRING).since(5).nullable(5),
            ]),
        )
        .since(3),
    ],
    response: &[
        field("ThrottleTimeMs", INT32).since(1),
        field("ErrorCode", INT16),
        array(
            "Members",
            &Struct(&[
                field("MemberId", STRING),
                field("GroupInstanceId", STRING).nullable(3),
                field("ErrorCode", INT16),
            ]),
        )
        .since(3),
    ],
};

pub(crate) const SYNC_GROUP: MessageLayout = MessageLayout {
    request: &[
        field("GroupId", STRING),
        field("GenerationId", INT32),
        field("MemberId", STRING),
        field("GroupInstanceId", STRING).since(3).nullable(3),
        field("ProtocolType", STRING).since(5).nullable(5),
        field("ProtocolName", STRING).since(5).nullable(5),
        array("Assignments", &Struct(&[field("MemberId", STRING), field("Assignment", BYTES)])),
    ],
    response: &[
        field("ThrottleTimeMs", INT32).since(1),
        field("ErrorCode", INT16),
        field("ProtocolType", STRING).since(5).nullable(5),
        field("ProtocolName", STRING).since(5).nullable(5),
        field("Assignment", BYTES),
    ],
};

pub(crate) const DESCRIBE_GROUPS: MessageLayout = MessageLayout {
    request: &[array("Groups", &STRING), field("IncludeAuthorizedOperations", BOOL).since(3)],
    response: &[
        field("ThrottleTimeMs", INT32).since(1),
        array(
            "Groups",
            &Struct(&[
                field("ErrorCode", INT16),
                field("ErrorMessage", STRING).since(6).nullable(6),
                field("GroupId", STRING),
                field("GroupState", STRING),
                field("ProtocolType", STRING),
                field("ProtocolData", STRING),
                array(
                    "Members",
                    &Struct(&[
                        field("MemberId", STRING),
                        field("GroupInstanceId", STRING).since(4).nullable(4),
                        field("ClientId", STRING),
                        field("ClientHost", STRING),
                        field("MemberMetadata", BYTES),
                        field("MemberAssignment", BYTES),
                    ]),
                ),
                field("AuthorizedOperations", INT32).since(3),
            ]),
        ),
    ],
};

pub(crate) const LIST_GROUPS: MessageLayout = MessageLayout {
    request: &[array("StatesFilter", &STRING).since(4), array("TypesFilter", &STRING).since(5)],
    response: &[
        field("ThrottleTimeMs", INT32).since(1),
        field("ErrorCode", INT16),
        array(
            "Groups",
            &Struct(&[
                field("GroupId", STRING),
                field("ProtocolType", STRING),
                field("GroupState", STRING).since(4),
                field("GroupType", STRING).since(5),
            ]),
        ),
    ],
};

pub(crate) const OFFSET_DELETE: MessageLayout = MessageLayout {
    request: &[
        field("GroupId", STRING),
        array(
            "Topics",
            &Struct(&[field("Name", STRING), array("Partitions", &Struct(&[field("PartitionIndex", INT32)]))]),
        ),
    ],
    response: &[
        field("ErrorCode", INT16),
        field("ThrottleTimeMs", INT32),
        array(
            "Topics",
            &Struct(&[
                field("Name", STRING),
                array("Partitions", &Struct(&[field("PartitionIndex", INT32), field("ErrorCode", INT16)])),
            ]),
        ),
    ],
};

pub(crate) const DELETE_GROUPS: MessageLayout = MessageLayout {
    request: &[array("GroupsNames", &STRING)],
    response: &[
        field("ThrottleTimeMs", INT32),
        array("Results", &Struct(&[field("GroupId", STRING), field("ErrorCode", INT16)])),
    ],
};
