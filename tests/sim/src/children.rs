//! Seeds in processes of their own, several at a time. They are forked, not started: that costs less.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::ops::{ControlFlow, Range};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitStatus, Output, Stdio, exit};

use anyhow::{Context as _, Result};

use crate::PlanArguments;

/// Replays a seed in a process of its own, from the very start.
///
/// # Errors
/// When no process can be started; that the seed failed is said by the output.
pub fn replay(seed: u64, arguments: PlanArguments) -> Result<Output> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    command.args(["replay", &seed.to_string()]).args(arguments.words());
    command.stdin(Stdio::null()).output().context("a seed's process")
}

/// Replays the seeds in their order, as [`run_all`] says.
///
/// # Errors
/// When no process can be made.
pub fn replay_all(
    seeds: Range<u64>,
    workers: usize,
    arguments: PlanArguments,
    on_end: impl FnMut(u64, &Output) -> ControlFlow<()>,
) -> Result<()> {
    run_all(seeds, workers, |seed| crate::replay(seed, arguments, false), on_end)
}

/// Has `task` done with the seeds in their order, `workers` at a time: when one has ended, the next one begins. `on_end` is told of
/// each, in the order in which they end; once it breaks, no more are begun, and those that run are waited for.
///
/// # Errors
/// When no process can be made.
pub fn run_all(
    mut seeds: Range<u64>,
    workers: usize,
    task: impl Fn(u64) -> Result<()>,
    mut on_end: impl FnMut(u64, &Output) -> ControlFlow<()>,
) -> Result<()> {
    let mut running = BTreeMap::new();
    loop {
        while running.len() < workers
            && let Some(seed) = seeds.next()
        {
            let (pid, child) = Child::fork(seed, &task).context("a seed's process")?;
            running.insert(pid, child);
        }
        if running.is_empty() {
            return Ok(());
        }
        let (pid, status) = wait_for_any()?;
        let Some(child) = running.remove(&pid) else { continue };
        if on_end(child.seed, &child.output(status)?).is_break() {
            seeds = 0..0;
        }
    }
}

/// A copy of this process that does its task with a seed.
struct Child {
    seed: u64,
    stdout: File,
    stderr: File,
}

impl Child {
    fn fork(seed: u64, task: impl Fn(u64) -> Result<()>) -> io::Result<(libc::pid_t, Self)> {
        let child = Self { seed, stdout: tempfile::tempfile()?, stderr: tempfile::tempfile()? };
        // SAFETY: this program starts no thread before it replays a seed, so the copy holds no lock of a thread that it lacks.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => child.run(task),
            pid => Ok((pid, child)),
        }
    }

    fn run(&self, task: impl Fn(u64) -> Result<()>) -> ! {
        for (file, standard) in [(&self.stdout, libc::STDOUT_FILENO), (&self.stderr, libc::STDERR_FILENO)] {
            // SAFETY: both descriptors are open.
            unsafe { libc::dup2(file.as_raw_fd(), standard) };
        }
        let done = catch_unwind(AssertUnwindSafe(|| task(self.seed)));
        exit(match done {
            Ok(Ok(())) => 0,
            Ok(Err(error)) => {
                eprintln!("sim: {error:#}");
                1
            }
            // The panic has been printed.
            Err(_) => 101,
        })
    }

    /// What it left, once it has ended.
    fn output(&self, status: ExitStatus) -> io::Result<Output> {
        Ok(Output { status, stdout: read_all(&self.stdout)?, stderr: read_all(&self.stderr)? })
    }
}

fn read_all(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Waits until one of the children has ended.
fn wait_for_any() -> io::Result<(libc::pid_t, ExitStatus)> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is writable.
        match unsafe { libc::wait(&raw mut status) } {
            -1 => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
            pid => return Ok((pid, ExitStatus::from_raw(status))),
        }
    }
}
