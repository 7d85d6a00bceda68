//! Raft over gRPC, the sending side.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use highwater_env::lock::Mutex;
use highwater_env::{GRPC_MAX_MESSAGE_BYTES, GrpcOptions, Net, clock, grpc_channel};
use highwater_metadata::HostPort;
use highwater_rpc::pb::quorum as pb;
use highwater_rpc::pb::quorum::raft_client::RaftClient;
use highwater_types::BrokerId;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use tonic::transport::Channel;
use tonic::{Response, Status};

use crate::config::{Voter, raft_id};
use crate::past_leases::PastLeases;
use crate::raft_types::{RaftId, RaftNode, TypeConfig, Vote};
use crate::store::StateMachine;
use crate::wire::{
    directory_to_pb, entry_to_pb, log_id_from_pb, log_id_to_pb, required_vote, stored_membership_to_pb, vote_from_pb,
    vote_to_pb,
};

/// Time for a replica to append and flush a batch. openraft's own limit, three quarters of a heartbeat, would turn a disk
/// that is slow for a moment into a stall: entries repeated before they are flushed, over and over. Heartbeats have their
/// own, shorter limit.
const APPEND_DEADLINE: Duration = Duration::from_secs(2);
/// Bytes of one message of a snapshot transfer.
const SNAPSHOT_CHUNK_BYTES: usize = 512 * 1024;
/// A voter that is up answers a connection at once; Raft has its own retries.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

type Client = RaftClient<Channel>;
type RpcError = RPCError<TypeConfig>;

/// What every message says about its sender and receiver, and where receivers are.
pub(crate) trait PeerIdentity: Send + Sync {
    /// The header of a message to `to`.
    fn peer(&self, to: RaftId) -> pb::Peer;
    /// Where the membership says that a member is.
    fn endpoint(&self, id: BrokerId) -> Option<HostPort>;
    /// Where the metadata say that a voter is.
    fn registered_endpoint(&self, id: BrokerId) -> Option<HostPort>;
}

/// Channels to the other members. Raft, snapshots and the watch on the leader do not share a connection: a large transfer
/// must not delay a heartbeat, and the watch must break when the process it watches breaks.
pub(crate) struct Peers {
    net: Net,
    identity: Arc<dyn PeerIdentity>,
    configured: BTreeMap<BrokerId, HostPort>,
    channels: Mutex<BTreeMap<BrokerId, Channels>>,
    past_leases: Arc<Mutex<PastLeases>>,
}

#[derive(Clone)]
struct Channels {
    endpoint: HostPort,
    raft: Client,
    snapshots: Client,
    watch: Client,
}

impl Channels {
    /// Nothing is dialled yet.
    fn new(net: Net, endpoint: HostPort) -> Self {
        let options = GrpcOptions { connect_timeout: CONNECT_TIMEOUT, ..GrpcOptions::default() };
        let address = endpoint.to_string();
        let client = || {
            RaftClient::new(grpc_channel(net, &address, options))
                .max_decoding_message_size(GRPC_MAX_MESSAGE_BYTES)
                .max_encoding_message_size(GRPC_MAX_MESSAGE_BYTES)
        };
        Self { raft: client(), snapshots: client(), watch: client(), endpoint }
    }
}

impl Peers {
    /// Channels to the members; `configured` are those of `controller.quorum.voters`. `past_leases` is told of votes.
    pub(crate) fn new(
        net: Net,
        configured: &[Voter],
        identity: Arc<dyn PeerIdentity>,
        past_leases: Arc<Mutex<PastLeases>>,
    ) -> Self {
        let configured = configured.iter().map(|voter| (voter.id, voter.endpoint.clone())).collect();
        Self { net, identity, configured, channels: Mutex::default(), past_leases }
    }

    /// Where a member is: as the membership says, else the configuration, else the metadata.
    pub(crate) fn endpoint(&self, id: BrokerId) -> Option<HostPort> {
        let told = self.identity.endpoint(id).or_else(|| self.configured.get(&id).cloned());
        told.or_else(|| self.identity.registered_endpoint(id))
    }

