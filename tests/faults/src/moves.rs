//! Replicas move while the load runs: reassignments cancelled at any point and carried out, and a broker emptied.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use highwater_test_cluster::Cluster;

use crate::command_line::highwater;
use crate::disks::until;
use crate::load;
use crate::topic::{PARTITIONS, TOPIC};

/// What happens to the cluster of [`NODES`] while the load runs, by means of the binary's own command line.
pub type Move = fn(&mut Cluster, &Path) -> Result<()>;

pub const CELLS: &[(&str, Move)] =
    &[("reassignments cancelled at any point", cancel_and_carry_out), ("broker drained", drain)];

/// One more than there are replicas.
pub const NODES: usize = 4;

/// Reassignments that are cancelled: one of two at a rate below that of the producer, so that it does not end by itself.
const CANCELLED: usize = 24;
/// Of those at that rate, so many may have ended all the same: a producer that the machine does not let run for a moment is caught up with.
const CAUGHT_UP: usize = 2;
const TOO_SLOW: &[&str] = &["--throttle", "2kB"];
/// What a metadata change takes to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

fn cancel_and_carry_out(cluster: &mut Cluster, binary: &Path) -> Result<()> {
    let (mut under_way, mut caught_up) = (0, 0);
    for round in 0..CANCELLED {
        let partition = round % PARTITIONS as usize;
        let before = load::replicas(&cluster.bootstrap())?[partition].clone();
        let target = with_the_other(&before)?;
        let rate = if round % 2 == 0 { TOO_SLOW } else { &[] };
        reassign(cluster, binary, &[(partition, &target)], &[rate, &["--no-wait"]].concat())?;
        // From at once to well after the end of one that is not held back.
        std::thread::sleep(Duration::from_millis((round as u64 * 61) % 400));
        let cancelled = highwater(binary, cluster, &["partition", "cancel", &format!("{TOPIC}-{partition}")])?;
        caught_up += usize::from(!rate.is_empty() && cancelled.is_err());
        ensure!(caught_up <= CAUGHT_UP, "{caught_up} at too low a rate have ended: {cancelled:?}");
        under_way += usize::from(cancelled.is_ok());
        let expected = sorted(if cancelled.is_ok() { before } else { target });
        until("the replicas are as before, or as wanted", SEEN_WITHIN, || {
            Ok(sorted(load::replicas(&cluster.bootstrap())?.swap_remove(partition)) == expected)
        })?;
        ensure!(rate_of_reassignments(cluster, binary)?.is_none(), "the rate outlives its reassignment");
    }
    let all = load::replicas(&cluster.bootstrap())?;
    let targets = all.iter().map(|replicas| with_the_other(replicas)).collect::<Result<Vec<_>>>()?;
    let moves: Vec<(usize, &[usize])> = targets.iter().map(Vec::as_slice).enumerate().collect();
    let started = Instant::now();
    reassign(cluster, binary, &moves, &[])?;
    until("all replicas are as wanted", SEEN_WITHIN, || Ok(load::replicas(&cluster.bootstrap())? == targets))?;
    println!(
        "  {under_way} of {CANCELLED} cancelled under way, the others had ended; then {PARTITIONS} carried out in {} ms",
        started.elapsed().as_millis()
    );
    Ok(())
}

fn drain(cluster: &mut Cluster, binary: &Path) -> Result<()> {
    let broker = load::leaders(&cluster.bootstrap())?.into_iter().flatten().next().context("no leader")?;
    let started = Instant::now();
    let drained = highwater(binary, cluster, &["broker", "drain", &broker.to_string()])?;
    let said = drained.map_err(|error| anyhow::anyhow!("not drained: {error}"))?;
    until("the broker has no replica", SEEN_WITHIN, || {
        Ok(!load::replicas(&cluster.bootstrap())?.iter().any(|replicas| replicas.contains(&broker)))
    })?;
    println!("  {} in {} ms", said.lines().last().unwrap_or_default().trim(), started.elapsed().as_millis());
    Ok(())
}

/// Of a reassignment that is cancelled, the replicas that stay keep the order that it gave them, as in Kafka.
fn sorted(mut replicas: Vec<usize>) -> Vec<usize> {
    replicas.sort_unstable();
    replicas
}

/// The broker without a replica takes the place of the first one, which mostly leads.
fn with_the_other(replicas: &[usize]) -> Result<Vec<usize>> {
    let other = (1..=NODES).find(|id| !replicas.contains(id)).context("every broker has a replica")?;
    Ok([&replicas[1..], &[other]].concat())
}

fn reassign(cluster: &Cluster, binary: &Path, moves: &[(usize, &[usize])], options: &[&str]) -> Result<()> {
    let ids = |replicas: &[usize]| replicas.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let moves: Vec<String> =
        moves.iter().map(|(partition, replicas)| format!("{TOPIC}-{partition}={}", ids(replicas))).collect();
    let moves: Vec<&str> = moves.iter().map(String::as_str).collect();
    let done = highwater(binary, cluster, &[&["partition", "reassign"], &moves[..], options].concat())?;
    done.map(|_| ()).map_err(|error| anyhow::anyhow!("not reassigned: {error}"))
}

/// What limits reassignments now.
fn rate_of_reassignments(cluster: &Cluster, binary: &Path) -> Result<Option<String>> {
    let listed = highwater(binary, cluster, &["config", "list"])?;
    let listed = listed.map_err(|error| anyhow::anyhow!("no list of settings: {error}"))?;
    Ok(listed.lines().find(|line| line.contains("highwater.reassignment.throttled.rate")).map(str::to_owned))
}
