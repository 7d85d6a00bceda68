//! `make faults`: real processes, real faults, stock clients under load, and a check of the history: nothing acknowledged was lost,
//! nothing was doubled, every partition kept its order.
//!
//! In: the broker's binary and, optionally, names of faults. Out: a line per fault with its figures, and a count.

mod cells;
mod command_line;
mod disks;
mod five_nodes;
mod java;
mod live_reader;
mod load;
mod moves;
mod network;
mod network_cells;
mod outcomes;
mod reading;
mod starved;
mod topic;
mod upgrade;
mod volumes;
mod voters;

use std::process::ExitCode;

use anyhow::Result;
use highwater_test_cluster::{Cluster, Software, binary_argument, kafka_class_path};

use crate::network::Network;
use crate::outcomes::Outcomes;
use crate::volumes::Volume;

/// The cells of the short matrix: one of each family. `--long` runs all.
const SHORT: &[&str] = &[
    "kill -9 leader",
    "kill -9 leader and active controller",
    "kill -9 all at once",
    "stop and continue leader",
    "rolling restart",
    "emptied disk is refused",
    voters::NAME,
    "corrupted segment of one node",
    "reassignments cancelled at any point",
    "broker drained",
    "leader not heard by one follower",
    "leader cut from all",
    "leader cut from nodes, not from clients",
    "slow cable of a leader",
    "all disks full, healed by DeleteRecords",
    "one of two log directories fails",
    "power loss of all nodes",
];

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<usize> {
    let (binary, words) = binary_argument()?;
    let (options, only): (Vec<String>, Vec<String>) = words.into_iter().partition(|word| word == "--long");
    let is_short = options.is_empty() && only.is_empty();
    let wanted = |name: &str| {
        if is_short { SHORT.contains(&name) } else { only.is_empty() || only.iter().any(|word| name.contains(word)) }
    };
    // From the network below nothing can be fetched.
    kafka_class_path()?;
    let network = volumes::may_mount().then(Network::enter).transpose()?;
    let software = Software::Highwater(binary.clone());
    let partitions = topic::PARTITIONS.to_string();
    // Leaderships go back soon, so that every node leads something when the next fault comes.
    let settings = [("num.partitions", partitions.as_str()), ("leader.imbalance.check.interval.seconds", "1")];
    let mut outcomes = Outcomes::new();
    for (nodes, cells) in [(3, cells::CELLS), (5, five_nodes::CELLS)] {
        for (name, fault) in cells.iter().filter(|(name, _)| wanted(name)) {
            let mut cluster = Cluster::start_software(&software, nodes, &settings)?;
            outcomes.run(name, &mut cluster, *fault);
        }
    }
    if wanted(voters::NAME) {
        let mut cluster = Cluster::start_software(&software, 3, &settings)?;
        outcomes.run(voters::NAME, &mut cluster, |cluster| voters::change(cluster, &binary, &settings));
    }
    for (name, moves) in moves::CELLS.iter().filter(|(name, _)| wanted(name)) {
        let mut cluster = Cluster::start_software(&software, moves::NODES, &settings)?;
        outcomes.run(name, &mut cluster, |cluster| moves(cluster, &binary));
    }
    if wanted("rolling upgrade") {
        match upgrade::earlier() {
            Some(earlier) => {
                let mut cluster = Cluster::start(&earlier, 3, &settings)?;
                outcomes.run("rolling upgrade", &mut cluster, |cluster| upgrade::roll(cluster, &binary));
            }
            None => println!(
                "{:<40} skipped: {} names no binary of an earlier version",
                "rolling upgrade",
                upgrade::EARLIER
            ),
        }
    }
    for (name, fault) in network_cells::CELLS.iter().filter(|(name, _)| wanted(name)) {
        let Some(network) = &network else {
            println!("{name:<40} skipped: it makes network namespaces, which takes root");
            continue;
        };
        let mut cluster = Cluster::start_on(&software, network.machines(3)?, &settings, |_| Ok(()))?;
        outcomes.run(name, &mut cluster, *fault);
        drop(cluster);
        network.clear()?;
    }
    for cell in disks::CELLS.iter().filter(|cell| wanted(cell.name)) {
        if network.is_none() {
            println!("{:<40} skipped: it mounts small volumes, which takes root", cell.name);
            continue;
        }
        let settings = [&settings, cell.settings].concat();
        let mut small = Vec::new();
        let mut cluster = Cluster::start_prepared(&software, 3, &settings, |home| {
            let volume = Volume::new(cell.volume_bytes)?;
            std::os::unix::fs::symlink(volume.path(), home.join("small"))?;
            small.push(volume);
            Ok(())
        })?;
        outcomes.run(cell.name, &mut cluster, |cluster| (cell.fault)(cluster, &small));
    }
    Ok(outcomes.finish())
}
