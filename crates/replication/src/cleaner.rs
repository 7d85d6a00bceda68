//! Compacts the logs of this broker, as many at a time as `log.cleaner.threads` says, the dirtiest first, in slices on the blocking
//! pool.
//!
//! The partition's lock is held only to begin, to put a finished segment in place, and to end.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use highwater_env::{clock, rng, run_blocking, run_in_background};
use highwater_log::{Compaction, CompactionError, CompactionSettings, CompactionStep, LogError};
use highwater_types::{MonoMs, Offset, TopicPartition};
use rand::RngCore as _;

use crate::cleaner_progress::FinishedPass;
use crate::context::Context;
use crate::partition::Partition;
use crate::stop::{Stop, pause_or_stop};

/// Bytes read and written between two looks at the throttle and at whether to stop. At disk speed, some ten milliseconds.
const SLICE_BYTES: u64 = 4 << 20;

/// After that much of a pause, the configuration is looked at again: it may allow more now.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// `log.cleaner.*`, as of now.
struct CleanerConfig {
    /// Logs in work at the same time.
    threads: usize,
    /// Pause when no log is due.
    backoff: Duration,
    /// Bytes that all may read and write in a second.
    max_bytes_per_second: f64,
    /// Of the map of keys of one log: all of them share what is configured.
    buffer_bytes: usize,
    load_factor: f64,
}

/// Runs until told to stop.
pub(crate) async fn compact(context: Arc<Context>, stop: Stop) {
    let mut passes = FuturesUnordered::new();
    let mut in_work = BTreeSet::new();
    // After one that failed, none is begun before the pause.
    let mut resting = false;
    while !*stop.borrow() {
        let config = CleanerConfig::read(&context);
        while !resting && passes.len() < config.threads {
            let Some((partition, pass)) = begin_dirtiest(&context, &config, &in_work).await else { break };
            in_work.insert(partition.name.clone());
            passes.push(compact_one(context.clone(), partition, pass, stop.clone()));
        }
        context.cleaner.running.store(passes.len() as u64, Ordering::Relaxed);
        let mut pausing = stop.clone();
        tokio::select! {
            Some((name, succeeded)) = passes.next() => {
                in_work.remove(&name);
                resting |= !succeeded;
            }
            _ = pause_or_stop(config.backoff, &mut pausing) => resting = false,
        }
    }
    // They see that it is over at their next slice.
    while passes.next().await.is_some() {}
}

/// Does one pass. Returns of which partition, and whether it went well.
async fn compact_one(
    context: Arc<Context>,
    partition: Arc<Partition>,
    pass: Compaction,
    mut stop: Stop,
) -> (TopicPartition, bool) {
    let result = run(&context, &partition, pass, &mut stop).await;
    partition.set_compacting(false);
    (partition.name.clone(), result.map_err(|error| report(&context, &partition, &error)).is_ok())
}

impl CleanerConfig {
    fn read(context: &Context) -> Self {
        let (image, node) = (context.node.image.load(), &context.node.config.static_config);
        let number = |name: &str, default: f64| {
            image.broker_value(name, node).and_then(|value| value.trim().parse().ok()).unwrap_or(default)
        };
        let enabled = image.broker_value("log.cleaner.enable", node).is_none_or(|value| value.trim() == "true");
        let threads = if enabled { number("log.cleaner.threads", 1.0) as usize } else { 0 };
        Self {
            threads,
            backoff: Duration::from_millis(number("log.cleaner.backoff.ms", 15_000.0) as u64),
            max_bytes_per_second: number("log.cleaner.io.max.bytes.per.second", f64::MAX),
            buffer_bytes: number("log.cleaner.dedupe.buffer.size", 134_217_728.0) as usize / threads.max(1),
            load_factor: number("log.cleaner.io.buffer.load.factor", 0.9),
        }
    }

