//! openraft's state machine: replays committed records into the metadata image.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use highwater_env::{Kv, KvOp, clock, run_blocking};
use highwater_metadata::{MetadataImage, NodeSoftware};
use highwater_rpc::metadata::decode_records;
use highwater_rpc::pb::quorum as pb;
use highwater_types::MetadataOffset;
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use openraft::{EntryPayload, OptionalSend};
use prost::Message;

use super::snapshot_file::SnapshotDir;
use super::{SM_META, image_keys, snapshot_file};
use crate::feed::{Change, Effect, MetadataFeed};
use crate::raft_types::{ApplyOutcome, DecidedRecords, Entry, LogId, SnapshotMeta, StoredMembership, TypeConfig};
use crate::wire::{
    damaged, decode_stored, log_id_from_pb, log_id_to_pb, stored_membership_from_pb, stored_membership_to_pb,
};

const APPLIED: &[u8] = b"applied";
const MEMBERSHIP: &[u8] = b"membership";
const OFFSET: &[u8] = b"offset";

/// Entries applied in one batch at most: bounds how long callers wait for the first of many.
const APPLY_BATCH: usize = 256;

/// A snapshot in the form of its file.
#[derive(Debug, Clone)]
pub struct SnapshotBytes(pub(crate) Bytes);

/// The metadata state of one controller. Changes only in `apply` and `install_snapshot`.
pub struct StateMachine {
    kv: Arc<dyn Kv>,
    snapshots: SnapshotDir,
    applied: Option<LogId>,
    membership: StoredMembership,
    image: Arc<MetadataImage>,
    feed: Arc<MetadataFeed>,
    /// What this node can do.
    software: NodeSoftware,
}

/// Builds a snapshot of the state at the moment it was made, while the state machine goes on.
pub struct SnapshotBuilder {
    snapshots: SnapshotDir,
    applied: Option<LogId>,
    membership: StoredMembership,
    image: Arc<MetadataImage>,
}

/// What a batch of entries writes and tells once it is written.
#[derive(Default)]
struct Batch {
    ops: Vec<KvOp>,
    changes: Vec<Change>,
    replies: Vec<(ApplyResponder<TypeConfig>, ApplyOutcome)>,
    entries: usize,
}

impl StateMachine {
    /// The state in `kv`, as of the last batch that a crash left there.
    ///
    /// # Errors
    /// When the database fails or is damaged, and when the cluster is at a feature level that `software` does not know.
    pub(crate) fn open(kv: Arc<dyn Kv>, snapshots: SnapshotDir, software: NodeSoftware) -> io::Result<Self> {
        let applied = match kv.get(SM_META, APPLIED)? {
            Some(bytes) => Some(log_id_from_pb(decode_stored::<pb::LogId>(&bytes, "the applied mark")?)),
            None => None,
        };
        let membership = match kv.get(SM_META, MEMBERSHIP)? {
            Some(bytes) => stored_membership_from_pb(decode_stored(&bytes, "the membership")?)
                .map_err(|error| damaged("the membership", &error))?,
            None => StoredMembership::default(),
        };
        let offset = match kv.get(SM_META, OFFSET)? {
            Some(bytes) => {
                let bytes = bytes.as_slice().try_into().map_err(|error| damaged("the metadata offset", &error))?;
                MetadataOffset(i64::from_be_bytes(bytes))
            }
            None => MetadataOffset(0),
        };
        let image = Arc::new(image_keys::load(&kv, offset)?);
        check_levels(&image, &software)?;
        let feed = Arc::new(MetadataFeed::new(image.clone(), applied.as_ref().map_or(0, |log_id| log_id.index())));
        Ok(Self { kv, snapshots, applied, membership, image, feed, software })
    }

    /// The membership of the newest entry that is applied.
    pub(crate) fn membership(&self) -> &StoredMembership {
        &self.membership
    }

    /// Where the committed images are published.
    pub(crate) fn feed(&self) -> Arc<MetadataFeed> {
        self.feed.clone()
    }

    #[cfg(test)]
    pub(crate) fn apply_for_test(&mut self, entries: Vec<Entry>) -> io::Result<()> {
        let mut batch = Batch::default();
        for entry in entries {
            self.apply_entry(entry, &mut batch)?;
            batch.entries += 1;
        }
        self.finish(&mut batch)
    }

