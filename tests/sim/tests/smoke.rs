//! A few seeds in `make test`: they pass, and a seed run twice in fresh processes leaves the same trace.

use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_highwater-sim")).args(arguments).output().unwrap()
}

#[test]
fn a_few_seeds_pass() {
    let output = simulate(&["sweep", "--first", "1", "--seeds", "6"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn a_seed_run_twice_leaves_the_same_trace() {
    for seed in ["101", "102"] {
        let output = simulate(&["determinism", seed]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
