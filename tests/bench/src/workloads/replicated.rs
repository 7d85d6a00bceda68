//! E and E2: three replicas, acks=all, an idempotent producer: as fast as it goes, and at a rate that leaves room.

use anyhow::Result;
use highwater_test_cluster::Cluster;

use super::{IDEMPOTENT, LARGE_BATCHES, RECORD_BYTES, Run, as_fast_as_it_goes, records_in};
use crate::admin::create_topic;
use crate::findings::Findings;
use crate::meter::Meter;
use crate::payload::Payloads;
use crate::producer::{Plan, Sent, produce};
use crate::schedule::Schedule;
use crate::stillness::{Watch, settle};

const PARTITIONS: i32 = 16;

pub fn full_speed(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let (cluster, payloads) = (run.start(3)?, Payloads::new(RECORD_BYTES));
    create_topic(&cluster, "topic", PARTITIONS, 3)?;
    send(&cluster, &payloads, run.scale.warm_up_gigabytes)?;
    let meter = Meter::start(&cluster);
    let sent = send(&cluster, &payloads, run.scale.gigabytes)?;
    findings.note_transfer("e", &meter.used(), sent.bytes, sent.seconds);
    Ok(())
}

pub fn at_a_rate(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let (cluster, payloads) = (run.start(3)?, Payloads::new(RECORD_BYTES));
    create_topic(&cluster, "topic", PARTITIONS, 3)?;
    send(&cluster, &payloads, run.scale.warm_up_gigabytes + run.scale.gigabytes)?;
    findings.note("e2.settled_after_s", settle().as_secs_f64());

    let (steady, schedule) = ([IDEMPOTENT, &[("linger.ms", "1")]].concat(), Schedule::new(run.scale.rate));
    let records = schedule.records_in(run.scale.seconds);
    let plan = as_fast_as_it_goes("topic", PARTITIONS, records, &payloads, &steady);
    let (meter, watch) = (Meter::start(&cluster), Watch::start());
    let sent = produce(&cluster.bootstrap(), &Plan { schedule: Some(schedule), ..plan })?;
    findings.note_transfer("e2", &meter.used(), sent.bytes, sent.seconds);
    findings.note_stood_still("e2", watch.stood_still());
    findings.note("e2.longest_gap_ms", sent.longest_gap.as_secs_f64() * 1e3);
    findings.note_latencies("e2", &sent.latencies.sorted());
    Ok(())
}

/// So much as fast as it goes.
fn send(cluster: &Cluster, payloads: &Payloads, gigabytes: f64) -> Result<Sent> {
    let properties = [LARGE_BATCHES, IDEMPOTENT].concat();
    let records = records_in(gigabytes, RECORD_BYTES);
    produce(&cluster.bootstrap(), &as_fast_as_it_goes("topic", PARTITIONS, records, payloads, &properties))
}
