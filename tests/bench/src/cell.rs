//! One run of one workload on one system, in a process of its own: whatever happens in it, its brokers end with it, its data
//! goes, and its time is bounded.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::findings::Findings;
use crate::options::Options;
use crate::system::System;
use crate::workloads::{Run, Workload};

/// How often the end of a cell is looked for.
const PAUSE: Duration = Duration::from_millis(50);

/// What a cell tells the process that started it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Outcome {
    pub findings: Findings,
    pub failure: Option<String>,
}

impl Outcome {
    fn failed(failure: String) -> Self {
        Self { findings: Findings::default(), failure: Some(failure) }
    }
}

/// Runs a cell in a child process. Its failure is part of the outcome.
pub fn run(options: &Options, workload: &Workload, system: System) -> Result<Outcome> {
    std::fs::create_dir_all(&options.directory)?;
    let directory = std::fs::canonicalize(&options.directory)?;
    let scratch = tempfile::Builder::new().prefix("cell-").tempdir_in(directory)?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .args(["--cell", &format!("{}/{}", workload.id, system.name())])
        .env("TMPDIR", scratch.path())
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let deadline = Instant::now() + workload.limit;
    while child.try_wait()?.is_none() {
        if Instant::now() > deadline {
            end(&mut child)?;
            return Ok(Outcome::failed(format!("not done within {} s", workload.limit.as_secs())));
        }
        std::thread::sleep(PAUSE);
    }
    let mut text = String::new();
    child.stdout.take().context("no output")?.read_to_string(&mut text)?;
    let outcome = serde_json::from_str(&text);
    Ok(outcome.unwrap_or_else(|_| Outcome::failed("it ended without an outcome".to_owned())))
}

/// Ends a cell and its brokers: it watches its standard input.
fn end(child: &mut Child) -> Result<()> {
    drop(child.stdin.take());
    child.wait()?;
    Ok(())
}

/// What the child process does: runs the workload and prints the outcome.
pub fn serve(options: &Options, workload: &Workload, system: System) -> Result<()> {
    std::thread::spawn(end_with_parent);
    let scale = options.scale()?;
    let mut findings = Findings::default();
    let run = Run { options, scale: &scale, system };
    let failure = (workload.run)(&run, &mut findings).err().map(|error| format!("{error:#}"));
    println!("{}", serde_json::to_string(&Outcome { findings, failure })?);
    Ok(())
}

/// Waits until standard input ends, which it does when the parent process closes it or is gone, and then kills this process
/// and every broker that it started.
fn end_with_parent() {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    // SAFETY: kill has no memory effects; 0 is this process's own group, which the parent made for it.
    unsafe { libc::kill(0, libc::SIGKILL) };
}
