//! The services of the other nodes of the cluster: commands, sessions, and the metadata stream.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use highwater_env::clock;
use highwater_metadata::MetadataImage;
use highwater_rpc::ConversionError;
use highwater_rpc::command::{decode_command, encode_outcome};
use highwater_rpc::metadata::{encode_records, software_from_message};
use highwater_rpc::pb::quorum as pb;
use highwater_rpc::pb::quorum::controller_server::Controller;
use highwater_rpc::pb::quorum::metadata_update::Update;
use highwater_types::MetadataOffset;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::admission::{self, Announced};
use crate::controller_core::{Core, Phase};
use crate::dedup::CommandId;
use crate::describe_quorum;
use crate::history;
use crate::session_service::{self, ANSWERS, hint_to_pb};
use crate::submission::{Reply, Submission};
use crate::voters;
use crate::waiting::until;
use crate::wire::member_from_pb;

/// Updates of one follower that may wait to be sent; then the follower reads them from the feed later.
const UPDATES: usize = 16;
/// Records of one message of a snapshot: some megabytes.
const SNAPSHOT_PART: usize = 10_000;
/// A follower hears from us at least so often, so that it notices a stream that is cut.
const ALIVE_EVERY: Duration = Duration::from_secs(1);
/// Longest that a command may wait for its outcome, whatever the caller asks.
const MAX_SUBMIT: Duration = Duration::from_secs(60);

/// Serves brokers and command clients.
pub(crate) struct ControllerService(pub(crate) Arc<Core>);

#[tonic::async_trait]
impl Controller for ControllerService {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<pb::SessionResponse, Status>> + Send>>;
    type FollowStream = Pin<Box<dyn Stream<Item = Result<pb::MetadataUpdate, Status>> + Send>>;

    async fn submit(&self, request: Request<pb::SubmitRequest>) -> Result<Response<pb::SubmitResponse>, Status> {
        let request = request.into_inner();
        let command = decode_command(&request.command)
            .map_err(|error| Status::invalid_argument(format!("the command cannot be read: {error}")))?;
        let (reply, answer) = oneshot::channel();
        let submission = Submission {
            command,
            id: Some(CommandId { client: request.client, sequence: request.sequence }),
            sent_in_term: request.sent_in_term,
            queued_us: clock::mono_us(),
            reply,
        };
        let limit = Duration::from_millis(u64::from(request.timeout_ms)).min(MAX_SUBMIT);
        let reply = self.0.submit(submission, answer, limit).await;
        Ok(Response::new(reply_to_pb(reply)))
    }

    async fn find_active(&self, _: Request<pb::FindActiveRequest>) -> Result<Response<pb::NotController>, Status> {
        let (leader, term) = self.0.leader_hint();
        Ok(Response::new(hint_to_pb(leader, term)))
    }

    async fn describe_quorum(
        &self,
        _: Request<pb::DescribeQuorumRequest>,
    ) -> Result<Response<pb::DescribeQuorumResponse>, Status> {
        use pb::describe_quorum_response::Result as Answer;
        let result = match self.0.describe_quorum() {
            Some(description) => Answer::Description(describe_quorum::to_pb(&description)),
            None => {
                let (leader, term) = self.0.leader_hint();
                Answer::NotController(hint_to_pb(leader, term))
            }
        };
        Ok(Response::new(pb::DescribeQuorumResponse { result: Some(result) }))
    }

    async fn announce(&self, request: Request<pb::AnnounceRequest>) -> Result<Response<pb::VotersResponse>, Status> {
        let request = request.into_inner();
        let member = request.member.ok_or_else(|| Status::invalid_argument("an announcement names a member"))?;
        let invalid = |error: ConversionError| Status::invalid_argument(error.to_string());
        let (id, node) = member_from_pb(member).map_err(invalid)?;
        let software = software_from_message(request.software).map_err(invalid)?;
        let announced = Announced { id, node, cluster_id: request.cluster_id, software };
        Ok(Response::new(voters::answer_to_pb(admission::admit(&self.0, announced).await)))
    }

    async fn change_voters(
        &self,
        request: Request<pb::ChangeVotersRequest>,
    ) -> Result<Response<pb::VotersResponse>, Status> {
        let request = request.into_inner();
        let limit = Duration::from_millis(u64::from(request.timeout_ms)).min(MAX_SUBMIT);
        let change = voters::change_from_pb(request.change)
            .ok_or_else(|| Status::invalid_argument("a change names a node and its directory"))?;
        Ok(Response::new(voters::answer_to_pb(self.0.change_voters(change, limit).await)))
    }

