//! Which workloads run on which systems.

use anyhow::{Result, bail};

use crate::options::{Options, words};
use crate::system::System;
use crate::workloads::{self, Workload};

/// The workloads that the options name, in the order of the table; all if they name none.
pub fn workloads(options: &Options) -> Result<Vec<&'static Workload>> {
    let words = words(&options.only);
    if let Some(unknown) = words.iter().find(|word| workloads::find(word).is_none()) {
        let names: Vec<&str> = workloads::WORKLOADS.iter().map(|workload| workload.id).collect();
        bail!("no workload {unknown}; there are {}", names.join(", "));
    }
    let wanted = |workload: &&Workload| words.is_empty() || words.iter().any(|word| workload.is(word));
    Ok(workloads::WORKLOADS.iter().filter(wanted).collect())
}

/// Which of the systems that a workload compares the options name, as far as they are there.
pub fn systems(options: &Options, workload: &Workload) -> Result<Vec<System>> {
    let words = words(&options.systems);
    if let Some(unknown) = words.iter().find(|word| System::parse(word).is_none()) {
        bail!("no system {unknown}; there are strict, relaxed and kafka");
    }
    let named = |system: &System| words.is_empty() || words.iter().any(|word| System::parse(word) == Some(*system));
    let present = |system: &System| *system != System::Kafka || options.kafka_libs.is_some();
    Ok(workload.systems.iter().copied().filter(named).filter(present).collect())
}

/// Which system runs when: all of them once, then all of them in the opposite order, and so on, so that none always comes
/// after the same other.
pub fn order(systems: &[System], runs: usize) -> Vec<(usize, System)> {
    let forwards = |run: usize| run.is_multiple_of(2);
    (0..runs)
        .flat_map(|run| {
            let mut systems = systems.to_vec();
            if !forwards(run) {
                systems.reverse();
            }
            systems.into_iter().map(move |system| (run, system))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn options(words: &[&str]) -> Options {
        Options::parse_from([&["bench", "--binary", "highwater"], words].concat())
    }

    #[test]
    fn workloads_are_chosen_by_their_ids() {
        let ids =
            |words: &[&str]| workloads(&options(words)).unwrap().iter().map(|chosen| chosen.id).collect::<Vec<_>>();
        assert_eq!(ids(&["--only", "m1, a"]), ["A", "M1"]);
        assert_eq!(ids(&[]).len(), workloads::WORKLOADS.len());
        assert!(workloads(&options(&["--only", "z"])).is_err());
    }

    #[test]
    fn kafka_is_left_out_without_its_jars() {
        let workload = workloads::find("a").unwrap();
        assert_eq!(systems(&options(&[]), workload).unwrap(), [System::Strict, System::Relaxed]);
        let with_jars = options(&["--kafka-libs", "libs", "--systems", "strict kafka"]);
        assert_eq!(systems(&with_jars, workload).unwrap(), [System::Strict, System::Kafka]);
    }

    #[test]
    fn every_second_run_goes_the_other_way() {
        use System::{Kafka, Strict};
        let order = order(&[Strict, Kafka], 3);
        assert_eq!(order, [(0, Strict), (0, Kafka), (1, Kafka), (1, Strict), (2, Strict), (2, Kafka)]);
    }
}
