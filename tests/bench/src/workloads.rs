//! The workloads, each on a fresh cluster after a warm-up.

use std::path::Path;

use anyhow::Result;
use highwater_test_cluster::Cluster;

use crate::load::{self, Measured, Plan};

/// One line of the table.
pub struct Row<'a> {
    workload: &'a str,
    durability: &'a str,
    measured: Measured,
    cpu_seconds: f64,
    peak_bytes: u64,
}

impl Row<'_> {
    pub const HEADER: &'static str = "workload                               durability     MB/s  CPU s/GB  us/record   p50 ms   p99 ms p99.9 ms  peak MB/node";

    fn print(mut self, nodes: usize) {
        let gigabytes = self.measured.bytes / 1e9;
        let count = self.measured.latencies.count();
        let [p50, p99, p999] = self.measured.latencies.percentiles_ms([0.5, 0.99, 0.999]);
        let per_record =
            if count > 0 { format!("{:.1}", self.cpu_seconds * 1e6 / count as f64) } else { "-".to_owned() };
        println!(
            "{:<38} {:<10} {:8.1} {:9.2} {:>10} {:8.2} {:8.2} {:8.2} {:13.0}",
            self.workload,
            self.durability,
            self.measured.bytes / 1e6 / self.measured.seconds,
            self.cpu_seconds / gigabytes,
            per_record,
            p50,
            p99,
            p999,
            self.peak_bytes as f64 / 1e6 / nodes as f64,
        );
    }
}

const LARGE_BATCHES: &[(&str, &str)] = &[
    ("batch.size", "262144"),
    ("linger.ms", "10"),
    ("queue.buffering.max.messages", "200000"),
    ("message.max.bytes", "1000000"),
];

fn start(binary: &Path, durability: &str) -> Result<Cluster> {
    Cluster::start(binary, 3, &[("highwater.durability", durability)])
}

fn measure<'a>(
    cluster: &Cluster,
    workload: &'a str,
    durability: &'a str,
    run: impl FnOnce() -> Result<Measured>,
) -> Result<()> {
    let before = cluster.figures();
    let measured = run()?;
    let after = cluster.figures();
    let cpu_seconds = after.cpu_seconds - before.cpu_seconds;
    let row = Row { workload, durability, measured, cpu_seconds, peak_bytes: after.peak_resident_bytes };
    row.print(cluster.nodes().len());
    Ok(())
}

/// A: 1 KiB records, 256 KiB batches, 6 partitions, RF 1, acks=1; then read back.
pub fn a(binary: &Path, durability: &str) -> Result<()> {
    let cluster = start(binary, durability)?;
    let bootstrap = cluster.bootstrap();
    let mut properties = LARGE_BATCHES.to_vec();
    properties.push(("acks", "1"));
    let plan =
        Plan { topic: "a", records: 1_000_000, record_bytes: 1024, partitions: 6, rate: None, properties: &properties };
    load::create_topic(&bootstrap, "a-warm", 6, 1)?;
    load::produce(&bootstrap, &Plan { topic: "a-warm", records: 500_000, ..plan.clone() })?;
    load::create_topic(&bootstrap, "a", 6, 1)?;
    measure(&cluster, "A produce RF1 acks=1", durability, || load::produce(&bootstrap, &plan))?;
    measure(&cluster, "A read back", durability, || load::consume(&bootstrap, "a", 6, plan.records))
}

/// E: RF 3, acks=all, idempotent, 16 partitions: as fast as it goes, then at 20,000 records a second.
pub fn e(binary: &Path, durability: &str) -> Result<()> {
    let cluster = start(binary, durability)?;
    let bootstrap = cluster.bootstrap();
    let mut properties = LARGE_BATCHES.to_vec();
    properties.extend([("acks", "all"), ("enable.idempotence", "true")]);
    load::create_topic(&bootstrap, "e", 16, 3)?;
    let plan =
        Plan { topic: "e", records: 600_000, record_bytes: 1024, partitions: 16, rate: None, properties: &properties };
    load::produce(&bootstrap, &Plan { records: 200_000, ..plan.clone() })?;
    measure(&cluster, "E produce RF3 acks=all idempotent", durability, || load::produce(&bootstrap, &plan))?;
    let steady = [("acks", "all"), ("enable.idempotence", "true"), ("linger.ms", "1")];
    let plan = Plan { records: 400_000, rate: Some(20_000), properties: &steady, ..plan };
    measure(&cluster, "E at 20,000 records/s, linger 1 ms", durability, || load::produce(&bootstrap, &plan))
}

/// F: one 1 KiB record in flight, RF 3 acks=all and RF 1 acks=1.
pub fn f(binary: &Path, durability: &str) -> Result<()> {
    let cluster = start(binary, durability)?;
    let bootstrap = cluster.bootstrap();
    for (topic, replicas, acks) in [("f3", 3, "all"), ("f1", 1, "1")] {
        load::create_topic(&bootstrap, topic, 1, replicas)?;
        let properties = [("acks", acks)];
        let plan =
            Plan { topic, records: 10_000, record_bytes: 1024, partitions: 1, rate: None, properties: &properties };
        load::ping(&bootstrap, &Plan { records: 2_000, ..plan.clone() })?;
        let name = format!("F one in flight RF{replicas} acks={acks}");
        measure(&cluster, &name, durability, || load::ping(&bootstrap, &plan))?;
    }
    Ok(())
}
