//! I and I2: many partitions, of which none is in use.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use highwater_test_cluster::{Cluster, Node};

use super::Run;
use crate::admin::{
    LEADERS_WITHIN, Topic, active_controller, leaders, request_topics, wait, wait_for_brokers, wait_for_leaders,
    wait_until_served,
};
use crate::findings::Findings;
use crate::meter::Meter;
use crate::raw::Connection;

/// Partitions of one topic (I).
const PARTITIONS_PER_TOPIC: i32 = 100;
/// Topics of one request (I): a controller creates 10,000 partitions at once, not more.
const TOPICS_AT_ONCE: usize = 100;
/// Partitions of one topic (I2).
const MANY_PARTITIONS_PER_TOPIC: i32 = 1_000;
/// How long a cluster calms down before it is watched.
const CALM: Duration = Duration::from_secs(10);

/// Partitions of three replicas on three nodes: creation, then CPU and memory at rest, then the failover of all that one node
/// leads, which is not the active controller.
pub fn at_rest(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let mut cluster = run.start(3)?;
    wait_for_brokers(&cluster)?;
    let names: Vec<String> =
        (0..run.scale.partitions / PARTITIONS_PER_TOPIC).map(|number| format!("topic-{number}")).collect();
    let topics: Vec<Topic<'_>> =
        names.iter().map(|name| Topic { name, partitions: PARTITIONS_PER_TOPIC, replicas: 3, configs: &[] }).collect();
    let started = Instant::now();
    let mut connection = Connection::open(cluster.nodes()[0].address())?;
    for topics in topics.chunks(TOPICS_AT_ONCE) {
        request_topics(&mut connection, topics)?;
    }
    wait_for_leaders(&cluster, &topics)?;
    findings.note("i.known_s", started.elapsed().as_secs_f64());
    wait_until_served(&cluster, &topics)?;
    findings.note("i.creation_s", started.elapsed().as_secs_f64());

    watch(run, &cluster, "i", findings);

    let controller = active_controller(&cluster, run.system)?;
    let victim = cluster.nodes().iter().map(Node::id).find(|&id| id != controller).context("one node alone")?;
    let bootstrap = cluster.nodes()[controller - 1].address().to_owned();
    cluster.node(victim).kill();
    let started = Instant::now();
    for name in &names {
        wait(LEADERS_WITHIN, "other leaders", || {
            leaders(&bootstrap, name).is_ok_and(|leaders| leaders.iter().all(|&id| id >= 0 && id != victim as i32))
        })?;
    }
    findings.note("i.elected_s", started.elapsed().as_secs_f64());
    wait_until_served(&cluster, &topics)?;
    findings.note("i.failover_s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Partitions of one replica on one node, topic by topic, under the kernel's default limits: how many there are in the end.
pub fn many(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let cluster = run.start(1)?;
    wait_for_brokers(&cluster)?;
    let (private_before, files_before) = (cluster.figures().private_bytes as f64, open_files(&cluster));
    let started = Instant::now();
    let mut connection = Connection::open(cluster.nodes()[0].address())?;
    for number in 0..run.scale.many_partitions / MANY_PARTITIONS_PER_TOPIC {
        let name = format!("topic-{number}");
        let topic = [Topic { name: &name, partitions: MANY_PARTITIONS_PER_TOPIC, replicas: 1, configs: &[] }];
        request_topics(&mut connection, &topic)?;
        wait_for_leaders(&cluster, &topic)?;
        wait_until_served(&cluster, &topic)?;
        findings.note("i2.complete_partitions", f64::from((number + 1) * MANY_PARTITIONS_PER_TOPIC));
        findings.note("i2.creation_s", started.elapsed().as_secs_f64());
    }
    watch(run, &cluster, "i2", findings);
    let private = cluster.figures().private_bytes as f64 - private_before;
    findings.note("i2.private_bytes_each", private / f64::from(run.scale.many_partitions));
    findings.note("i2.more_open_files", open_files(&cluster) as f64 - files_before as f64);
    Ok(())
}

/// Files and sockets that the nodes have open.
fn open_files(cluster: &Cluster) -> usize {
    let directories = cluster.nodes().iter().filter_map(Node::pid).map(|pid| format!("/proc/{pid}/fd"));
    directories.filter_map(|directory| std::fs::read_dir(directory).ok()).map(Iterator::count).sum()
}

/// CPU and memory at rest.
fn watch(run: &Run<'_>, cluster: &Cluster, prefix: &str, findings: &mut Findings) {
    std::thread::sleep(CALM);
    let meter = Meter::start(cluster);
    std::thread::sleep(Duration::from_secs(run.scale.idle_seconds));
    let used = meter.used();
    findings.note(format!("{prefix}.idle_cores"), used.cpu_seconds / run.scale.idle_seconds as f64);
    findings.note(format!("{prefix}.private_mb"), used.private_mb);
    findings.note(format!("{prefix}.peak_mb"), used.peak_resident_mb);
    findings.note_company(prefix, &used);
}
