//! The state of the quorum as its active controller sees it: computed there, and asked of it by the others.

use std::time::Duration;

use highwater_controller::{QuorumDescription, QuorumReplica};
use highwater_env::clock;
use highwater_rpc::pb::quorum as pb;
use highwater_types::{BrokerId, ControllerEpoch, DirectoryId, MetadataOffset, Timestamp};
use openraft::Instant as _;

use crate::config::raft_id;
use crate::controller_core::Core;
use crate::credentials::node_of;
use crate::feed::Reached;
use crate::finder::Finder;
use crate::members;
use crate::raft_types::{Metrics, RaftId};
use crate::wire::{directory_to_pb, endpoint_from_pb, endpoint_to_pb};

impl Core {
    /// `None` unless this node is the active controller.
    pub(crate) fn describe_quorum(&self) -> Option<QuorumDescription> {
        let term = self.active_term()?;
        let metrics = self.raft_metrics();
        let now = clock::wall_ms();
        let member = |id: RaftId| {
            if id == self.raft_id {
                let log_end = Some(self.feed.image().offset());
                return QuorumReplica {
                    log_end,
                    last_heard: Some(now),
                    last_caught_up: Some(now),
                    ..self.describe_member(id, &metrics, now)
                };
            }
            self.describe_member(id, &metrics, now)
        };
        let membership = self.members.load();
        let voters: Vec<QuorumReplica> = members::voters(&membership).into_iter().map(member).collect();
        let mut observers: Vec<QuorumReplica> = members::observers(&membership).map(|(id, _)| member(id)).collect();
        let brokers: Vec<QuorumReplica> = {
            let (sessions, mono) = (self.sessions.lock(), clock::mono_ms());
            let known = |id: BrokerId| voters.iter().chain(&observers).any(|one| one.id == id);
            let brokers = sessions.heard().filter(|(id, ..)| !known(*id));
            let observer = |(id, heard, offset): (BrokerId, _, Option<MetadataOffset>)| {
                let heard = before(now, mono - heard);
                let reached = offset.map(|offset| self.feed.reached_offset(offset));
                replica(id, reached, Some(heard).filter(|_| offset.is_some()))
            };
            brokers.map(observer).collect()
        };
        observers.extend(brokers);
        observers.sort_by_key(|one| one.id);
        Some(QuorumDescription {
            leader: self.config.node_id,
            epoch: ControllerEpoch(term),
            high_watermark: self.feed.image().offset(),
            voters,
            observers,
        })
    }

    fn describe_member(&self, id: RaftId, metrics: &Metrics, now: Timestamp) -> QuorumReplica {
        let matched = metrics.replication.as_ref().and_then(|all| all.get(&id).cloned().flatten());
        let acknowledged = metrics.heartbeat.as_ref().and_then(|all| all.get(&id).cloned().flatten());
        let heard = acknowledged.map(|instant| before(now, instant.into_inner().elapsed()));
        QuorumReplica {
            directory: self.credentials.known_directory(id.node),
            endpoint: self.peers.endpoint(id.node),
            ..replica(id.node, matched.map(|matched| self.feed.reached(matched.index())), heard)
        }
    }
}

/// A node that lacks nothing had caught up when it was heard last; another one had until the first change that it lacks.
fn replica(id: BrokerId, reached: Option<Reached>, heard: Option<Timestamp>) -> QuorumReplica {
    let log_end = reached.and_then(|reached| reached.end);
    let last_caught_up = match (reached.and_then(|reached| reached.lacks_since), heard) {
        (Some(since), Some(heard)) => Some(since.min(heard)),
        (since, None) => since,
        (None, heard) => heard.filter(|_| log_end.is_some()),
    };
    QuorumReplica { id, directory: None, endpoint: None, log_end, last_heard: heard, last_caught_up }
}

fn before(now: Timestamp, ago: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)))
}

/// Asks `target`. `None` when it does not answer as the active controller; what it knows of that one is remembered.
pub(crate) async fn ask(finder: &Finder, target: BrokerId, limit: Duration) -> Option<QuorumDescription> {
    use pb::describe_quorum_response::Result as Answer;
    let mut rpc = finder.rpc(target)?;
    let answer = tokio::time::timeout(limit, rpc.describe_quorum(pb::DescribeQuorumRequest {})).await.ok()?.ok()?;
    match answer.into_inner().result? {
        Answer::Description(description) => from_pb(description),
        Answer::NotController(hint) => {
            finder.not_active(target);
            finder.heard_hint(&hint);
            None
        }
    }
}

pub(crate) fn to_pb(description: &QuorumDescription) -> pb::QuorumDescription {
    let replica = |replica: &QuorumReplica| pb::QuorumReplica {
        node: raft_id(replica.id),
        log_end: replica.log_end.map(|offset| offset.0),
        last_heard: replica.last_heard.map(|time| time.0),
        last_caught_up: replica.last_caught_up.map(|time| time.0),
        directory: directory_to_pb(replica.directory.unwrap_or_default()),
        endpoint: replica.endpoint.as_ref().map(endpoint_to_pb),
    };
    pb::QuorumDescription {
        leader: raft_id(description.leader),
        term: description.epoch.0,
        high_watermark: description.high_watermark.0,
        voters: description.voters.iter().map(replica).collect(),
        observers: description.observers.iter().map(replica).collect(),
    }
}

fn from_pb(description: pb::QuorumDescription) -> Option<QuorumDescription> {
    let replica = |replica: pb::QuorumReplica| {
        Some(QuorumReplica {
            id: node_of(replica.node)?,
            directory: <[u8; 16]>::try_from(replica.directory.as_ref()).ok().map(DirectoryId::from_bytes),
            endpoint: replica.endpoint.map(endpoint_from_pb).transpose().ok()?,
            log_end: replica.log_end.map(MetadataOffset),
            last_heard: replica.last_heard.map(Timestamp),
            last_caught_up: replica.last_caught_up.map(Timestamp),
        })
    };
    Some(QuorumDescription {
        leader: node_of(description.leader)?,
        epoch: ControllerEpoch(description.term),
        high_watermark: MetadataOffset(description.high_watermark),
        voters: description.voters.into_iter().map(replica).collect::<Option<_>>()?,
        observers: description.observers.into_iter().map(replica).collect::<Option<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_had_caught_up_until_the_first_change_that_it_lacks() {
        let caught_up = |reached, heard: Option<i64>| {
            replica(BrokerId(1), reached, heard.map(Timestamp)).last_caught_up.map(|time| time.0)
        };
        let end = Some(MetadataOffset(5));
        let lacks = |since: i64| Some(Reached { end, lacks_since: Some(Timestamp(since)) });
        let all = Some(Reached { end, lacks_since: None });
        assert_eq!(caught_up(all, Some(70)), Some(70));
        assert_eq!(caught_up(lacks(50), Some(70)), Some(50));
        assert_eq!(caught_up(lacks(50), Some(40)), Some(40), "it was not heard of after that");
        assert_eq!(caught_up(lacks(50), None), Some(50));
        assert_eq!(caught_up(all, None), None);
        assert_eq!(caught_up(Some(Reached { end: None, lacks_since: None }), Some(70)), None, "too far behind to tell");
        assert_eq!(caught_up(None, Some(70)), None);
    }
}
