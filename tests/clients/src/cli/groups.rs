//! Groups and their offsets.

use anyhow::{Context as _, Result};

use super::invocation::Cli;
use crate::{Context, check};

/// Committed offsets of the group's partitions, in order.
fn committed(cli: &Cli<'_>) -> Result<Vec<i64>> {
    let described = cli.json("group describe cli-g")?;
    let partitions = described[0]["partitions"].as_array().context("partitions")?.clone();
    Ok(partitions.iter().filter_map(|one| one["committed"].as_i64()).collect())
}

pub fn groups(context: &Context) -> Result<()> {
    let cli = context.cli();
    cli.ok("topic create cli-gt --partitions 2")?;
    for (time, partition, lines) in [("1000", 0, "a\nb\nc\n"), ("2000", 0, "d\ne\n"), ("2000", 1, "f\n")] {
        cli.ok_with(&format!("produce cli-gt -p {partition} --timestamp {time}"), lines.as_bytes())?;
    }
    let reset = "group reset-offsets cli-g";
    let dry = cli.json(&format!("{reset} --topic cli-gt --to-earliest"))?;
    check(dry["executed"] == false && dry["offsets"][0]["offset"] == 0, || dry.to_string())?;
    check(cli.fails(1, "group describe cli-g")?.contains("does not exist"), || "a dry run committed".to_owned())?;
    for (goal, expected) in [
        ("--topic cli-gt --to-earliest", [0, 0]),
        ("--topic cli-gt --to-latest", [5, 1]),
        ("--all-topics --to-offset 2", [2, 1]),
        ("--topic cli-gt:0 --shift-by 2", [4, 1]),
        ("--topic cli-gt:0 --shift-by -100", [0, 1]),
        ("--all-topics --to-datetime 1970-01-01T00:00:02.000", [3, 0]),
        ("--all-topics --by-duration P365000D", [0, 0]),
        ("--all-topics --by-duration PT0S", [5, 1]),
        ("--topic cli-gt:0 --to-offset 1", [1, 1]),
        ("--all-topics --to-current", [1, 1]),
    ] {
        cli.ok(&format!("{reset} {goal} --execute"))?;
        let now = committed(&cli)?;
        check(now == expected, || format!("{goal}: {now:?}, not {expected:?}"))?;
    }
    let described = cli.json("group describe cli-g")?;
    check(described[0]["lag"] == 4 && described[0]["state"] == "Empty", || described.to_string())?;
    let exported = cli.ok(&format!("{reset} --all-topics --to-current --export"))?;
    check(exported == "\"cli-gt\",0,1\n\"cli-gt\",1,1\n", || exported.clone())?;
    let file = context.scratch.join("offsets.csv");
    std::fs::write(&file, "cli-gt,0,3\n\"cli-gt\",1,0\n")?;
    cli.ok(&format!("{reset} --from-file {} --execute", file.display()))?;
    check(committed(&cli)? == [3, 0], || "the file was not obeyed".to_owned())?;
    let listed = cli.json("group list --state empty")?;
    check(listed.as_array().into_iter().flatten().any(|one| one["group"] == "cli-g"), || listed.to_string())?;
    check(cli.json("group members cli-g")? == serde_json::json!([]), || "members".to_owned())?;
    let deleted = cli.json("group delete-offsets cli-g --topic cli-gt:1")?;
    check(deleted["deleted"] == serde_json::json!(["cli-gt-1"]), || deleted.to_string())?;
    check(committed(&cli)? == [3], || "the offset is still there".to_owned())?;
    cli.ok("group delete cli-g")?;
    check(cli.fails(1, "group describe cli-g")?.contains("group list"), || "still there".to_owned())?;
    cli.ok("topic delete cli-gt").map(drop)
}
