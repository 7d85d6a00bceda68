//! Leader hints in errors (KIP-951), shared by Produce and Fetch.

use highwater_types::{BrokerId, LeaderEpoch};

use crate::encode_error::EncodeError;
use crate::writer::SegmentWriter;

/// Where a broker listens, in an answer that names it as leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// The broker.
    pub node_id: BrokerId,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: i32,
    /// Rack, if configured.
    pub rack: Option<String>,
}

/// The leader of a partition as this broker knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderIdAndEpoch {
    /// The leader, or -1.
    pub leader_id: BrokerId,
    /// Its epoch, or -1.
    pub leader_epoch: LeaderEpoch,
}

impl LeaderIdAndEpoch {
    /// Whether this says nothing, so that the tagged field is left out.
    pub(crate) fn is_default(&self) -> bool {
        self.leader_id == BrokerId::NONE && self.leader_epoch == LeaderEpoch::NONE
    }

    pub(crate) fn encode(&self, writer: &mut SegmentWriter) -> Result<(), EncodeError> {
        writer.i32(self.leader_id.get());
        writer.i32(self.leader_epoch.get());
        writer.no_tagged_fields();
        Ok(())
    }
}

pub(crate) fn encode_node_endpoints(endpoints: &[NodeEndpoint], writer: &mut SegmentWriter) -> Result<(), EncodeError> {
    writer.array_length(endpoints.len())?;
    for endpoint in endpoints {
        writer.i32(endpoint.node_id.get());
        writer.string(&endpoint.host)?;
        writer.i32(endpoint.port);
        writer.nullable_string(endpoint.rack.as_deref())?;
        writer.no_tagged_fields();
    }
    Ok(())
}
