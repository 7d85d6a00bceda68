//! What `make fuzz` found worth keeping, and some random inputs, in each run of the tests.
//!
//! `seeds/<target>` has one input a line, in hexadecimal digits: those that reached something new, and those that once failed.

use std::path::Path;

use highwater_env::Fs;
use highwater_fuzz::{TARGETS, Target};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

/// Random inputs for each target.
const RANDOM_INPUTS: u64 = 300;
const MAX_RANDOM_BYTES: usize = 120;

#[test]
fn inputs_of_earlier_runs_break_no_promise() {
    for target in TARGETS {
        let seeds = seeds(target);
        assert!(!seeds.is_empty(), "{} has seeds", target.name);
        for input in &seeds {
            feed(target, input);
        }
        println!("{}: {} seeds", target.name, seeds.len());
    }
}

#[test]
fn random_inputs_break_no_promise() {
    for target in TARGETS {
        let mut rng = SmallRng::seed_from_u64(1);
        for _ in 0..RANDOM_INPUTS {
            let mut input = vec![0; rng.random_range(0..MAX_RANDOM_BYTES)];
            rng.fill_bytes(&mut input);
            feed(target, &input);
        }
    }
}

fn feed(target: Target, input: &[u8]) {
    let outcome = std::panic::catch_unwind(|| (target.run)(input));
    if let Err(panic) = outcome {
        eprintln!("{} failed on {}", target.name, hex(input));
        std::panic::resume_unwind(panic);
    }
}

fn seeds(target: Target) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target.name);
    let text = Fs::Real.read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8(text).expect("text").lines().map(unhex).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(line: &str) -> Vec<u8> {
    let digits: Vec<u32> = line.chars().map(|digit| digit.to_digit(16).expect("a hexadecimal digit")).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}
