//! From a frame to an outcome: decodes, calls the API's handler, encodes its answer, counts both.
//!
//! `match` over [`RequestBody`] is exhaustive, and its variants are the table of advertised APIs: an API that is listed
//! without a handler does not compile.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use highwater_env::clock;
use highwater_protocol::{
    API_VERSIONS_KEY, DecodeError, Request, RequestBody, ResponseBody, ResponseHeader, Segment, decode_request,
    encode_response,
};

use crate::answer::Answer;
use crate::api;
use crate::connection::{ConnectionInfo, FrameHandler};
use crate::reply_queue::{Handled, Reply};
use crate::state::{GatewayState, RequestContext};
use crate::timing::Timing;

/// Serves the frames of all connections.
pub(crate) struct Dispatcher {
    state: Arc<GatewayState>,
}

impl Dispatcher {
    /// A dispatcher over `state`.
    pub(crate) fn new(state: Arc<GatewayState>) -> Self {
        Self { state }
    }

    fn start(&self, context: RequestContext, body: RequestBody) -> Answer {
        let state = Arc::clone(&self.state);
        match body {
            RequestBody::Produce(body) => api::produce::handle(&state, &context, body),
            RequestBody::Fetch(body) => api::fetch::handle(state, context, body),
            RequestBody::ListOffsets(body) => Answer::now(api::list_offsets::handle(&state, &context, body)),
            RequestBody::Metadata(body) => api::metadata::handle(state, context, body),
            RequestBody::OffsetCommit(body) => Answer::exclusive(api::offset_commit::handle(state, context, body)),
            RequestBody::OffsetFetch(body) => Answer::exclusive(api::offset_fetch::handle(state, context, body)),
            RequestBody::FindCoordinator(body) => {
                Answer::exclusive(api::find_coordinator::handle(state, context, body))
            }
            RequestBody::JoinGroup(body) => Answer::parked(api::join_group::handle(state, &context, body)),
            RequestBody::Heartbeat(body) => Answer::exclusive(api::heartbeat::handle(state, body)),
            RequestBody::LeaveGroup(body) => Answer::exclusive(api::leave_group::handle(state, context, body)),
            RequestBody::SyncGroup(body) => Answer::parked(api::sync_group::handle(state, body)),
            RequestBody::DescribeGroups(body) => Answer::exclusive(api::describe_groups::handle(state, context, body)),
            RequestBody::ListGroups(body) => Answer::exclusive(api::list_groups::handle(state, context, body)),
            RequestBody::ApiVersions(body) => Answer::now(api::api_versions::handle(&state, &context, &body)),
            RequestBody::CreateTopics(body) => Answer::exclusive(api::create_topics::handle(state, context, body)),
            RequestBody::DeleteTopics(body) => Answer::exclusive(api::delete_topics::handle(state, context, body)),
            RequestBody::DeleteRecords(body) => Answer::exclusive(api::delete_records::handle(state, body)),
            RequestBody::InitProducerId(body) => Answer::exclusive(api::init_producer_id::handle(state, body)),
            RequestBody::OffsetForLeaderEpoch(body) => Answer::now(api::offset_for_leader_epoch::handle(&state, body)),
            RequestBody::DescribeConfigs(body) => Answer::now(api::describe_configs::handle(&state, &context, body)),
            RequestBody::CreatePartitions(body) => Answer::exclusive(api::create_partitions::handle(state, body)),
            RequestBody::AlterConfigs(body) => Answer::exclusive(api::alter_configs::handle(state, body)),
            RequestBody::AlterReplicaLogDirs(body) => {
                Answer::exclusive(api::alter_replica_log_dirs::handle(state, body))
            }
            RequestBody::DescribeLogDirs(body) => {
                Answer::exclusive(api::describe_log_dirs::handle(state, context, body))
            }
            RequestBody::ElectLeaders(body) => Answer::exclusive(api::elect_leaders::handle(state, body)),
            RequestBody::AlterPartitionReassignments(body) => {
                Answer::exclusive(api::alter_partition_reassignments::handle(state, context, body))
            }
            RequestBody::ListPartitionReassignments(body) => {
                Answer::now(api::list_partition_reassignments::handle(&state, &body))
            }
            RequestBody::DescribeProducers(body) => Answer::now(api::describe_producers::handle(&state, body)),
            RequestBody::UnregisterBroker(body) => Answer::exclusive(api::unregister_broker::handle(state, body)),
            RequestBody::OffsetDelete(body) => Answer::exclusive(api::offset_delete::handle(state, body)),
            RequestBody::UpdateFeatures(body) => Answer::exclusive(api::update_features::handle(state, context, body)),
            RequestBody::ListConfigResources(body) => {
                Answer::now(api::list_config_resources::handle(&state, &context, &body))
            }
            RequestBody::DeleteGroups(body) => Answer::exclusive(api::delete_groups::handle(state, body)),
            RequestBody::IncrementalAlterConfigs(body) => {
                Answer::exclusive(api::incremental_alter_configs::handle(state, body))
            }
            RequestBody::DescribeCluster(body) => Answer::now(api::describe_cluster::handle(&state, &context, &body)),
            RequestBody::DescribeQuorum(body) => Answer::exclusive(api::describe_quorum::handle(state, context, body)),
            RequestBody::AddRaftVoter(body) => Answer::exclusive(api::add_raft_voter::handle(state, body)),
            RequestBody::RemoveRaftVoter(body) => Answer::exclusive(api::remove_raft_voter::handle(state, body)),
            RequestBody::DescribeTopicPartitions(body) => {
                Answer::now(api::describe_topic_partitions::handle(&state, &context, body))
            }
        }
    }

