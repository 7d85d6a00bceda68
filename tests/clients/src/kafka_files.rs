//! Partition directories that a node of ours wrote, in a real Apache Kafka: it opens them, answers as the node did, and goes on
//! writing behind them.
//!
//! Needs `KAFKA_LIBS`, a directory with the jars of an Apache Kafka release; without it there is no such test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use highwater_test_cluster::{Cluster, Software};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::cli::{Cli, copy_dir, eventually};
use crate::programs::java;
use crate::{Context, Test, check, output_of};

/// Ends of topics' names, and the settings that make them what they are.
const TOPICS: [(&str, &str); 6] = [
    ("none", "compression.type=uncompressed"),
    ("gzip", "compression.type=gzip"),
    ("snappy", "compression.type=snappy"),
    ("lz4", "compression.type=lz4"),
    ("zstd", "compression.type=zstd"),
    ("compacted", "cleanup.policy=compact"),
];
/// Settings of all of them: segments roll between bursts, whose times are farther apart than this.
const ROLLING: &str =
    "--config segment.ms=60000 --config index.interval.bytes=500 --config min.cleanable.dirty.ratio=0.01";
const RECORDS: i64 = 90;
const RECORDS_OF_BURST: i64 = 30;
/// Time between two bursts, in milliseconds.
const BURST_MS: i64 = 120_000;
const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
const TOPIC_ID: &str = "partition.metadata";
const PATIENCE: Duration = Duration::from_secs(60);

pub fn tests() -> Vec<Test> {
    let test = Test {
        name: "kafka-opens-our-files",
        proves: "Apache Kafka opens directories that a node wrote, after a clean stop and a crash, and answers the same",
        run: |context| {
            let libs = libraries().context("KAFKA_LIBS is not set")?;
            tokio::runtime::Runtime::new()?.block_on(kafka_opens(context, PathBuf::from(libs)))
        },
    };
    if libraries().is_some() { vec![test] } else { Vec::new() }
}

fn libraries() -> Option<OsString> {
    std::env::var_os("KAFKA_LIBS")
}

/// What a broker says of a topic's only partition.
#[derive(Debug, PartialEq, Eq)]
struct Answers {
    /// As `highwater consume --json` prints them.
    records: Vec<Value>,
    /// Times, and the offsets found for them.
    by_time: Vec<(i64, Offset)>,
    /// As Kafka's TransactionsCommand prints them.
    producers: Vec<String>,
}

async fn kafka_opens(context: &Context, libs: PathBuf) -> Result<()> {
    let files = context.scratch.join("kafka-opens");
    let expected = write_files(context, &files).await?;
    dump_all(&files, &expected)?;
    let mut kafka = Cluster::start_software(&Software::Kafka(libs), 1, &[])?;
    let bootstrap = kafka.bootstrap();
    let cli = Cli { binary: &context.binary, bootstrap: &bootstrap };
    for (name, _) in TOPICS {
        cli.ok(&format!("topic create files-{name} --partitions 1 --replication-factor 1 --config retention.ms=-1"))?;
    }
    let data = kafka.data_directory(1);
    for after_crash in [false, true] {
        kafka.node(1).terminate()?;
        for (name, _) in TOPICS {
            place(&files.join(format!("files-{name}-0")), &data.join(format!("files-{name}-0")))?;
        }
        if after_crash {
            std::fs::remove_file(data.join(CLEAN_SHUTDOWN))?;
        }
        kafka.node(1).start()?;
        kafka.wait_ready()?;
        for ((name, _), expected) in TOPICS.iter().zip(&expected) {
            let topic = format!("files-{name}");
            let found = ask(&cli, &topic)?;
            check(found == *expected, || {
                format!(
                    "{topic}, after a crash: {after_crash}\nKafka answers\n{found:?}\nour node answered\n{expected:?}"
                )
            })?;
            // Not idempotent: this Kafka gives out the same producer ids as the node did.
            cli.ok_with(&format!("produce {topic} --acks 1 --key-separator :"), b"key:appended by Kafka\n")?;
            let last = read(&cli, &topic)?.pop().context("nothing is there")?;
            check(offset_of(&last) == RECORDS, || format!("{topic}: Kafka appended {last}"))?;
        }
    }
    kafka.node(1).terminate()?;
    for (name, _) in TOPICS {
        cli.ok(&format!("log verify {}", data.join(format!("files-{name}-0")).display()))?;
    }
    Ok(())
}

/// Has a node write the topics, asks it what it tells of each, and copies the directories of the stopped node to `files`.
async fn write_files(context: &Context, files: &Path) -> Result<Vec<Answers>> {
    let mut node = Cluster::start(&context.binary, 1, &[("log.cleaner.backoff.ms", "200")])?;
    let bootstrap = node.bootstrap();
    let cli = Cli { binary: &context.binary, bootstrap: &bootstrap };
    let mut answers = Vec::new();
    for (name, setting) in TOPICS {
        let topic = format!("files-{name}");
        cli.ok(&format!("topic create {topic} --partitions 1 --replication-factor 1 {ROLLING} --config {setting}"))?;
        fill(&bootstrap, &topic, if name == "compacted" { 7 } else { 1000 }).await?;
        if name == "compacted" {
            await_compaction(&cli, &topic)?;
        }
        answers.push(ask(&cli, &topic)?);
    }
    node.node(1).terminate()?;
    for (name, _) in TOPICS {
        let dir = format!("files-{name}-0");
        copy_dir(&node.data_directory(1).join(&dir), &files.join(&dir))?;
    }
    Ok(answers)
}

