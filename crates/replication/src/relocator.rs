//! Moves replicas between the log directories of this broker (AlterReplicaLogDirs, KIP-113), as many at a time as
//! `num.replica.alter.log.dirs.threads` says, in slices on the blocking pool, throttled by
//! `replica.alter.log.dirs.io.max.bytes.per.second`.
//!
//! What lies on the disks meanwhile is described at `highwater_log::Relocation`; the end is [`Partition::relocate`].

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use highwater_env::lock::Mutex;
use highwater_env::{clock, run_blocking};
use highwater_log::LogDirectory;

use crate::context::Context;
use crate::future_log::{CopyStep, FutureLog, RelocationError};
use crate::metadata::MetadataFollower;
use crate::partition::Partition;
use crate::relocation::Relocated;
use crate::stop::{Stop, is_stopped, pause_or_stop, until_stopped};

/// Bytes copied between two looks at the throttle and at whether to stop, at most. At disk speed, some ten milliseconds.
const SLICE_BYTES: usize = 4 << 20;
/// Before the end is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// Between two looks at the throttle, and at whether the move is still wanted.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Before a full directory is tried again.
const FULL: Duration = Duration::from_secs(5);

enum Ended {
    Relocated(Relocated),
    Stopped,
}

/// Runs until told to stop. What is unfinished then is gone on with after the next start.
pub(crate) async fn relocate(
    context: Arc<Context>,
    metadata: Weak<Mutex<MetadataFollower>>,
    directories: usize,
    stop: Stop,
) {
    let mut moves = FuturesUnordered::new();
    while !is_stopped(&stop) {
        let threads = threads(&context).unwrap_or(directories).max(1);
        while moves.len() < threads
            && let Some((partition, future)) = context.relocations.next()
        {
            moves.push(relocate_one(context.clone(), partition, future, stop.clone()));
        }
        context.relocations.running.store(moves.len(), Ordering::Relaxed);
        let mut stopping = stop.clone();
        tokio::select! {
            Some(relocated) = moves.next() => {
                if let Some((relocated, metadata)) = Option::zip(relocated, metadata.upgrade()) {
                    metadata.lock().on_relocated(&relocated);
                }
            }
            () = context.relocations.notify.notified() => {}
            () = until_stopped(&mut stopping) => break,
        }
    }
    // They see that it is over at their next slice. One that is through by then is found by the next start.
    while moves.next().await.is_some() {}
}

fn threads(context: &Context) -> Option<usize> {
    context
        .node
        .image
        .load()
        .broker_value("num.replica.alter.log.dirs.threads", &context.node.config.static_config)?
        .parse()
        .ok()
}

async fn relocate_one(
    context: Arc<Context>,
    partition: Arc<Partition>,
    future: Arc<FutureLog>,
    mut stop: Stop,
) -> Option<Relocated> {
    let from = partition.directory()?;
    let (name, to) = (partition.name.clone(), future.directory()?);
    tracing::info!(partition = %name, from = %from.path().display(), to = %to.path().display(), "copying to another log directory");
    match run(&context, &partition, (&from, &to), &future, &mut stop).await {
        Ok(Ended::Relocated(relocated)) => {
            tracing::info!(partition = %name, directory = %to.path().display(), "the log is in another directory now");
            return Some(relocated);
        }
        Ok(Ended::Stopped) => run_blocking(move || future.close()).await,
        // Whatever else a step met when the topic went: nobody wants the copy any more.
        Err(error) if matches!(error, RelocationError::Cancelled) || !partition.has_future(&future) => {
            tracing::info!(partition = %name, directory = %to.path().display(), "not moved to another log directory: cancelled");
            partition.forget_future(&future);
            run_blocking(move || future.discard(&name)).await;
        }
        Err(error) => {
            tracing::error!(partition = %name, directory = %to.path().display(), %error, "not moved to another log directory");
            partition.forget_future(&future);
            run_blocking(move || future.close()).await;
        }
    }
    None
}

async fn run(
    context: &Arc<Context>,
    partition: &Arc<Partition>,
    (from, to): (&Arc<LogDirectory>, &Arc<LogDirectory>),
    future: &Arc<FutureLog>,
    stop: &mut Stop,
) -> Result<Ended, RelocationError> {
    loop {
        if is_stopped(stop) {
            return Ok(Ended::Stopped);
        }
        if !partition.has_future(future) {
            return Err(RelocationError::Cancelled);
        }
        let began = clock::mono_ms();
        let step = {
            let (partition, future) = (partition.clone(), future.clone());
            let max_bytes = max_bytes_per_second(context).min(SLICE_BYTES as f64) as usize;
            run_blocking(move || advance(&partition, &future, max_bytes)).await
        };
        let pause = match step {
            Ok(Some(CopyStep::Copied(bytes))) => Pause::Throttle(bytes),
            Ok(Some(CopyStep::CaughtUp)) => Pause::For(RETRY),
            Ok(None) => {
                let (partition, from, to, unique) = (partition.clone(), from.clone(), to.clone(), future.unique);
                return Ok(Ended::Relocated(Relocated { partition, from, to, unique }));
            }
            Ok(Some(CopyStep::DiskFull)) => Pause::For(FULL),
            Err(error) if error.is_disk_full() => Pause::For(FULL),
            Err(error) => return Err(error),
        };
        // In steps: the throttle may change, and the move may be cancelled.
        while !is_stopped(stop) && partition.has_future(future) {
            let elapsed = Duration::from_millis(clock::mono_ms().0.saturating_sub(began.0));
            let left = pause.length(context).saturating_sub(elapsed);
            if left.is_zero() {
                break;
            }
            pause_or_stop(left.min(LOOK_AGAIN), stop).await;
        }
    }
}

/// How long to wait after a step.
enum Pause {
    For(Duration),
    /// As long as so many bytes are to take.
    Throttle(u64),
}

impl Pause {
    fn length(&self, context: &Context) -> Duration {
        match self {
            Self::For(pause) => *pause,
            Self::Throttle(bytes) => {
                // All moves share what is configured.
                let running = context.relocations.running.load(Ordering::Relaxed).max(1);
                let seconds = *bytes as f64 * running as f64 / max_bytes_per_second(context);
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
        }
    }
}

/// The next step; `None` once the log is in the new directory. Blocks for the disk.
fn advance(
    partition: &Arc<Partition>,
    future: &Arc<FutureLog>,
    max_bytes: usize,
) -> Result<Option<CopyStep>, RelocationError> {
    partition.open_future(future)?;
    let step = partition.copy_to(future, max_bytes)?;
    if step != CopyStep::CaughtUp {
        return Ok(Some(step));
    }
    future.flush()?;
    Ok(if partition.relocate(future)? { None } else { Some(step) })
}

fn max_bytes_per_second(context: &Context) -> f64 {
    let (image, node) = (context.node.image.load(), &context.node.config.static_config);
    let configured = image.broker_value("replica.alter.log.dirs.io.max.bytes.per.second", node);
    configured.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or(f64::MAX).max(1.0)
}
