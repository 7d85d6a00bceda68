//! Errors that clients of early versions of an API do not know: told as they are, they would be taken for final.
//!
//! These are all for which Kafka 4.3 does the same in the APIs that are served here (`KafkaApis.scala`), but for those that are about
//! more than the code: Metadata and DescribeGroups answer in another form, OffsetCommit decides by the version.

use highwater_protocol::messages::ApiKey;
use highwater_types::ErrorCode;

/// API, first version whose clients know the error, the error, what earlier ones are told.
const LATER: [(ApiKey, i16, ErrorCode, ErrorCode); 3] = [
    (ApiKey::Fetch, 6, ErrorCode::KafkaStorageError, ErrorCode::NotLeaderOrFollower),
    (ApiKey::ListOffsets, 5, ErrorCode::OffsetNotAvailable, ErrorCode::LeaderNotAvailable),
    (ApiKey::DeleteTopics, 3, ErrorCode::TopicDeletionDisabled, ErrorCode::InvalidRequest),
];

/// The error as clients of that version know it.
pub(crate) fn known_to(api: ApiKey, version: i16, error: ErrorCode) -> ErrorCode {
    let unknown = LATER.iter().find(|(of, first, later, _)| *of == api && version < *first && *later == error);
    unknown.map_or(error, |(.., told)| *told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_codes_that_they_know() {
        use ErrorCode::*;
        for (api, version, error, told) in [
            (ApiKey::Fetch, 5, KafkaStorageError, NotLeaderOrFollower),
            (ApiKey::Fetch, 6, KafkaStorageError, KafkaStorageError),
            (ApiKey::Fetch, 4, OffsetOutOfRange, OffsetOutOfRange),
            (ApiKey::Fetch, 4, OffsetNotAvailable, OffsetNotAvailable),
            (ApiKey::ListOffsets, 4, OffsetNotAvailable, LeaderNotAvailable),
            (ApiKey::ListOffsets, 5, OffsetNotAvailable, OffsetNotAvailable),
            (ApiKey::ListOffsets, 1, KafkaStorageError, KafkaStorageError),
            (ApiKey::ListOffsets, 1, NotLeaderOrFollower, NotLeaderOrFollower),
            (ApiKey::DeleteTopics, 2, TopicDeletionDisabled, InvalidRequest),
            (ApiKey::DeleteTopics, 3, TopicDeletionDisabled, TopicDeletionDisabled),
            (ApiKey::CreateTopics, 2, TopicDeletionDisabled, TopicDeletionDisabled),
        ] {
            assert_eq!(known_to(api, version, error), told, "{api:?} {version} {error:?}");
        }
    }
}
