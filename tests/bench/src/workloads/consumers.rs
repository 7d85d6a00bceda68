//! G: five consumers at the tail; one that catches up from the page cache; one that reads from disk while a producer runs.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, anyhow};
use highwater_test_cluster::Cluster;

use super::{IDEMPOTENT, LARGE_BATCHES, RECORD_BYTES, Run, as_fast_as_it_goes, records_in};
use crate::admin::create_topic;
use crate::consumer::{Read, consume, follow};
use crate::findings::Findings;
use crate::meter::Meter;
use crate::payload::Payloads;
use crate::producer::{Plan, Sent, produce};
use crate::schedule::Schedule;
use crate::stillness::settle;

const CONSUMERS: usize = 5;
const PARTITIONS: i32 = 6;
/// Partitions of the replicated topic, as in E.
const REPLICATED_PARTITIONS: i32 = 16;

pub fn run(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let (cluster, payloads) = (run.start(3)?, Payloads::new(RECORD_BYTES));
    for topic in ["warm", "cold"] {
        create_topic(&cluster, topic, PARTITIONS, 1)?;
    }
    create_topic(&cluster, "replicated", REPLICATED_PARTITIONS, 3)?;
    let bootstrap = cluster.bootstrap();
    let properties = [LARGE_BATCHES, &[("acks", "1")]].concat();
    let fill = |topic, gigabytes| {
        let records = records_in(gigabytes, RECORD_BYTES);
        produce(&bootstrap, &as_fast_as_it_goes(topic, PARTITIONS, records, &payloads, &properties))?;
        anyhow::Ok(records)
    };
    let cold = fill("cold", run.scale.cold_gigabytes)?;
    let warm = fill("warm", run.scale.catch_up_gigabytes)?;
    consume(&bootstrap, "warm", PARTITIONS, warm / 2)?;

    let meter = Meter::start(&cluster);
    let read = consume(&bootstrap, "warm", PARTITIONS, warm)?;
    findings.note_transfer("g.catch_up", &meter.used(), read.bytes, read.seconds);

    let steady = [("acks", "1"), ("linger.ms", "1")];
    let schedule = Schedule::new(run.scale.rate);
    let plan = as_fast_as_it_goes("warm", PARTITIONS, schedule.records_in(run.scale.seconds), &payloads, &steady);
    let meter = Meter::start(&cluster);
    let (sent, read) = at_the_tail(&bootstrap, &Plan { schedule: Some(schedule), ..plan })?;
    findings.note_transfer("g.tail", &meter.used(), read.bytes, sent.seconds);

    replicated_beside_a_cold_reader(run, &cluster, &payloads, cold, findings)
}

/// Produces while consumers read what comes. Gives what all of them read together.
fn at_the_tail(bootstrap: &str, plan: &Plan<'_>) -> Result<(Sent, Read)> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let start = || scope.spawn(|| follow(bootstrap, plan.topic, PARTITIONS, &stop));
        let consumers: Vec<_> = (0..CONSUMERS).map(|_| start()).collect();
        let sent = produce(bootstrap, plan);
        stop.store(true, Ordering::Relaxed);
        let mut all = Read::default();
        for consumer in consumers {
            all.bytes += consumer.join().map_err(|_| anyhow!("a consumer panicked"))??.bytes;
        }
        Ok((sent?, all))
    })
}

/// The producer of E at a rate: alone, then beside a consumer of records that are not in the page cache.
fn replicated_beside_a_cold_reader(
    run: &Run<'_>,
    cluster: &Cluster,
    payloads: &Payloads,
    cold: u64,
    findings: &mut Findings,
) -> Result<()> {
    let bootstrap = cluster.bootstrap();
    let (steady, schedule) = ([IDEMPOTENT, &[("linger.ms", "1")]].concat(), Schedule::new(run.scale.rate));
    let records = schedule.records_in(run.scale.seconds);
    let plan = as_fast_as_it_goes("replicated", REPLICATED_PARTITIONS, records, payloads, &steady);
    let plan = Plan { schedule: Some(schedule), ..plan };
    let fast = [LARGE_BATCHES, IDEMPOTENT].concat();
    let warm_up = records_in(run.scale.warm_up_gigabytes, RECORD_BYTES);
    produce(&bootstrap, &as_fast_as_it_goes("replicated", REPLICATED_PARTITIONS, warm_up, payloads, &fast))?;
    settle();
    let alone = produce(&bootstrap, &plan)?.latencies.sorted();
    for node in cluster.nodes() {
        forget_pages(&cluster.data_directory(node.id()))?;
    }
    let meter = Meter::start(cluster);
    let (sent, read) = std::thread::scope(|scope| {
        let reader = scope.spawn(|| consume(&bootstrap, "cold", PARTITIONS, cold));
        let sent = produce(&bootstrap, &plan);
        let read = reader.join().map_err(|_| anyhow!("the consumer panicked"))?;
        anyhow::Ok((sent?, read?))
    })?;
    findings.note_transfer("g.cold", &meter.used(), read.bytes, read.seconds);
    let beside = sent.latencies.sorted();
    findings.note("g.cold.p99_inflation", beside.percentile_ms(0.99) / alone.percentile_ms(0.99));
    findings.note_latencies("g.cold.alone", &alone);
    findings.note_latencies("g.cold.beside", &beside);
    Ok(())
}

/// Makes the kernel write all files of a directory to disk and drop them from the page cache.
fn forget_pages(directory: &Path) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            forget_pages(&path)?;
            continue;
        }
        // The broker may delete a file at any time.
        let Ok(file) = File::open(&path) else { continue };
        file.sync_all()?;
        // SAFETY: the descriptor is open; the call has no memory effects.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    }
    Ok(())
}
