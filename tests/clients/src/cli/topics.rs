//! Topics and settings.

use anyhow::Result;
use serde_json::{Value, json};

use super::invocation::{Cli, eventually};
use crate::{Context, check};

pub fn topics(context: &Context) -> Result<()> {
    let cli = context.cli();
    let created = cli.json("topic create cli-t --partitions 2 --replication-factor 3 --config retention.ms=3600000")?;
    check(created == json!({"name": "cli-t", "partitions": 2, "replication_factor": 3, "created": true}), || {
        created.to_string()
    })?;
    let again = cli.json("topic create cli-t --if-not-exists")?;
    check(again["created"] == false && again["partitions"] == 2, || again.to_string())?;
    check(cli.fails(1, "topic create cli-t")?.contains("TOPIC_ALREADY_EXISTS"), || "created twice".to_owned())?;
    cli.ok("topic create cli-dry --validate-only")?;
    cli.ok("topic create cli-pinned --replica-assignment 3:1,2:3")?;
    let listed = cli.json("topic list --contains cli-")?;
    let names: Vec<&str> = listed.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
    check(names.contains(&"cli-t") && !names.contains(&"cli-dry"), || format!("{names:?}"))?;
    let described = cli.json("topic describe cli-pinned cli-t")?;
    check(described[0]["partitions"][0]["replicas"] == json!([3, 1]), || described.to_string())?;
    check(described[1]["settings"]["retention.ms"] == "3600000", || described.to_string())?;
    cli.ok("topic add-partitions cli-t --total 5 --validate-only")?;
    check(cli.json("topic describe cli-t")?[0]["partitions"].as_array().map(Vec::len) == Some(2), || {
        "changed".to_owned()
    })?;
    let enlarged = cli.json("topic add-partitions cli-t --total 5")?;
    check(enlarged["partitions_before"] == 2 && enlarged["partitions"] == 5, || enlarged.to_string())?;
    eventually(|| {
        let described = cli.json("topic describe cli-t")?;
        check(described[0]["partitions"].as_array().map(Vec::len) == Some(5), || described.to_string())
    })?;
    let table = cli.ok("topic describe cli-t")?;
    check(table.contains("PARTITION  LEADER  EPOCH  REPLICAS  ISR"), || table.clone())?;
    check(!table.contains('\u{1b}'), || "colours although nobody looks".to_owned())?;
    let deleted = cli.json("topic delete cli-t cli-pinned")?;
    check(deleted["deleted"].as_array().map(Vec::len) == Some(2), || deleted.to_string())?;
    eventually(|| cli.fails(1, "topic describe cli-t").map(drop))?;
    cli.ok("topic delete cli-t --if-exists")?;
    check(cli.fails(1, "topic delete cli-t")?.contains("highwater topic list"), || "no hint".to_owned())
}

/// Waits until the entry of `key` among the settings of `of` has these fields.
fn wait_for(cli: &Cli<'_>, of: &str, key: &str, expected: &[(&str, Value)]) -> Result<()> {
    eventually(|| {
        let entry = cli.json(&format!("config get {of} {key}"))?["settings"][0].clone();
        let equal = expected.iter().all(|(field, value)| entry[field] == *value);
        check(equal, || format!("{key} of {of} is {entry}, not {expected:?}"))
    })
}

pub fn explain(context: &Context) -> Result<()> {
    let cli = context.cli();
    cli.ok("topic create cli-explain --partitions 1 --replication-factor 3")?;
    // The broker that is asked may learn of the topic a moment later.
    eventually(|| cli.ok("explain partition cli-explain-0").map(drop))?;
    let told = cli.ok("explain partition cli-explain-0")?;
    for part in ["leads since", "the ISR is", "the partition was created with it", "nothing is missing"] {
        check(told.contains(part), || format!("no {part:?} in {told}"))?;
    }
    let page = cli.json("explain partition cli-explain-0")?;
    let last = page["entries"].as_array().and_then(|entries| entries.last()).cloned().unwrap_or_default();
    check(page["whole"] == true && page["state"]["replicas"].as_array().is_some_and(|all| all.len() == 3), || {
        page.to_string()
    })?;
    check(last["event"]["at"].is_i64() && last["offset"].is_i64(), || page.to_string())?;
    let unknown = cli.run("explain partition cli-explain-9", b"")?;
    check(unknown.code == 1 && unknown.stderr.contains("UNKNOWN_TOPIC_OR_PARTITION"), || format!("{unknown:?}"))?;
    cli.ok("topic delete cli-explain").map(drop)
}

pub fn config(context: &Context) -> Result<()> {
    let cli = context.cli();
    let topic = "--topic cli-config";
    cli.ok("topic create cli-config --partitions 1")?;
    wait_for(&cli, topic, "retention.ms", &[("value", json!("604800000")), ("source", json!("DEFAULT_CONFIG"))])?;
    cli.ok("config set --topic cli-config retention.ms=1000 cleanup.policy=compact")?;
    let own = [("value", json!("1000")), ("source", json!("DYNAMIC_TOPIC_CONFIG")), ("own", json!(true))];
    wait_for(&cli, topic, "retention.ms", &own)?;
    cli.ok("topic alter cli-config --append cleanup.policy=delete")?;
    wait_for(&cli, topic, "cleanup.policy", &[("value", json!("compact,delete"))])?;
    cli.ok("topic alter cli-config --subtract cleanup.policy=compact --delete retention.ms")?;
    wait_for(&cli, topic, "cleanup.policy", &[("value", json!("delete"))])?;
    wait_for(&cli, topic, "retention.ms", &[("source", json!("DEFAULT_CONFIG"))])?;
    cli.fails(1, "config set --topic cli-config retention.ms=soon")?;
    cli.fails(1, "config set --topic cli-config no.such.key=1")?;
    cli.ok("config set --topic cli-config retention.ms=5000 --validate-only")?;
    cli.ok("config set --cluster log.cleaner.backoff.ms=14000")?;
    let inherited = [("value", json!("14000")), ("source", json!("DYNAMIC_DEFAULT_BROKER_CONFIG"))];
    wait_for(&cli, "--broker 2", "log.cleaner.backoff.ms", &inherited)?;
    wait_for(&cli, topic, "retention.ms", &[("value", json!("604800000"))])?;
    cli.fails(1, "config get --topic cli-config no.such.key")?;
    let listed = cli.json("config list")?.to_string();
    check(listed.contains("log.cleaner.backoff.ms"), || listed.clone())?;
    cli.ok("config delete --cluster log.cleaner.backoff.ms")?;
    wait_for(&cli, "--broker 2", "node.id", &[("value", json!("2")), ("read_only", json!(true))])?;
    let block = cli.ok("config get --topic cli-config retention.ms -l")?;
    check(block.contains("type") && block.contains("LONG"), || block.clone())?;
    cli.ok("topic delete cli-config").map(drop)
}
