//! Kafka's tools move replicas between log directories (KIP-113): kafka-reassign-partitions with `log_dirs`, kafka-log-dirs.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use highwater_test_cluster::Cluster;
use serde_json::{Value, json};

use super::driver::{REASSIGN, ToolsOn};
use crate::{Context, Test, check, cli};

const LOG_DIRS: &str = "org.apache.kafka.tools.LogDirsCommand";
const TOPIC: &str = "moves";
/// Longest that a move takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn test() -> Test {
    Test {
        name: "kafka-tools-log-dirs",
        proves: "kafka-reassign-partitions moves replicas between log directories, kafka-log-dirs shows how far, and so does ours",
        run: move_replicas,
    }
}

/// Where a replica is.
#[derive(Debug, PartialEq)]
struct Place {
    path: String,
    is_future: bool,
}

impl ToolsOn {
    /// All places of the topic's replicas, by broker and partition.
    fn places(&mut self) -> Result<BTreeMap<(i64, String), Vec<Place>>> {
        let output = self.run(LOG_DIRS, &["--describe", "--topic-list", TOPIC])?;
        let line = output.lines().find(|line| line.starts_with('{')).context("no description")?;
        let described: Value = serde_json::from_str(line)?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let mut places: BTreeMap<_, Vec<Place>> = BTreeMap::new();
        for broker in list(&described["brokers"]) {
            for directory in list(&broker["logDirs"]) {
                check(directory["error"].is_null(), || directory.to_string())?;
                for one in list(&directory["partitions"]) {
                    let key = (broker["broker"].as_i64().unwrap_or(-1), text(&one["partition"]));
                    let place = Place { path: text(&directory["logDir"]), is_future: one["isFuture"] == true };
                    places.entry(key).or_default().push(place);
                }
            }
        }
        Ok(places)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn move_replicas(context: &Context) -> Result<()> {
    let cluster = Cluster::start(&context.binary, 3, &[("log.dirs", "{home}/data,{home}/more")])?;
    let bootstrap = cluster.bootstrap();
    let cli = cli::Cli { binary: &context.binary, bootstrap: &bootstrap };
    cli.ok(&format!("topic create {TOPIC} --replica-assignment 1:2:3,2:3:1"))?;
    cli.ok(&format!("bench produce {TOPIC} --records 4000 --record-bytes 1000"))?;
    let mut tools = ToolsOn::start(&bootstrap)?;
    let before = tools.places()?;
    check(before.len() == 6 && before.values().all(|all| all.len() == 1), || format!("{before:?}"))?;

    // Those on brokers 1 and 2 go to the other directory, those on broker 3 stay.
    let other = |broker: i64, partition: usize| {
        let here = &before[&(broker, format!("{TOPIC}-{partition}"))][0].path;
        match here.strip_suffix("/data") {
            Some(home) => format!("{home}/more"),
            None => here.replace("/more", "/data"),
        }
    };
    let replicas = [[1, 2, 3], [2, 3, 1]];
    let target = |broker: i64, partition| if broker == 3 { "any".to_owned() } else { other(broker, partition) };
    let partition = |index: usize| {
        let log_dirs = replicas[index].map(|broker| target(broker, index));
        json!({ "topic": TOPIC, "partition": index, "replicas": replicas[index], "log_dirs": log_dirs })
    };
    let file = context.scratch.join("log-dirs.json");
    std::fs::write(&file, json!({ "version": 1, "partitions": [partition(0), partition(1)] }).to_string())?;
    let file = file.display().to_string();
    let of_file = ["--reassignment-json-file", file.as_str()];
    let throttle = ["--execute", "--replica-alter-log-dirs-throttle", "1000000"];
    let started = tools.run(REASSIGN, &[&of_file[..], &throttle].concat())?;
    check(started.contains("Successfully started moving log directory to"), || started.clone())?;
    let during = tools.places()?;
    check(during.values().flatten().any(|place| place.is_future), || format!("no copies on their way: {during:?}"))?;
    let ours = cli.json("broker log-dirs 1")?;
    check(ours.to_string().contains("on_their_way"), || ours.to_string())?;
    let began = Instant::now();
    loop {
        let verified = tools.run(REASSIGN, &[&of_file[..], &["--verify"]].concat())?;
        if verified.matches("completed successfully").count() >= 4 && !verified.contains("still in progress") {
            break;
        }
        if began.elapsed() > PATIENCE {
            bail!("the moves do not end: {verified}");
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    let after = tools.places()?;
    for ((broker, partition), place) in &after {
        let index = usize::from(partition.ends_with("-1"));
        let path = if *broker == 3 { before[&(3, partition.clone())][0].path.clone() } else { other(*broker, index) };
        check(*place == [Place { path, is_future: false }], || format!("{partition} on {broker}: {place:?}"))?;
    }

    // Ours moves one back.
    let back = before[&(1, format!("{TOPIC}-0"))][0].path.clone();
    cli.ok(&format!("partition move-log-dir {TOPIC}-0 --broker 1 --to {back}"))?;
    cli.fails(1, &format!("partition move-log-dir {TOPIC}-0 --broker 1 --to /nowhere"))?;
    let began = Instant::now();
    while tools.places()?[&(1, format!("{TOPIC}-0"))] != [Place { path: back.clone(), is_future: false }] {
        check(began.elapsed() < PATIENCE, || "not moved back".to_owned())?;
    }
    let health = cli.json("cluster health")?;
    check(health["healthy"] == true, || health.to_string())?;
    let read = cli.json(&format!("bench consume {TOPIC}"))?;
    check(read["records"] == 4000, || read.to_string())
}
