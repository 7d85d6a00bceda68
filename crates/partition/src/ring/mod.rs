//! The first ring of tests: the cores of three replicas, now and then of others, model logs, a model controller and a lossy network under a seeded
//! schedule, with the invariants checked after each step; and the proof that each check bites ([`crate::Mutation`]).
//!
//! A failure prints the seed; `HIGHWATER_RING_SEED=<n> cargo test -p highwater-partition ring` replays it with a trace.

mod checks;
mod cluster;
mod controller;
mod faults;
mod log;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Mutation, scenarios};
use cluster::Cluster;

/// Seeds of a normal run: enough to catch every mutant many times over, and done in seconds.
const SEEDS: u64 = 5_000;
/// No mutant may need more seeds than this.
const MUTANT_SEEDS: u64 = 2_000;
/// Steps with faults per seed.
const STEPS: usize = 600;

fn run(seed: u64, mutation: Option<Mutation>, trace: bool) {
    let mut cluster = Cluster::new(seed, mutation, trace);
    for _ in 0..STEPS {
        cluster.random_step();
        if cluster.controller.unclean {
            return;
        }
    }
    cluster.heal_and_check();
}

fn first_failure(seeds: std::ops::Range<u64>, mutation: Option<Mutation>) -> Option<(u64, String)> {
    seeds.into_iter().find_map(|seed| {
        let result = catch_unwind(AssertUnwindSafe(|| run(seed, mutation, false)));
        result.err().map(|panic| {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
            (seed, message.unwrap_or_default())
        })
    })
}

#[test]
fn ring_holds_the_invariants() {
    if let Ok(seed) = std::env::var("HIGHWATER_RING_SEED") {
        let mutation = std::env::var("HIGHWATER_RING_MUTANT").ok();
        let mutation =
            mutation.and_then(|name| Mutation::ALL.iter().copied().find(|mutation| format!("{mutation:?}") == name));
        run(seed.parse().expect("a number"), mutation, true);
        return;
    }
    if let Some((seed, message)) = first_failure(0..SEEDS, None) {
        panic!(
            "{message}\nreplay: HIGHWATER_RING_SEED={seed} cargo test -p highwater-partition ring_holds -- --nocapture"
        );
    }
}

#[test]
fn every_mutant_is_caught() {
    let caught = |mutation| {
        if scenarios::catches(mutation) {
            return Some("by a script".to_owned());
        }
        first_failure(0..MUTANT_SEEDS, Some(mutation))
            .map(|(seed, message)| format!("by the ring, seed {seed}: {}", message.lines().next().unwrap_or_default()))
    };
    let results: Vec<_> = Mutation::ALL.iter().map(|&mutation| (mutation, caught(mutation))).collect();
    for (mutation, how) in &results {
        println!("{mutation:?}: {}", how.as_deref().unwrap_or("NOT CAUGHT"));
    }
    let survivors: Vec<_> = results.iter().filter(|(_, how)| how.is_none()).map(|(mutation, _)| mutation).collect();
    assert!(survivors.is_empty(), "not caught: {survivors:?}");
}
