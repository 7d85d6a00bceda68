//! `highwater log index`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use highwater_env::{DirLock, Fs};
use highwater_log::inspection::{RebuiltIndex, rebuild_indexes};
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::output::{Format, count};

const EXAMPLES: &str = "\
Examples:
  highwater log index data/orders-0                             # says which files differ
  highwater log index --rebuild data/orders-0                   # writes those
  highwater log index --interval-bytes 500 --json data/orders-0 data/orders-1

A node makes missing indexes again by itself when it opens the log; indexes that differ may still be right, if they were
made with another index.interval.bytes. --rebuild takes the lock of the log directory, which a running node holds; that
an Apache Kafka uses the directory is not noticed.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IndexArgs {
    /// Directories of partitions.
    #[arg(required = true, value_name = "DIR")]
    dirs: Vec<PathBuf>,
    /// Write the files that differ; without it, only say which.
    #[arg(long)]
    rebuild: bool,
    /// Bytes of batches between two entries, as index.interval.bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    interval_bytes: u64,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &IndexArgs) -> Result<(), Failure> {
    let mut indexes = Vec::new();
    for dir in &args.dirs {
        indexes.extend(index(dir, args)?);
    }
    let format = if args.json { Format::Json } else { Format::Table };
    format.print(|| indexes.iter().map(|index| to_json(index, args.rebuild)).collect(), || text(&indexes, args.rebuild))
}

fn index(dir: &Path, args: &IndexArgs) -> Result<Vec<RebuiltIndex>, Failure> {
    let fs = Fs::Real;
    let _lock = if args.rebuild { Some(lock(&fs, dir)?) } else { None };
    let rebuilt = rebuild_indexes(&fs, dir, args.interval_bytes)?;
    if args.rebuild {
        for index in rebuilt.iter().filter(|index| !index.is_same) {
            let failed = |error| Failure::new(format!("{}: {error}", index.path.display()));
            fs.write_atomic(&index.path, &index.content).map_err(failed)?;
        }
    }
    Ok(rebuilt)
}

/// Takes the lock of the log directory that the partition is in.
fn lock(fs: &Fs, dir: &Path) -> Result<DirLock, Failure> {
    let failed = |error| Failure::new(format!("{}: {error}", dir.display()));
    let dir = dir.canonicalize().map_err(failed)?;
    let log_dir = dir.parent().ok_or_else(|| Failure::usage(format!("{} is in no log directory", dir.display())))?;
    fs.lock_dir(log_dir).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => {
            Failure::new(format!("log directory {} is in use by a running node", log_dir.display()))
                .hint("stop the node first")
        }
        _ => Failure::new(format!("{}: {error}", log_dir.display())),
    })
}

fn to_json(index: &RebuiltIndex, rebuild: bool) -> Value {
    json!({
        "file": index.path,
        "bytes": index.content.len(),
        "same": index.is_same,
        "written": rebuild && !index.is_same,
    })
}

fn text(indexes: &[RebuiltIndex], rebuild: bool) -> String {
    let differing = indexes.iter().filter(|index| !index.is_same);
    let verb = if rebuild { "written" } else { "differs" };
    let mut lines: Vec<String> = differing
        .map(|index| format!("{}: {verb}, {}", index.path.display(), count(index.content.len(), "byte")))
        .collect();
    let (changed, total) = (lines.len(), count(indexes.len(), "index file"));
    lines.push(match (changed, rebuild) {
        (0, _) => format!("{total}, all as the batches give them"),
        (_, true) => format!("{changed} of {total} written"),
        (_, false) => format!("{changed} of {total} differ: --rebuild writes them"),
    });
    lines.join("\n")
}
