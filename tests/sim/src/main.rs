//! `make sim`: sweeps seeds, each in a process of its own, or replays one.

use std::collections::VecDeque;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use highwater_sim::{Durability, Plan, run};

/// Simulates whole clusters under faults.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs one seed in this process.
    Replay {
        seed: u64,
        #[arg(long, value_enum, default_value = "strict")]
        durability: Durability,
        /// The disk says that it flushed and did not.
        #[arg(long)]
        lying_disk: bool,
        /// Check only what clients saw.
        #[arg(long)]
        history_only: bool,
        /// Print the nodes' logs, filtered as RUST_LOG says.
        #[arg(long)]
        log: bool,
    },
    /// Runs many seeds, each in a process of its own; stops with the command that replays the first failure.
    Sweep {
        #[arg(long, default_value_t = 1000)]
        seeds: u64,
        /// First seed; a fresh random one is printed by the caller of a random sweep.
        #[arg(long, default_value_t = 1)]
        first: u64,
        /// Processes at a time.
        #[arg(long, default_value_t = 2)]
        workers: usize,
    },
    /// Runs a seed twice in fresh processes and compares the traces.
    Determinism { seed: u64 },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Task::Replay { seed, durability, lying_disk, history_only, log } => {
            replay(&Plan { durability, lying_disk, history_only, ..Plan::new(seed) }, log)
        }
        Task::Sweep { seeds, first, workers } => sweep(seeds, first, workers),
        Task::Determinism { seed } => determinism(seed),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn replay(plan: &Plan, log: bool) -> Result<()> {
    if log {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).without_time().with_writer(std::io::stderr).init();
    }
    let seed = plan.seed;
    let outcome = run(plan).with_context(|| format!("replay with: make sim SEED={seed}; faults: {:?}", plan.faults))?;
    println!(
        "seed {seed}: {} sent, {} acknowledged, {} read, {} faults, {} virtual ms, trace {:016x}",
        outcome.sent, outcome.acknowledged, outcome.read, outcome.faults, outcome.virtual_ms, outcome.digest
    );
    Ok(())
}

fn child(seed: u64) -> Result<Child> {
    let program = std::env::current_exe()?;
    let mut command = Command::new(program);
    Ok(command.args(["replay", &seed.to_string()]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

fn sweep(seeds: u64, first: u64, workers: usize) -> Result<()> {
    let started = Instant::now();
    let mut running: VecDeque<(u64, Child)> = VecDeque::new();
    let (mut passed, mut failed) = (0_u64, 0_u64);
    for seed in first..first + seeds {
        if running.len() >= workers {
            finish(&mut running, &mut passed, &mut failed)?;
        }
        running.push_back((seed, child(seed)?));
    }
    while !running.is_empty() {
        finish(&mut running, &mut passed, &mut failed)?;
    }
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    println!("seeds {first}..{}: {:.0} seeds a minute", first + seeds, seeds as f64 / minutes);
    println!("{passed} passed, {failed} failed");
    anyhow::ensure!(failed == 0, "{failed} seed(s) failed");
    Ok(())
}

fn finish(running: &mut VecDeque<(u64, Child)>, passed: &mut u64, failed: &mut u64) -> Result<()> {
    let (seed, child) = running.pop_front().context("nothing runs")?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        *passed += 1;
    } else {
        *failed += 1;
        println!("FAILED seed {seed}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

fn determinism(seed: u64) -> Result<()> {
    let traces = [child(seed)?, child(seed)?].map(Child::wait_with_output);
    let [one, two] = traces;
    let (one, two) = (one?, two?);
    anyhow::ensure!(one.status.success(), "{}", String::from_utf8_lossy(&one.stderr));
    anyhow::ensure!(one.stdout == two.stdout, "seed {seed} is not deterministic");
    print!("{}", String::from_utf8_lossy(&one.stdout));
    Ok(())
}
