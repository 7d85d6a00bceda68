//! Deliberate defects against whole nodes: how many seeds does it take until one of the checks fails?

use std::ops::ControlFlow;

use anyhow::{Context as _, Result, ensure};
use highwater_partition::Mutation;
use highwater_sim::Durability;

use crate::{PlanArguments, children};

/// The defect of that name.
///
/// # Errors
/// The names that there are.
pub fn parse(name: &str) -> Result<Mutation> {
    let found = Mutation::ALL.iter().copied().find(|mutation| format!("{mutation:?}") == name);
    found.with_context(|| format!("one of {:?}", Mutation::ALL))
}

/// Defects that only the ring of cores can show: ADR 70 says why.
const RING_ONLY: &[Mutation] = &[Mutation::NoEpochCheck, Mutation::NoBrokerEpochCheck];

/// Every other defect, with the arguments that make it.
fn all() -> Vec<(String, PlanArguments)> {
    let cores = Mutation::ALL.iter().filter(|mutation| !RING_ONLY.contains(mutation)).map(|&mutation| {
        (format!("{mutation:?}"), PlanArguments { mutant: Some(mutation), ..PlanArguments::default() })
    });
    let disks = [
        ("LyingDisk".to_owned(), PlanArguments { lying_disk: true, ..PlanArguments::default() }),
        ("Relaxed".to_owned(), PlanArguments { durability: Durability::Relaxed, ..PlanArguments::default() }),
    ];
    cores.chain(disks).collect()
}

/// Runs each defect until a seed fails, at most `seeds` of them; a line each, and the median.
///
/// # Errors
/// When one of them is not caught.
pub fn run(seeds: u64, workers: usize) -> Result<()> {
    let (mut took, mut survivors) = (Vec::new(), Vec::new());
    for (name, arguments) in all() {
        match first_failure(seeds, workers, arguments)? {
            Some((seed, found)) => {
                println!("{name:<24} caught by seed {seed:>3}  {found}");
                took.push(seed);
            }
            None => {
                println!("{name:<24} not caught by {seeds} seeds");
                survivors.push(name);
            }
        }
    }
    took.sort_unstable();
    let median = took.get(took.len() / 2).copied().unwrap_or_default();
    println!("{} caught, {} not; the median one by seed {median}", took.len(), survivors.len());
    ensure!(survivors.is_empty(), "not caught: {survivors:?}");
    Ok(())
}

/// The first seed that fails, and what it found.
fn first_failure(seeds: u64, workers: usize, arguments: PlanArguments) -> Result<Option<(u64, String)>> {
    let mut first: Option<(u64, String)> = None;
    children::replay_all(1..seeds + 1, workers, arguments, |seed, output| {
        if output.status.success() {
            return ControlFlow::Continue(());
        }
        // Seeds are begun in their order, so those before this one are on their way and may fail as well.
        if first.as_ref().is_none_or(|(known, _)| seed < *known) {
            first = Some((seed, what(&String::from_utf8_lossy(&output.stderr))));
        }
        ControlFlow::Break(())
    })?;
    Ok(first)
}

/// What a failed run says, without the plan in front of it.
fn what(error: &str) -> String {
    let line = error.lines().find(|line| line.starts_with("sim: ")).unwrap_or(error);
    line.rsplit("]: ").next().unwrap_or(line).chars().take(120).collect()
}
