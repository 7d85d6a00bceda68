//! L: each batch flushed before it is acknowledged. Kafka does so with `flush.messages=1`; Highwater with acks=all, which on
//! Kafka with one replica means acks=1.

use anyhow::Result;

use super::{RECORD_BYTES, Run, SMALL_BATCHES, as_fast_as_it_goes};
use crate::admin::{Topic, create_topics};
use crate::findings::Findings;
use crate::meter::Meter;
use crate::payload::Payloads;
use crate::producer::{Plan, produce};
use crate::schedule::Schedule;

const PARTITIONS: [i32; 3] = [1, 16, 128];
/// Records sent to each topic, a second of the scale: about what Kafka takes a third of that time for.
const RECORDS_PER_SECOND: u64 = 10_000;
/// Rate at which latencies are compared, and the partitions of that topic.
const STEADY: (u64, i32) = (10_000, 16);

pub fn run(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let (cluster, payloads) = (run.start(1)?, Payloads::new(RECORD_BYTES));
    let names = PARTITIONS.map(|partitions| format!("flush-{partitions}"));
    let topics: Vec<Topic<'_>> = (PARTITIONS.iter().zip(&names))
        .map(|(&partitions, name)| Topic { name, partitions, replicas: 1, configs: &[("flush.messages", "1")] })
        .collect();
    create_topics(&cluster, &topics)?;
    let bootstrap = cluster.bootstrap();
    let properties = [SMALL_BATCHES, &[("acks", "all")]].concat();
    let records = RECORDS_PER_SECOND * run.scale.seconds;
    for topic in &topics {
        let plan = as_fast_as_it_goes(topic.name, topic.partitions, records, &payloads, &properties);
        produce(&bootstrap, &Plan { records: records / 3, ..plan.clone() })?;
        let meter = Meter::start(&cluster);
        let sent = produce(&bootstrap, &plan)?;
        let prefix = format!("l.{}", topic.partitions);
        findings.note_transfer(&prefix, &meter.used(), sent.bytes, sent.seconds);
        findings.note(format!("{prefix}.records_per_s"), sent.records / sent.seconds);
    }
    let ((rate, partitions), steady) = (STEADY, [("acks", "all"), ("linger.ms", "1")]);
    let (name, schedule) = (format!("flush-{partitions}"), Schedule::new(rate));
    let plan = as_fast_as_it_goes(&name, partitions, schedule.records_in(run.scale.seconds / 2), &payloads, &steady);
    let sent = produce(&bootstrap, &Plan { schedule: Some(schedule), ..plan })?;
    findings.note_latencies("l.steady", &sent.latencies.sorted());
    Ok(())
}
