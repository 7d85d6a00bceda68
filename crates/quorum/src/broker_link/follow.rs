//! Follows the committed metadata: from this node's own controller, or from one of the others.

use std::sync::Arc;
use std::time::Duration;

use highwater_metadata::{MetadataImage, MetadataRecord};
use highwater_rpc::metadata::decode_records;
use highwater_rpc::pb::quorum as pb;
use highwater_rpc::pb::quorum::metadata_update::Update;
use highwater_types::{BrokerId, MetadataOffset};
use tonic::Streaming;

use crate::config::raft_id;
use crate::feed::MetadataFeed;
use crate::finder::{Finder, Pauses};
use crate::{MetadataHandle, MetadataPublisher};

/// Limit for opening the stream.
const OPEN_DEADLINE: Duration = Duration::from_secs(2);
/// A stream on which nothing comes for so long is cut: the other side says every second that it is alive.
const SILENCE: Duration = Duration::from_secs(4);
/// Records of a snapshot that a follower collects: a bound for what a confused peer can make us hold.
const MAX_SNAPSHOT_RECORDS: usize = 50_000_000;

/// Ends of a stream whose controller answers nothing.
const UNOPENED: &str = "it was not opened in time";
const SILENT: &str = "nothing came for too long";

/// Makes `change`d images known: to readers first, then to the publisher.
struct Follower {
    metadata: MetadataHandle,
    publisher: Arc<dyn MetadataPublisher>,
    finder: Arc<Finder>,
}

impl Follower {
    fn advance(&self, image: Arc<MetadataImage>, delta: &highwater_metadata::MetadataDelta) {
        if !delta.controllers.is_empty() {
            self.finder.learn(&image);
        }
        self.metadata.store(image.clone());
        self.publisher.publish(image, delta);
    }

    /// Goes to a later image that is not the next one.
    fn jump(&self, image: Arc<MetadataImage>) {
        let delta = image.delta_since(&self.metadata.load());
        self.advance(image, &delta);
    }
}

/// Follows the controller in this process.
pub(super) async fn local(
    feed: Arc<MetadataFeed>,
    finder: Arc<Finder>,
    metadata: MetadataHandle,
    publisher: Arc<dyn MetadataPublisher>,
) {
    let follower = Follower { metadata, publisher, finder };
    let mut end = feed.subscribe();
    loop {
        let newest = *end.borrow_and_update();
        let known = follower.metadata.load().offset();
        match feed.since(known) {
            Some(changes) => {
                for change in changes {
                    let effect = change.take_effect().expect("this node has one broker");
                    follower.advance(effect.image, &effect.delta);
                }
            }
            None if newest > known => follower.jump(feed.image()),
            // The controller was behind a snapshot that it is installing; it only grows.
            None => {}
        }
        if end.changed().await.is_err() {
            return;
        }
    }
}

/// Follows one of the controllers over the network; another one when it breaks.
pub(super) async fn remote(
    finder: Arc<Finder>,
    node_id: BrokerId,
    metadata: MetadataHandle,
    publisher: Arc<dyn MetadataPublisher>,
) {
    let follower = Follower { metadata, publisher, finder: finder.clone() };
    let mut pauses = Pauses::new();
    loop {
        let target = finder.target();
        let before = follower.metadata.load().offset();
        let reason = follow(&finder, target, node_id, &follower).await;
        match reason {
            SILENT | UNOPENED => finder.silent(target),
            _ => finder.not_active(target),
        }
        if follower.metadata.load().offset() > before {
            pauses = Pauses::new();
        }
        tracing::debug!(controller = %target, reason, "the metadata stream ended");
        pauses.pause().await;
    }
}

/// Follows `target` until the stream ends; why it did.
async fn follow(finder: &Finder, target: BrokerId, node_id: BrokerId, follower: &Follower) -> &'static str {
    let request = pb::FollowRequest { from_offset: follower.metadata.load().offset().0, node: raft_id(node_id) };
    let Some(mut rpc) = finder.rpc(target) else { return "the controller is gone" };
    let mut updates = match tokio::time::timeout(OPEN_DEADLINE, rpc.follow(request)).await {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(_)) => return "it cannot be opened",
        Err(_) => return UNOPENED,
    };
    let mut snapshot = Vec::new();
    loop {
        let update = match next(&mut updates).await {
            Ok(update) => update,
            Err(reason) => return reason,
        };
        let taken = match update {
            Update::Alive(_) => Ok(()),
            Update::Delta(delta) => take_delta(follower, &delta),
            Update::Snapshot(part) => take_part(follower, &part, &mut snapshot),
        };
        if let Err(reason) = taken {
            tracing::warn!(controller = %target, reason, "the metadata stream makes no sense");
            return reason;
        }
    }
}

async fn next(updates: &mut Streaming<pb::MetadataUpdate>) -> Result<Update, &'static str> {
    match tokio::time::timeout(SILENCE, updates.message()).await {
        Ok(Ok(Some(pb::MetadataUpdate { update: Some(update) }))) => Ok(update),
        Ok(Ok(Some(pb::MetadataUpdate { update: None }))) => Ok(Update::Alive(pb::Blank {})),
        Ok(Ok(None)) => Err("it was closed"),
        Ok(Err(_)) => Err("the connection broke"),
        Err(_) => Err(SILENT),
    }
}

fn take_delta(follower: &Follower, delta: &pb::DecidedRecords) -> Result<(), &'static str> {
    let image = follower.metadata.load();
    if MetadataOffset(delta.base_offset) != image.offset() {
        return Err("a change does not follow the one before");
    }
    let records = decode_records(&delta.records).map_err(|_| "a change cannot be read")?;
    let (image, delta) = image.apply(&records, MetadataOffset(delta.base_offset + records.len() as i64));
    follower.advance(Arc::new(image), &delta);
    Ok(())
}

fn take_part(
    follower: &Follower,
    part: &pb::SnapshotPart,
    records: &mut Vec<MetadataRecord>,
) -> Result<(), &'static str> {
    if part.first {
        records.clear();
    }
    records.extend(decode_records(&part.records).map_err(|_| "a snapshot cannot be read")?);
    if records.len() > MAX_SNAPSHOT_RECORDS {
        return Err("a snapshot is too large");
    }
    if part.last {
        let image = MetadataImage::from_snapshot(&std::mem::take(records), MetadataOffset(part.offset));
        if image.offset() > follower.metadata.load().offset() {
            follower.jump(Arc::new(image));
        }
    }
    Ok(())
}
