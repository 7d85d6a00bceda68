//! E: three replicas, acks=all, an idempotent producer: as fast as it goes, then at a rate that leaves room.

use anyhow::Result;

use super::{IDEMPOTENT, LARGE_BATCHES, RECORD_BYTES, Run, as_fast_as_it_goes, records_in};
use crate::admin::create_topic;
use crate::findings::Findings;
use crate::meter::Meter;
use crate::payload::Payloads;
use crate::producer::{Plan, produce};
use crate::schedule::Schedule;

const PARTITIONS: i32 = 16;

pub fn run(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let (cluster, payloads) = (run.start(3)?, Payloads::new(RECORD_BYTES));
    create_topic(&cluster, "topic", PARTITIONS, 3)?;
    let bootstrap = cluster.bootstrap();
    let properties = [LARGE_BATCHES, IDEMPOTENT].concat();
    let plan = as_fast_as_it_goes(
        "topic",
        PARTITIONS,
        records_in(run.scale.warm_up_gigabytes, RECORD_BYTES),
        &payloads,
        &properties,
    );
    produce(&bootstrap, &plan)?;
    let meter = Meter::start(&cluster);
    let sent = produce(&bootstrap, &Plan { records: records_in(run.scale.gigabytes, RECORD_BYTES), ..plan.clone() })?;
    findings.note_transfer("e", &meter.used(), sent.bytes, sent.seconds);

    let (steady, schedule) = ([IDEMPOTENT, &[("linger.ms", "1")]].concat(), Schedule::new(run.scale.rate));
    let plan = Plan { schedule: Some(schedule), properties: &steady, ..plan };
    let meter = Meter::start(&cluster);
    let sent = produce(&bootstrap, &Plan { records: schedule.records_in(run.scale.seconds), ..plan })?;
    findings.note_transfer("e.steady", &meter.used(), sent.bytes, sent.seconds);
    findings.note("e.steady.longest_gap_ms", sent.longest_gap.as_secs_f64() * 1e3);
    findings.note_latencies("e.steady", &sent.latencies.sorted());
    Ok(())
}
