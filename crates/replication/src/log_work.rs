//! What is done to logs off the metadata's path, because it waits for the disk: recovering those that a crash left, deleting,
//! setting aside. Several at a time; one at a time for each partition's name, and meanwhile nothing else is done under it.
//!
//! A replica whose log is still to be recovered does not exist for the rest of the broker: it answers no request, follows
//! nobody and so is in no ISR that has another member (P10). Hence neither the registration nor the unfencing of the broker
//! waits for it; where it is the only one that may lead, clients try again until it does.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use highwater_env::lock::Mutex;
use highwater_env::{clock, rng};
use highwater_log::{Log, LogDirectory, LogError};
use highwater_types::{MonoMs, TopicIdPartition, TopicPartition};
use rand::RngCore;
use tokio::sync::Notify;

use crate::log_slot::LogSlot;
use crate::topic_settings::LogSettings;

/// Time between two lines in the log that tell how far recovery is.
const PROGRESS_EVERY_MS: u64 = 5_000;

/// One piece of work on the log of one partition.
pub(crate) enum Job {
    /// Open it, recovering what a crash left. Damaged data is set aside if `replaceable`, all of it if `give_up`.
    Open {
        directory: Arc<LogDirectory>,
        id: TopicIdPartition,
        settings: Arc<LogSettings>,
        replaceable: bool,
        give_up: bool,
    },
    /// Delete it.
    Delete { directory: Arc<LogDirectory>, log: LogSlot },
    /// Keep its data for the operator: it belongs to no replica of this broker.
    SetAside { directory: Arc<LogDirectory> },
}

/// What came of a [`Job`].
pub(crate) enum Done {
    /// See [`Job::Open`].
    Opened { opening: Opening, result: Box<Result<Log, LogError>> },
    /// The name is free.
    Freed,
}

/// What was to be opened.
pub(crate) struct Opening {
    pub id: TopicIdPartition,
    pub directory: Arc<LogDirectory>,
    pub settings: Arc<LogSettings>,
    pub replaceable: bool,
    pub give_up: bool,
}

/// The queue, and who is in work.
#[derive(Default)]
pub(crate) struct LogWork {
    state: Mutex<State>,
    notify: Notify,
}

#[derive(Default)]
struct State {
    queue: VecDeque<(TopicPartition, Job)>,
    /// Names of those in the queue or in work.
    busy: BTreeSet<TopicPartition>,
    /// Logs that wait for recovery or are in it.
    recovering: usize,
    recovered: usize,
    began: MonoMs,
    told: MonoMs,
}

impl LogWork {
    /// Whether something is under way with the log of that name.
    pub fn is_busy(&self, name: &TopicPartition) -> bool {
        self.state.lock().busy.contains(name)
    }

    /// Logs that wait for recovery or are in it.
    pub fn recovering(&self) -> usize {
        self.state.lock().recovering
    }

    /// Queues a job. There must be none of that name.
    pub fn add(&self, name: TopicPartition, job: Job) {
        let mut state = self.state.lock();
        if matches!(job, Job::Open { .. }) {
            if state.recovering == 0 {
                (state.recovered, state.began, state.told) = (0, clock::mono_ms(), clock::mono_ms());
            }
            state.recovering += 1;
        }
        let first = state.busy.insert(name.clone());
        assert!(first, "two jobs for {name}");
        state.queue.push_back((name, job));
        drop(state);
        self.notify.notify_one();
    }

    /// Takes the next job, once there is one.
    pub async fn next(&self) -> (TopicPartition, Job) {
        loop {
            let (next, more) = {
                let mut state = self.state.lock();
                (state.queue.pop_front(), !state.queue.is_empty())
            };
            if more {
                self.notify.notify_one();
            }
            match next {
                Some(next) => return next,
                None => self.notify.notified().await,
            }
        }
    }

    /// The job on the log of that name is done.
    pub fn free(&self, name: &TopicPartition) {
        self.state.lock().busy.remove(name);
    }

