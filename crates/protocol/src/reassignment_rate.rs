//! Our own field of AlterPartitionReassignments: the rate of the reassignments that it begins. Nodes that do not know it ignore it.

use bytes::Bytes;
use kafka_protocol::messages::AlterPartitionReassignmentsRequest;

use crate::cursor::MalformedFrame;

/// Far from the tags that Kafka gives out, which count from 0.
const TAG: i32 = 0x4857;
const SIZE: usize = size_of::<i64>();

/// The request, with a rate in bytes per second.
pub fn with_reassignment_rate(
    mut request: AlterPartitionReassignmentsRequest,
    rate: i64,
) -> AlterPartitionReassignmentsRequest {
    request.unknown_tagged_fields.insert(TAG, Bytes::copy_from_slice(&rate.to_be_bytes()));
    request
}

/// The rate in a request, if it has one.
///
/// # Errors
/// When it is no number.
pub fn reassignment_rate(request: &AlterPartitionReassignmentsRequest) -> Result<Option<i64>, MalformedFrame> {
    let Some(value) = request.unknown_tagged_fields.get(&TAG) else { return Ok(None) };
    let bytes = value[..].try_into().map_err(|_| MalformedFrame::TaggedFieldSize {
        field: "rate",
        claimed: value.len(),
        actual: SIZE,
    })?;
    Ok(Some(i64::from_be_bytes(bytes)))
}
