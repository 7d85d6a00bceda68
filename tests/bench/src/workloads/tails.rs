//! T: E at its rate, alone and then beside one disturbance at a time: what a cluster does besides serving producers must not show
//! in their latencies. The reader from disk is part of G.

use std::time::Duration;

use anyhow::Result;
use highwater_test_cluster::Cluster;

use super::{IDEMPOTENT, LARGE_BATCHES, RECORD_BYTES, Run, SMALL_BATCHES, as_fast_as_it_goes, records_in};
use crate::admin::{Topic, create_topic, create_topics, request_topics, set_topic_configs, wait_for_full_isr};
use crate::findings::Findings;
use crate::meter::Meter;
use crate::payload::Payloads;
use crate::producer::{Plan, Sent, Spread, produce, produce_while};
use crate::raw::Connection;
use crate::scale::Scale;
use crate::schedule::Schedule;

/// As in E.
const PARTITIONS: i32 = 16;
/// Partitions of the topics that retention and compaction work on.
const WORKED_ON_PARTITIONS: i32 = 6;
/// So that hundreds of segments are deleted, or compacted, in one pass.
const SMALL_SEGMENTS: (&str, &str) = ("segment.bytes", "4194304");
/// Different keys of the compacted topic: most records are superseded.
const KEYS: u64 = 50_000;
/// Topics created during the load, and the partitions of each.
const TOPICS: i32 = 20;
const PARTITIONS_EACH: i32 = 50;
/// The load runs so long before its disturbance.
const BEFORE: Duration = Duration::from_secs(3);

/// Passes follow upon what gives them work, and metadata is snapshotted every few hundred records.
const PROMPT: &[(&str, &str)] = &[
    ("log.retention.check.interval.ms", "1000"),
    ("log.cleaner.backoff.ms", "1000"),
    ("metadata.log.max.record.bytes.between.snapshots", "65536"),
];

/// The load and what it runs on.
struct Stage<'a> {
    run: &'a Run<'a>,
    cluster: Cluster,
    payloads: Payloads,
}

pub fn run(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let mut stage = Stage { run, cluster: run.start_with(3, PROMPT)?, payloads: Payloads::new(RECORD_BYTES) };
    create_topic(&stage.cluster, "topic", PARTITIONS, 3)?;
    load(&stage.cluster.bootstrap(), &stage.payloads, run.scale, || Ok(()))?;
    stage.measure("t.alone", findings, |_| Ok(()))?;

    stage.fill("expiring", &[SMALL_SEGMENTS], Spread::InTurn(WORKED_ON_PARTITIONS))?;
    stage
        .measure("t.retention", findings, |cluster| set_topic_configs(cluster, "expiring", &[("retention.ms", "1")]))?;

    stage.fill("superseded", &[SMALL_SEGMENTS], Spread::Keyed(KEYS))?;
    let compacted = [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.01")];
    stage.measure("t.compaction", findings, |cluster| set_topic_configs(cluster, "superseded", &compacted))?;

    stage.measure("t.snapshots", findings, create_many)?;
    stage.catching_up(findings)
}

impl Stage<'_> {
    /// A topic with the gigabytes of a run in it.
    fn fill(&self, name: &str, configs: &[(&str, &str)], spread: Spread) -> Result<()> {
        let topic = Topic { name, partitions: WORKED_ON_PARTITIONS, replicas: 3, configs };
        create_topics(&self.cluster, &[topic])?;
        let properties =
            [if matches!(spread, Spread::Keyed(_)) { SMALL_BATCHES } else { LARGE_BATCHES }, IDEMPOTENT].concat();
        let records = records_in(self.run.scale.gigabytes / 2.0, RECORD_BYTES);
        let plan = as_fast_as_it_goes(name, WORKED_ON_PARTITIONS, records, &self.payloads, &properties);
        produce(&self.cluster.bootstrap(), &Plan { spread, ..plan }).map(|_| ())
    }

    fn measure(
        &self,
        prefix: &str,
        findings: &mut Findings,
        disturb: impl FnOnce(&Cluster) -> Result<()>,
    ) -> Result<()> {
        let meter = Meter::start(&self.cluster);
        let bootstrap = self.cluster.bootstrap();
        let sent = load(&bootstrap, &self.payloads, self.run.scale, || disturb(&self.cluster))?;
        findings.note_transfer(prefix, &meter.used(), sent.bytes, sent.seconds);
        findings.note_latencies(prefix, &sent.latencies.sorted());
        Ok(())
    }

    /// A node comes back that missed gigabytes.
    fn catching_up(&mut self, findings: &mut Findings) -> Result<()> {
        let missing = self.cluster.nodes().len();
        self.cluster.node(missing).kill();
        let bootstrap = self.cluster.nodes()[0].address().to_owned();
        let properties = [LARGE_BATCHES, IDEMPOTENT].concat();
        let records = records_in(self.run.scale.gigabytes, RECORD_BYTES);
        produce(&bootstrap, &as_fast_as_it_goes("topic", PARTITIONS, records, &self.payloads, &properties))?;
        let Self { run, cluster, payloads } = self;
        let sent = load(&bootstrap, payloads, run.scale, || cluster.node(missing).start())?;
        findings.note_latencies("t.catching_up", &sent.latencies.sorted());
        wait_for_full_isr(&self.cluster, "topic", PARTITIONS, 3)
    }
}

/// The load of E, with something that happens meanwhile.
fn load(bootstrap: &str, payloads: &Payloads, scale: &Scale, happen: impl FnOnce() -> Result<()>) -> Result<Sent> {
    let (steady, schedule) = ([IDEMPOTENT, &[("linger.ms", "1")]].concat(), Schedule::new(scale.rate));
    let plan = as_fast_as_it_goes("topic", PARTITIONS, schedule.records_in(scale.seconds), payloads, &steady);
    let plan = Plan { schedule: Some(schedule), ..plan };
    produce_while(bootstrap, &plan, BEFORE, happen)
}

fn create_many(cluster: &Cluster) -> Result<()> {
    let mut connection = Connection::open(cluster.nodes()[0].address())?;
    for number in 0..TOPICS {
        let name = format!("many-{number}");
        let topic = Topic { name: &name, partitions: PARTITIONS_EACH, replicas: 3, configs: &[] };
        request_topics(&mut connection, &[topic])?;
    }
    Ok(())
}
