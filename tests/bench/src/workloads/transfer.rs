//! A to D: one producer, one replica, acks=1, as fast as it goes.

use anyhow::Result;
use highwater_test_cluster::Cluster;

use super::{LARGE_BATCHES, RECORD_BYTES, Run, SMALL_BATCHES, as_fast_as_it_goes, records_in};
use crate::admin::create_topic;
use crate::consumer::consume;
use crate::findings::Findings;
use crate::meter::Meter;
use crate::payload::Payloads;
use crate::producer::{Plan, Spread, produce};

/// Keys of the keyed loads: many more than partitions.
const KEYS: u64 = 100_000;
/// Bytes of a record's value in C.
const SMALL_RECORD_BYTES: usize = 100;
/// C sends this share of the bytes of the others: ten times as many records still.
const SMALL_SHARE: f64 = 0.25;

/// Sends to a warm-up topic, then to the topic itself, and notes what that took. Gives the records sent.
fn transfer(cluster: &Cluster, findings: &mut Findings, prefix: &str, warm_up: u64, plan: &Plan<'_>) -> Result<()> {
    let bootstrap = cluster.bootstrap();
    produce(&bootstrap, &Plan { topic: "warm-up", records: warm_up, ..plan.clone() })?;
    let meter = Meter::start(cluster);
    let sent = produce(&bootstrap, plan)?;
    let used = meter.used();
    findings.note_transfer(prefix, &used, sent.bytes, sent.seconds);
    findings.note(format!("{prefix}.cpu_s_per_million"), used.cpu_seconds / (sent.records / 1e6));
    Ok(())
}

fn start(run: &Run<'_>, partitions: i32) -> Result<Cluster> {
    let cluster = run.start(3)?;
    create_topic(&cluster, "warm-up", partitions, 1)?;
    create_topic(&cluster, "topic", partitions, 1)?;
    Ok(cluster)
}

/// A: 1 KiB records, 256 KiB batches, 6 partitions; then read back.
pub fn large_batches(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let (cluster, payloads) = (start(run, 6)?, Payloads::new(RECORD_BYTES));
    let properties = [LARGE_BATCHES, &[("acks", "1")]].concat();
    let [warm_up, records] =
        [run.scale.warm_up_gigabytes, run.scale.gigabytes].map(|gigabytes| records_in(gigabytes, RECORD_BYTES));
    let plan = as_fast_as_it_goes("topic", 6, records, &payloads, &properties);
    transfer(&cluster, findings, "a.produce", warm_up, &plan)?;
    let bootstrap = cluster.bootstrap();
    consume(&bootstrap, "warm-up", 6, warm_up)?;
    let meter = Meter::start(&cluster);
    let read = consume(&bootstrap, "topic", 6, records)?;
    findings.note_transfer("a.read", &meter.used(), read.bytes, read.seconds);
    Ok(())
}

/// B: 1 KiB keyed records, 16 KiB batches, 64 partitions.
pub fn keyed(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let (cluster, payloads) = (start(run, 64)?, Payloads::new(RECORD_BYTES));
    let properties = [SMALL_BATCHES, &[("acks", "1")]].concat();
    let [warm_up, records] =
        [run.scale.warm_up_gigabytes, run.scale.gigabytes].map(|gigabytes| records_in(gigabytes, RECORD_BYTES));
    let plan = as_fast_as_it_goes("topic", 64, records, &payloads, &properties);
    transfer(&cluster, findings, "b", warm_up, &Plan { spread: Spread::Keyed(KEYS), ..plan })
}

/// C: 100 byte keyed records, 16 KiB batches, 16 partitions.
pub fn small_records(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let (cluster, payloads) = (start(run, 16)?, Payloads::new(SMALL_RECORD_BYTES));
    let properties = [SMALL_BATCHES, &[("acks", "1")]].concat();
    let [warm_up, records] = [run.scale.warm_up_gigabytes, run.scale.gigabytes]
        .map(|gigabytes| records_in(gigabytes * SMALL_SHARE, SMALL_RECORD_BYTES));
    let plan = as_fast_as_it_goes("topic", 16, records, &payloads, &properties);
    transfer(&cluster, findings, "c", warm_up, &Plan { spread: Spread::Keyed(KEYS), ..plan })
}

/// D: as A, compressed by the client.
pub fn compressed(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let (cluster, payloads) = (start(run, 6)?, Payloads::new(RECORD_BYTES));
    let [warm_up, records] =
        [run.scale.warm_up_gigabytes / 2.0, run.scale.gigabytes].map(|gigabytes| records_in(gigabytes, RECORD_BYTES));
    for codec in ["lz4", "zstd"] {
        let properties = [LARGE_BATCHES, &[("acks", "1"), ("compression.type", codec)]].concat();
        let plan = as_fast_as_it_goes("topic", 6, records, &payloads, &properties);
        transfer(&cluster, findings, &format!("d.{codec}"), warm_up, &plan)?;
    }
    Ok(())
}
