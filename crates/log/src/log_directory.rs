//! One of the node's `log.dirs`: who it belongs to, which partitions are in it, their checkpoints and their flushes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use highwater_env::lock::Mutex;
use highwater_env::{DirLock, Fs};
use highwater_types::{BrokerEpoch, BrokerId, DirectoryId, ErrorCode, Offset, Timestamp, TopicId, TopicPartition};

use crate::checkpoints::{CheckpointError, Checkpoints};
use crate::config::LogConfig;
use crate::directory_health::DirectoryHealth;
use crate::disk_space::DiskSpace;
use crate::error::LogError;
use crate::file_names::{
    DELETED_SUFFIX, PARTITION_METADATA, QUARANTINED_SUFFIX, STRAY_SUFFIX, parse_partition_dir, set_aside_dir,
};
use crate::log::{DirectoryServices, Log};
use crate::log_summary::LogSummary;
use crate::properties::{
    MetaProperties, encode_clean_shutdown, encode_partition_metadata, parse_clean_shutdown, parse_partition_metadata,
};
use crate::recovery::OpenMode;
use crate::sync_scheduler::SyncScheduler;
use crate::text_file::Malformed;

const META_PROPERTIES: &str = "meta.properties";
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";

/// Who a log directory must belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `node.id`.
    pub node_id: BrokerId,
    /// The cluster, if the node knows it already.
    pub cluster_id: Option<String>,
    /// Becomes the directory's id if it is new.
    pub new_directory_id: DirectoryId,
}

/// Why a log directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LogDirectoryError {
    /// The disk refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory in question.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Another process uses it.
    #[error("log directory {0} is in use by another process")]
    Locked(PathBuf),
    /// It belongs to another node.
    #[error("log directory {path} belongs to node {found}, this is node {expected}; check node.id and log.dirs")]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// `node.id` in its `meta.properties`.
        found: BrokerId,
        /// This node.
        expected: BrokerId,
    },
    /// It belongs to another cluster.
    #[error(
        "log directory {path} belongs to cluster {found}, this node's cluster is {expected}; check log.dirs and \
         controller.quorum.voters"
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// `cluster.id` in its `meta.properties`.
        found: String,
        /// This node's cluster.
        expected: String,
    },
    /// A file in it does not follow its format.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: Malformed,
    },
}

impl LogDirectoryError {
    /// The code for peers and metrics.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::OtherCluster { .. } => ErrorCode::InconsistentClusterId,
            _ => ErrorCode::KafkaStorageError,
        }
    }

    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

impl From<CheckpointError> for LogDirectoryError {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Malformed { path, reason } => Self::Malformed { path, reason },
            CheckpointError::Log(LogError::Io { path, source }) => Self::Io { path, source },
            CheckpointError::Log(other) => Self::Io { path: PathBuf::new(), source: std::io::Error::other(other) },
        }
    }
}

/// A log directory, locked for this process.
#[derive(Debug)]
pub struct LogDirectory {
    path: PathBuf,
    pub(crate) services: DirectoryServices,
    space: Arc<DiskSpace>,
    sync: Arc<SyncScheduler>,
    meta: Mutex<MetaProperties>,
    /// Broker epoch in the clean-shutdown marker, if there was one.
    clean_start: Option<BrokerEpoch>,
    /// Held while deleted files are removed: a second remover would find files gone, which looks like a broken disk.
    removing: Mutex<()>,
    _lock: DirLock,
}