/// Writes bursts that end in the present, with times that go back and forth, from two idempotent producers.
async fn fill(bootstrap: &str, topic: &str, keys: i64) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("enable.idempotence", "true").set("linger.ms", "5");
    let producers: [FutureProducer; 2] = [config.create()?, config.create()?];
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    let start = now - BURST_MS * (RECORDS / RECORDS_OF_BURST);
    let mut pending = Vec::new();
    for number in 0..RECORDS {
        let (key, value) = (format!("key {}", number % keys), format!("value {number} of {topic}"));
        let value = value + &"#".repeat(usize::try_from(number % 50)?);
        let header = Header { key: "number", value: Some(&number.to_string()) };
        let time = start + BURST_MS * (number / RECORDS_OF_BURST) + 100 * number - 450 * (number % 5);
        let mut record = FutureRecord::to(topic).key(&key).timestamp(time).headers(OwnedHeaders::new().insert(header));
        if number % 13 != 12 {
            record = record.payload(&value);
        }
        let producer = &producers[usize::try_from(number / 6 % 2)?];
        pending.push(producer.send_result(record).map_err(|(error, _)| error)?);
        if number % 6 == 5 {
            for delivery in std::mem::take(&mut pending) {
                delivery.await?.map_err(|(error, _)| error)?;
            }
        }
    }
    Ok(())
}

fn await_compaction(cli: &Cli<'_>, topic: &str) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while read(cli, topic)?.len() > 45 {
        check(Instant::now() < deadline, || format!("{topic} is not compacted"))?;
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn ask(cli: &Cli<'_>, topic: &str) -> Result<Answers> {
    let records = read(cli, topic)?;
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", cli.bootstrap).set("group.id", "unused").create()?;
    let mut by_time = Vec::new();
    for time in
        records.iter().filter_map(|record| record["timestamp"].as_i64()).step_by(4).flat_map(|time| [time, time + 1])
    {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(topic, 0, Offset::Offset(time))?;
        let found = consumer.offsets_for_times(asked, PATIENCE)?;
        by_time.push((time, found.elements().first().context("no answer")?.offset()));
    }
    let words = ["--bootstrap-server", cli.bootstrap, "describe-producers", "--topic", topic, "--partition", "0"];
    let printed = output_of(&mut java("org.apache.kafka.tools.TransactionsCommand", &words)?)?;
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut producers: Vec<String> = printed.lines().skip(1).map(words).filter(|line| !line.is_empty()).collect();
    producers.sort();
    check(producers.len() >= 2, || format!("{topic}: producers\n{printed}"))?;
    Ok(Answers { records, by_time, producers })
}

/// All records of the topic's only partition.
fn read(cli: &Cli<'_>, topic: &str) -> Result<Vec<Value>> {
    let mut records = Vec::new();
    // A broker that has just started may not lead yet.
    eventually(|| {
        let lines = cli.ok(&format!("consume {topic} --from-beginning --exit --json"))?;
        records = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(())
    })?;
    Ok(records)
}

fn offset_of(record: &Value) -> i64 {
    record["offset"].as_i64().unwrap_or(-1)
}

/// Kafka's own tool finds every file whole, every index in accordance with its segment, and the records that consumers get.
fn dump_all(files: &Path, expected: &[Answers]) -> Result<()> {
    for ((name, _), expected) in TOPICS.iter().zip(expected) {
        let dir = files.join(format!("files-{name}-0"));
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(&dir)? {
            let path = entry?.path().display().to_string();
            if [".log", ".index", ".timeindex", ".txnindex", ".snapshot"].iter().any(|end| path.ends_with(end)) {
                paths.push(path);
            }
        }
        paths.sort();
        check(paths.iter().filter(|path| path.ends_with(".log")).count() >= 2, || format!("{paths:?}"))?;
        let words = ["--deep-iteration", "--print-data-log", "--files", &paths.join(",")];
        let printed = output_of(&mut java("org.apache.kafka.tools.DumpLogSegments", &words)?)?;
        let problems = ["isvalid: false", "Mismatches", "ould not find", "out of order", "Exception", "not ordered"];
        let found = problems.iter().find(|problem| printed.contains(**problem));
        check(found.is_none(), || format!("{name}: DumpLogSegments prints {found:?}:\n{printed}"))?;
        let codec = if *name == "compacted" { "none" } else { name };
        let has = |text: &str| printed.contains(text);
        let shown = has("isvalid: true") && has(&format!("compresscodec: {codec}")) && has("producerId: ");
        check(shown, || format!("{name}: DumpLogSegments prints\n{printed}"))?;
        let record =
            |line: &str| line.trim_start_matches("| offset: ").split(' ').next().and_then(|word| word.parse().ok());
        let dumped: Vec<i64> =
            printed.lines().filter(|line| line.starts_with("| offset: ")).filter_map(record).collect();
        let consumed: Vec<i64> = expected.records.iter().map(offset_of).collect();
        check(dumped == consumed, || format!("{name}: DumpLogSegments finds {dumped:?}, a consumer {consumed:?}"))?;
    }
    Ok(())
}

/// Puts the files of `from` in place of those in `to`, which keeps its topic id.
fn place(from: &Path, to: &Path) -> Result<()> {
    let topic_id = std::fs::read(to.join(TOPIC_ID))?;
    std::fs::remove_dir_all(to)?;
    copy_dir(from, to)?;
    Ok(std::fs::write(to.join(TOPIC_ID), topic_id)?)
}
