//! Accepts the streams of followers.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use highwater_rpc::replication::{FollowerFrame, Hello, Incoming, Lane, Open, OpenOutcome, Opened, Replication, Slot};
use highwater_types::ErrorCode;
use tonic::Status;

use crate::context::Context;
use crate::follower_stream::{FollowerSlot, FollowerStream, LeaderFrames};
use crate::partition::Partition;
use crate::stop::{Stop, is_stopped, until_stopped};

/// A follower that has opened a stream must say who it is within this time.
const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// The gRPC service. Its connections outlive whoever accepts them, so its streams end by themselves when the node stops.
///
/// Else: (1) the node is dropped and starts again in the same process; (2) its followers stay on the streams of the former
/// run, which answer for replicas that nobody appends to; (3) in the new run the high watermark waits for them in vain.
pub(crate) struct LeaderService {
    context: Arc<Context>,
    stop: Stop,
}

impl LeaderService {
    pub fn new(context: Arc<Context>, stop: Stop) -> Self {
        Self { context, stop }
    }

    fn check(&self, hello: &Hello) -> Result<(), Status> {
        if is_stopped(&self.stop) {
            return Err(Status::unavailable("this broker has stopped"));
        }
        let image = self.context.node.image.load();
        if hello.leader != self.context.node.config.node_id {
            return Err(Status::failed_precondition(format!("this is broker {}", self.context.node.config.node_id)));
        }
        if image.cluster_id().is_some_and(|cluster_id| cluster_id != hello.cluster_id) {
            return Err(Status::failed_precondition("this is another cluster"));
        }
        Ok(())
    }
}

impl Replication for LeaderService {
    type Frames = LeaderFrames;

    async fn replicate(&self, mut frames: Incoming<FollowerFrame>) -> Result<Self::Frames, Status> {
        let first = tokio::time::timeout(HELLO_DEADLINE, frames.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no first frame"))??;
        let first = first.ok_or_else(|| Status::invalid_argument("empty stream"))?;
        let hello = first.hello.as_ref().ok_or_else(|| Status::invalid_argument("no hello"))?;
        self.check(hello)?;
        tracing::debug!(follower = %hello.replica, lane = ?hello.lane, "replication stream opened");
        let throttle = (hello.lane == Lane::Throttled).then(|| self.context.node.throttles.leader.clone());
        let counters = self.context.node.counters.clone();
        let stream = FollowerStream::new(hello.replica, hello.broker_epoch, hello.lane, counters, throttle);
        let outgoing = stream.frames();
        let reader = Reader { context: self.context.clone(), stream, slots: BTreeMap::new() };
        tokio::spawn(reader.run(first, frames, self.stop.clone()));
        Ok(outgoing)
    }
}

/// An accepted opening.
struct OpenSlot {
    slot: Arc<FollowerSlot>,
    partition: Weak<Partition>,
}

/// Handles what one follower sends.
struct Reader {
    context: Arc<Context>,
    stream: Arc<FollowerStream>,
    slots: BTreeMap<Slot, OpenSlot>,
}

impl Reader {
    async fn run(mut self, first: FollowerFrame, mut frames: Incoming<FollowerFrame>, mut stop: Stop) {
        self.handle(first);
        loop {
            // The follower is gone when either direction is.
            let frame = tokio::select! {
                frame = frames.message() => frame,
                () = self.stream.gone() => break,
                () = until_stopped(&mut stop) => break,
            };
            match frame {
                Ok(Some(frame)) => self.handle(frame),
                Ok(None) => break,
                Err(status) => {
                    tracing::debug!(follower = %self.stream.replica, %status, "replication stream broke");
                    break;
                }
            }
        }
    }

    fn handle(&mut self, frame: FollowerFrame) {
        for slot in frame.closes {
            self.close(slot);
        }
        for ack in frame.acks {
            if let Some(open) = self.slots.get(&ack.slot)
                && let Some(partition) = open.partition.upgrade()
            {
                partition.on_follower_ack(&open.slot, &ack);
            }
        }
        for open in frame.opens {
            self.open(&open);
        }
        self.stream.on_received(frame.frames_received);
    }

    fn open(&mut self, open: &Open) {
        let Some(partition) = self.context.partition(open.partition) else {
            let outcome = OpenOutcome::Refused(ErrorCode::UnknownTopicOrPartition);
            return self.stream.answer(Opened { slot: open.slot, outcome });
        };
        if let Some(slot) = partition.open_follower(&self.stream, open, || self.context.next_session()) {
            self.slots.insert(open.slot, OpenSlot { slot, partition: Arc::downgrade(&partition) });
        }
    }

    fn close(&mut self, slot: Slot) {
        if let Some(open) = self.slots.remove(&slot) {
            open.end();
        }
    }
}

impl OpenSlot {
    fn end(self) {
        if let Some(partition) = self.partition.upgrade() {
            partition.on_follower_closed(&self.slot);
        }
    }
}

impl Drop for Reader {
    /// Also when the task is dropped with its runtime.
    fn drop(&mut self) {
        self.stream.end();
        std::mem::take(&mut self.slots).into_values().for_each(OpenSlot::end);
    }
}
