//! Producing, consuming, deleting records.

use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use crate::{Context, check};

pub fn round_trip(context: &Context) -> Result<()> {
    let cli = context.cli();
    cli.ok("topic create cli-from --partitions 3")?;
    cli.ok("topic create cli-to --partitions 3")?;
    let input = b"k1:one\r\nk2:two\nk3:\n\xff\xfe:\x00\xff\n";
    let words =
        ["produce", "cli-from", "-k", ":", "--null-value", "", "-H", "trace=a b", "--compression", "zstd", "--json"];
    let sent = cli.run_words(&words, input)?;
    check(sent.code == 0 && sent.text().contains("\"records\": 4"), || format!("{sent:?}"))?;
    let lines = cli.ok("consume cli-from --from-beginning -e --json")?;
    let mut records: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    records.sort_by_key(|record| record["key"].to_string());
    check(records.len() == 4, || lines.clone())?;
    check(records[0]["key"] == "k1" && records[0]["value"] == "one", || lines.clone())?;
    check(records[2]["key"] == "k3" && records[2]["value"].is_null(), || "no tombstone".to_owned())?;
    check(records[3]["key_base64"] == "//4=" && records[3]["value_base64"] == "AP8=", || lines.clone())?;
    check(records[0]["headers"][0]["value"] == "a b", || lines.clone())?;
    cli.ok_with("produce cli-to --json-lines", lines.as_bytes())?;
    let copied = cli.ok("consume cli-to --from-beginning -e --json")?;
    let mut before: Vec<String> = lines.lines().map(|line| line.replace("cli-from", "cli-to")).collect();
    let mut after: Vec<&str> = copied.lines().collect();
    before.sort();
    after.sort_unstable();
    check(before == after, || format!("copied\n{lines}\nto\n{copied}"))?;
    for acks in ["1", "0"] {
        cli.ok_with(&format!("produce cli-to -p 2 --acks {acks} --timestamp 1000"), b"late\n")?;
    }
    let late = cli.ok("consume cli-to --from-beginning -e --format %T|%v\\n --value-contains late -p 2 -n 1")?;
    check(late == "1000|late\n", || late.clone())?;
    cli.ok("topic delete cli-from cli-to").map(drop)
}

pub fn pipes(context: &Context) -> Result<()> {
    let cli = context.cli();
    cli.ok("topic create cli-pipes")?;
    let lines: String = (0..20_000).map(|number| format!("line {number}\n")).collect();
    cli.ok_with("produce cli-pipes", lines.as_bytes())?;
    for words in [
        "completions bash",
        "completions zsh",
        "reference",
        "config get --all --documentation --broker 1",
        "consume cli-pipes --from-beginning",
        "consume cli-pipes --from-beginning --json",
    ] {
        // One line is read, then the pipe is closed; `timeout` tells a command that does not notice.
        let script = format!("set -o pipefail; timeout 20 \"$0\" {words} | (head -n 1 >/dev/null)");
        let output = Command::new("bash")
            .args(["-c", &script])
            .arg(cli.binary)
            .env("HIGHWATER_BOOTSTRAP", cli.bootstrap)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        check(output.status.success() && said.is_empty(), || format!("{words}: {}\n{said}", output.status))?;
    }
    cli.ok("topic delete cli-pipes").map(drop)
}

pub fn reading(context: &Context) -> Result<()> {
    let cli = context.cli();
    cli.ok("topic create cli-read --partitions 1")?;
    for (time, lines) in [("1000", "a\nb\n"), ("2000", "c\nd\n"), ("3000", "e\n")] {
        cli.ok_with(&format!("produce cli-read --timestamp {time} --header t={time}"), lines.as_bytes())?;
    }
    for (words, expected) in [
        ("--from-beginning -e", "a\nb\nc\nd\ne\n"),
        ("--from 3 -e", "d\ne\n"),
        ("--from -2 -e", "d\ne\n"),
        ("--from -9 -n 1", "a\n"),
        ("--from end -e", ""),
        ("--from-time 2000 -e", "c\nd\ne\n"),
        ("--from-beginning --until-time 2000", "a\nb\nc\nd\n"),
        ("--from-beginning -e --value-matches ^[bd]$", "b\nd\n"),
        ("--from-beginning -e --has-header t=3000", "e\n"),
        ("--from-beginning -e --key-contains x", ""),
        ("--from-beginning -n 2 --format %o:%v,%h;", "0:a,t=1000;1:b,t=1000;"),
    ] {
        let read = cli.ok(&format!("consume cli-read {words}"))?;
        check(read == expected, || format!("{words}: {read:?}, not {expected:?}"))?;
    }
    let group = "consume cli-read --group cli-readers --from-beginning -e";
    check(cli.ok(group)?.lines().count() == 5, || "a group reads from its start".to_owned())?;
    cli.ok_with("produce cli-read", b"f\n")?;
    let rest = cli.ok(group)?;
    check(rest == "f\n", || format!("a group goes on where it stopped, not at {rest:?}"))?;
    check(cli.fails(2, "consume cli-read -p 7")?.contains("partitions"), || "read partition 7".to_owned())?;
    cli.ok("group delete cli-readers")?;
    cli.ok("topic delete cli-read").map(drop)
}

pub fn delete_records(context: &Context) -> Result<()> {
    let cli = context.cli();
    cli.ok("topic create cli-old --partitions 1")?;
    cli.ok_with("produce cli-old --timestamp 1000", b"a\nb\n")?;
    cli.ok_with("produce cli-old --timestamp 5000", b"c\nd\n")?;
    let offsets = cli.json("topic offsets cli-old --at 5000")?;
    let of = |key: &str| offsets[0][key].as_i64();
    check((of("first"), of("next"), of("at_time")) == (Some(0), Some(4), Some(2)), || offsets.to_string())?;
    check(of("newest_timestamp") == Some(5000), || offsets.to_string())?;
    let deleted = cli.json("topic delete-records cli-old --before-offset 1")?;
    check(deleted["partitions"][0]["first"] == 1, || deleted.to_string())?;
    cli.ok("topic delete-records cli-old --before-time 5000")?;
    let left = cli.ok("consume cli-old --from-beginning -e --format %o%v")?;
    check(left == "2c3d", || left.clone())?;
    cli.fails(1, "topic delete-records cli-old --before-offset 9")?;
    let all = cli.json("topic delete-records cli-old --all")?;
    check(all["partitions"][0]["first"] == 4, || all.to_string())?;
    cli.ok("topic delete cli-old").map(drop)
}
