//! The whole-node checks can fail: nodes that acknowledge what is not flushed lose it when all nodes lose power.

use std::process::Command;

/// Most seeds a mutant may survive.
const SEEDS: std::ops::Range<u64> = 1..30;

fn first_seed_that_fails(mutant: &[&str]) -> Option<(u64, String)> {
    SEEDS.into_iter().find_map(|seed| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_highwater-sim"));
        let output = command.args(["replay", &seed.to_string()]).args(mutant).output().unwrap();
        (!output.status.success()).then(|| (seed, String::from_utf8_lossy(&output.stderr).into_owned()))
    })
}

/// The nodes' figures betray a mutant at once; here only the history that clients saw is checked.
fn first_lost_record(mutant: &[&str]) -> Option<(u64, String)> {
    let history = [mutant, &["--history-only"]].concat();
    SEEDS.into_iter().find_map(|seed| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_highwater-sim"));
        let output = command.args(["replay", &seed.to_string()]).args(&history).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        ["lost:", "unseen:", "inconsistent:", "duplicate:"]
            .iter()
            .any(|found| text.contains(found))
            .then_some((seed, text))
    })
}

#[test]
fn a_disk_that_lies_about_flushes_is_caught() {
    let (seed, found) = first_seed_that_fails(&["--lying-disk"]).expect("the mutant survived");
    println!("caught at seed {seed}: {found}");
    let (seed, found) = first_lost_record(&["--lying-disk"]).expect("no record was lost");
    println!("lost at seed {seed}: {found}");
}

#[test]
fn relaxed_durability_loses_records_with_the_power_of_all_nodes() {
    let (seed, found) = first_seed_that_fails(&["--durability", "relaxed"]).expect("the mutant survived");
    println!("caught at seed {seed}: {found}");
    let (seed, found) = first_lost_record(&["--durability", "relaxed"]).expect("no record was lost");
    println!("lost at seed {seed}: {found}");
}
