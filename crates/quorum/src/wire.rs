//! Conversions between the messages of `quorum.proto` and openraft's types: the same encoding on disk and on the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bytes::Bytes;
use highwater_controller::CommandError;
use highwater_metadata::HostPort;
use highwater_rpc::ConversionError;
use highwater_rpc::pb::metadata as metadata_pb;
use highwater_rpc::pb::quorum as pb;
use highwater_types::{BrokerId, DirectoryId, ErrorCode, MetadataOffset};
use openraft::EntryPayload;
use prost::Message;

use crate::config::raft_id;
use crate::raft_types::{DecidedRecords, Entry, LogId, Membership, RaftId, RaftNode, StoredMembership, Vote};

/// The most voters and observers a membership may name: far beyond any sensible quorum, small enough that a damaged message is
/// harmless.
pub(crate) const MAX_MEMBERS: usize = 64;

pub(crate) fn log_id_to_pb(log_id: &LogId) -> pb::LogId {
    pb::LogId { term: log_id.committed_leader_id().term, index: log_id.index() }
}

pub(crate) fn log_id_from_pb(log_id: pb::LogId) -> LogId {
    LogId::new_term_index(log_id.term, log_id.index)
}

pub(crate) fn vote_to_pb(vote: &Vote) -> pb::Vote {
    let RaftId { node, directory } = vote.leader_id.voted_for;
    pb::Vote {
        term: vote.leader_id.term,
        node: raft_id(node),
        committed: vote.committed,
        directory: directory_to_pb(directory),
    }
}

pub(crate) fn vote_from_pb(vote: pb::Vote) -> Result<Vote, ConversionError> {
    let node = id_from_pb("Vote", vote.node, &vote.directory)?;
    Ok(if vote.committed { Vote::new_committed(vote.term, node) } else { Vote::new(vote.term, node) })
}

/// A vote that must be there.
pub(crate) fn required_vote(vote: Option<pb::Vote>, message: &'static str) -> Result<Vote, ConversionError> {
    vote_from_pb(vote.ok_or(ConversionError::missing(message, "vote"))?)
}

/// Zero is left out: it is what messages had before directories were in them.
pub(crate) fn directory_to_pb(directory: DirectoryId) -> Bytes {
    if directory.is_zero() { Bytes::new() } else { directory.to_bytes().to_vec().into() }
}

fn directory_from_pb(message: &'static str, bytes: &[u8]) -> Result<DirectoryId, ConversionError> {
    match bytes {
        [] => Ok(DirectoryId::ZERO),
        _ => bytes.try_into().map(DirectoryId::from_bytes).map_err(|error| invalid(message, "directory", error)),
    }
}

pub(crate) fn id_from_pb(message: &'static str, node: u64, directory: &[u8]) -> Result<RaftId, ConversionError> {
    let node = i32::try_from(node).map(BrokerId).map_err(|error| invalid(message, "node", error))?;
    Ok(RaftId { node, directory: directory_from_pb(message, directory)? })
}

fn invalid(message: &'static str, field: &'static str, error: impl std::fmt::Display) -> ConversionError {
    ConversionError::invalid(message, field, error)
}

pub(crate) fn endpoint_to_pb(endpoint: &HostPort) -> metadata_pb::HostPort {
    metadata_pb::HostPort { host: endpoint.host.clone(), port: u32::from(endpoint.port) }
}

pub(crate) fn endpoint_from_pb(endpoint: metadata_pb::HostPort) -> Result<HostPort, ConversionError> {
    let port = u16::try_from(endpoint.port).map_err(|error| invalid("HostPort", "port", error))?;
    Ok(HostPort { host: endpoint.host, port })
}

pub(crate) fn member_to_pb(id: RaftId, node: &RaftNode) -> pb::Member {
    let directory = if id.is_founder() { node.directory } else { id.directory };
    pb::Member {
        node: raft_id(id.node),
        directory: directory_to_pb(directory),
        founder: id.is_founder(),
        endpoint: node.endpoint.as_ref().map(endpoint_to_pb),
    }
}

pub(crate) fn member_from_pb(member: pb::Member) -> Result<(RaftId, RaftNode), ConversionError> {
    let RaftId { node, directory } = id_from_pb("Member", member.node, &member.directory)?;
    let endpoint = member.endpoint.map(endpoint_from_pb).transpose()?;
    if !member.founder && directory.is_zero() {
        return Err(ConversionError::missing("Member", "directory"));
    }
    let id = if member.founder { RaftId::founder(node) } else { RaftId { node, directory } };
    Ok((id, RaftNode { endpoint, directory: if member.founder { directory } else { DirectoryId::ZERO } }))
}

