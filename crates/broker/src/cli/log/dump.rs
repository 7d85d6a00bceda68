//! `highwater log dump`.

use std::path::{Path, PathBuf};

use clap::Args;
use highwater_env::Fs;
use highwater_log::inspection::{
    BatchFile, FileContent, InspectedBatch, InspectionError, SnapshotEntry, is_partition_file, read_file,
};
use highwater_records::EndTransactionMarker;
use serde_json::{Map, Value, json};

use crate::cli::Failure;
use crate::cli::json_record::bytes_field;
use crate::cli::output::print_line;

const EXAMPLES: &str = "\
Examples:
  highwater log dump data/orders-0
  highwater log dump --records data/orders-0/00000000000000000000.log
  highwater log dump --json data/orders-0/00000000000000004711.snapshot
  highwater log dump data/replication-offset-checkpoint

Nothing is changed. A running node's files can be looked at; the last batch may then be half written.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DumpArgs {
    /// Directories of partitions, or single files of them or of a log directory.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print keys, values and headers too.
    #[arg(long)]
    records: bool,
    /// Print one JSON object a line instead of text.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DumpArgs) -> Result<(), Failure> {
    for path in &args.paths {
        let files = if path.is_dir() { files_of(path)? } else { vec![path.clone()] };
        for file in files {
            Dump { path: &file, args }.print_file()?;
        }
    }
    Ok(())
}

/// The files of a partition in `dir`, by name. Others, such as segments on their way out, are left out.
fn files_of(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = Fs::Real.read_dir(dir).map_err(|error| Failure::new(format!("{}: {error}", dir.display())))?;
    let files = entries.into_iter().filter(|entry| !entry.is_dir && is_partition_file(&entry.name));
    let mut files: Vec<PathBuf> = files.map(|entry| dir.join(&entry.name)).collect();
    files.sort();
    if files.is_empty() {
        return Err(InspectionError::NoPartition(dir.to_owned()).into());
    }
    Ok(files)
}

/// What is printed as one line: names and values.
type Entry = Vec<(String, Value)>;

/// One file on its way to standard output.
struct Dump<'a> {
    path: &'a Path,
    args: &'a DumpArgs,
}

impl Dump<'_> {
    fn print_file(&self) -> Result<(), Failure> {
        let content = read_file(&Fs::Real, self.path)?;
        if !self.args.json {
            print_line(&format!("{}:", self.path.display()))?;
        }
        match content {
            FileContent::Batches(batches) => self.print_batches(batches),
            FileContent::Offsets(entries) => {
                self.print_all(entries.iter().map(|(offset, position)| {
                    entry([("offset", offset.get().into()), ("position", (*position).into())])
                }))
            }
            FileContent::Times(entries) => self.print_all(
                entries
                    .iter()
                    .map(|(time, offset)| entry([("timestamp", time.0.into()), ("offset", offset.get().into())])),
            ),
            FileContent::Transactions(entries) => self.print_all(entries.iter().map(|aborted| {
                entry([
                    ("producer_id", aborted.producer_id.get().into()),
                    ("first_offset", aborted.first_offset.get().into()),
                    ("last_offset", aborted.last_offset.get().into()),
                    ("last_stable_offset", aborted.last_stable_offset.get().into()),
                ])
            })),
            FileContent::Producers(entries) => self.print_all(entries.iter().map(producer)),
            FileContent::LeaderEpochs(entries) => self.print_all(
                entries
                    .iter()
                    .map(|(epoch, start)| entry([("epoch", epoch.get().into()), ("start_offset", start.get().into())])),
            ),
            FileContent::TopicId(id) => self.print(entry([("topic_id", id.to_string().into())])),
            FileContent::PartitionOffsets(entries) => self.print_all(entries.iter().map(|(partition, offset)| {
                entry([
                    ("topic", partition.topic.as_str().into()),
                    ("partition", partition.partition.get().into()),
                    ("offset", offset.get().into()),
                ])
            })),
        }
    }

    fn print_batches(&self, mut batches: BatchFile) -> Result<(), Failure> {
        while let Some(found) = batches.next_batch()? {
            self.print(batch(&found))?;
            if self.args.records && found.damage.is_none() {
                self.print_records(&found)?;
            }
        }
        Ok(())
    }

    fn print_records(&self, found: &InspectedBatch) -> Result<(), Failure> {
        let unreadable = |error: highwater_records::BatchError| Failure::new(error.to_string());
        for record in &found.batch.records().map_err(unreadable)? {
            let record = record.map_err(unreadable)?;
            let headers = record.headers.map(|header| {
                let key = ("key".to_owned(), String::from_utf8_lossy(header.key).into());
                Value::Object(Map::from_iter([key, bytes_field("value", header.value)]))
            });
            let mut line = entry([("offset", record.offset.get().into()), ("timestamp", record.timestamp.0.into())]);
            line.extend([bytes_field("key", record.key), bytes_field("value", record.value)]);
            line.push(("headers".to_owned(), headers.collect()));
            self.print(line)?;
        }
        Ok(())
    }

    fn print_all(&self, entries: impl Iterator<Item = Entry>) -> Result<(), Failure> {
        entries.into_iter().try_for_each(|entry| self.print(entry))
    }

    /// One line: a JSON object with the file's name, or names and values.
    fn print(&self, mut entry: Entry) -> Result<(), Failure> {
        if self.args.json {
            let name = self.path.file_name().unwrap_or_default().to_string_lossy();
            entry.push(("file".to_owned(), name.into()));
            return print_line(&Value::Object(Map::from_iter(entry)).to_string());
        }
        let field = |(name, value): (String, Value)| match value {
            Value::String(text) => format!("  {name}={text}"),
            other => format!("  {name}={other}"),
        };
        print_line(&entry.into_iter().map(field).collect::<String>())
    }
}

