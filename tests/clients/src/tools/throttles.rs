//! Reassignments at a limited rate (KIP-73): kafka-reassign-partitions with `--throttle`, and ours, whose limit ends by itself.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use highwater_test_cluster::Cluster;
use serde_json::json;

use super::driver::{REASSIGN, ToolsOn};
use crate::{Context, Test, check, cli};

const CONFIGS: &str = "kafka.admin.ConfigCommand";
const TOPIC: &str = "throttled";
const RECORDS: u64 = 50_000;
/// Bytes per second: with some 50 MB to move, a move is seen while it goes on.
const RATE: &str = "3000000";
const FASTER: &str = "15000000";
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
        lines.extend(described.lines().filter(|line| line.contains("throttled.r")).map(str::to_owned));
    }
    Ok(lines)
}

/// Bytes that may pass beyond the rate: what is saved up for a burst, and a frame.
const SLACK_BYTES: f64 = 2_000_000.0;

/// A cluster with the topic, and Kafka's tool on it.
struct Moves<'a> {
    cluster: Cluster,
    context: &'a Context,
    tools: ToolsOn,
}

impl Moves<'_> {
    /// Runs kafka-reassign-partitions for the partition with these replicas.
    fn reassign(&mut self, replicas: &[i32], options: &[&str]) -> Result<String> {
        let plan = json!({ "version": 1, "partitions": [{ "topic": TOPIC, "partition": 0, "replicas": replicas }] });
        let file = self.context.scratch.join("throttled.json");
        std::fs::write(&file, plan.to_string())?;
        let file = file.display().to_string();
        self.tools.run(REASSIGN, &[&["--reassignment-json-file", &file], options].concat())
    }

    fn until_held_back(&mut self, broker: usize) -> Result<()> {
        until("the new replica is throttled", || Ok(held_back(&mut self.cluster, broker)?.0 == 1.0))
    }

    /// What node 3 takes in for throttled replicas within a second is what the rate allows; how much less depends on the machine.
    fn rate_is(&mut self, rate: &str) -> Result<()> {
        let (began, (_, before)) = (Instant::now(), held_back(&mut self.cluster, 3)?);
        std::thread::sleep(Duration::from_secs(1));
        let ((_, after), seconds) = (held_back(&mut self.cluster, 3)?, began.elapsed().as_secs_f64());
        println!("    {:.0} bytes a second at {rate}", (after - before) / seconds);
        let allowed = rate.parse::<f64>()? * seconds + SLACK_BYTES;
        check(after - before <= allowed, || format!("{} bytes in {seconds} s at {rate}", after - before))
    }

    fn nothing_is_left(&mut self) -> Result<()> {
        let left = configured(&mut self.tools)?;
        check(left.is_empty(), || format!("left behind: {left:?}"))
    }

    /// Begun, seen, made faster, and ended by `--verify`.
    fn carried_out(&mut self) -> Result<()> {
        let began = Instant::now();
        let started = self.reassign(&[1, 3], &["--execute", "--throttle", RATE])?;
        check(started.contains(&format!("The inter-broker throttle limit was set to {RATE} B/s")), || started.clone())?;
        self.until_held_back(3)?;
        let keys = configured(&mut self.tools)?;
        check(keys.iter().any(|line| line.contains("leader.replication.throttled.replicas")), || format!("{keys:?}"))?;
        self.rate_is(RATE)?;
        let verified = self.reassign(&[1, 3], &["--verify"])?;
        check(verified.contains("still in progress"), || format!("too fast for {RATE} bytes a second: {verified}"))?;
        let raised = self.reassign(&[1, 3], &["--execute", "--additional", "--throttle", FASTER])?;
        check(raised.contains(&format!("The inter-broker throttle limit was set to {FASTER} B/s")), || raised.clone())?;
        self.rate_is(FASTER)?;
        until("the move ends", || {
            let verified = self.reassign(&[1, 3], &["--verify"])?;
            Ok(!verified.contains("still in progress") && verified.contains("Clearing topic-level throttles"))
        })?;
        let (replicas, bytes) = held_back(&mut self.cluster, 3)?;
        println!("    {bytes} throttled bytes, in {:.1} s", began.elapsed().as_secs_f64());
        check(replicas == 0.0 && bytes > 40e6, || format!("{replicas} replicas, {bytes} bytes"))?;
        self.nothing_is_left()
    }

    /// Begun, and taken back by `--cancel`.
    fn cancelled(&mut self) -> Result<()> {
        self.reassign(&[1, 2], &["--execute", "--throttle", RATE])?;
        self.until_held_back(2)?;
        let cancelled = self.reassign(&[1, 2], &["--cancel"])?;
        check(cancelled.contains("Successfully cancelled partition reassignment"), || cancelled.clone())?;
        self.nothing_is_left()
    }
}

fn reassign_at_a_rate(context: &Context) -> Result<()> {
    let cluster = Cluster::start(&context.binary, 3, &[])?;
    let bootstrap = cluster.bootstrap();
    let cli = cli::Cli { binary: &context.binary, bootstrap: &bootstrap };
    let mut moves = Moves { cluster, context, tools: ToolsOn::start(&bootstrap)? };
    cli.ok(&format!("topic create {TOPIC} --replica-assignment 1:2"))?;
    cli.ok(&format!("bench produce {TOPIC} --records {RECORDS} --record-bytes 1000"))?;
    moves.carried_out()?;
    moves.cancelled()?;

    // Ours, cancelled half-way.
    cli.ok(&format!("partition reassign {TOPIC}-0=1,2 --throttle 3MB --no-wait"))?;
    moves.until_held_back(2)?;
    check(configured(&mut moves.tools)?.len() == 1, || "no limit".to_owned())?;
    // What is in sync goes on.
    cli.ok(&format!("bench produce {TOPIC} --records 100 --record-bytes 10"))?;
    cli.ok(&format!("partition cancel {TOPIC}-0"))?;
    moves.nothing_is_left()?;
    // And carried out.
    cli.ok(&format!("partition reassign {TOPIC}-0=1,2 --throttle 20MB"))?;
    moves.nothing_is_left()?;
    let read = cli.json(&format!("bench consume {TOPIC}"))?;
    check(read["records"] == RECORDS + 100, || read.to_string())
}