pub(crate) fn membership_to_pb(membership: &Membership) -> pb::Membership {
    let set = |voters: &BTreeSet<RaftId>| {
        let (founders, joined): (Vec<RaftId>, Vec<RaftId>) = voters.iter().partition(|id| id.is_founder());
        pb::VoterSet {
            voters: founders.into_iter().map(|id| raft_id(id.node)).collect(),
            joined: joined.into_iter().map(|id| member_to_pb(id, &RaftNode::default())).collect(),
        }
    };
    let plain = |id: RaftId, node: &RaftNode| id.is_founder() && *node == RaftNode::default();
    let (founders, members): (Vec<_>, Vec<_>) = membership.nodes().partition(|(id, node)| plain(**id, node));
    pb::Membership {
        configs: membership.get_joint_config().iter().map(set).collect(),
        nodes: founders.into_iter().map(|(id, _)| raft_id(id.node)).collect(),
        members: members.into_iter().map(|(id, node)| member_to_pb(*id, node)).collect(),
    }
}

pub(crate) fn membership_from_pb(membership: pb::Membership) -> Result<Membership, ConversionError> {
    if membership.nodes.len() + membership.members.len() > MAX_MEMBERS || membership.configs.len() > 2 {
        return Err(invalid("Membership", "nodes", "too many"));
    }
    let founder = |node: u64| id_from_pb("Membership", node, &[]);
    let configs = membership.configs.into_iter().map(|config| {
        let joined = config.joined.into_iter().map(|member| Ok(member_from_pb(member)?.0));
        config.voters.into_iter().map(founder).chain(joined).collect::<Result<BTreeSet<_>, ConversionError>>()
    });
    let configs = configs.collect::<Result<Vec<_>, _>>()?;
    let founders = membership.nodes.into_iter().map(|node| Ok((founder(node)?, RaftNode::default())));
    let members = membership.members.into_iter().map(member_from_pb);
    let nodes = founders.chain(members).collect::<Result<BTreeMap<_, _>, ConversionError>>()?;
    if configs.is_empty() && nodes.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, nodes).map_err(|error| invalid("Membership", "configs", error))
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

pub(crate) fn refusal_to_pb(error: &CommandError) -> pb::Refused {
    pb::Refused { code: i32::from(error.code.code()), message: error.message.clone() }
}

pub(crate) fn refusal_from_pb(refused: pb::Refused) -> CommandError {
    let code = i16::try_from(refused.code).ok().and_then(ErrorCode::from_code);
    CommandError::new(code.filter(|code| code.is_error()).unwrap_or(ErrorCode::UnknownServerError), refused.message)
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
        let founders: BTreeSet<RaftId> = [1, 2, 3].map(RaftId::from).into();
        let joined = RaftId { node: BrokerId(3), directory: DirectoryId::from_random(3) };
        let endpoint = Some(HostPort { host: "three".to_owned(), port: 9093 });
        let known = RaftNode { endpoint, ..RaftNode::default() };
        let returned = RaftNode { directory: DirectoryId::from_random(1), ..known.clone() };
        let replaced: BTreeSet<RaftId> = [RaftId::from(2), joined].into();
        let nodes = BTreeMap::from([(1.into(), returned), (2.into(), RaftNode::default()), (joined, known)]);
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(DecidedRecords { base_offset: MetadataOffset(7), records: vec![1, 2, 3].into() }),
            EntryPayload::Membership(Membership::new_with_defaults(vec![founders.clone()], [])),
            EntryPayload::Membership(Membership::new(vec![[1.into(), 2.into()].into(), replaced], nodes).unwrap()),
        ];
        for (index, payload) in payloads.into_iter().enumerate() {
            let entry = Entry { log_id: LogId::new_term_index(3, index as u64), payload };
            assert_eq!(entry_from_pb(entry_to_pb(&entry)).unwrap(), entry);
        }
    }

    #[test]
    fn votes_round_trip_and_missing_parts_are_errors() {
        let joined = RaftId { node: BrokerId(2), directory: DirectoryId::from_random(2) };
        for vote in [Vote::new(4, joined), Vote::new_committed(5, 1.into())] {
            assert_eq!(vote_from_pb(vote_to_pb(&vote)).unwrap(), vote);
        }
        assert!(vote_from_pb(pb::Vote { directory: vec![7].into(), ..Default::default() }).is_err());
        assert!(member_from_pb(pb::Member { node: 2, ..Default::default() }).is_err(), "neither founder nor directory");
        assert!(entry_from_pb(pb::Entry::default()).is_err());
        assert!(required_vote(None, "AppendRequest").is_err());
    }
}
