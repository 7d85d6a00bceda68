//! What a scrape costs with many partitions: size, time, CPU and memory of the node, with and without their series.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use highwater_test_cluster::{Cluster, ProcessFigures, figures};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;

use crate::until;

/// Partitions of the node.
const PARTITIONS: usize = 10_000;
/// Partitions of each topic.
const PER_TOPIC: i32 = 1000;
/// Scrapes that are averaged.
const SCRAPES: u32 = 20;

/// Prints a table.
pub fn measure(binary: &Path) -> Result<()> {
    println!("{PARTITIONS} partitions on one node, idle; mean of {SCRAPES} scrapes");
    println!(
        "{:<28} {:>10} {:>10} {:>9} {:>12} {:>14}",
        "partition series", "bytes", "lines", "ms", "CPU ms", "peak RSS + MiB"
    );
    for series in ["true", "false"] {
        let mut cluster = Cluster::start(binary, 1, &[("highwater.metrics.partition.series", series)])?;
        create_topics(&cluster.bootstrap())?;
        let node = cluster.node(1);
        until("all replicas are open", Duration::from_secs(300), || {
            let open = node.metric("kafka_server_replicamanager_leadercount")?.unwrap_or_default();
            Ok((open >= PARTITIONS as f64).then_some(()))
        })?;
        std::thread::sleep(Duration::from_secs(5));
        let pid = node.pid().context("the node runs")?;
        let look = || figures(pid).context("the node runs");
        let idle_cpu = cpu_of(&look, || std::thread::sleep(Duration::from_secs(5)))? / 5.0;
        let before = look()?;
        let started = Instant::now();
        let mut text = String::new();
        for _ in 0..SCRAPES {
            text = node.get("/metrics")?.1;
        }
        let elapsed = started.elapsed();
        let after = look()?;
        let cpu = after.cpu_seconds - before.cpu_seconds - idle_cpu * elapsed.as_secs_f64();
        println!(
            "{series:<28} {:>10} {:>10} {:>9.1} {:>12.1} {:>14.1}",
            text.len(),
            text.lines().count(),
            elapsed.as_secs_f64() * 1000.0 / f64::from(SCRAPES),
            cpu * 1000.0 / f64::from(SCRAPES),
            after.peak_resident_bytes.saturating_sub(before.peak_resident_bytes) as f64 / f64::from(1 << 20),
        );
        println!(
            "  the node: {:.1} MiB resident, {:.2} % CPU when idle",
            after.resident_bytes as f64 / f64::from(1 << 20),
            idle_cpu * 100.0
        );
    }
    Ok(())
}

fn cpu_of(look: &impl Fn() -> Result<ProcessFigures>, work: impl FnOnce()) -> Result<f64> {
    let before = look()?.cpu_seconds;
    work();
    Ok(look()?.cpu_seconds - before)
}

fn create_topics(bootstrap: &str) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(120)));
    for number in 0..PARTITIONS / PER_TOPIC as usize {
        let name = format!("some.application.topic-{number}");
        let topic = NewTopic::new(&name, PER_TOPIC, TopicReplication::Fixed(1));
        block_on(admin.create_topics(&[topic], &options))?;
    }
    Ok(())
}

/// Runs one future on a runtime of its own.
fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}
