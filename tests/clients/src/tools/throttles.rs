//! Reassignments at a limited rate (KIP-73): kafka-reassign-partitions with `--throttle`, and ours, whose limit ends by itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use highwater_test_cluster::Cluster;
use serde_json::json;

use super::driver::{REASSIGN, ToolsOn};
use crate::{Context, Test, check, cli};

const CONFIGS: &str = "kafka.admin.ConfigCommand";
const TOPIC: &str = "throttled";
const RECORDS: u64 = 20_000;
/// Bytes per second: with some 20 MB to move, a move is seen while it goes on.
const RATE: &str = "3000000";
/// Longest that a move takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn test() -> Test {
    Test {
        name: "kafka-tools-throttle",
        proves: "kafka-reassign-partitions --throttle limits what a move takes and --verify removes the limit; ours ends by itself",
        run: reassign_at_a_rate,
    }
}

fn until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    while !holds()? {
        if began.elapsed() > PATIENCE {
            bail!("waited in vain: {what}");
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// Replicas that a broker takes in at a limited rate, and the bytes of all such so far.
fn held_back(cluster: &mut Cluster, broker: usize) -> Result<(f64, f64)> {
    let node = cluster.node(broker);
    let replicas = node.metric("highwater_replication_throttled_replicas")?.context("no gauge")?;
    let bytes = node.metric("kafka_server_followerreplication_byte_total")?.context("no counter")?;
    Ok((replicas, bytes))
}

/// What is configured of throttles, as Kafka's tool tells.
fn configured(tools: &mut ToolsOn) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for of in [&["--entity-type", "brokers"][..], &["--entity-type", "topics", "--entity-name", TOPIC]] {
        let described = tools.run(CONFIGS, &[&["--describe"], of].concat())?;
        lines.extend(described.lines().filter(|line| line.contains("throttled")).map(str::to_owned));
    }
    Ok(lines)
}

fn reassign_at_a_rate(context: &Context) -> Result<()> {
    let mut cluster = Cluster::start(&context.binary, 3, &[])?;
    let bootstrap = cluster.bootstrap();
    let cli = cli::Cli { binary: &context.binary, bootstrap: &bootstrap };
    let mut tools = ToolsOn::start(&bootstrap)?;
    cli.ok(&format!("topic create {TOPIC} --replica-assignment 1:2"))?;
    cli.ok(&format!("bench produce {TOPIC} --records {RECORDS} --record-bytes 1000"))?;

    let plan = json!({ "version": 1, "partitions": [{ "topic": TOPIC, "partition": 0, "replicas": [1, 3] }] });
    let file = context.scratch.join("throttled.json");
    std::fs::write(&file, plan.to_string())?;
    let file = file.display().to_string();
    let of_file = ["--reassignment-json-file", file.as_str()];
    let began = Instant::now();
    let started = tools.run(REASSIGN, &[&of_file[..], &["--execute", "--throttle", RATE]].concat())?;
    check(started.contains(&format!("The inter-broker throttle limit was set to {RATE} B/s")), || started.clone())?;
    until("the new replica is throttled", || Ok(held_back(&mut cluster, 3)?.0 == 1.0))?;
    let keys = configured(&mut tools)?;
    check(keys.iter().any(|line| line.contains("leader.replication.throttled.replicas")), || format!("{keys:?}"))?;
    // What is in sync goes on.
    cli.ok(&format!("bench produce {TOPIC} --records 100 --record-bytes 10"))?;
    let verified = tools.run(REASSIGN, &[&of_file[..], &["--verify"]].concat())?;
    check(verified.contains("still in progress"), || format!("too fast for {RATE} bytes a second: {verified}"))?;
    until("the move ends", || {
        let verified = tools.run(REASSIGN, &[&of_file[..], &["--verify"]].concat())?;
        Ok(!verified.contains("still in progress") && verified.contains("Clearing topic-level throttles"))
    })?;
    let (replicas, bytes) = held_back(&mut cluster, 3)?;
    println!("    {bytes} throttled bytes, in {:.1} s", began.elapsed().as_secs_f64());
    check(replicas == 0.0 && bytes > 10e6, || format!("{replicas} replicas, {bytes} bytes"))?;
    let left = configured(&mut tools)?;
    check(left.is_empty(), || format!("left behind: {left:?}"))?;

    // Ours, cancelled half-way.
    cli.ok(&format!("partition reassign {TOPIC}-0=1,2 --throttle 3MB --no-wait"))?;
    until("the new replica is throttled", || Ok(held_back(&mut cluster, 2)?.0 == 1.0))?;
    check(configured(&mut tools)?.len() == 1, || "no limit".to_owned())?;
    cli.ok(&format!("partition cancel {TOPIC}-0"))?;
    check(configured(&mut tools)?.is_empty(), || "the limit outlives its reassignment".to_owned())?;
    // And carried out.
    cli.ok(&format!("partition reassign {TOPIC}-0=1,2 --throttle 20MB"))?;
    check(configured(&mut tools)?.is_empty(), || "the limit outlives its reassignment".to_owned())?;
    let read = cli.json(&format!("bench consume {TOPIC}"))?;
    check(read["records"] == RECORDS + 100, || read.to_string())
}
