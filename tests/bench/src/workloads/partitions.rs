//! I: many partitions, of which none is in use.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::Run;
use crate::admin::{Topic, request_topics, wait_for_brokers, wait_for_leaders};
use crate::findings::{Findings, Meter};
use crate::raw::Connection;

/// Partitions of one topic.
const PARTITIONS_PER_TOPIC: i32 = 100;
/// How long a cluster calms down before it is watched.
const CALM: Duration = Duration::from_secs(10);

/// Partitions of three replicas on three nodes: creation, then CPU and memory at rest.
pub fn at_rest(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let cluster = run.start(3)?;
    wait_for_brokers(&cluster)?;
    let names: Vec<String> =
        (0..run.scale.partitions / PARTITIONS_PER_TOPIC).map(|number| format!("topic-{number}")).collect();
    let topics: Vec<Topic<'_>> =
        names.iter().map(|name| Topic { name, partitions: PARTITIONS_PER_TOPIC, replicas: 3, configs: &[] }).collect();
    let started = Instant::now();
    request_topics(&mut Connection::open(cluster.nodes()[0].address())?, &topics)?;
    wait_for_leaders(&cluster, &topics)?;
    findings.note("i.creation_s", started.elapsed().as_secs_f64());

    std::thread::sleep(CALM);
    let meter = Meter::start(&cluster);
    std::thread::sleep(Duration::from_secs(run.scale.idle_seconds));
    let used = meter.used();
    findings.note("i.idle_cores", used.cpu_seconds / run.scale.idle_seconds as f64);
    findings.note("i.private_mb", used.private_mb);
    findings.note("i.peak_mb", used.peak_resident_mb);
    Ok(())
}