fn entry<const N: usize>(fields: [(&str, Value); N]) -> Entry {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn producer(found: &SnapshotEntry) -> Entry {
    entry([
        ("producer_id", found.producer_id.get().into()),
        ("producer_epoch", found.epoch.get().into()),
        ("last_sequence", found.last_sequence.get().into()),
        ("last_offset", found.last_offset.get().into()),
        ("last_timestamp", found.last_timestamp.0.into()),
        ("coordinator_epoch", found.coordinator_epoch.into()),
        ("open_transaction", found.open_transaction.map(|first| first.get()).into()),
    ])
}

fn batch(found: &InspectedBatch) -> Entry {
    let header = found.batch.header();
    let mut line = entry([
        ("position", found.position.into()),
        ("base_offset", header.base_offset.get().into()),
        ("last_offset", header.last_offset().get().into()),
        ("records", header.record_count.into()),
        ("bytes", header.size_in_bytes().into()),
        ("leader_epoch", header.partition_leader_epoch.get().into()),
        ("compression", header.attributes.compression().map_or("unknown", |codec| codec.name()).into()),
        ("base_timestamp", header.base_timestamp.0.into()),
        ("max_timestamp", header.max_timestamp.0.into()),
        ("timestamp_type", format!("{:?}", header.attributes.timestamp_type()).into()),
        ("crc", header.crc.into()),
        ("valid", found.damage.is_none().into()),
    ]);
    if header.producer_id.get() >= 0 {
        line.extend(entry([
            ("producer_id", header.producer_id.get().into()),
            ("producer_epoch", header.producer_epoch.get().into()),
            ("base_sequence", header.base_sequence.get().into()),
            ("transactional", header.is_transactional().into()),
        ]));
    }
    if header.is_control() {
        let marker = match EndTransactionMarker::from_batch(&found.batch) {
            Ok(Some(marker)) => if marker.committed { "commit" } else { "abort" }.to_owned(),
            Ok(None) => "other".to_owned(),
            Err(error) => error.to_string(),
        };
        line.extend(entry([("control", marker.into())]));
    }
    if let Some(horizon) = header.delete_horizon() {
        line.extend(entry([("delete_horizon", horizon.0.into())]));
    }
    if let Some(damage) = &found.damage {
        line.extend(entry([("damage", json!(damage))]));
    }
    line
}
