//! Seeds in processes of their own, several at a time.

use std::ops::{ControlFlow, Range};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context as _, Result};

use crate::PlanArguments;

/// Replays a seed in a process of its own.
///
/// # Errors
/// When no process can be started; that the seed failed is said by the output.
pub fn replay(seed: u64, arguments: PlanArguments) -> Result<Output> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.args(["replay", &seed.to_string()]).args(arguments.words());
    command.stdin(Stdio::null()).output().context("a seed's process")
}

/// Replays the seeds in their order, `workers` at a time: whoever has ended takes the next one. `on_end` is told of each, in the order
/// in which they end; once it breaks, no more are begun, and those that run are waited for.
///
/// # Errors
/// As [`replay`].
pub fn replay_all(
    seeds: Range<u64>,
    workers: usize,
    arguments: PlanArguments,
    mut on_end: impl FnMut(u64, &Output) -> ControlFlow<()>,
) -> Result<()> {
    let (next, stopped) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let (ended, outputs) = mpsc::channel();
    let work = |ended: mpsc::Sender<(u64, Result<Output>)>| {
        while !stopped.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || ended.send((seed, replay(seed, arguments))).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..workers {
            let ended = ended.clone();
            scope.spawn(|| work(ended));
        }
        drop(ended);
        for (seed, output) in outputs {
            if on_end(seed, &output?).is_break() {
                stopped.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    })
}