impl LogDirectory {
    /// Opens the directory `path`, creating it if missing. From here on until [`LogDirectory::close`], a crash means recovery.
    pub fn open(fs: Fs, path: &Path, identity: &Identity) -> Result<Arc<Self>, LogDirectoryError> {
        fs.create_dir_all(path).map_err(LogDirectoryError::io(path))?;
        let lock = fs.lock_dir(path).map_err(|source| match source.kind() {
            std::io::ErrorKind::WouldBlock => LogDirectoryError::Locked(path.to_owned()),
            _ => LogDirectoryError::Io { path: path.to_owned(), source },
        })?;
        let meta = load_or_create_meta(&fs, path, identity)?;
        let checkpoints = Arc::new(Checkpoints::load(&fs, path)?);
        let clean_start = take_clean_shutdown(&fs, path)?;
        let health = Arc::new(DirectoryHealth::new(path));
        let sync_point = fs.sync_point(path).map_err(LogDirectoryError::io(path))?;
        let sync = SyncScheduler::new(health.clone(), sync_point);
        let (tails, doomed) = (Arc::default(), Arc::default());
        let space = Arc::new(DiskSpace::new(fs.clone(), path));
        let services = DirectoryServices { fs, health, checkpoints, tails, doomed };
        let directory = Self {
            path: path.to_owned(),
            services,
            space,
            sync,
            meta: Mutex::new(meta),
            clean_start,
            removing: Mutex::new(()),
            _lock: lock,
        };
        if let Some(cluster_id) = &identity.cluster_id {
            directory.bind_cluster_id(cluster_id)?;
        }
        match clean_start {
            Some(_) => directory.services.checkpoints.load_clean_logs(),
            None => directory.services.checkpoints.set_unrecovered(directory.partitions()?),
        }
        Ok(Arc::new(directory))
    }

