//! Conversions between the messages of `quorum.proto` and openraft's types: the same encoding on disk and on the wire.

use std::collections::BTreeSet;
use std::io;

use highwater_rpc::ConversionError;
use highwater_rpc::pb::quorum as pb;
use highwater_types::MetadataOffset;
use openraft::EntryPayload;
use openraft::impls::EmptyNode;
use prost::Message;

use crate::raft_types::{DecidedRecords, Entry, LogId, Membership, StoredMembership, Vote};

/// The most voters a membership may name: far beyond any sensible quorum, small enough that a damaged message is harmless.
const MAX_VOTERS: usize = 64;

pub(crate) fn log_id_to_pb(log_id: &LogId) -> pb::LogId {
    pb::LogId { term: log_id.committed_leader_id().term, index: log_id.index() }
}

pub(crate) fn log_id_from_pb(log_id: pb::LogId) -> LogId {
    LogId::new_term_index(log_id.term, log_id.index)
}

pub(crate) fn vote_to_pb(vote: &Vote) -> pb::Vote {
    pb::Vote { term: vote.leader_id.term, node: vote.leader_id.voted_for, committed: vote.committed }
}

pub(crate) fn vote_from_pb(vote: pb::Vote) -> Vote {
    if vote.committed { Vote::new_committed(vote.term, vote.node) } else { Vote::new(vote.term, vote.node) }
}

/// A vote that must be there.
pub(crate) fn required_vote(vote: Option<pb::Vote>, message: &'static str) -> Result<Vote, ConversionError> {
    vote.map(vote_from_pb).ok_or(ConversionError::missing(message, "vote"))
}

pub(crate) fn membership_to_pb(membership: &Membership) -> pb::Membership {
    pb::Membership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|voters| pb::VoterSet { voters: voters.iter().copied().collect() })
            .collect(),
        nodes: membership.nodes().map(|(&id, _)| id).collect(),
    }
}

pub(crate) fn membership_from_pb(membership: pb::Membership) -> Result<Membership, ConversionError> {
    if membership.nodes.len() > MAX_VOTERS || membership.configs.len() > 2 {
        return Err(ConversionError::invalid("Membership", "nodes", "too many"));
    }
    let configs: Vec<BTreeSet<u64>> =
        membership.configs.into_iter().map(|config| config.voters.into_iter().collect()).collect();
    let nodes = membership.nodes.into_iter().map(|id| (id, EmptyNode {})).collect::<std::collections::BTreeMap<_, _>>();
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|error| ConversionError::invalid("Membership", "configs", error))
}

pub(crate) fn stored_membership_to_pb(stored: &StoredMembership) -> pb::StoredMembership {
    pb::StoredMembership {
        log_id: stored.log_id().as_ref().map(log_id_to_pb),
        membership: Some(membership_to_pb(stored.membership())),
    }
}

pub(crate) fn stored_membership_from_pb(stored: pb::StoredMembership) -> Result<StoredMembership, ConversionError> {
    let membership = stored.membership.ok_or(ConversionError::missing("StoredMembership", "membership"))?;
    Ok(StoredMembership::new(stored.log_id.map(log_id_from_pb), membership_from_pb(membership)?))
}

pub(crate) fn decided_to_pb(decided: &DecidedRecords) -> pb::DecidedRecords {
    pb::DecidedRecords { base_offset: decided.base_offset.0, records: decided.records.clone() }
}

pub(crate) fn decided_from_pb(decided: pb::DecidedRecords) -> DecidedRecords {
    DecidedRecords { base_offset: MetadataOffset(decided.base_offset), records: decided.records }
}

pub(crate) fn entry_to_pb(entry: &Entry) -> pb::Entry {
    let payload = match &entry.payload {
        EntryPayload::Blank => pb::entry::Payload::Blank(pb::Blank {}),
        EntryPayload::Normal(decided) => pb::entry::Payload::Decided(decided_to_pb(decided)),
        EntryPayload::Membership(membership) => pb::entry::Payload::Membership(membership_to_pb(membership)),
    };
    pb::Entry { log_id: Some(log_id_to_pb(&entry.log_id)), payload: Some(payload) }
}

pub(crate) fn entry_from_pb(entry: pb::Entry) -> Result<Entry, ConversionError> {
    let log_id = entry.log_id.ok_or(ConversionError::missing("Entry", "log_id"))?;
    let payload = match entry.payload.ok_or(ConversionError::missing("Entry", "payload"))? {
        pb::entry::Payload::Blank(_) => EntryPayload::Blank,
        pb::entry::Payload::Decided(decided) => EntryPayload::Normal(decided_from_pb(decided)),
        pb::entry::Payload::Membership(membership) => EntryPayload::Membership(membership_from_pb(membership)?),
    };
    Ok(Entry { log_id: log_id_from_pb(log_id), payload })
}

/// Decodes a message that this node wrote itself: anything unexpected means a damaged disk.
pub(crate) fn decode_stored<M: Message + Default>(bytes: &[u8], what: &str) -> io::Result<M> {
    M::decode(bytes).map_err(|error| damaged(what, &error))
}

/// The error of a stored value that cannot be what was written.
pub(crate) fn damaged(what: &str, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} in the metadata store is damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_round_trip() {
        let voters: BTreeSet<u64> = [1, 2, 3].into();
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(DecidedRecords { base_offset: MetadataOffset(7), records: vec![1, 2, 3].into() }),
            EntryPayload::Membership(Membership::new_with_defaults(vec![voters], [])),
        ];
        for (index, payload) in payloads.into_iter().enumerate() {
            let entry = Entry { log_id: LogId::new_term_index(3, index as u64), payload };
            assert_eq!(entry_from_pb(entry_to_pb(&entry)).unwrap(), entry);
        }
    }

    #[test]
    fn votes_round_trip_and_missing_parts_are_errors() {
        for vote in [Vote::new(4, 2), Vote::new_committed(5, 1)] {
            assert_eq!(vote_from_pb(vote_to_pb(&vote)), vote);
        }
        assert!(entry_from_pb(pb::Entry::default()).is_err());
        assert!(required_vote(None, "AppendRequest").is_err());
    }
}
