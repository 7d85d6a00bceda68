//! Metadata snapshots as files: `<index of the last entry, 20 digits>-<its term, 10 digits>.checkpoint` in the metadata
//! directory. A file appears whole or not at all: written under another name, flushed, renamed, directory flushed.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use highwater_env::{Fs, run_blocking};
use highwater_metadata::MetadataImage;
use highwater_rpc::metadata::{decode_records, encode_records};
use highwater_rpc::pb::quorum as pb;
use highwater_types::MetadataOffset;
use prost::Message;

use crate::raft_types::{LogId, SnapshotMeta, StoredMembership};
use crate::wire::{
    damaged, decode_stored, log_id_from_pb, log_id_to_pb, stored_membership_from_pb, stored_membership_to_pb,
};

const SUFFIX: &str = ".checkpoint";

/// The snapshots of one controller. Only the newest is of use; older ones are removed once it is there.
#[derive(Clone)]
pub(crate) struct SnapshotDir {
    fs: Fs,
    dir: PathBuf,
}

/// A snapshot, decoded.
pub(super) struct Snapshot {
    pub(super) meta: SnapshotMeta,
    pub(super) image: MetadataImage,
}

impl SnapshotDir {
    pub(crate) fn new(fs: Fs, dir: &Path) -> Self {
        Self { fs, dir: dir.to_path_buf() }
    }

    /// Stores `file`, durably on return, and removes older snapshots.
    pub(super) async fn store(&self, last_log_id: Option<LogId>, file: Bytes) -> io::Result<()> {
        let this = self.clone();
        run_blocking(move || {
            let name = file_name(last_log_id);
            this.fs.write_atomic(&this.dir.join(&name), &file)?;
            for older in this.names()?.into_iter().filter(|other| *other < name) {
                this.fs.remove_file(&this.dir.join(older))?;
            }
            Ok(())
        })
        .await
    }

    /// The newest snapshot as stored, or `None`.
    pub(super) async fn newest(&self) -> io::Result<Option<Bytes>> {
        let this = self.clone();
        run_blocking(move || match this.names()?.pop() {
            Some(name) => Ok(Some(this.fs.read(&this.dir.join(name))?.into())),
            None => Ok(None),
        })
        .await
    }

    /// Names of all snapshots, oldest first.
    fn names(&self) -> io::Result<Vec<String>> {
        let entries = self.fs.read_dir(&self.dir)?;
        let mut names: Vec<String> =
            entries.into_iter().map(|entry| entry.name).filter(|name| name.ends_with(SUFFIX)).collect();
        names.sort();
        Ok(names)
    }
}

/// The bytes of a snapshot of `image`.
pub(super) fn encode(image: &MetadataImage, last_log_id: Option<LogId>, membership: &StoredMembership) -> Bytes {
    pb::SnapshotFile {
        last_log_id: last_log_id.as_ref().map(log_id_to_pb),
        membership: Some(stored_membership_to_pb(membership)),
        offset: image.offset().0,
        image_hash: image.hash(),
        records: encode_records(&image.to_snapshot()),
    }
    .encode_to_vec()
    .into()
}

/// What the snapshot covers, without loading its image.
pub(super) fn decode_meta(file: &[u8]) -> io::Result<SnapshotMeta> {
    meta_of(decode_stored(file, "a snapshot")?).map(|(meta, _)| meta)
}

/// The snapshot in `file`.
///
/// # Errors
/// `InvalidData` when the bytes are not a snapshot, or do not make the image that was saved.
pub(super) fn decode(file: &[u8]) -> io::Result<Snapshot> {
    let (meta, message) = meta_of(decode_stored(file, "a snapshot")?)?;
    let records = decode_records(&message.records).map_err(|error| damaged("a snapshot", &error))?;
    let image = MetadataImage::from_snapshot(&records, MetadataOffset(message.offset));
    if image.hash() != message.image_hash {
        return Err(damaged("a snapshot", &"its image is not the one that was saved"));
    }
    Ok(Snapshot { meta, image })
}

fn meta_of(message: pb::SnapshotFile) -> io::Result<(SnapshotMeta, pb::SnapshotFile)> {
    let membership = message.membership.clone().ok_or_else(|| damaged("a snapshot", &"no membership"))?;
    let meta = SnapshotMeta {
        last_log_id: message.last_log_id.map(log_id_from_pb),
        last_membership: stored_membership_from_pb(membership).map_err(|error| damaged("a snapshot", &error))?,
    };
    Ok((meta, message))
}

fn file_name(last_log_id: Option<LogId>) -> String {
    let (index, term) = last_log_id.map_or((0, 0), |log_id| (log_id.index(), log_id.committed_leader_id().term));
    format!("{index:020}-{term:010}{SUFFIX}")
}