    fn apply_entry(&mut self, entry: Entry, batch: &mut Batch) -> io::Result<ApplyOutcome> {
        let outcome = match entry.payload {
            EntryPayload::Blank => ApplyOutcome::NoRecords,
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                let value = stored_membership_to_pb(&self.membership).encode_to_vec();
                batch.ops.push(put_meta(MEMBERSHIP, value));
                ApplyOutcome::NoRecords
            }
            EntryPayload::Normal(decided) => self.apply_records(entry.log_id.index(), &decided, batch)?,
        };
        self.applied = Some(entry.log_id);
        Ok(outcome)
    }

    fn apply_records(&mut self, index: u64, decided: &DecidedRecords, batch: &mut Batch) -> io::Result<ApplyOutcome> {
        let end = self.image.offset();
        if decided.base_offset != end {
            return Ok(ApplyOutcome::Superseded { end });
        }
        let records = decode_records(&decided.records).map_err(|error| damaged("a log entry", &error))?;
        let end = MetadataOffset(end.0 + records.len() as i64);
        let (image, delta) = self.image.apply(&records, end);
        if delta.features {
            check_levels(&image, &self.software)?;
        }
        image_keys::ops_for_delta(&image, &delta, &mut batch.ops);
        batch.ops.push(put_meta(OFFSET, end.0.to_be_bytes().to_vec()));
        self.image = Arc::new(image);
        let effect = Effect { image: self.image.clone(), delta };
        batch.changes.push(Change::new(decided.records.clone(), index, clock::wall_ms(), effect));
        Ok(ApplyOutcome::Applied { end })
    }

    /// Writes the batch unsynced, then tells: nobody learns of a change that is not in the database.
    fn finish(&self, batch: &mut Batch) -> io::Result<()> {
        let Batch { mut ops, changes, replies, entries } = std::mem::take(batch);
        if entries == 0 {
            return Ok(());
        }
        if let Some(applied) = &self.applied {
            ops.push(put_meta(APPLIED, log_id_to_pb(applied).encode_to_vec()));
        }
        self.kv.write(ops, false)?;
        for change in changes {
            self.feed.push(change);
        }
        for (reply, outcome) in replies {
            reply.send(outcome);
        }
        Ok(())
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotBytes;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut batch = Batch::default();
        while let Some(item) = entries.next().await {
            let (entry, reply) = item?;
            let outcome = self.apply_entry(entry, &mut batch)?;
            batch.entries += 1;
            batch.replies.extend(reply.map(|reply| (reply, outcome)));
            if batch.entries >= APPLY_BATCH {
                self.finish(&mut batch)?;
            }
        }
        self.finish(&mut batch)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            snapshots: self.snapshots.clone(),
            applied: self.applied,
            membership: self.membership.clone(),
            image: self.image.clone(),
        }
    }

    /// The file first, then the database: a crash in between leaves a snapshot that openraft installs at the next start.
    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotBytes) -> io::Result<()> {
        let decoded = snapshot_file::decode(&snapshot.0)?;
        if decoded.meta != *meta {
            return Err(damaged("a received snapshot", &"it does not cover what was announced"));
        }
        check_levels(&decoded.image, &self.software)?;
        self.snapshots.store(meta.last_log_id, snapshot.0).await?;
        let image = Arc::new(decoded.image);
        let mut ops = image_keys::ops_for_image(&image);
        ops.push(put_meta(OFFSET, image.offset().0.to_be_bytes().to_vec()));
        ops.push(put_meta(MEMBERSHIP, stored_membership_to_pb(&meta.last_membership).encode_to_vec()));
        ops.push(match &meta.last_log_id {
            Some(log_id) => put_meta(APPLIED, log_id_to_pb(log_id).encode_to_vec()),
            None => KvOp::Delete { cf: SM_META, key: APPLIED.to_vec() },
        });
        let kv = self.kv.clone();
        run_blocking(move || kv.write(ops, true)).await?;
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.image = image.clone();
        self.feed.reset(image, meta.last_log_id.as_ref().map_or(0, |log_id| log_id.index()));
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<OpenSnapshot>> {
        match self.snapshots.newest().await? {
            Some(file) => {
                let meta = snapshot_file::decode_meta(&file)?;
                Ok(Some(Snapshot { meta, snapshot: SnapshotBytes(file) }))
            }
            None => Ok(None),
        }
    }
}

pub(crate) type OpenSnapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, SnapshotBytes>;

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotBytes;

    async fn build_snapshot(&mut self) -> io::Result<OpenSnapshot> {
        let (image, applied, membership) = (self.image.clone(), self.applied, self.membership.clone());
        let file = run_blocking(move || snapshot_file::encode(&image, applied, &membership)).await;
        self.snapshots.store(self.applied, file.clone()).await?;
        let meta = SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() };
        Ok(Snapshot { meta, snapshot: SnapshotBytes(file) })
    }
}

/// A node that does not know a finalized level would read half of the truth.
fn check_levels(image: &MetadataImage, software: &NodeSoftware) -> io::Result<()> {
    let Some((name, level)) = software.first_unknown(image) else { return Ok(()) };
    let range = software.range(name).map_or("none".to_owned(), |range| range.to_string());
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        format!(
            "this cluster has finalized version {level} of feature {name}, of which this software knows {range}: install the version \
             of the other nodes"
        ),
    ))
}

fn put_meta(key: &[u8], value: Vec<u8>) -> KvOp {
    KvOp::Put { cf: SM_META, key: key.to_vec(), value }
}
