//! What happens with time: ticks, high watermark checkpoints, retention, and failures of log directories.

use std::sync::Arc;
use std::time::Duration;

use highwater_env::{clock, run_blocking};
use highwater_log::{LogDirectory, LogError};
use highwater_types::{Offset, TopicPartition};
use tokio::time::sleep;

use crate::context::Context;
use crate::directory_reports::{DirectoryReporter, FailedLogDirectory};
use crate::partition::Partition;
use crate::stop::{Stop, pause_or_stop};

/// Longest time between two looks at partitions that have a lagging follower. Short against `replica.lag.time.max.ms`, so
/// that a stuck follower leaves the ISR about when it should.
const LONGEST_TICK: Duration = Duration::from_millis(500);
/// Shortest, whatever `replica.lag.time.max.ms` is.
const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// Partitions that one piece of work on the blocking pool goes through.
const PARTITIONS_AT_ONCE: usize = 64;

/// Lets time pass for the partitions that asked for it; sleeps while there are none.
pub(crate) async fn tick(context: Arc<Context>) {
    let pause = (context.node.config.replica_lag_time_max / 4).clamp(SHORTEST_TICK, LONGEST_TICK);
    loop {
        context.attention.wait().await;
        sleep(pause).await;
        for partition in context.attention.take().into_values() {
            partition.tick();
        }
    }
}

/// Writes the high watermark checkpoints (and what else the directories checkpoint) every few seconds, and removes the files
/// of what was deleted.
pub(crate) async fn checkpoint(context: Arc<Context>, directories: Vec<Arc<LogDirectory>>, mut stop: Stop) {
    while pause_or_stop(context.node.config.high_watermark_checkpoint_interval, &mut stop).await {
        for directory in &directories {
            let (context, directory) = (context.clone(), directory.clone());
            run_blocking(move || {
                write_checkpoint(&context, &directory);
                directory.release_idle_files();
                remove_due(&directory);
            })
            .await;
        }
    }
}

/// Writes one directory's checkpoints. Blocks for the disk.
pub(crate) fn write_checkpoint(context: &Context, directory: &Arc<LogDirectory>) {
    let high_watermarks = || {
        let partitions = context.partitions.read();
        let here = partitions.values().filter(|partition| partition.is_in(directory));
        here.filter_map(|partition| partition.uncheckpointed()).collect::<Vec<(TopicPartition, Offset)>>()
    };
    if directory.is_online()
        && let Err(error) = directory.checkpoint_with(high_watermarks)
    {
        tracing::error!(directory = %directory.path().display(), %error, "checkpoint failed");
    }
}

/// Removes the files of one directory whose `file.delete.delay.ms` is over. Blocks for the disk.
fn remove_due(directory: &Arc<LogDirectory>) {
    if directory.is_online()
        && let Err(error) = directory.remove_due(clock::wall_ms())
    {
        tracing::warn!(directory = %directory.path().display(), %error, "deleted files remain for now");
    }
}

/// Deletes old segments every `log.retention.check.interval.ms`, and closes the logs that nobody uses.
pub(crate) async fn apply_retention(context: Arc<Context>, mut stop: Stop) {
    while pause_or_stop(context.node.config.retention_check_interval, &mut stop).await {
        let partitions: Vec<_> = context.partitions.read().values().cloned().collect();
        for some in partitions.chunks(PARTITIONS_AT_ONCE) {
            if *stop.borrow() {
                return;
            }
            let (some, now) = (some.to_vec(), clock::wall_ms());
            run_blocking(move || {
                some.iter().for_each(Partition::rest);
                some.iter().filter(|partition| partition.is_worth_retention(now)).for_each(apply_retention_to);
            })
            .await;
        }
    }
}

/// Removes the files that an earlier process had deleted, but had no time to remove.
pub(crate) async fn remove_deleted(directories: Vec<Arc<LogDirectory>>) {
    for directory in directories {
        if let Err(error) = run_blocking(move || directory.remove_deleted()).await {
            tracing::warn!(%error, "deleted files remain for now");
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
        Some(Err(error)) if error.is_disk_full() => {
            tracing::warn!(partition = %partition.name, %error, "no room to delete old segments; tried again later");
        }
        // Another replica is to take over, of which the controller would not hear if this one just failed.
        Some(Err(error @ LogError::Corrupt { .. })) => partition.on_damage(&error.to_string()),
        Some(Err(error)) => partition.fail(&error.to_string()),
        _ => {}
    }
}

/// Takes the replicas of failed directories out of service. Runs until it is aborted.
pub(crate) async fn handle_failures(
    context: Arc<Context>,
    directories: Vec<Arc<LogDirectory>>,
    reporter: Arc<dyn DirectoryReporter>,
) {
    let mut seen = vec![false; directories.len()];
    loop {
        for (position, reason) in context.failures.take().await {
            if std::mem::replace(&mut seen[position], true) {
                continue;
            }
            let directory = &directories[position];
            let remaining = directories.iter().filter(|directory| directory.is_online()).count();
            context.reports.offline(directory.id());
            let failed = FailedLogDirectory { id: directory.id(), position, reason, remaining };
            reporter.on_log_dir_failed(&failed);
            take_out_of_service(&context, directory, remaining);
        }
    }
}

fn take_out_of_service(context: &Context, directory: &Arc<LogDirectory>, remaining: usize) {
    let here: Vec<_> =
        context.partitions.read().values().filter(|partition| partition.is_in(directory)).cloned().collect();
    tracing::error!(
        directory = %directory.path().display(), replicas = here.len(), remaining,
        "log directory out of service: its replicas are offline, those in other directories go on. Repair or replace the \
         disk and restart the node"
    );
    for partition in here {
        partition.fail("its log directory is out of service");
    }
}
