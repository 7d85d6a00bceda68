//! A log moves to another log directory (KIP-113): what lies in the directories after each step, and what a crash means.
//!
//! | from | to | |
//! |---|---|---|
//! | `t-0` | `t-0.<n>-future` | a copy is made; the log goes on where it is |
//! | `t-0.<n>-moved` | `t-0.<n>-future` | the move counts: the copy was complete and durable before |
//! | `t-0.<n>-moved` | `t-0` | the log goes on in the new directory |
//! | | `t-0` | the cluster knows the new directory |
//!
//! One rename, made durable, decides. Nothing is appended between it and the next one, so a start that finds both names makes up
//! for that. As long as the cluster believes the log to be in the old directory, `-moved` there tells where it went: without it,
//! a start without the new disk would find an empty place and begin anew, and the cluster would count on it (P10). Kafka has no
//! such name: it tells the controller first, and what is appended between that and the renames is in the old directory alone.

use highwater_types::{PartitionIndex, Timestamp, TopicId, TopicPartition};

use crate::config::LogConfig;
use crate::error::LogError;
use crate::file_names::{DELETED_SUFFIX, FUTURE_SUFFIX, MOVED_SUFFIX, parse_set_aside_dir, set_aside_dir};
use crate::log::Log;
use crate::log_directory::{LogDirectory, LogDirectoryError, read_topic_id};

/// A step of a move, as a directory shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RelocationStage {
    /// A copy of a log that is elsewhere.
    Future,
    /// What a log left that is elsewhere now.
    Moved,
}

impl RelocationStage {
    fn suffix(self) -> &'static str {
        match self {
            Self::Future => FUTURE_SUFFIX,
            Self::Moved => MOVED_SUFFIX,
        }
    }
}

/// What lies in a log directory of a log that moves, or has moved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relocation {
    /// How far the move was.
    pub stage: RelocationStage,
    /// The topic's id. The name does not tell: it may be cut short.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
    /// The same on both sides of one move.
    pub unique: u128,
    name: String,
}

impl LogDirectory {
    /// The copies and left-overs that lie here. One that does not say whose it is was never flushed, and goes.
    ///
    /// # Errors
    /// The directory is out of service then.
    pub fn relocations(&self) -> Result<Vec<Relocation>, LogError> {
        let fs = &self.services.fs;
        let entries = self.services.health.watch(fs.read_dir(self.path()).map_err(LogError::io(self.path())))?;
        let mut found = Vec::new();
        for name in entries.into_iter().filter(|entry| entry.is_dir).map(|entry| entry.name) {
            for stage in [RelocationStage::Future, RelocationStage::Moved] {
                let Some((partition, unique)) = parse_set_aside_dir(&name, stage.suffix()) else { continue };
                match read_topic_id(fs, &self.path().join(&name)) {
                    Ok(Some(topic_id)) => {
                        found.push(Relocation { stage, topic_id, partition, unique, name: name.clone() });
                    }
                    Ok(None) | Err(LogDirectoryError::Malformed { .. }) => {
                        self.discard(&name, deleted_name(&name, stage), Timestamp(0))?;
                    }
                    Err(error) => self.take_offline(&error.to_string()),
                }
            }
        }
        Ok(found)
    }

    /// Begins a copy of a log, or goes on with one: durably, so that the next start finds it. There must be no log of that name
    /// here. Blocks for the disk.
    pub fn open_future(
        &self,
        (partition, topic_id): (&TopicPartition, TopicId),
        unique: u128,
        config: LogConfig,
        now: Timestamp,
    ) -> Result<Log, LogError> {
        let services = &self.services;
        services.health.check()?;
        let dir = self.path().join(set_aside_dir(partition, unique, FUTURE_SUFFIX));
        let prepare = || {
            if services.fs.exists(&dir).map_err(LogError::io(&dir))? {
                if !matches!(read_topic_id(&services.fs, &dir), Ok(Some(found)) if found == topic_id) {
                    // The power went before it was durable; opening the log makes it so.
                    self.write_topic_id(&dir, topic_id)?;
                }
                return Ok(false);
            }
            services.checkpoints.prepare(partition)?;
            services.fs.create_dir_all(&dir).map_err(LogError::io(&dir))?;
            self.write_topic_id(&dir, topic_id)?;
            Ok(true)
        };
        let fresh = services.health.watch(prepare())?;
        let log = self.open_in(&dir, (partition, topic_id), config, fresh, now)?;
        services.health.watch(log.flush_target().make_home_durable())?;
        Ok(log)
    }

    /// The log is in another directory from here on, durably: a copy of all of it, closed and checkpointed, is there. This is
    /// what decides. Blocks for the disk.
    pub fn set_moved_aside(&self, log: &Log, unique: u128) -> Result<(), LogError> {
        // The topic's id, without which nobody would know whose this is.
        self.services.health.watch(log.flush_target().make_home_durable())?;
        self.set_aside_durably(log.topic_partition(), unique, MOVED_SUFFIX)
    }

    /// The copy, which is closed, becomes the log. Blocks for the disk.
    pub fn adopt_future(&self, partition: &TopicPartition, unique: u128) -> Result<(), LogError> {
        let fs = &self.services.fs;
        let from = self.path().join(set_aside_dir(partition, unique, FUTURE_SUFFIX));
        let renamed = fs.rename(&from, &self.dir_of(partition)).and_then(|()| fs.sync_dir(self.path()));
        self.services.health.watch_half_done(renamed.map_err(LogError::io(&from)))
    }

    /// Gives up a copy, which may be open, or not there any more. Its files go with [`LogDirectory::remove_due`].
    pub fn discard_future(
        &self,
        partition: &TopicPartition,
        unique: u128,
        open: Option<Log>,
        now: Timestamp,
    ) -> Result<(), LogError> {
        if let Some(log) = open {
            self.services.checkpoints.forget_log(partition, &log.flush_target());
        }
        let name = set_aside_dir(partition, unique, FUTURE_SUFFIX);
        let path = self.path().join(&name);
        if !self.services.health.watch(self.services.fs.exists(&path).map_err(LogError::io(&path)))? {
            return Ok(());
        }
        self.discard(&name, set_aside_dir(partition, unique, DELETED_SUFFIX), now)
    }

    /// Removes what [`LogDirectory::relocations`] found. Its files go with [`LogDirectory::remove_due`].
    pub fn discard_relocation(&self, relocation: &Relocation, now: Timestamp) -> Result<(), LogError> {
        self.discard(&relocation.name, deleted_name(&relocation.name, relocation.stage), now)
    }

    fn discard(&self, name: &str, deleted: String, now: Timestamp) -> Result<(), LogError> {
        let (from, to) = (self.path().join(name), self.path().join(deleted));
        self.services.health.watch(self.services.fs.rename(&from, &to).map_err(LogError::io(&from)))?;
        self.services.doomed.add_dir(to, now, 0);
        Ok(())
    }

    /// What [`LogDirectory::set_moved_aside`] left here.
    pub fn moved_aside(&self, partition: &TopicPartition, topic_id: TopicId, unique: u128) -> Relocation {
        let stage = RelocationStage::Moved;
        let name = set_aside_dir(partition, unique, stage.suffix());
        Relocation { stage, topic_id, partition: partition.partition, unique, name }
    }
}

fn deleted_name(name: &str, stage: RelocationStage) -> String {
    format!("{}{DELETED_SUFFIX}", name.strip_suffix(stage.suffix()).unwrap_or(name))
}