    /// `directory.id`: stays the same for the directory's life (KIP-858).
    pub fn id(&self) -> DirectoryId {
        self.meta.lock().directory_id
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The cluster it belongs to, once known.
    pub fn cluster_id(&self) -> Option<String> {
        self.meta.lock().cluster_id.clone()
    }

    /// Ties the directory to its cluster.
    ///
    /// # Errors
    /// [`LogDirectoryError::OtherCluster`] if it is tied to another.
    pub fn bind_cluster_id(&self, cluster_id: &str) -> Result<(), LogDirectoryError> {
        let mut meta = self.meta.lock();
        match &meta.cluster_id {
            Some(found) if found == cluster_id => return Ok(()),
            Some(found) => {
                let (found, expected) = (found.clone(), cluster_id.to_owned());
                return Err(LogDirectoryError::OtherCluster { path: self.path.clone(), found, expected });
            }
            None => {}
        }
        let bound = MetaProperties { cluster_id: Some(cluster_id.to_owned()), ..meta.clone() };
        write_meta(&self.services.fs, &self.path, &bound)?;
        *meta = bound;
        Ok(())
    }

    /// Whether the last process closed everything: its logs are believed without reading them again.
    pub fn was_clean_shutdown(&self) -> bool {
        self.clean_start.is_some()
    }

    /// The broker epoch under which the last process stopped cleanly (KIP-966).
    pub fn previous_broker_epoch(&self) -> Option<BrokerEpoch> {
        self.clean_start.filter(|epoch| *epoch != BrokerEpoch::NONE)
    }

    /// Whether it is in service.
    pub fn is_online(&self) -> bool {
        self.services.health.is_online()
    }

    /// Takes it out of service: something that works on its files met an I/O error.
    pub fn take_offline(&self, reason: &str) {
        self.services.health.fail(reason);
    }

    /// Whether there is a log of that partition, open or not.
    pub fn has_partition(&self, partition: &TopicPartition) -> Result<bool, LogError> {
        let dir = self.dir_of(partition);
        self.services.health.watch(self.services.fs.exists(&dir).map_err(LogError::io(&dir)))
    }

    /// Sets what is told, once and with the reason, when an I/O error or a failed flush takes the directory out of service.
    /// It may be called with locks held and must not call back into logs of this directory.
    pub fn on_offline(&self, callback: impl Fn(&str) + Send + Sync + 'static) {
        self.services.health.set_on_offline(Box::new(callback));
    }

    /// The room that is left on its volume.
    pub fn space(&self) -> &Arc<DiskSpace> {
        &self.space
    }

    /// The scheduler that flushes this directory's logs.
    pub fn sync(&self) -> &Arc<SyncScheduler> {
        &self.sync
    }

    /// The partitions whose logs are here, by the names of directories.
    pub fn partitions(&self) -> Result<BTreeSet<TopicPartition>, LogDirectoryError> {
        let entries = self.services.fs.read_dir(&self.path).map_err(LogDirectoryError::io(&self.path))?;
        Ok(entries.iter().filter(|entry| entry.is_dir).filter_map(|entry| parse_partition_dir(&entry.name)).collect())
    }

    /// The topic whose log of that name is here; `None` if nothing tells, as after a crash amid creation.
    pub fn topic_id(&self, partition: &TopicPartition) -> Result<Option<TopicId>, LogDirectoryError> {
        read_topic_id(&self.services.fs, &self.dir_of(partition))
    }

    /// Takes out what is in a log that nobody has opened since it was closed properly, if it is that topic's; else it must be
    /// opened. [`LogDirectory::note_closed`] gives it back.
    pub fn take_summary(&self, partition: &TopicPartition, topic_id: TopicId) -> Option<LogSummary> {
        self.services.checkpoints.take_summary(partition, topic_id)
    }

    /// That is in a log which was closed properly: to be told before it is opened, and before [`LogDirectory::close`]. Of a log
    /// that has nothing on disk nothing is noted.
    pub fn note_closed(&self, partition: &TopicPartition, topic_id: TopicId, summary: LogSummary) {
        self.services.checkpoints.note_closed(partition, topic_id, summary);
    }

    /// Opens the log of a partition, or creates an empty one. Recovery may have to read much; run it where blocking is fine.
    ///
    /// # Errors
    /// - [`LogError::TopicIdMismatch`]: what is here is another topic's; delete it first.
    /// - [`LogError::Corrupt`]: flushed data is damaged; [`LogDirectory::quarantine_partition`], then fetch from the leader.
    pub fn open_log(
        &self,
        partition: &TopicPartition,
        topic_id: TopicId,
        config: LogConfig,
        now: Timestamp,
    ) -> Result<Log, LogError> {
        self.services.health.check()?;
        let dir = self.dir_of(partition);
        let prepared = self.prepare_dir(partition, &dir, topic_id, unique_of(topic_id, now));
        let fresh = self.services.health.watch(prepared)?;
        self.open_in(&dir, (partition, topic_id), config, fresh, now)
    }

    /// Opens the log of that name in `dir`, which exists.
    pub(crate) fn open_in(
        &self,
        dir: &Path,
        (partition, topic_id): (&TopicPartition, TopicId),
        config: LogConfig,
        fresh: bool,
        now: Timestamp,
    ) -> Result<Log, LogError> {
        let services = &self.services;
        let mode = OpenMode {
            fresh,
            clean: services.checkpoints.is_clean(partition, self.was_clean_shutdown()),
            recovery_point: services.checkpoints.recovery_point(partition),
            log_start: services.checkpoints.log_start(partition),
            high_watermark: services.checkpoints.high_watermark(partition).unwrap_or(Offset::ZERO),
            interval_bytes: config.index_interval_bytes,
            now,
        };
        let log = Log::open(services, dir, partition.clone(), topic_id, config, &mode)?;
        services.checkpoints.on_opened(partition, &log.flush_target());
        Ok(log)
    }

    /// Deletes a log: its directory gets a name that nothing opens. The files go with [`LogDirectory::remove_due`] after
    /// `file.delete.delay.ms`, or with [`LogDirectory::remove_deleted`]. `unique` is a random number.
    pub fn delete_log(&self, log: Log, unique: u128, now: Timestamp) -> Result<(), LogError> {
        let (partition, delay_ms) = (log.topic_partition().clone(), log.config().file_delete_delay_ms);
        drop(log);
        self.delete_unopened(&partition, unique, now, delay_ms)
    }

    /// As [`LogDirectory::delete_log`], for a log that is not open. One that has no directory yet is no error.
    pub fn delete_unopened(
        &self,
        partition: &TopicPartition,
        unique: u128,
        now: Timestamp,
        delay_ms: i64,
    ) -> Result<(), LogError> {
        let dir = self.dir_of(partition);
        if !self.services.health.watch(self.services.fs.exists(&dir).map_err(LogError::io(&dir)))? {
            self.services.checkpoints.forget(partition);
            return Ok(());
        }
        self.services.health.watch(self.set_aside(partition, unique, DELETED_SUFFIX))?;
        let path = self.path.join(set_aside_dir(partition, unique, DELETED_SUFFIX));
        self.services.doomed.add_dir(path, now, delay_ms);
        Ok(())
    }

    /// Removes files of deleted segments and partitions whose time has come. Returns of how many. Blocks for the disk.
    pub fn remove_due(&self, now: Timestamp) -> Result<usize, LogError> {
        let _only_one = self.removing.lock();
        self.services.health.watch(self.services.doomed.remove_due(&self.services.fs, now))
    }

    /// Puts the damaged data of a partition aside, for people to look at; nothing ever opens or removes it. `unique` is a
    /// random number. Returns where it went. The partition's next log is empty: its replica must not be in sync.
    pub fn quarantine_partition(&self, partition: &TopicPartition, unique: u128) -> Result<PathBuf, LogError> {
        self.set_aside_durably(partition, unique, QUARANTINED_SUFFIX)?;
        Ok(self.path.join(set_aside_dir(partition, unique, QUARANTINED_SUFFIX)))
    }

    /// As [`LogDirectory::quarantine_partition`], for data of a partition that the cluster does not know.
    pub fn set_stray_aside(&self, partition: &TopicPartition, unique: u128) -> Result<PathBuf, LogError> {
        self.set_aside_durably(partition, unique, STRAY_SUFFIX)?;
        Ok(self.path.join(set_aside_dir(partition, unique, STRAY_SUFFIX)))
    }

    /// Removes the files of all deleted partitions at once, those of earlier processes included. Returns of how many. Blocks for long.
    pub fn remove_deleted(&self) -> Result<usize, LogError> {
        let _only_one = self.removing.lock();
        let fs = &self.services.fs;
        // A deletion that a power loss takes back must not find its files gone.
        let entries = fs.sync_dir(&self.path).and_then(|()| fs.read_dir(&self.path));
        let entries = self.services.health.watch(entries.map_err(LogError::io(&self.path)))?;
        let mut removed = 0;
        for entry in entries.iter().filter(|entry| entry.is_dir && entry.name.ends_with(DELETED_SUFFIX)) {
            let path = self.path.join(&entry.name);
            self.services.health.watch(fs.remove_dir_all(&path).map_err(LogError::io(&path)))?;
            removed += 1;
        }
        Ok(removed)
    }

    /// The high watermark that was last checkpointed for a partition.
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<Offset> {
        self.services.checkpoints.high_watermark(partition)
    }

    /// Writes the checkpoint files that changed: recovery points and log starts of all open logs, and the given high
    /// watermarks. To be called every few seconds, and before [`LogDirectory::close`].
    pub fn checkpoint(&self, high_watermarks: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        self.checkpoint_with(|| high_watermarks.to_vec())
    }

    /// The same, with high watermarks that are asked for at a moment at which none of the logs here is deleted and none is made.
    pub fn checkpoint_with(
        &self,
        high_watermarks: impl FnOnce() -> Vec<(TopicPartition, Offset)>,
    ) -> Result<(), LogError> {
        self.services.health.check()?;
        self.services.health.watch(self.services.checkpoints.write(high_watermarks))
    }

    /// Closes the files that nobody used since the last call, and has those flushed that have to be before. To be called every few
    /// seconds: what is open is then what is in use.
    pub fn release_idle_files(&self) {
        self.services.tails.forget_closed();
        self.services.checkpoints.release_idle_files().iter().for_each(|flush| self.sync.request(flush));
    }

    /// Makes the log start of a partition durable, as far as the log is: after it was raised. Blocks for the disk.
    pub fn persist_log_start(&self, partition: &TopicPartition) -> Result<(), LogError> {
        self.services.health.check()?;
        self.services.health.watch(self.services.checkpoints.persist_marks(partition))
    }

    /// Marks the shutdown as clean, after every log was closed. Without it, or if a log was not closed, the next process
    /// recovers. Returns whether it is marked.
    pub fn close(&self, broker_epoch: Option<BrokerEpoch>) -> Result<bool, LogError> {
        self.checkpoint(&[])?;
        if !self.services.checkpoints.all_closed() {
            tracing::warn!(directory = %self.path.display(), "not all logs were closed: the next start recovers them");
            return Ok(false);
        }
        self.services.health.watch(self.services.checkpoints.write_clean_logs())?;
        let path = self.path.join(CLEAN_SHUTDOWN);
        let content = encode_clean_shutdown(broker_epoch.unwrap_or(BrokerEpoch::NONE));
        let written = self.services.fs.write_atomic(&path, content.as_bytes()).map_err(LogError::io(&path));
        self.services.health.watch(written)?;
        Ok(true)
    }

    #[cfg(test)]
    pub(crate) fn services_for_tests(&self) -> &DirectoryServices {
        &self.services
    }

    pub(crate) fn dir_of(&self, partition: &TopicPartition) -> PathBuf {
        self.path.join(partition.to_string())
    }

    /// Sees to it that the partition's directory is there, and the topic's. Returns whether it is new; then it is not durable
    /// before the log's first flush.
    fn prepare_dir(
        &self,
        partition: &TopicPartition,
        dir: &Path,
        topic_id: TopicId,
        unique: u128,
    ) -> Result<bool, LogError> {
        let fs = &self.services.fs;
        if fs.exists(dir).map_err(LogError::io(dir))? {
            match read_topic_id(fs, dir) {
                Ok(Some(found)) if found == topic_id => return Ok(false),
                Ok(Some(found)) => {
                    return Err(LogError::TopicIdMismatch { path: dir.to_owned(), found, expected: topic_id });
                }
                // The first flush makes the topic's id durable: so nothing was flushed here, and what the crash left may be
                // of another topic of that name.
                Ok(None) | Err(LogDirectoryError::Malformed { .. }) if self.was_never_flushed(partition) => {
                    tracing::warn!(%partition, "no flushed data, and no readable topic id, as after a crash: set aside");
                    self.set_aside_durably(partition, self.unused(partition, unique)?, STRAY_SUFFIX)?;
                }
                Ok(None) => {
                    self.write_topic_id(dir, topic_id)?;
                    return Ok(false);
                }
                Err(error) => return Err(unreadable(dir, error)),
            }
        }
        self.services.checkpoints.prepare(partition)?;
        fs.create_dir_all(dir).map_err(LogError::io(dir))?;
        self.write_topic_id(dir, topic_id)?;
        Ok(true)
    }

    fn was_never_flushed(&self, partition: &TopicPartition) -> bool {
        self.services.checkpoints.recovery_point(partition) == Offset::ZERO
    }

    pub(crate) fn write_topic_id(&self, dir: &Path, topic_id: TopicId) -> Result<(), LogError> {
        let path = dir.join(PARTITION_METADATA);
        let fs = &self.services.fs;
        let written = fs.open(&path, highwater_env::OpenMode::Truncate);
        written
            .and_then(|file| file.write_all_at(encode_partition_metadata(topic_id).as_bytes(), 0))
            .map_err(LogError::io(&path))
    }

    /// `unique`, or the next number that was not used for setting this partition aside.
    fn unused(&self, partition: &TopicPartition, unique: u128) -> Result<u128, LogError> {
        let mut unique = unique;
        loop {
            let path = self.path.join(set_aside_dir(partition, unique, STRAY_SUFFIX));
            if !self.services.fs.exists(&path).map_err(LogError::io(&path))? {
                return Ok(unique);
            }
            unique = unique.wrapping_add(1);
        }
    }

    pub(crate) fn set_aside_durably(
        &self,
        partition: &TopicPartition,
        unique: u128,
        suffix: &str,
    ) -> Result<(), LogError> {
        let health = &self.services.health;
        health.watch(self.set_aside(partition, unique, suffix))?;
        health.watch_half_done(self.services.fs.sync_dir(&self.path).map_err(LogError::io(&self.path)))
    }

    /// Gives the partition's directory another name. Where a power loss takes that back, the topic's id tells what it is.
    fn set_aside(&self, partition: &TopicPartition, unique: u128, suffix: &str) -> Result<(), LogError> {
        let fs = &self.services.fs;
        self.services.checkpoints.retire(partition);
        let (from, to) = (self.dir_of(partition), self.path.join(set_aside_dir(partition, unique, suffix)));
        fs.rename(&from, &to).map_err(LogError::io(&from))?;
        self.services.checkpoints.forget(partition);
        Ok(())
    }
}

fn load_or_create_meta(fs: &Fs, dir: &Path, identity: &Identity) -> Result<MetaProperties, LogDirectoryError> {
    let path = dir.join(META_PROPERTIES);
    let meta = match fs.read(&path) {
        Ok(text) => MetaProperties::parse(&text).map_err(|reason| LogDirectoryError::Malformed { path, reason })?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let Identity { node_id, cluster_id, new_directory_id } = identity.clone();
            let meta = MetaProperties { node_id, directory_id: new_directory_id, cluster_id };
            write_meta(fs, dir, &meta)?;
            meta
        }
        Err(source) => return Err(LogDirectoryError::Io { path, source }),
    };
    if meta.node_id != identity.node_id {
        let (found, expected) = (meta.node_id, identity.node_id);
        return Err(LogDirectoryError::OtherNode { path: dir.to_owned(), found, expected });
    }
    Ok(meta)
}

