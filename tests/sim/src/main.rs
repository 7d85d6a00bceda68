//! `make sim`: sweeps seeds, each in a process of its own, or replays one.

mod children;
mod election_times;
mod mutants;

use std::ops::{ControlFlow, Range};
use std::process::{ExitCode, Output};
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};
use highwater_partition::Mutation;
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
        #[command(flatten)]
        plan: PlanArguments,
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
        #[command(flatten)]
        plan: PlanArguments,
    },
    /// Runs each deliberate defect until a seed catches it; prints how many seeds that took, and their median.
    Mutants {
        /// Most seeds for one defect.
        #[arg(long, default_value_t = 100)]
        seeds: u64,
        /// Processes at a time.
        #[arg(long, default_value_t = 2)]
        workers: usize,
    },
    /// Kills active controllers of four voters; prints how long there was none.
    Elections {
        #[arg(long, default_value_t = 10)]
        seeds: u64,
        #[arg(long, default_value_t = 1)]
        first: u64,
        /// How many in each seed.
        #[arg(long, default_value_t = 40)]
        kills: usize,
        /// Processes at a time.
        #[arg(long, default_value_t = 2)]
        workers: usize,
        /// Print the nodes' logs of the first seed, filtered as RUST_LOG says.
        #[arg(long)]
        log: bool,
    },
    /// Runs a seed in a fresh process and in a forked one, and compares the traces.
    Determinism {
        seed: u64,
        #[command(flatten)]
        plan: PlanArguments,
    },
}

/// What a seed stands for.
#[derive(Args, Clone, Copy, Default)]
pub struct PlanArguments {
    /// The only fault is that all nodes lose power together.
    #[arg(long)]
    power_loss: bool,
    /// Disks are full, fail or are slow.
    #[arg(long, conflicts_with = "power_loss")]
    disks: bool,
    #[arg(long, value_enum, default_value_t)]
    pub durability: Durability,
    /// The disk says that it flushed and did not.
    #[arg(long)]
    pub lying_disk: bool,
    /// Every partition core has this defect.
    #[arg(long, value_parser = mutants::parse)]
    pub mutant: Option<Mutation>,
    /// Check only what clients saw.
    #[arg(long)]
    history_only: bool,
}

impl PlanArguments {
    fn plan(self, seed: u64) -> Plan {
        let plan = match self {
            Self { power_loss: true, .. } => Plan::power_losses(seed),
            Self { disks: true, .. } => Plan::disks(seed),
            _ => Plan::new(seed),
        };
        let Self { durability, lying_disk, history_only, mutant: mutation, .. } = self;
        Plan { durability, lying_disk, history_only, mutation, ..plan }
    }

    /// The same arguments, as words of a command line.
    pub fn words(self) -> Vec<String> {
        let flags = [
            (self.power_loss, "--power-loss"),
            (self.disks, "--disks"),
            (self.lying_disk, "--lying-disk"),
            (self.history_only, "--history-only"),
            (self.durability == Durability::Relaxed, "--durability=relaxed"),
        ];
        let flags = flags.into_iter().filter(|(given, _)| *given).map(|(_, word)| word.to_owned());
        flags.chain(self.mutant.map(|mutant| format!("--mutant={mutant:?}"))).collect()
    }
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Task::Replay { seed, plan, log } => replay(seed, plan, log),
        Task::Sweep { seeds, first, workers, plan } => sweep(first..first + seeds, workers, plan),
        Task::Mutants { seeds, workers } => mutants::run(seeds, workers),
        Task::Elections { first, kills, log: true, .. } => election_times::log(first, kills),
        Task::Elections { seeds, first, kills, workers, .. } => {
            election_times::run(first..first + seeds, kills, workers)
        }
        Task::Determinism { seed, plan } => determinism(seed, plan),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print_logs() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).without_time().with_writer(std::io::stderr).init();
}

fn replay(seed: u64, arguments: PlanArguments, log: bool) -> Result<()> {
    if log {
        print_logs();
    }
    let plan = arguments.plan(seed);
    let command = format!("make sim SEED={seed} ARGS='{}'", arguments.words().join(" "));
    let outcome = run(&plan).with_context(|| format!("replay with: {command}; faults: {:?}", plan.faults))?;
    println!(
        "seed {seed}: {} sent, {} acknowledged, {} read, {} faults, {} virtual ms, trace {:016x}",
        outcome.sent, outcome.acknowledged, outcome.read, outcome.faults, outcome.virtual_ms, outcome.digest
    );
    Ok(())
}

/// What the seeds of a sweep did together.
#[derive(Default)]
struct Totals {
    passed: u64,
    failed: u64,
    acknowledged: u64,
    read: u64,
    faults: u64,
    virtual_ms: u64,
}

fn sweep(seeds: Range<u64>, workers: usize, arguments: PlanArguments) -> Result<()> {
    let started = Instant::now();
    let mut totals = Totals::default();
    children::replay_all(seeds.clone(), workers, arguments, |seed, output| {
        totals.add(seed, output);
        ControlFlow::Continue(())
    })?;
    let rate = (seeds.end - seeds.start) as f64 * 60.0 / started.elapsed().as_secs_f64();
    println!("seeds {}..{}: {rate:.0} seeds a minute", seeds.start, seeds.end);
    let hours = totals.virtual_ms as f64 / 3_600_000.0;
    println!(
        "{} faults in {hours:.1} simulated hours; {} records acknowledged, {} read",
        totals.faults, totals.acknowledged, totals.read
    );
    println!("{} passed, {} failed", totals.passed, totals.failed);
    anyhow::ensure!(totals.failed == 0, "{} seed(s) failed", totals.failed);
    Ok(())
}

impl Totals {
    /// Adds what a seed printed: see [`replay`].
    fn add(&mut self, seed: u64, output: &Output) {
        if !output.status.success() {
            self.failed += 1;
            println!("FAILED seed {seed}\n{}", String::from_utf8_lossy(&output.stderr));
            return;
        }
        self.passed += 1;
        let text = String::from_utf8_lossy(&output.stdout);
        let figures: Vec<u64> = text.split([' ', ':']).filter_map(|word| word.parse().ok()).collect();
        if let [_, _, acknowledged, read, faults, virtual_ms, ..] = figures[..] {
            self.acknowledged += acknowledged;
            self.read += read;
            self.faults += faults;
            self.virtual_ms += virtual_ms;
        }
    }
}

/// A seed in a fresh process, and in one that was forked: what the sweep sees is what a replay sees.
fn determinism(seed: u64, plan: PlanArguments) -> Result<()> {
    let fresh = children::replay(seed, plan)?;
    anyhow::ensure!(fresh.status.success(), "{}", String::from_utf8_lossy(&fresh.stderr));
    let mut is_same = false;
    children::replay_all(seed..seed + 1, 1, plan, |_, forked| {
        is_same = forked.stdout == fresh.stdout;
        ControlFlow::Continue(())
    })?;
    anyhow::ensure!(is_same, "seed {seed} is not deterministic");
    print!("{}", String::from_utf8_lossy(&fresh.stdout));
    Ok(())
}
