//! Kafka's error codes (the `Errors` enumeration of Apache Kafka 4.3).
//!
//! The wire carries the `i16` of [`ErrorCode::code`]; clients decide on retries by it.

macro_rules! error_codes {
    ($($variant:ident = $code:literal, $name:literal, retriable: $retriable:literal, refresh: $refresh:literal;)*) => {
        /// One Kafka error code. `None` is success.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ErrorCode {
            $(#[doc = $name] $variant = $code,)*
        }

        impl ErrorCode {
            /// The code of that number, or `None` if Kafka 4.3 does not define it.
            pub const fn from_code(code: i16) -> Option<Self> {
                match code { $($code => Some(Self::$variant),)* _ => None }
            }

            /// Kafka's upper-case name, e.g. `NOT_LEADER_OR_FOLLOWER`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether a stock client retries after this error.
            pub const fn is_retriable(self) -> bool {
                match self { $(Self::$variant => $retriable,)* }
            }

            /// Whether a stock client refreshes its metadata after this error.
            pub const fn refreshes_metadata(self) -> bool {
                match self { $(Self::$variant => $refresh,)* }
            }

            /// Every code, in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }
    };
}

error_codes! {
    UnknownServerError = -1, "UNKNOWN_SERVER_ERROR", retriable: false, refresh: false;
    None = 0, "NONE", retriable: false, refresh: false;
    OffsetOutOfRange = 1, "OFFSET_OUT_OF_RANGE", retriable: false, refresh: false;
    CorruptMessage = 2, "CORRUPT_MESSAGE", retriable: true, refresh: false;
    UnknownTopicOrPartition = 3, "UNKNOWN_TOPIC_OR_PARTITION", retriable: true, refresh: true;
    InvalidFetchSize = 4, "INVALID_FETCH_SIZE", retriable: false, refresh: false;
    LeaderNotAvailable = 5, "LEADER_NOT_AVAILABLE", retriable: true, refresh: true;
    NotLeaderOrFollower = 6, "NOT_LEADER_OR_FOLLOWER", retriable: true, refresh: true;
    RequestTimedOut = 7, "REQUEST_TIMED_OUT", retriable: true, refresh: false;
    BrokerNotAvailable = 8, "BROKER_NOT_AVAILABLE", retriable: false, refresh: false;
    ReplicaNotAvailable = 9, "REPLICA_NOT_AVAILABLE", retriable: true, refresh: true;
    MessageTooLarge = 10, "MESSAGE_TOO_LARGE", retriable: false, refresh: false;
    StaleControllerEpoch = 11, "STALE_CONTROLLER_EPOCH", retriable: false, refresh: false;
    OffsetMetadataTooLarge = 12, "OFFSET_METADATA_TOO_LARGE", retriable: false, refresh: false;
    NetworkException = 13, "NETWORK_EXCEPTION", retriable: true, refresh: true;
    CoordinatorLoadInProgress = 14, "COORDINATOR_LOAD_IN_PROGRESS", retriable: true, refresh: false;
    CoordinatorNotAvailable = 15, "COORDINATOR_NOT_AVAILABLE", retriable: true, refresh: false;
    NotCoordinator = 16, "NOT_COORDINATOR", retriable: true, refresh: false;
    InvalidTopicException = 17, "INVALID_TOPIC_EXCEPTION", retriable: false, refresh: false;
    RecordListTooLarge = 18, "RECORD_LIST_TOO_LARGE", retriable: false, refresh: false;
    NotEnoughReplicas = 19, "NOT_ENOUGH_REPLICAS", retriable: true, refresh: false;
    NotEnoughReplicasAfterAppend = 20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", retriable: true, refresh: false;
    InvalidRequiredAcks = 21, "INVALID_REQUIRED_ACKS", retriable: false, refresh: false;
    IllegalGeneration = 22, "ILLEGAL_GENERATION", retriable: false, refresh: false;
    InconsistentGroupProtocol = 23, "INCONSISTENT_GROUP_PROTOCOL", retriable: false, refresh: false;
    InvalidGroupId = 24, "INVALID_GROUP_ID", retriable: false, refresh: false;
    UnknownMemberId = 25, "UNKNOWN_MEMBER_ID", retriable: false, refresh: false;
    InvalidSessionTimeout = 26, "INVALID_SESSION_TIMEOUT", retriable: false, refresh: false;
    RebalanceInProgress = 27, "REBALANCE_IN_PROGRESS", retriable: false, refresh: false;
    InvalidCommitOffsetSize = 28, "INVALID_COMMIT_OFFSET_SIZE", retriable: false, refresh: false;
    TopicAuthorizationFailed = 29, "TOPIC_AUTHORIZATION_FAILED", retriable: false, refresh: false;
    GroupAuthorizationFailed = 30, "GROUP_AUTHORIZATION_FAILED", retriable: false, refresh: false;
    ClusterAuthorizationFailed = 31, "CLUSTER_AUTHORIZATION_FAILED", retriable: false, refresh: false;
    InvalidTimestamp = 32, "INVALID_TIMESTAMP", retriable: false, refresh: false;
    UnsupportedSaslMechanism = 33, "UNSUPPORTED_SASL_MECHANISM", retriable: false, refresh: false;
    IllegalSaslState = 34, "ILLEGAL_SASL_STATE", retriable: false, refresh: false;
    UnsupportedVersion = 35, "UNSUPPORTED_VERSION", retriable: false, refresh: false;
    TopicAlreadyExists = 36, "TOPIC_ALREADY_EXISTS", retriable: false, refresh: false;
    InvalidPartitions = 37, "INVALID_PARTITIONS", retriable: false, refresh: false;
    InvalidReplicationFactor = 38, "INVALID_REPLICATION_FACTOR", retriable: false, refresh: false;
    InvalidReplicaAssignment = 39, "INVALID_REPLICA_ASSIGNMENT", retriable: false, refresh: false;
    InvalidConfig = 40, "INVALID_CONFIG", retriable: false, refresh: false;
    NotController = 41, "NOT_CONTROLLER", retriable: true, refresh: false;
    InvalidRequest = 42, "INVALID_REQUEST", retriable: false, refresh: false;
    UnsupportedForMessageFormat = 43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", retriable: false, refresh: false;
    PolicyViolation = 44, "POLICY_VIOLATION", retriable: false, refresh: false;
    OutOfOrderSequenceNumber = 45, "OUT_OF_ORDER_SEQUENCE_NUMBER", retriable: false, refresh: false;
    DuplicateSequenceNumber = 46, "DUPLICATE_SEQUENCE_NUMBER", retriable: false, refresh: false;
    InvalidProducerEpoch = 47, "INVALID_PRODUCER_EPOCH", retriable: false, refresh: false;
    InvalidTxnState = 48, "INVALID_TXN_STATE", retriable: false, refresh: false;
    InvalidProducerIdMapping = 49, "INVALID_PRODUCER_ID_MAPPING", retriable: false, refresh: false;
    InvalidTransactionTimeout = 50, "INVALID_TRANSACTION_TIMEOUT", retriable: false, refresh: false;
    ConcurrentTransactions = 51, "CONCURRENT_TRANSACTIONS", retriable: true, refresh: false;
    TransactionCoordinatorFenced = 52, "TRANSACTION_COORDINATOR_FENCED", retriable: false, refresh: false;
    TransactionalIdAuthorizationFailed = 53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", retriable: false, refresh: false;
    SecurityDisabled = 54, "SECURITY_DISABLED", retriable: false, refresh: false;
    OperationNotAttempted = 55, "OPERATION_NOT_ATTEMPTED", retriable: false, refresh: false;
    KafkaStorageError = 56, "KAFKA_STORAGE_ERROR", retriable: true, refresh: true;
    LogDirNotFound = 57, "LOG_DIR_NOT_FOUND", retriable: false, refresh: false;
    SaslAuthenticationFailed = 58, "SASL_AUTHENTICATION_FAILED", retriable: false, refresh: false;
    UnknownProducerId = 59, "UNKNOWN_PRODUCER_ID", retriable: false, refresh: false;
    ReassignmentInProgress = 60, "REASSIGNMENT_IN_PROGRESS", retriable: false, refresh: false;
    DelegationTokenAuthDisabled = 61, "DELEGATION_TOKEN_AUTH_DISABLED", retriable: false, refresh: false;
    DelegationTokenNotFound = 62, "DELEGATION_TOKEN_NOT_FOUND", retriable: false, refresh: false;
    DelegationTokenOwnerMismatch = 63, "DELEGATION_TOKEN_OWNER_MISMATCH", retriable: false, refresh: false;
    DelegationTokenRequestNotAllowed = 64, "DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", retriable: false, refresh: false;
    DelegationTokenAuthorizationFailed = 65, "DELEGATION_TOKEN_AUTHORIZATION_FAILED", retriable: false, refresh: false;
    DelegationTokenExpired = 66, "DELEGATION_TOKEN_EXPIRED", retriable: false, refresh: false;
    InvalidPrincipalType = 67, "INVALID_PRINCIPAL_TYPE", retriable: false, refresh: false;
    NonEmptyGroup = 68, "NON_EMPTY_GROUP", retriable: false, refresh: false;
    GroupIdNotFound = 69, "GROUP_ID_NOT_FOUND", retriable: false, refresh: false;
    FetchSessionIdNotFound = 70, "FETCH_SESSION_ID_NOT_FOUND", retriable: true, refresh: false;
    InvalidFetchSessionEpoch = 71, "INVALID_FETCH_SESSION_EPOCH", retriable: true, refresh: false;
    ListenerNotFound = 72, "LISTENER_NOT_FOUND", retriable: true, refresh: true;
    TopicDeletionDisabled = 73, "TOPIC_DELETION_DISABLED", retriable: false, refresh: false;
    FencedLeaderEpoch = 74, "FENCED_LEADER_EPOCH", retriable: true, refresh: true;
    UnknownLeaderEpoch = 75, "UNKNOWN_LEADER_EPOCH", retriable: true, refresh: false;
    UnsupportedCompressionType = 76, "UNSUPPORTED_COMPRESSION_TYPE", retriable: false, refresh: false;
    StaleBrokerEpoch = 77, "STALE_BROKER_EPOCH", retriable: false, refresh: false;
    OffsetNotAvailable = 78, "OFFSET_NOT_AVAILABLE", retriable: true, refresh: false;
    MemberIdRequired = 79, "MEMBER_ID_REQUIRED", retriable: false, refresh: false;
    PreferredLeaderNotAvailable = 80, "PREFERRED_LEADER_NOT_AVAILABLE", retriable: true, refresh: true;
    GroupMaxSizeReached = 81, "GROUP_MAX_SIZE_REACHED", retriable: false, refresh: false;
    FencedInstanceId = 82, "FENCED_INSTANCE_ID", retriable: false, refresh: false;
    EligibleLeadersNotAvailable = 83, "ELIGIBLE_LEADERS_NOT_AVAILABLE", retriable: true, refresh: true;
    ElectionNotNeeded = 84, "ELECTION_NOT_NEEDED", retriable: true, refresh: true;
    NoReassignmentInProgress = 85, "NO_REASSIGNMENT_IN_PROGRESS", retriable: false, refresh: false;
    GroupSubscribedToTopic = 86, "GROUP_SUBSCRIBED_TO_TOPIC", retriable: false, refresh: false;
    InvalidRecord = 87, "INVALID_RECORD", retriable: false, refresh: false;
    UnstableOffsetCommit = 88, "UNSTABLE_OFFSET_COMMIT", retriable: true, refresh: false;
    ThrottlingQuotaExceeded = 89, "THROTTLING_QUOTA_EXCEEDED", retriable: true, refresh: false;
    ProducerFenced = 90, "PRODUCER_FENCED", retriable: false, refresh: false;
    ResourceNotFound = 91, "RESOURCE_NOT_FOUND", retriable: false, refresh: false;
    DuplicateResource = 92, "DUPLICATE_RESOURCE", retriable: false, refresh: false;
    UnacceptableCredential = 93, "UNACCEPTABLE_CREDENTIAL", retriable: false, refresh: false;
    InconsistentVoterSet = 94, "INCONSISTENT_VOTER_SET", retriable: false, refresh: false;
    InvalidUpdateVersion = 95, "INVALID_UPDATE_VERSION", retriable: false, refresh: false;
    FeatureUpdateFailed = 96, "FEATURE_UPDATE_FAILED", retriable: false, refresh: false;
    PrincipalDeserializationFailure = 97, "PRINCIPAL_DESERIALIZATION_FAILURE", retriable: false, refresh: false;
    SnapshotNotFound = 98, "SNAPSHOT_NOT_FOUND", retriable: false, refresh: false;
    PositionOutOfRange = 99, "POSITION_OUT_OF_RANGE", retriable: false, refresh: false;
    UnknownTopicId = 100, "UNKNOWN_TOPIC_ID", retriable: true, refresh: true;
    DuplicateBrokerRegistration = 101, "DUPLICATE_BROKER_REGISTRATION", retriable: false, refresh: false;
    BrokerIdNotRegistered = 102, "BROKER_ID_NOT_REGISTERED", retriable: false, refresh: false;
    InconsistentTopicId = 103, "INCONSISTENT_TOPIC_ID", retriable: true, refresh: true;
    InconsistentClusterId = 104, "INCONSISTENT_CLUSTER_ID", retriable: false, refresh: false;
    TransactionalIdNotFound = 105, "TRANSACTIONAL_ID_NOT_FOUND", retriable: false, refresh: false;
    FetchSessionTopicIdError = 106, "FETCH_SESSION_TOPIC_ID_ERROR", retriable: true, refresh: false;
    IneligibleReplica = 107, "INELIGIBLE_REPLICA", retriable: false, refresh: false;
    NewLeaderElected = 108, "NEW_LEADER_ELECTED", retriable: false, refresh: false;
    OffsetMovedToTieredStorage = 109, "OFFSET_MOVED_TO_TIERED_STORAGE", retriable: false, refresh: false;
    FencedMemberEpoch = 110, "FENCED_MEMBER_EPOCH", retriable: false, refresh: false;
    UnreleasedInstanceId = 111, "UNRELEASED_INSTANCE_ID", retriable: false, refresh: false;
    UnsupportedAssignor = 112, "UNSUPPORTED_ASSIGNOR", retriable: false, refresh: false;
    StaleMemberEpoch = 113, "STALE_MEMBER_EPOCH", retriable: false, refresh: false;
    MismatchedEndpointType = 114, "MISMATCHED_ENDPOINT_TYPE", retriable: false, refresh: false;
    UnsupportedEndpointType = 115, "UNSUPPORTED_ENDPOINT_TYPE", retriable: false, refresh: false;
    UnknownControllerId = 116, "UNKNOWN_CONTROLLER_ID", retriable: false, refresh: false;
    UnknownSubscriptionId = 117, "UNKNOWN_SUBSCRIPTION_ID", retriable: false, refresh: false;
    TelemetryTooLarge = 118, "TELEMETRY_TOO_LARGE", retriable: false, refresh: false;
    InvalidRegistration = 119, "INVALID_REGISTRATION", retriable: false, refresh: false;
    TransactionAbortable = 120, "TRANSACTION_ABORTABLE", retriable: false, refresh: false;
    InvalidRecordState = 121, "INVALID_RECORD_STATE", retriable: false, refresh: false;
    ShareSessionNotFound = 122, "SHARE_SESSION_NOT_FOUND", retriable: true, refresh: false;
    InvalidShareSessionEpoch = 123, "INVALID_SHARE_SESSION_EPOCH", retriable: true, refresh: false;
    FencedStateEpoch = 124, "FENCED_STATE_EPOCH", retriable: false, refresh: false;
    InvalidVoterKey = 125, "INVALID_VOTER_KEY", retriable: false, refresh: false;
    DuplicateVoter = 126, "DUPLICATE_VOTER", retriable: false, refresh: false;
    VoterNotFound = 127, "VOTER_NOT_FOUND", retriable: false, refresh: false;
    InvalidRegularExpression = 128, "INVALID_REGULAR_EXPRESSION", retriable: false, refresh: false;
    RebootstrapRequired = 129, "REBOOTSTRAP_REQUIRED", retriable: false, refresh: false;
    StreamsInvalidTopology = 130, "STREAMS_INVALID_TOPOLOGY", retriable: false, refresh: false;
    StreamsInvalidTopologyEpoch = 131, "STREAMS_INVALID_TOPOLOGY_EPOCH", retriable: false, refresh: false;
    StreamsTopologyFenced = 132, "STREAMS_TOPOLOGY_FENCED", retriable: false, refresh: false;
    ShareSessionLimitReached = 133, "SHARE_SESSION_LIMIT_REACHED", retriable: true, refresh: false;
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// True for every code but `None`.
    pub const fn is_error(self) -> bool {
        !matches!(self, Self::None)
    }
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for &error in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_code(error.code()), Some(error));
        }
        assert_eq!(ErrorCode::from_code(-2), None);
    }

    #[test]
    fn a_few_known_codes() {
        assert_eq!(ErrorCode::NotLeaderOrFollower.code(), 6);
        assert!(ErrorCode::NotLeaderOrFollower.is_retriable());
        assert!(!ErrorCode::InvalidRecord.is_retriable());
    }
}