    /// KIP-511: a client that is newer than this broker learns from a version 0 answer what it may use.
    fn on_undecodable(&self, error: &DecodeError, started: u64) -> Reply {
        self.state.metrics.undecodable.inc();
        let Some(header) = error.is_api_versions() else { return Reply::Close(error.to_string()) };
        let header = ResponseHeader { api_key: API_VERSIONS_KEY, version: 0, correlation_id: header.correlation_id };
        let body = ResponseBody::from(api::api_versions::unsupported_version());
        let timing = Timing::new(Arc::clone(self.state.metrics.api(API_VERSIONS_KEY, body.api_name())), started);
        finish(header, body, timing)
    }
}

impl FrameHandler for Dispatcher {
    fn handle(&self, frame: Bytes, connection: &Arc<ConnectionInfo>) -> Handled {
        let started = clock::mono_us();
        let size = frame.len();
        let Request { header, body } = match decode_request(frame) {
            Ok(request) => request,
            Err(error) => return Handled::Now(self.on_undecodable(&error, started)),
        };
        let metrics = self.state.metrics.api(header.api_key, body.api_name());
        metrics.on_request(size);
        let mut timing = Timing::new(Arc::clone(metrics), started);
        let context = RequestContext::new(&header, connection);
        let header = header.response_header();
        match timing.working(|_| self.start(context, body)) {
            Answer::Now(body) => Handled::Now(finish(header, body, timing)),
            Answer::Silent => {
                timing.on_ready();
                timing.on_sent(clock::mono_us());
                Handled::Now(Reply::Nothing)
            }
            Answer::Close(reason) => Handled::Now(Reply::Close(reason)),
            Answer::Parked(body) => Handled::Parked(finish_later(header, body, timing).boxed()),
            Answer::Exclusive(body) => Handled::Exclusive(finish_later(header, body, timing).boxed()),
        }
    }
}

async fn finish_later(header: ResponseHeader, body: BoxFuture<'static, ResponseBody>, mut timing: Timing) -> Reply {
    let body = timing.while_waiting(body).await;
    finish(header, body, timing)
}

/// The last step of a request.
fn finish(header: ResponseHeader, body: ResponseBody, mut timing: Timing) -> Reply {
    timing.metrics().count_errors(&body);
    let encoded = timing.working(|_| encode_response(header, body));
    timing.on_ready();
    match encoded {
        Ok(segments) => {
            let pieces: Vec<Bytes> = segments.into_iter().map(|Segment::Bytes(bytes)| bytes).collect();
            timing.metrics().on_response(pieces.iter().map(Bytes::len).sum());
            Reply::Send(pieces, Some(timing))
        }
        // A bug of a handler: it filled a field that this version cannot carry. The client gets no wrong answer.
        Err(error) => Reply::Close(format!("cannot encode a response: {error}")),
    }
}