    async fn history(&self, request: Request<pb::HistoryRequest>) -> Result<Response<pb::HistoryResponse>, Status> {
        let target = history::target_of(&request.into_inner())
            .ok_or_else(|| Status::invalid_argument("a topic id has 16 bytes"))?;
        let found = self.0.history(target).await.map_err(|error| Status::internal(error.to_string()))?;
        Ok(Response::new(history::to_pb(&found)))
    }

    async fn session(
        &self,
        request: Request<Streaming<pb::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (answers, stream) = mpsc::channel(ANSWERS);
        tokio::spawn(session_service::serve(self.0.clone(), request.into_inner(), answers));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn follow(&self, request: Request<pb::FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let request = request.into_inner();
        if *self.0.phase.borrow() != Phase::Running {
            return Err(Status::unavailable("this controller does not take part in the quorum now"));
        }
        tracing::debug!(node = request.node, from = request.from_offset, "a node follows the metadata");
        let (updates, stream) = mpsc::channel(UPDATES);
        tokio::spawn(feed_follower(self.0.clone(), MetadataOffset(request.from_offset), updates));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

async fn feed_follower(
    core: Arc<Core>,
    mut next: MetadataOffset,
    updates: mpsc::Sender<Result<pb::MetadataUpdate, Status>>,
) {
    let mut end = core.feed.subscribe();
    let mut phase = core.phase.subscribe();
    loop {
        let newest = *end.borrow_and_update();
        let sent = if newest < next {
            // The follower knows more than this controller, which was started again and is catching up.
            send(&updates, Update::Alive(pb::Blank {})).await
        } else {
            send_from(&core, &mut next, &updates).await
        };
        if !sent {
            return;
        }
        tokio::select! {
            changed = end.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(ALIVE_EVERY) => if !send(&updates, Update::Alive(pb::Blank {})).await { return },
            _ = until(&mut phase, |phase| *phase == Phase::Stopped) => return,
            () = updates.closed() => return,
        }
    }
}

/// Sends everything from `next` on, and moves it. False when the stream is gone.
async fn send_from(
    core: &Core,
    next: &mut MetadataOffset,
    updates: &mpsc::Sender<Result<pb::MetadataUpdate, Status>>,
) -> bool {
    match core.feed.since(*next) {
        Some(changes) => {
            for change in changes {
                let delta = pb::DecidedRecords { base_offset: change.base.0, records: change.records.clone() };
                if !send(updates, Update::Delta(delta)).await {
                    return false;
                }
                *next = change.end;
            }
            true
        }
        None => {
            let image = core.feed.image();
            *next = image.offset();
            send_snapshot(&image, updates).await
        }
    }
}

async fn send_snapshot(image: &MetadataImage, updates: &mpsc::Sender<Result<pb::MetadataUpdate, Status>>) -> bool {
    let records = image.to_snapshot();
    let parts = records.len().div_ceil(SNAPSHOT_PART).max(1);
    for part in 0..parts {
        let from = part * SNAPSHOT_PART;
        let to = records.len().min(from + SNAPSHOT_PART);
        let message = pb::SnapshotPart {
            offset: image.offset().0,
            records: encode_records(&records[from..to]),
            first: part == 0,
            last: part + 1 == parts,
        };
        if !send(updates, Update::Snapshot(message)).await {
            return false;
        }
    }
    true
}

async fn send(updates: &mpsc::Sender<Result<pb::MetadataUpdate, Status>>, update: Update) -> bool {
    updates.send(Ok(pb::MetadataUpdate { update: Some(update) })).await.is_ok()
}

fn reply_to_pb(reply: Reply) -> pb::SubmitResponse {
    use pb::submit_response::Result as Answer;
    let result = match reply {
        Reply::Committed { outcome, term } => Answer::Committed(pb::Committed {
            outcome: encode_outcome(&outcome.result),
            offset: outcome.offset.0,
            term,
        }),
        Reply::NotController { leader, term } => Answer::NotController(hint_to_pb(leader, term)),
        Reply::Unknown(reason) => Answer::Unknown(pb::Unknown { reason }),
    };
    pb::SubmitResponse { result: Some(result) }
}
