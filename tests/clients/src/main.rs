//! `make clients`: client libraries that nobody here wrote, against three real nodes.
//!
//! In: the broker's binary and, optionally, names of tests. Out: a line per test with what it proves, and a closing count.
//! It knows only the Kafka protocol's clients; each test makes its own topics on one shared cluster.

mod cli;
mod install;
mod kafka_files;
mod kcat;
mod programs;
mod rdkafka_client;
mod tools;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Output};
use std::time::Instant;

use anyhow::{Result, bail};
use highwater_test_cluster::{Cluster, binary_argument};

/// What a test gets.
pub struct Context {
    /// The `highwater` binary, also for a test that needs a cluster of its own.
    pub binary: PathBuf,
    /// `host:port,...` of the three nodes.
    pub bootstrap: String,
    /// A directory of the test's own for files.
    pub scratch: PathBuf,
}

impl Context {
    /// Our own command line, for the shared cluster.
    fn cli(&self) -> cli::Cli<'_> {
        cli::Cli { binary: &self.binary, bootstrap: &self.bootstrap }
    }
}

/// One test: its name, what it proves, and what it does.
pub struct Test {
    pub name: &'static str,
    pub proves: &'static str,
    pub run: fn(&Context) -> Result<()>,
}

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("clients: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<usize> {
    match std::env::args().nth(1).as_deref() {
        Some("--record-tools") => return tools::record().map(|()| 0),
        Some("--tools-differences") => {
            print!("{}", tools::differences::markdown());
            return Ok(0);
        }
        _ => {}
    }
    let (binary, only) = binary_argument()?;
    let mut tests = kcat::tests();
    tests.extend(rdkafka_client::tests());
    tests.extend(programs::tests());
    tests.extend(cli::tests());
    tests.extend(tools::tests());
    tests.extend(kafka_files::tests());
    tests.retain(|test| only.is_empty() || only.iter().any(|name| test.name.contains(name.as_str())));
    let mut cluster = Cluster::start(&binary, 3, &[])?;
    let scratch = tempfile::tempdir()?;
    let context =
        Context { binary: binary.clone(), bootstrap: cluster.bootstrap(), scratch: scratch.path().to_owned() };
    let (mut passed, mut failed) = (0, 0);
    for test in &tests {
        let started = Instant::now();
        let outcome = (test.run)(&context);
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("ok      {:<28} {seconds:6.1} s  {}", test.name, test.proves);
            }
            Err(error) => {
                failed += 1;
                cluster.keep_files();
                println!("FAILED  {:<28} {seconds:6.1} s  {}\n{error:#}", test.name, test.proves);
            }
        }
    }
    for node in cluster.nodes() {
        if std::fs::read_to_string(node.log_path())?.contains("panicked at") {
            failed += 1;
            println!("FAILED  node {} panicked:\n{}", node.id(), node.log_tail());
        }
    }
    println!("\n{passed} passed, {failed} failed");
    Ok(failed)
}

/// Runs a command to its end and returns its standard output; a failure carries both streams.
pub fn output_of(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = command.output()?;
    let (stdout, stderr) =
        (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr).into_owned());
    if !status.success() {
        bail!("{command:?}\n{status}\n{stdout}\n{stderr}");
    }
    Ok(stdout)
}

/// Fails with `what` unless `holds`.
pub fn check(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { bail!(what()) }
}