fn write_meta(fs: &Fs, dir: &Path, meta: &MetaProperties) -> Result<(), LogDirectoryError> {
    let path = dir.join(META_PROPERTIES);
    fs.write_atomic(&path, meta.encode().as_bytes()).map_err(LogDirectoryError::io(&path))
}

/// Reads and removes the marker: it holds for what this process finds, not for what it leaves.
fn take_clean_shutdown(fs: &Fs, dir: &Path) -> Result<Option<BrokerEpoch>, LogDirectoryError> {
    let path = dir.join(CLEAN_SHUTDOWN);
    match fs.read(&path) {
        Ok(text) => {
            let removed = fs.remove_file(&path).and_then(|()| fs.sync_dir(dir));
            removed.map_err(LogDirectoryError::io(&path))?;
            Ok(Some(parse_clean_shutdown(&text)))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LogDirectoryError::Io { path, source }),
    }
}

pub(crate) fn read_topic_id(fs: &Fs, dir: &Path) -> Result<Option<TopicId>, LogDirectoryError> {
    let path = dir.join(PARTITION_METADATA);
    match fs.read(&path) {
        Ok(text) => {
            parse_partition_metadata(&text).map(Some).map_err(|reason| LogDirectoryError::Malformed { path, reason })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LogDirectoryError::Io { path, source }),
    }
}

fn unreadable(dir: &Path, error: LogDirectoryError) -> LogError {
    match error {
        LogDirectoryError::Io { path, source } => LogError::Io { path, source },
        other => LogError::Corrupt { path: dir.to_owned(), durable_mark: Offset::ZERO, reason: other.to_string() },
    }
}

/// Of what is set aside without a random number at hand: the topic's id and the time tell two of them apart.
fn unique_of(topic_id: TopicId, now: Timestamp) -> u128 {
    u128::from_be_bytes(topic_id.to_bytes()) ^ u128::from(now.0.unsigned_abs())
}