    /// How long so many bytes are to take while so many logs are in work.
    fn duration_of(&self, bytes: u64, running: u64) -> Duration {
        let seconds = bytes as f64 * running.max(1) as f64 / self.max_bytes_per_second.max(1.0);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

/// Begins with the dirtiest log that is due and not in work.
async fn begin_dirtiest(
    context: &Arc<Context>,
    config: &CleanerConfig,
    in_work: &BTreeSet<TopicPartition>,
) -> Option<(Arc<Partition>, Compaction)> {
    // By name: a pass on a log that was deleted writes files of that name until it notices.
    let is_free = |partition: &&Arc<Partition>| partition.is_compacted() && !in_work.contains(&partition.name);
    let compacted: Vec<Arc<Partition>> = context.partitions.read().values().filter(is_free).cloned().collect();
    if compacted.is_empty() {
        return None;
    }
    let looking = context.clone();
    let partition = run_blocking(move || dirtiest(&looking, compacted)).await?;
    let settings = CompactionSettings {
        buffer_bytes: config.buffer_bytes,
        load_factor: config.load_factor,
        hash_key: (rng::get().next_u64(), rng::get().next_u64()),
    };
    let begun = {
        let partition = partition.clone();
        run_blocking(move || begin(&partition, settings)).await
    };
    let begun = begun.map_err(|error| report(context, &partition, &error.into())).ok()??;
    Some((partition, begun))
}

/// Looks at all of them.
fn dirtiest(context: &Context, partitions: Vec<Arc<Partition>>) -> Option<Arc<Partition>> {
    let now = clock::wall_ms();
    let (mut cleanable_bytes, mut uncleanable_bytes, mut max_ratio, mut max_delay_ms) = (0, 0, 0.0_f64, 0);
    let mut due: Option<(f64, Arc<Partition>)> = None;
    for partition in partitions {
        let looked = partition.with_log(|log, replica| {
            let rolled = log.roll_for_compaction(now)?;
            let stable = stable(log, replica);
            let dirtiness = log.dirtiness(now, stable)?;
            Ok::<_, LogError>((dirtiness, log.wants_compaction(&dirtiness), rolled))
        });
        let (dirtiness, wanted) = match looked {
            Some(Ok((dirtiness, wanted, rolled))) => {
                if rolled {
                    // Only what is durable is compacted.
                    partition.request_flush();
                }
                (dirtiness, wanted)
            }
            Some(Err(error)) => {
                report(context, &partition, &error.into());
                continue;
            }
            None => continue,
        };
        if context.cleaner.uncleanable.lock().contains(&partition.id) {
            uncleanable_bytes += dirtiness.cleanable_bytes;
            continue;
        }
        cleanable_bytes += dirtiness.cleanable_bytes;
        max_ratio = max_ratio.max(dirtiness.ratio());
        max_delay_ms = max_delay_ms.max(dirtiness.delay_ms);
        let ratio = if dirtiness.is_overdue() { 1.0 + dirtiness.ratio() } else { dirtiness.ratio() };
        if wanted && due.as_ref().is_none_or(|(largest, _)| ratio > *largest) {
            due = Some((ratio, partition));
        }
    }
    let progress = &context.cleaner;
    progress.cleanable_bytes.store(cleanable_bytes, Ordering::Relaxed);
    progress.uncleanable_bytes.store(uncleanable_bytes, Ordering::Relaxed);
    progress.max_delay_ms.store(max_delay_ms, Ordering::Relaxed);
    progress.max_dirty_percent.store((max_ratio * 100.0) as u64, Ordering::Relaxed);
    progress.looked_at_ms.store(now.0, Ordering::Relaxed);
    due.map(|(_, partition)| partition)
}

/// The last stable offset: what is behind it may still be cut off or aborted.
fn stable(log: &mut highwater_log::Log, replica: &highwater_partition::Replica) -> Offset {
    log.last_stable_offset(replica.high_watermark())
}

fn begin(partition: &Arc<Partition>, settings: CompactionSettings) -> Result<Option<Compaction>, LogError> {
    let now = clock::wall_ms();
    let begun = partition.with_log(|log, replica| {
        let stable = stable(log, replica);
        let begun = log.begin_compaction(now, stable, settings)?;
        partition.set_compacting(begun.is_some());
        Ok(begun)
    });
    begun.unwrap_or(Ok(None))
}

/// Does one pass. Told to stop, it leaves what is not in place: the next opening of the log removes it.
async fn run(
    context: &Arc<Context>,
    partition: &Arc<Partition>,
    mut pass: Compaction,
    stop: &mut Stop,
) -> Result<(), CompactionError> {
    let (started, mut step) = (clock::mono_ms(), CompactionStep::Working);
    while step != CompactionStep::Done && !*stop.borrow() {
        let (begun, before) = (clock::mono_ms(), pass.stats());
        let result;
        (pass, result) = run_in_background(move || {
            let result = pass.advance(SLICE_BYTES);
            (pass, result)
        })
        .await;
        let now = pass.stats();
        let bytes = now.read_bytes + now.written_bytes - before.read_bytes - before.written_bytes;
        context.cleaner.read_bytes.fetch_add(now.read_bytes - before.read_bytes, Ordering::Relaxed);
        context.cleaner.written_bytes.fetch_add(now.written_bytes - before.written_bytes, Ordering::Relaxed);
        step = result?;
        if step != CompactionStep::Working {
            let working = partition.clone();
            let result;
            (pass, result) = run_blocking(move || {
                let result = put_in_place(&working, &mut pass, step);
                (pass, result)
            })
            .await;
            result?;
        }
        if !throttle(context, bytes, begun, stop).await {
            return Ok(());
        }
    }
    if step == CompactionStep::Done {
        let stats = pass.stats();
        context.cleaner.passes.fetch_add(1, Ordering::Relaxed);
        let reclaimed = stats.replaced_bytes.saturating_sub(stats.replacement_bytes);
        context.cleaner.reclaimed_bytes.fetch_add(reclaimed, Ordering::Relaxed);
        *context.cleaner.last_pass.lock() = FinishedPass {
            recopy_percent: stats.written_bytes * 100 / stats.read_bytes.max(1),
            map_percent: (stats.map_bytes * 100 / CleanerConfig::read(context).buffer_bytes.max(1)) as u64,
            seconds: since(started).as_secs(),
        };
        tracing::info!(
            partition = %partition.name, end = %pass.end(), read = stats.read_bytes, before = stats.replaced_bytes,
            after = stats.replacement_bytes, unreadable = stats.unreadable_batches, "log compacted"
        );
    }
    Ok(())
}

/// Waits until so many bytes since `begun` are what `log.cleaner.io.max.bytes.per.second` allows, as it is now and may become.
/// False once everything is to stop.
async fn throttle(context: &Context, bytes: u64, begun: MonoMs, stop: &mut Stop) -> bool {
    loop {
        let running = context.cleaner.running.load(Ordering::Relaxed);
        let pause = CleanerConfig::read(context).duration_of(bytes, running).saturating_sub(since(begun));
        if pause.is_zero() {
            return true;
        }
        if !pause_or_stop(pause.min(LONGEST_PAUSE), stop).await {
            return false;
        }
    }
}

fn since(begun: MonoMs) -> Duration {
    Duration::from_millis(clock::mono_ms().0.saturating_sub(begun.0))
}

/// What is to be done under the lock after a slice. Blocks for the disk.
fn put_in_place(
    partition: &Arc<Partition>,
    pass: &mut Compaction,
    step: CompactionStep,
) -> Result<(), CompactionError> {
    let done = match step {
        CompactionStep::Working => Some(Ok(())),
        CompactionStep::Ready => partition.with_log(|log, _| log.install_compacted(pass)),
        CompactionStep::Done => partition.with_log(|log, _| Ok(log.finish_compaction(pass)?)),
    };
    done.unwrap_or(Err(CompactionError::Abandoned))
}

fn report(context: &Context, partition: &Arc<Partition>, error: &CompactionError) {
    match error {
        CompactionError::Abandoned => {
            tracing::debug!(partition = %partition.name, "compaction given up: the log changed")
        }
        CompactionError::DiskFull => no_room(partition),
        CompactionError::Log(error) if error.is_disk_full() => no_room(partition),
        CompactionError::Log(error @ (LogError::Io { .. } | LogError::Offline(_))) => {
            partition.fail(&error.to_string())
        }
        CompactionError::Log(error) => {
            tracing::error!(partition = %partition.name, %error, "the log cannot be compacted");
            context.cleaner.uncleanable.lock().insert(partition.id);
            if let LogError::Corrupt { .. } = error {
                partition.on_damage(&error.to_string());
            }
        }
    }
}

fn no_room(partition: &Partition) {
    tracing::warn!(partition = %partition.name, "no room to compact the log; it is tried again later");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_cleaners_share_the_bytes_of_a_second() {
        let config = |max_bytes_per_second| CleanerConfig {
            threads: 2,
            backoff: Duration::ZERO,
            max_bytes_per_second,
            buffer_bytes: 0,
            load_factor: 0.9,
        };
        assert_eq!(config(1e6).duration_of(500_000, 1), Duration::from_millis(500));
        assert_eq!(config(1e6).duration_of(500_000, 2), Duration::from_secs(1));
        assert_eq!(config(f64::MAX).duration_of(SLICE_BYTES, 4), Duration::ZERO);
        assert!(config(0.0).duration_of(SLICE_BYTES, 1) > Duration::from_secs(60), "no division by zero");
    }
}
