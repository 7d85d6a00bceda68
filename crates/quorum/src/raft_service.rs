//! Raft over gRPC, the receiving side.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::Stream;
use highwater_env::clock;
use highwater_rpc::metadata::software_from_message;
use highwater_rpc::pb::quorum as pb;
use highwater_rpc::pb::quorum::raft_server::Raft;
use openraft::async_runtime::WatchReceiver as _;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, TransferLeaderError, TransferLeaderRequest, VoteRequest,
};
use openraft::storage::Snapshot;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::config::raft_id;
use crate::controller_core::{Core, MetadataRaft, Phase};
use crate::credentials::{node_of, sorted_ids};
use crate::raft_types::{SnapshotMeta, TypeConfig};
use crate::store::SnapshotBytes;
use crate::waiting::until;
use crate::wire::{
    entry_from_pb, id_from_pb, log_id_from_pb, log_id_to_pb, required_vote, stored_membership_from_pb, vote_to_pb,
};

/// Largest snapshot taken from a peer: tens of millions of partitions. Bounds what a confused peer can make us hold.
const MAX_SNAPSHOT_BYTES: usize = 1024 * 1024 * 1024;
/// Events of one watch that may wait to be sent. Each says all there is to say, so few are enough.
const WATCH_QUEUE: usize = 4;

/// Serves the other voters.
pub(crate) struct RaftService(pub(crate) Arc<Core>);

impl RaftService {
    /// The Raft of this node for a call from `peer`, if it takes part and the caller may call.
    fn raft(&self, peer: Option<pb::Peer>) -> Result<&MetadataRaft, Status> {
        match *self.0.phase.borrow() {
            Phase::Running => {}
            Phase::Forming => return Err(Status::unavailable("this controller has not joined the quorum yet")),
            Phase::Stopped => return Err(Status::unavailable("this controller is stopping")),
        }
        self.0.credentials.check(peer)?;
        Ok(&self.0.raft)
    }
}

