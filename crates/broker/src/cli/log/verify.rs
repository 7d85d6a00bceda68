//! `highwater log verify`.

use std::path::{Path, PathBuf};

use clap::Args;
use highwater_env::Fs;
use highwater_log::inspection::{Verification, verify_partition};
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::output::{Format, count};

const EXAMPLES: &str = "\
Examples:
  highwater log verify data/orders-0
  highwater log verify --json data/orders-0 data/orders-1

Looked at: checksums, records, the order of offsets and leader epochs, indexes, producer snapshots, aborted transactions.
Nothing is changed. A node that runs writes meanwhile: the end of its active segment may then look damaged.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// Directories of partitions.
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &VerifyArgs) -> Result<(), Failure> {
    let mut results = Vec::new();
    for dir in &args.dirs {
        results.push((dir.as_path(), verify_partition(&Fs::Real, dir)?));
    }
    let format = if args.json { Format::Json } else { Format::Table };
    format.print(
        || results.iter().map(|(dir, result)| to_json(dir, result)).collect(),
        || results.iter().map(|(dir, result)| text(dir, result)).collect::<Vec<_>>().join("\n"),
    )?;
    let findings: usize = results.iter().map(|(_, result)| result.findings.len()).sum();
    if findings == 0 { Ok(()) } else { Err(Failure::new(count(findings, "finding"))) }
}

fn to_json(dir: &Path, result: &Verification) -> Value {
    let findings = result
        .findings
        .iter()
        .map(|finding| json!({ "file": finding.file, "position": finding.position, "problem": finding.problem }));
    json!({
        "dir": dir,
        "segments": result.segments,
        "batches": result.batches,
        "records": result.records,
        "gaps": result.gaps,
        "snapshots": result.snapshots,
        "start_offset": result.start.get(),
        "end_offset": result.end.get(),
        "findings": findings.collect::<Vec<_>>(),
    })
}

fn text(dir: &Path, result: &Verification) -> String {
    let dir = dir.display();
    let mut lines: Vec<String> = result.findings.iter().map(|finding| format!("{dir}/{finding}")).collect();
    let verdict = match result.findings.len() {
        0 => "all is well".to_owned(),
        findings => count(findings, "finding"),
    };
    lines.push(format!(
        "{dir}: offsets {} to {}, {} segments, {} batches, {} records, {} gaps, {} snapshots compared: {verdict}",
        result.start, result.end, result.segments, result.batches, result.records, result.gaps, result.snapshots,
    ));
    lines.join("\n")
}
