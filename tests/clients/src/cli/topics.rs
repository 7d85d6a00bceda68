//! Topics and settings.

use anyhow::Result;
use serde_json::json;

use super::invocation::Cli;
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
    let table = cli.ok("topic describe cli-t")?;
    check(table.contains("PARTITION  LEADER  EPOCH  REPLICAS  ISR"), || table.clone())?;
    check(!table.contains('\u{1b}'), || "colours although nobody looks".to_owned())?;
    let deleted = cli.json("topic delete cli-t cli-pinned")?;
    check(deleted["deleted"].as_array().map(Vec::len) == Some(2), || deleted.to_string())?;
    cli.ok("topic delete cli-t --if-exists")?;
    check(cli.fails(1, "topic delete cli-t")?.contains("highwater topic list"), || "no hint".to_owned())
}

/// The entry of `key` among the settings of a topic.
fn setting(cli: &Cli<'_>, topic: &str, key: &str) -> Result<serde_json::Value> {
    Ok(cli.json(&format!("config get --topic {topic} {key}"))?["settings"][0].clone())
}

pub fn config(context: &Context) -> Result<()> {
    let cli = context.cli();
    cli.ok("topic create cli-config --partitions 1")?;
    let default = setting(&cli, "cli-config", "retention.ms")?;
    check(default["value"] == "604800000" && default["source"] == "DEFAULT_CONFIG", || default.to_string())?;
    cli.ok("config set --topic cli-config retention.ms=1000 cleanup.policy=compact")?;
    let set = setting(&cli, "cli-config", "retention.ms")?;
    check(set["value"] == "1000" && set["source"] == "DYNAMIC_TOPIC_CONFIG" && set["own"] == true, || set.to_string())?;
    check(set["default"] == "604800000" || !set["default"].is_null(), || set.to_string())?;
    cli.ok("topic alter cli-config --append cleanup.policy=delete")?;
    let policy = setting(&cli, "cli-config", "cleanup.policy")?;
    check(policy["value"] == "compact,delete", || policy.to_string())?;
    cli.ok("topic alter cli-config --subtract cleanup.policy=compact --delete retention.ms")?;
    check(setting(&cli, "cli-config", "cleanup.policy")?["value"] == "delete", || "not subtracted".to_owned())?;
    check(setting(&cli, "cli-config", "retention.ms")?["source"] == "DEFAULT_CONFIG", || "not deleted".to_owned())?;
    cli.fails(1, "config set --topic cli-config retention.ms=soon")?;
    cli.fails(1, "config set --topic cli-config no.such.key=1")?;
    cli.ok("config set --topic cli-config retention.ms=5000 --validate-only")?;
    check(setting(&cli, "cli-config", "retention.ms")?["value"] == "604800000", || "validate-only changed".to_owned())?;
    cli.fails(1, "config get --topic cli-config no.such.key")?;
    cli.ok("config set --cluster log.cleaner.backoff.ms=14000")?;
    let broker = cli.json("config get --broker 2 log.cleaner.backoff.ms")?;
    let broker = &broker["settings"][0];
    check(broker["source"] == "DYNAMIC_DEFAULT_BROKER_CONFIG", || broker.to_string())?;
    let listed = cli.json("config list")?.to_string();
    check(listed.contains("log.cleaner.backoff.ms"), || listed.clone())?;
    cli.ok("config delete --cluster log.cleaner.backoff.ms")?;
    let node_id = cli.json("config get --broker 2 node.id")?;
    let node_id = &node_id["settings"][0];
    check(node_id["value"] == "2" && node_id["read_only"] == true, || node_id.to_string())?;
    let block = cli.ok("config get --topic cli-config retention.ms -l")?;
    check(block.contains("type") && block.contains("LONG"), || block.clone())?;
    cli.ok("topic delete cli-config").map(drop)
}
