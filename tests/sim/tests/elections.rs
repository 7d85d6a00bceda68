//! Four voters of which the active one dies have another soon, in virtual time: before an election time-out, which is a second at least.

use std::process::Command;

/// Flushes take up to 50 and 60 ms in these seeds, so votes are easily split.
const SEEDS: [&str; 2] = ["8", "16"];

#[test]
fn three_voters_that_are_left_agree_soon() {
    for seed in SEEDS {
        let mut command = Command::new(env!("CARGO_BIN_EXE_highwater-sim"));
        let output = command.args(["elections", "--seeds", "1", "--kills", "20", "--first", seed]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("seed {seed}\n{text}");
        let slow: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split_whitespace().last()).collect();
        assert_eq!(slow, ["0", "0"], "{text}");
    }
}
