//! Partitions, brokers, the cluster as a whole, and mistakes.

use anyhow::Result;
use highwater_test_cluster::Cluster;
use serde_json::{Value, json};

use super::invocation::{Cli, eventually};
use crate::{Context, check};

fn replicas(cli: &Cli<'_>, topic: &str) -> Result<Value> {
    let described = cli.json(&format!("topic describe {topic}"))?;
    let partitions = described[0]["partitions"].as_array().cloned().unwrap_or_default();
    Ok(partitions.iter().map(|one| one["replicas"].clone()).collect())
}

pub fn partitions(context: &Context) -> Result<()> {
    let cli = context.cli();
    cli.ok("topic create cli-p --replica-assignment 1:2,2:3")?;
    cli.ok_with("produce cli-p", b"a\nb\nc\n")?;
    let planned = cli.json("partition reassign cli-p-0=3,1 --dry-run")?;
    check(planned["state"] == "planned" && planned["moves"][0]["replicas_before"] == json!([1, 2]), || {
        planned.to_string()
    })?;
    check(replicas(&cli, "cli-p")? == json!([[1, 2], [2, 3]]), || "a dry run moved".to_owned())?;
    let moved = cli.json("partition reassign cli-p-0=3,1")?;
    check(moved["state"] == "completed", || moved.to_string())?;
    check(replicas(&cli, "cli-p")? == json!([[3, 1], [2, 3]]), || "not moved".to_owned())?;
    let file = context.scratch.join("moves.json");
    std::fs::write(&file, r#"{"version":1,"partitions":[{"topic":"cli-p","partition":1,"replicas":[1,3]}]}"#)?;
    cli.ok(&format!("partition reassign --from-file {}", file.display()))?;
    check(replicas(&cli, "cli-p")? == json!([[3, 1], [1, 3]]), || "the file was not obeyed".to_owned())?;
    check(cli.fails(1, "partition cancel cli-p-0")?.contains("NO_REASSIGNMENT"), || "cancelled nothing".to_owned())?;
    check(cli.json("partition reassignments")? == json!([]), || "reassignments left".to_owned())?;
    cli.ok("partition elect-leader cli-p-0 cli-p-1")?;
    eventually(|| {
        let listed = cli.json("partition list cli-p")?;
        check(listed[0]["leader"] == 3 && listed[1]["leader"] == 1, || listed.to_string())?;
        check(listed[0]["state"] == "healthy", || listed.to_string())
    })?;
    check(cli.json("partition list cli-p --leader 3")?.as_array().map(Vec::len) == Some(1), || "filter".to_owned())?;
    check(cli.json("partition list cli-p --offline --under-replicated")? == json!([]), || "unwell".to_owned())?;
    let refusal = cli.fails(1, "partition reassign cli-p-0=9")?;
    check(!refusal.contains("not as asked for"), || format!("a refusal is no surprise: {refusal}"))?;
    cli.fails(2, "partition reassign cli-p-7=1")?;
    let read = cli.ok("consume cli-p --from-beginning -e")?;
    check(read.lines().count() == 3, || format!("records after moves: {read}"))?;
    cli.ok("topic delete cli-p").map(drop)
}

pub fn cluster(context: &Context) -> Result<()> {
    let cli = context.cli();
    let described = cli.json("cluster describe")?;
    check(described["brokers"].as_array().map(Vec::len) == Some(3), || described.to_string())?;
    eventually(|| check(cli.json("cluster health")?["healthy"] == true, || "not healthy".to_owned()))?;
    let features = cli.json("cluster features")?;
    check(features["features"].to_string().contains("eligible.leader.replicas.version"), || features.to_string())?;
    let broker = cli.json("broker describe 2")?;
    check(broker["id"] == 2 && broker["log_dirs"][0]["error"].is_null(), || broker.to_string())?;
    check(cli.json("broker list")?.as_array().map(Vec::len) == Some(3), || "brokers".to_owned())?;
    check(cli.json("broker log-dirs 1")?[0]["usable_bytes"].as_i64() > Some(0), || "free bytes".to_owned())?;
    cli.ok("topic create cli-bench --partitions 4")?;
    let figures = cli.json("bench produce cli-bench --records 2000 --record-bytes 100 --rate 100000")?;
    check(figures["records"] == 2000, || figures.to_string())?;
    let figures = cli.json("bench consume cli-bench")?;
    check(figures["records"] == 2000, || figures.to_string())?;
    let drained = cli.json("broker drain 1 --leaders-only --dry-run")?;
    check(drained["state"] == "planned", || drained.to_string())?;
    let done = cli.run("doctor --json", b"")?;
    let report: Value = serde_json::from_slice(&done.stdout)?;
    let checks = report["findings"].to_string();
    check(
        ["\"partitions\"", "\"readiness\"", "\"clocks\"", "\"open-files\""].iter().all(|name| checks.contains(name)),
        || format!("checks are missing in {checks}"),
    )?;
    check(done.code == i32::from(report["errors"] != 0), || format!("exit code {}", done.code))?;
    cli.ok("topic delete cli-bench").map(drop)
}

pub fn decommission(context: &Context) -> Result<()> {
    let mut cluster = Cluster::start(&context.binary, 4, &[])?;
    let bootstrap = cluster.bootstrap();
    let cli = Cli { binary: &context.binary, bootstrap: &bootstrap };
    cli.ok("topic create cli-d --partitions 8 --replication-factor 3")?;
    cli.ok_with("produce cli-d", &b"record\n".repeat(1000))?;
    cli.ok("consume cli-d -g cli-dg --from-beginning -e")?;
    check(cli.fails(1, "broker unregister 4")?.contains("is up"), || "a running broker was forgotten".to_owned())?;
    let led = |cli: &Cli<'_>| -> Result<Value> { Ok(cli.json("broker describe 4")?["leaders"].clone()) };
    cli.ok("broker drain 4 --leaders-only")?;
    check(led(&cli)? == 0, || "it still leads".to_owned())?;
    let planned = cli.json("broker drain 4 --dry-run")?;
    check(planned["moves"].as_array().is_some_and(|moves| !moves.is_empty()), || planned.to_string())?;
    cli.ok("broker drain 4 --at-once 5")?;
    check(cli.json("broker describe 4")?["replicas"] == 0, || "it still holds replicas".to_owned())?;
    // As an empty broker it is a new one: it gets its share.
    cli.ok("partition rebalance --at-once 10")?;
    let held = cli.json("broker list")?;
    let held: Vec<i64> = held.as_array().into_iter().flatten().filter_map(|one| one["replicas"].as_i64()).collect();
    let (least, most) = (held.iter().min().copied().unwrap_or(0), held.iter().max().copied().unwrap_or(0));
    check(held.len() == 4 && most - least <= 1, || format!("replicas after rebalance: {held:?}"))?;
    cluster.node(4).terminate()?;
    let gone = cli.json("broker decommission 4 --stop-within 30")?;
    check(gone["unregistered"] == true, || gone.to_string())?;
    check(cli.json("broker list")?.as_array().map(Vec::len) == Some(3), || "still registered".to_owned())?;
    let read = cli.ok("consume cli-d --from-beginning -e")?;
    check(read.lines().count() == 1000, || format!("{} records of 1000 left", read.lines().count()))?;
    check(cli.json("cluster health")?["under_replicated_partitions"] == 0, || "unwell afterwards".to_owned())
}

pub fn errors(context: &Context) -> Result<()> {
    let cli = context.cli();
    cli.fails(2, "topic create")?;
    cli.fails(2, "no-such-command")?;
    cli.fails(2, "consume t --format %q")?;
    let refused = cli.fails(1, "topic describe cli-none")?;
    check(refused.contains("UNKNOWN_TOPIC_OR_PARTITION") && refused.contains("try:"), || refused.clone())?;
    let refused = cli.fails(1, "topic describe cli-none --json")?;
    let error: Value = serde_json::from_str(&refused)?;
    check(error["error"]["broker_error"] == "UNKNOWN_TOPIC_OR_PARTITION", || refused.clone())?;
    check(error["error"]["exit_code"] == 1 && error["error"]["hint"].is_string(), || refused.clone())?;
    let nobody = Cli { binary: &context.binary, bootstrap: "127.0.0.1:1" };
    check(nobody.fails(3, "cluster describe")?.contains("--bootstrap"), || "no hint".to_owned())?;
    cli.fails(3, "topic list --bootstrap 127.0.0.1:1")?;
    cli.ok(&format!("topic list --bootstrap-server {}", context.bootstrap))?;
    let config = context.scratch.join("bad.properties");
    std::fs::write(&config, "process.roles=broker,controller\nlisteners=SSL://:9092\nauthorizer.class.name=x\n")?;
    let found = cli.fails(1, &format!("doctor --quiet --config {}", config.display()))?;
    check(found.contains("error"), || found.clone())?;
    cli.ok("size --records-per-second 20k")?;
    cli.fails(1, "size --records-per-second 20k --nodes 3 --disk 1TB")?;
    check(cli.ok("completions bash")?.contains("reset-offsets"), || "completions".to_owned())
}
