//! Looking at partitions' files.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::{Context, check};

/// What Kafka wrote: the suite runs at the root of the repository.
const KAFKA_WRITTEN: &str = "crates/log/tests/kafka_written/data";

pub fn log_files(context: &Context) -> Result<()> {
    let cli = context.cli();
    for codec in ["plain", "gzip", "snappy", "lz4", "zstd"] {
        let dir = format!("{KAFKA_WRITTEN}/kafka-{codec}-0");
        let dump = cli.ok(&format!("log dump --records --json {dir}"))?;
        let lines: Vec<Value> = dump.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let records: Vec<&Value> = lines.iter().filter(|line| line["headers"].is_array()).collect();
        check(records.len() == 90, || format!("{codec}: {} records", records.len()))?;
        check(records[7]["key"] == "key 7" && records[12]["value"].is_null(), || format!("{codec}: {dump}"))?;
        let verified = cli.json(&format!("log verify {dir}"))?;
        check(verified[0]["records"] == 90 && verified[0]["findings"] == Value::Array(Vec::new()), || {
            verified.to_string()
        })?;
    }
    // Without a lock file there: a copy, as `index --rebuild` makes one.
    let copy = context.scratch.join("log-files/kafka-zstd-0");
    copy_dir(&Path::new(KAFKA_WRITTEN).join("kafka-zstd-0"), &copy)?;
    let (dir, time_index) = (copy.display(), copy.join("00000000000000000030.timeindex"));
    let written = std::fs::read(&time_index)?;
    std::fs::write(&time_index, b"")?;
    check(cli.fails(1, &format!("log verify {dir}"))?.contains("1 finding"), || "an empty time index".to_owned())?;
    let rebuilt = cli.json(&format!("log index --interval-bytes 500 --rebuild {dir}"))?;
    let files = rebuilt.as_array().map_or(&[][..], Vec::as_slice);
    let of_index = files.iter().find(|file| file["file"].as_str().is_some_and(|name| name.ends_with("30.timeindex")));
    check(of_index.is_some_and(|file| file["written"] == true), || rebuilt.to_string())?;
    check(std::fs::read(&time_index)? == written, || "the index is another than Kafka's".to_owned())?;
    cli.ok(&format!("log verify {dir}"))?;
    let segment = copy.join("00000000000000000060.log");
    let mut bytes = std::fs::read(&segment)?;
    bytes[100] ^= 1;
    std::fs::write(&segment, bytes)?;
    let failed = cli.run(&format!("log verify {dir}"), b"")?;
    let named = failed.code == 1 && failed.text().contains("00000000000000000060.log at byte 0");
    check(named, || format!("{failed:?}"))?;
    check(cli.fails(1, "log dump docs")?.contains("no directory of a partition"), || "docs".to_owned())
}

pub fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