    /// The client for the watch on a leader.
    pub(crate) fn watch_client(&self, leader: RaftId) -> Option<(Client, pb::Peer)> {
        Some((self.channels(leader.node, None)?.watch, self.identity.peer(leader)))
    }

    /// The client for greetings.
    pub(crate) fn raft_client(&self, id: BrokerId) -> Option<Client> {
        Some(self.channels(id, None)?.raft)
    }

    /// The channels to a member. `told` is where Raft itself says that it is, for members that are news.
    fn channels(&self, id: BrokerId, told: Option<&HostPort>) -> Option<Channels> {
        let endpoint = self.endpoint(id).or_else(|| told.cloned())?;
        let mut channels = self.channels.lock();
        let known = channels.get(&id).filter(|known| known.endpoint == endpoint);
        Some(match known {
            Some(known) => known.clone(),
            None => {
                let fresh = Channels::new(self.net, endpoint);
                channels.insert(id, fresh.clone());
                fresh
            }
        })
    }
}

/// Hands openraft its connections.
#[derive(Clone)]
pub(crate) struct PeerFactory(pub(crate) Arc<Peers>);

/// One connection of openraft to one voter.
pub(crate) struct PeerConnection {
    peers: Arc<Peers>,
    target: RaftId,
    endpoint: Option<HostPort>,
    snapshot: bool,
}

impl RaftNetworkFactory<TypeConfig> for PeerFactory {
    type Network = PeerConnection;

    async fn new_client(&mut self, target: RaftId, node: &RaftNode) -> PeerConnection {
        PeerConnection { peers: self.0.clone(), target, endpoint: node.endpoint.clone(), snapshot: false }
    }

    async fn new_snapshot_client(&mut self, target: RaftId, node: &RaftNode) -> PeerConnection {
        PeerConnection { peers: self.0.clone(), target, endpoint: node.endpoint.clone(), snapshot: true }
    }
}

impl PeerConnection {
    fn client(&self) -> Result<(Client, pb::Peer), RpcError> {
        let channels = self.peers.channels(self.target.node, self.endpoint.as_ref());
        let channels = channels.ok_or_else(|| {
            let id = self.target.node;
            unreachable(format_args!("nothing says where voter {id} is: it is not in controller.quorum.voters"))
        })?;
        let client = if self.snapshot { channels.snapshots } else { channels.raft };
        Ok((client, self.peers.identity.peer(self.target)))
    }

    async fn request_vote(
        &self,
        rpc: VoteRequest<TypeConfig>,
        pre_vote: bool,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let (mut client, peer) = self.client()?;
        let request = pb::VoteRequest {
            peer: Some(peer),
            vote: Some(vote_to_pb(&rpc.vote)),
            last_log_id: rpc.last_log_id.as_ref().map(log_id_to_pb),
            leadership_transfer: rpc.leadership_transfer,
            pre_vote,
        };
        let response = within(option.soft_ttl(), client.request_vote(request)).await?;
        let vote = required_vote(response.vote, "VoteResponse").map_err(unreachable)?;
        if response.granted && !pre_vote {
            let silent = response.leader_silent_ms.map(Duration::from_millis);
            self.peers.past_leases.lock().vote_received(rpc.vote.leader_id.term, silent, clock::mono_ms());
        }
        Ok(VoteResponse::new(vote, response.last_log_id.map(log_id_from_pb), response.granted))
    }
}