    /// A log was opened, or cannot be.
    pub fn on_recovered(&self) {
        let mut state = self.state.lock();
        state.recovering -= 1;
        state.recovered += 1;
        let now = clock::mono_ms();
        let (recovered, remaining) = (state.recovered, state.recovering);
        let elapsed_ms = now.0.saturating_sub(state.began.0);
        if remaining == 0 {
            tracing::info!(recovered, elapsed_ms, "all logs are recovered");
        } else if now.0.saturating_sub(state.told.0) >= PROGRESS_EVERY_MS {
            state.told = now;
            tracing::info!(recovered, remaining, elapsed_ms, "recovering logs");
        }
    }
}

impl Job {
    /// Blocks for the disk.
    pub fn run(self, name: &TopicPartition) -> Done {
        match self {
            Self::Open { directory, id, settings, replaceable, give_up } => {
                let opening = Opening { id, directory, settings, replaceable, give_up };
                let result = Box::new(open(name, &opening));
                Done::Opened { opening, result }
            }
            Self::Delete { directory, log } => {
                if let Err(error) = delete(&directory, name, log) {
                    tracing::error!(partition = %name, %error, "cannot delete the replica");
                }
                Done::Freed
            }
            Self::SetAside { directory } => {
                set_stray_aside(&directory, name);
                Done::Freed
            }
        }
    }
}

/// Deletes a log, open or not.
pub(crate) fn delete(directory: &LogDirectory, name: &TopicPartition, log: LogSlot) -> Result<(), LogError> {
    let now = clock::wall_ms();
    match log {
        LogSlot::Open(open) => directory.delete_log(open.log, random(), now),
        LogSlot::Cold(_) => directory.delete_unopened(name, random(), now, log.file_delete_delay_ms()),
        LogSlot::Gone => Ok(()),
    }
}

/// Keeps for the operator what belongs to no replica of this broker.
pub(crate) fn set_stray_aside(directory: &LogDirectory, name: &TopicPartition) {
    if !directory.is_online() {
        return;
    }
    match directory.set_stray_aside(name, random()) {
        Ok(path) => tracing::warn!(
            partition = %name, path = %path.display(),
            "found a partition that is not assigned to this log directory: set aside, remove it when you do not need it"
        ),
        Err(error) => tracing::error!(partition = %name, %error, "cannot set a stray partition aside"),
    }
}

/// Opens a log; what another topic of that name left is set aside, and so is what was given up, and damaged data on which nobody
/// counts.
fn open(name: &TopicPartition, opening: &Opening) -> Result<Log, LogError> {
    let directory = &opening.directory;
    if opening.give_up {
        quarantine(directory, name)?;
    }
    let open = || directory.open_log(name, opening.id.topic_id, opening.settings.draw_config(), clock::wall_ms());
    match open() {
        Err(LogError::TopicIdMismatch { found, .. }) => {
            let path = directory.set_stray_aside(name, random())?;
            tracing::warn!(
                partition = %name, topic_id = %found, path = %path.display(),
                "found data of a former topic of that name: set aside, remove it when you do not need it"
            );
            open()
        }
        Err(error @ LogError::Corrupt { .. }) if opening.replaceable => {
            tracing::error!(partition = %name, %error, "damaged");
            quarantine(directory, name)?;
            open()
        }
        result => result,
    }
}

/// Sets damaged data aside, if there is any.
pub(crate) fn quarantine(directory: &LogDirectory, name: &TopicPartition) -> Result<(), LogError> {
    if directory.has_partition(name)? {
        let path = directory.quarantine_partition(name, random())?;
        tracing::error!(
            partition = %name, path = %path.display(),
            "the log is damaged: set aside; the replica gets everything from its leader again. Check the disk"
        );
    }
    Ok(())
}

/// For a name that nothing else has.
pub(crate) fn random() -> u128 {
    let mut rng = rng::get();
    u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())
}
