//! M1 and M2: how long a node takes from the start of its process until it serves: one topic after a planned stop, many
//! partitions after a kill.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use highwater_protocol::encode_request;
use highwater_records::{BatchBuilder, Compression};
use highwater_types::Timestamp;

use super::{RECORD_BYTES, Run, SMALL_BATCHES, as_fast_as_it_goes, records_in};
use crate::admin::{create_topic, log_ends, serves_one, wait};
use crate::findings::Findings;
use crate::meter::Meter;
use crate::payload::Payloads;
use crate::producer::produce;
use crate::raw::{Connection, PRODUCE_VERSION, expect_appended, produce_request};
use crate::results::median;

/// Longest start.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// Longest restart with many partitions.
const RESTARTS_WITHIN: Duration = Duration::from_secs(600);
/// Partitions of one topic where there are many.
const PARTITIONS_PER_TOPIC: i32 = 500;
/// So that 500 partitions in turn fill their batches.
const FILL_LINGER_MS: &str = "500";
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(2);

/// A node with one topic, stopped and started again and again.
pub fn first_acknowledgement(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let mut cluster = run.start(1)?;
    create_topic(&cluster, "topic", 1, 1)?;
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Timestamp(1_700_000_000_000), None, Some(b"first"), &[]);
    let request = produce_request("topic", 0, -1, builder.build());
    let frame = encode_request(PRODUCE_VERSION, 1, Some("bench"), &request)?;
    let mut milliseconds = Vec::new();
    for _ in 0..run.scale.repetitions {
        let node = cluster.node(1);
        node.terminate()?;
        let started = Instant::now();
        node.start()?;
        while attempt(node.address(), &frame).is_err() {
            ensure!(started.elapsed() < STARTS_WITHIN, "no acknowledgement; the log ends:\n{}", node.log_tail());
            std::thread::sleep(PAUSE);
        }
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
    }
    findings.note("m1.longest_ms", milliseconds.iter().copied().fold(0.0, f64::max));
    findings.note("m1.start_ms", median(milliseconds).unwrap_or_default());
    Ok(())
}

/// A node with many partitions and gigabytes of records, killed and started again, until each partition answers.
pub fn after_kill(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let mut cluster = run.start(1)?;
    let names: Vec<String> =
        (0..run.scale.restart_partitions / PARTITIONS_PER_TOPIC).map(|number| format!("topic-{number}")).collect();
    let payloads = Payloads::new(RECORD_BYTES);
    let records = records_in(run.scale.restart_gigabytes / names.len() as f64, RECORD_BYTES);
    let properties = [SMALL_BATCHES, &[("acks", "1"), ("linger.ms", FILL_LINGER_MS)]].concat();
    for name in &names {
        create_topic(&cluster, name, PARTITIONS_PER_TOPIC, 1)?;
        let plan = as_fast_as_it_goes(name, PARTITIONS_PER_TOPIC, records, &payloads, &properties);
        produce(&cluster.bootstrap(), &plan)?;
    }
    cluster.node(1).kill();
    findings.note("m2.cold", f64::from(u8::from(empty_page_cache())));
    let started = Instant::now();
    cluster.node(1).start()?;
    let (meter, address) = (Meter::start(&cluster), cluster.nodes()[0].address());
    wait(RESTARTS_WITHIN, "a partition that answers", || {
        names.iter().any(|name| serves_one(address, name, 0..PARTITIONS_PER_TOPIC))
    })?;
    findings.note("m2.first_answer_ms", started.elapsed().as_secs_f64() * 1e3);
    for name in &names {
        wait(RESTARTS_WITHIN, "offsets of all partitions", || {
            log_ends(address, name, 0..PARTITIONS_PER_TOPIC).is_ok_and(|ends| ends as u64 == records)
        })?;
    }
    findings.note("m2.restart_ms", started.elapsed().as_secs_f64() * 1e3);
    let used = meter.used();
    findings.note("m2.cpu_s", used.cpu_seconds);
    findings.note("m2.peak_mb", used.peak_resident_mb);
    findings.note_company("m2", &used);
    Ok(())
}

/// Writes back what is pending and forgets all that files have in memory, so that recovery reads from the disk on either system.
/// Returns whether that was allowed: it takes root.
fn empty_page_cache() -> bool {
    // SAFETY: sync has no arguments and touches no memory of this process.
    unsafe { libc::sync() };
    std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok()
}

fn attempt(address: &str, frame: &[u8]) -> Result<()> {
    let mut connection = Connection::open(address)?;
    connection.answer_within(Duration::from_secs(5))?;
    expect_appended(connection.exchange(frame)?)
}