impl RaftNetworkV2<TypeConfig> for PeerConnection {
    type SnapshotData = <StateMachine as openraft::storage::RaftStateMachine<TypeConfig>>::SnapshotData;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RpcError> {
        let (mut client, peer) = self.client()?;
        let request = pb::AppendRequest {
            peer: Some(peer),
            vote: Some(vote_to_pb(&rpc.vote)),
            prev_log_id: rpc.prev_log_id.as_ref().map(log_id_to_pb),
            entries: rpc.entries.iter().map(entry_to_pb).collect(),
            leader_commit: rpc.leader_commit.as_ref().map(log_id_to_pb),
        };
        let response = within(option.soft_ttl().max(APPEND_DEADLINE), client.append(request)).await?;
        match response.result {
            Some(pb::append_response::Result::Success(_)) => Ok(AppendEntriesResponse::Success),
            Some(pb::append_response::Result::Partial(log_id)) => {
                Ok(AppendEntriesResponse::PartialSuccess(Some(log_id_from_pb(log_id))))
            }
            Some(pb::append_response::Result::Conflict(_)) => Ok(AppendEntriesResponse::Conflict),
            Some(pb::append_response::Result::HigherVote(vote)) => {
                Ok(AppendEntriesResponse::HigherVote(vote_from_pb(vote).map_err(unreachable)?))
            }
            None => Err(unreachable("the answer to an append is empty")),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.request_vote(rpc, false, option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        self.request_vote(rpc, true, option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: openraft::type_config::alias::SnapshotOf<TypeConfig, Self::SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let (mut client, peer) = self.client().map_err(StreamingError::from)?;
        let header = pb::SnapshotHeader {
            peer: Some(peer),
            vote: Some(vote_to_pb(&vote)),
            last_log_id: snapshot.meta.last_log_id.as_ref().map(log_id_to_pb),
            membership: Some(stored_membership_to_pb(&snapshot.meta.last_membership)),
        };
        let chunks = futures::stream::iter(snapshot_chunks(header, snapshot.snapshot.0));
        tokio::select! {
            response = within(option.soft_ttl(), client.install_snapshot(chunks)) => {
                let response = response.map_err(StreamingError::from)?;
                let vote = required_vote(response.vote, "SnapshotResponse")
                    .map_err(|error| StreamingError::Network(NetworkError::from_string(error)))?;
                Ok(SnapshotResponse::new(vote))
            }
            closed = cancel => Err(StreamingError::Closed(closed)),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        let (mut client, peer) = self.client()?;
        let request = pb::TransferLeaderRequest {
            peer: Some(peer),
            from_leader: Some(vote_to_pb(req.from_leader())),
            to_node: raft_id(req.to_node_id().node),
            to_node_directory: directory_to_pb(req.to_node_id().directory),
            last_log_id: req.last_log_id().map(log_id_to_pb),
        };
        let response = within(option.soft_ttl(), client.transfer_leader(request)).await?;
        match response.result {
            Some(pb::transfer_leader_response::Result::Accepted(_)) => Ok(Ok(())),
            Some(pb::transfer_leader_response::Result::VoteChanged(actual)) => {
                let actual = vote_from_pb(actual).map_err(unreachable)?;
                let expected = *req.from_leader();
                Ok(Err(TransferLeaderError::VoteChanged { expected, actual }))
            }
            Some(pb::transfer_leader_response::Result::LogNotFlushed(_)) => {
                let expected = req.last_log_id().copied();
                Ok(Err(TransferLeaderError::LogNotFlushed { expected, actual: None }))
            }
            None => Err(unreachable("the answer to a transfer of leadership is empty")),
        }
    }
}

fn snapshot_chunks(header: pb::SnapshotHeader, mut data: Bytes) -> Vec<pb::SnapshotChunk> {
    let mut chunks = vec![pb::SnapshotChunk { part: Some(pb::snapshot_chunk::Part::Header(header)) }];
    while !data.is_empty() {
        let part = data.split_to(data.len().min(SNAPSHOT_CHUNK_BYTES));
        chunks.push(pb::SnapshotChunk { part: Some(pb::snapshot_chunk::Part::Data(part)) });
    }
    chunks
}

/// Every call has a deadline: a link that was cut may never say so.
async fn within<T>(limit: Duration, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, RpcError> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(unreachable(status)),
        Err(_) => Err(unreachable(format_args!("no answer within {limit:?}"))),
    }
}

/// openraft backs off after this one; after any other it would repeat at once.
fn unreachable(reason: impl ToString) -> RpcError {
    RPCError::Unreachable(Unreachable::from_string(reason))
}
