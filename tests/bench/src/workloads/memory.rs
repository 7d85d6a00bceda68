//! N: resident memory of a node at rest, and its peak under a replicated load.

use std::time::Duration;

use anyhow::Result;

use super::{IDEMPOTENT, LARGE_BATCHES, RECORD_BYTES, Run, as_fast_as_it_goes, records_in};
use crate::admin::{create_topic, wait_for_brokers};
use crate::consumer::consume;
use crate::findings::Findings;
use crate::meter::Meter;
use crate::payload::Payloads;
use crate::producer::produce;

const PARTITIONS: i32 = 16;

pub fn run(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let cluster = run.start(3)?;
    wait_for_brokers(&cluster)?;
    std::thread::sleep(Duration::from_secs(run.scale.idle_seconds));
    let nodes = cluster.nodes().len() as f64;
    let idle = cluster.figures();
    findings.note("n.idle_mb", idle.resident_bytes as f64 / 1e6 / nodes);
    findings.note("n.idle_private_mb", idle.private_bytes as f64 / 1e6 / nodes);

    create_topic(&cluster, "topic", PARTITIONS, 3)?;
    let (bootstrap, payloads) = (cluster.bootstrap(), Payloads::new(RECORD_BYTES));
    let properties = [LARGE_BATCHES, IDEMPOTENT].concat();
    let records = records_in(run.scale.warm_up_gigabytes + run.scale.gigabytes, RECORD_BYTES);
    produce(&bootstrap, &as_fast_as_it_goes("topic", PARTITIONS, records, &payloads, &properties))?;
    consume(&bootstrap, "topic", PARTITIONS, records)?;
    let used = Meter::start(&cluster).used();
    findings.note("n.loaded_mb", used.peak_resident_mb);
    findings.note("n.loaded_private_mb", used.private_mb);
    Ok(())
}
