//! What happens with time: ticks, high watermark checkpoints, retention.

use std::sync::Arc;
use std::time::Duration;

use highwater_env::{clock, run_blocking};
use highwater_log::LogDirectory;
use highwater_types::{Offset, TopicPartition};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::context::Context;
use crate::partition::Partition;

/// Longest time between two looks at partitions that have a lagging follower. Short against `replica.lag.time.max.ms`, so
/// that a stuck follower leaves the ISR about when it should.
const LONGEST_TICK: Duration = Duration::from_millis(500);
/// Shortest, whatever `replica.lag.time.max.ms` is.
const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// Lets time pass for the partitions that asked for it; sleeps while there are none.
pub(crate) async fn tick(context: Arc<Context>) {
    let pause = (context.config.replica_lag_time_max / 4).clamp(SHORTEST_TICK, LONGEST_TICK);
    loop {
        context.attention.wait().await;
        sleep(pause).await;
        for partition in context.attention.take().into_values() {
            partition.tick();
        }
    }
}

/// Writes the high watermark checkpoints (and what else the directories checkpoint) every few seconds.
pub(crate) async fn checkpoint(context: Arc<Context>, directories: Vec<Arc<LogDirectory>>) {
    let mut timer = interval(context.config.high_watermark_checkpoint_interval);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once.
    timer.tick().await;
    loop {
        timer.tick().await;
        for directory in &directories {
            let (context, directory) = (context.clone(), directory.clone());
            run_blocking(move || write_checkpoint(&context, &directory)).await;
        }
    }
}

/// Writes one directory's checkpoints. Blocks for the disk.
pub(crate) fn write_checkpoint(context: &Context, directory: &Arc<LogDirectory>) {
    let partitions = context.partitions.read();
    let here = partitions.values().filter(|partition| Arc::ptr_eq(&partition.directory, directory));
    let high_watermarks: Vec<(TopicPartition, Offset)> =
        here.map(|partition| (partition.name.clone(), partition.snapshot().high_watermark)).collect();
    drop(partitions);
    if directory.is_online()
        && let Err(error) = directory.checkpoint(&high_watermarks)
    {
        tracing::error!(directory = %directory.path().display(), %error, "checkpoint failed");
    }
}

/// Deletes old segments every `log.retention.check.interval.ms`.
pub(crate) async fn apply_retention(context: Arc<Context>) {
    loop {
        sleep(context.config.retention_check_interval).await;
        let partitions: Vec<_> = context.partitions.read().values().cloned().collect();
        for partition in partitions {
            run_blocking(move || apply_retention_to(&partition)).await;
        }
    }
}

fn apply_retention_to(partition: &Arc<Partition>) {
    let now = clock::wall_ms();
    match partition.with_log(|log, replica| log.apply_retention(now, replica.high_watermark())) {
        Some(Ok(done)) if done.deleted_segments > 0 => tracing::info!(
            partition = %partition.name, segments = done.deleted_segments, bytes = done.deleted_bytes,
            log_start = %done.log_start, "old segments deleted"
        ),
        Some(Err(error)) => partition.fail(&error.to_string()),
        _ => {}
    }
}