#[tonic::async_trait]
impl Raft for RaftService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::WatchEvent, Status>> + Send>>;

    async fn greet(&self, request: Request<pb::GreetRequest>) -> Result<Response<pb::GreetResponse>, Status> {
        let _ = request;
        let core = &self.0;
        // What is committed outranks what was agreed.
        let agreed = core.identity.agreed().unwrap_or_default();
        let agreed = agreed.keys().filter_map(|&node| core.known_directory(node)).collect();
        Ok(Response::new(pb::GreetResponse {
            node: raft_id(core.config.node_id),
            directory: core.identity.directory_id().to_bytes().to_vec().into(),
            voters: sorted_ids(core.config.voter_ids()),
            agreed,
            voters_now: core.voters_now(),
            cluster_id: core.identity.cluster_id().unwrap_or_default(),
        }))
    }

    async fn append(&self, request: Request<pb::AppendRequest>) -> Result<Response<pb::AppendResponse>, Status> {
        let request = request.into_inner();
        let raft = self.raft(request.peer)?;
        self.0.heard_leader();
        let entries = request.entries.into_iter().map(entry_from_pb).collect::<Result<Vec<_>, _>>().map_err(invalid)?;
        let rpc = AppendEntriesRequest {
            vote: required_vote(request.vote, "AppendRequest").map_err(invalid)?,
            prev_log_id: request.prev_log_id.map(log_id_from_pb),
            entries,
            leader_commit: request.leader_commit.map(log_id_from_pb),
        };
        let result = match raft.append_entries(rpc).await.map_err(stopped)? {
            AppendEntriesResponse::Success | AppendEntriesResponse::PartialSuccess(None) => {
                pb::append_response::Result::Success(pb::Blank {})
            }
            AppendEntriesResponse::PartialSuccess(Some(log_id)) => {
                pb::append_response::Result::Partial(log_id_to_pb(&log_id))
            }
            AppendEntriesResponse::Conflict => pb::append_response::Result::Conflict(pb::Blank {}),
            AppendEntriesResponse::HigherVote(vote) => pb::append_response::Result::HigherVote(vote_to_pb(&vote)),
        };
        Ok(Response::new(pb::AppendResponse { result: Some(result) }))
    }

    async fn request_vote(&self, request: Request<pb::VoteRequest>) -> Result<Response<pb::VoteResponse>, Status> {
        let request = request.into_inner();
        let raft = self.raft(request.peer)?;
        let mut rpc = VoteRequest::<TypeConfig>::new(
            required_vote(request.vote, "VoteRequest").map_err(invalid)?,
            request.last_log_id.map(log_id_from_pb),
        );
        rpc.leadership_transfer = request.leadership_transfer;
        let term = rpc.vote.leader_id.term;
        let response =
            if request.pre_vote { raft.pre_vote(rpc).await } else { raft.vote(rpc).await }.map_err(stopped)?;
        let silent = (response.vote_granted && !request.pre_vote)
            .then(|| self.0.past_leases.lock().vote_given(term, clock::mono_ms()))
            .map(|silent| u64::try_from(silent.as_millis()).unwrap_or(u64::MAX));
        Ok(Response::new(pb::VoteResponse {
            vote: Some(vote_to_pb(&response.vote)),
            granted: response.vote_granted,
            last_log_id: response.last_log_id.as_ref().map(log_id_to_pb),
            leader_silent_ms: silent,
        }))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<pb::SnapshotChunk>>,
    ) -> Result<Response<pb::SnapshotResponse>, Status> {
        let mut chunks = request.into_inner();
        let Some(pb::SnapshotChunk { part: Some(pb::snapshot_chunk::Part::Header(header)) }) = chunks.message().await?
        else {
            return Err(Status::invalid_argument("a snapshot begins with its header"));
        };
        let raft = self.raft(header.peer)?;
        self.0.heard_leader();
        let vote = required_vote(header.vote, "SnapshotHeader").map_err(invalid)?;
        let membership = header.membership.ok_or_else(|| Status::invalid_argument("a snapshot has a membership"))?;
        let meta = SnapshotMeta {
            last_log_id: header.last_log_id.map(log_id_from_pb),
            last_membership: stored_membership_from_pb(membership).map_err(invalid)?,
        };
        let file = collect(&mut chunks).await?;
        let response = raft
            .install_full_snapshot(vote, Snapshot { meta, snapshot: SnapshotBytes(file) })
            .await
            .map_err(stopped)?;
        Ok(Response::new(pb::SnapshotResponse { vote: Some(vote_to_pb(&response.vote)) }))
    }

    async fn transfer_leader(
        &self,
        request: Request<pb::TransferLeaderRequest>,
    ) -> Result<Response<pb::TransferLeaderResponse>, Status> {
        let request = request.into_inner();
        let raft = self.raft(request.peer)?;
        let from_leader = required_vote(request.from_leader, "TransferLeaderRequest").map_err(invalid)?;
        let last_log_id = request.last_log_id.map(log_id_from_pb);
        let to = id_from_pb("TransferLeaderRequest", request.to_node, &request.to_node_directory).map_err(invalid)?;
        let rpc = TransferLeaderRequest::new(from_leader, to, last_log_id);
        let result = match raft.handle_transfer_leader(rpc).await.map_err(stopped)? {
            Ok(()) => pb::transfer_leader_response::Result::Accepted(pb::Blank {}),
            Err(TransferLeaderError::VoteChanged { actual, .. }) => {
                pb::transfer_leader_response::Result::VoteChanged(vote_to_pb(&actual))
            }
            Err(TransferLeaderError::LogNotFlushed { .. }) => {
                pb::transfer_leader_response::Result::LogNotFlushed(pb::Blank {})
            }
        };
        Ok(Response::new(pb::TransferLeaderResponse { result: Some(result) }))
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let from = request.peer.as_ref().and_then(|peer| node_of(peer.from_node));
        let raft = self.raft(request.peer)?;
        let software = software_from_message(request.software).map_err(invalid)?;
        self.0.voters_software.lock().extend(from.map(|from| (from, software)));
        let (events, stream) = mpsc::channel(WATCH_QUEUE);
        let mut metrics = raft.metrics();
        let mut phase = self.0.phase.subscribe();
        tokio::spawn(async move {
            let mut sent = None;
            loop {
                let event = {
                    let now = metrics.borrow_watched();
                    pb::WatchEvent { term: now.current_term, leading: now.state.is_leader() }
                };
                if sent != Some(event) {
                    if events.send(Ok(event)).await.is_err() {
                        return;
                    }
                    sent = Some(event);
                }
                tokio::select! {
                    changed = metrics.changed() => if changed.is_err() { return },
                    _ = until(&mut phase, |phase| *phase == Phase::Stopped) => return,
                    () = events.closed() => return,
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

async fn collect(chunks: &mut Streaming<pb::SnapshotChunk>) -> Result<Bytes, Status> {
    let mut file = BytesMut::new();
    while let Some(chunk) = chunks.message().await? {
        let Some(pb::snapshot_chunk::Part::Data(data)) = chunk.part else {
            return Err(Status::invalid_argument("a snapshot has one header"));
        };
        if file.len() + data.len() > MAX_SNAPSHOT_BYTES {
            return Err(Status::resource_exhausted(format!("a snapshot has at most {MAX_SNAPSHOT_BYTES} bytes")));
        }
        file.extend_from_slice(&data);
    }
    Ok(file.freeze())
}

fn invalid(error: impl std::fmt::Display) -> Status {
    Status::invalid_argument(error.to_string())
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(format!("Raft of this controller has stopped: {error}"))
}
