//! `make metrics-check`: what `deploy/` gives to operators, against a real Prometheus that scrapes three real nodes.
//!
//! In: the broker's binary, Prometheus and promtool of the machine, the rules and dashboards of `deploy/`. Out: a line per
//! check, and a closing count. With `cost`, and only then: what a scrape of many partitions costs, as a table for people.

mod cost;
mod dashboards;
mod load;
mod prometheus;
#[cfg(test)]
mod promql;
mod rules;
mod stopped_node;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use highwater_test_cluster::{Cluster, binary_argument};

use crate::load::Load;
use crate::prometheus::Prometheus;

/// What the checks share.
pub struct Stage {
    /// Ends first: a consumer whose cluster is gone waits for it when it is closed.
    pub load: Load,
    pub cluster: Cluster,
    pub prometheus: Prometheus,
}

type Check = fn(&mut Stage) -> Result<String>;

const CHECKS: [(&str, Check); 4] = [
    ("promtool-scrape", promtool_accepts_a_scrape),
    ("quiet", stopped_node::nothing_fires_in_a_healthy_cluster),
    ("dashboards", dashboards::every_panel_has_data),
    ("stopped-node", stopped_node::figures_move_and_alerts_fire),
];

fn main() -> ExitCode {
    match run() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("metrics-check: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<usize> {
    let (binary, only) = binary_argument()?;
    if only.iter().any(|name| name == "cost") {
        return cost::measure(&binary).map(|()| 0);
    }
    let mut failed = 0;
    let mut report = |name: &str, started: Instant, outcome: Result<String>| {
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(found) => println!("ok      {name:<18} {seconds:6.1} s  {found}"),
            Err(error) => {
                failed += 1;
                println!("FAILED  {name:<18} {seconds:6.1} s\n{error:#}");
            }
        }
    };
    report("promtool-rules", Instant::now(), rules::promtool_accepts_the_rules());
    let cluster = Cluster::start(&binary, 3, &[("replica.lag.time.max.ms", "2000"), ("num.partitions", "6")])?;
    let prometheus = Prometheus::start(&cluster)?;
    let load = Load::start(&cluster.bootstrap())?;
    let mut stage = Stage { load, cluster, prometheus };
    for (name, check) in CHECKS {
        if only.is_empty() || only.iter().any(|wanted| name.contains(wanted.as_str())) {
            let started = Instant::now();
            let outcome = check(&mut stage);
            if outcome.is_err() {
                stage.cluster.keep_files();
            }
            report(name, started, outcome);
        }
    }
    if let Ok(seconds) = std::env::var("METRICS_STAY") {
        println!("Prometheus stays for {seconds} s: {}", stage.prometheus.url());
        std::thread::sleep(Duration::from_secs(seconds.parse()?));
    }
    println!("{failed} failed");
    Ok(failed)
}

/// Where the repository is.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Waits until `holds` says something, asking twice a second.
pub fn until<T>(what: &str, patience: Duration, mut holds: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = holds().with_context(|| what.to_owned())? {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("not within {patience:?}: {what}");
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// What promtool has against names of figures and labels as the common configuration of the JMX exporter, or the lag exporter that
/// is in common use, makes them.
const REMARKS_ABOUT_KAFKAS_NAMES: [&str; 6] = [
    "metric names should not contain abbreviated units",
    "should have \"_total\" suffix",
    "use base unit",
    "label names should be written in 'snake_case'",
    "should not have \"_count\" suffix",
    "should not have \"_sum\" suffix",
];

/// promtool reads every line; it may only find fault with names, which are Kafka's.
fn promtool_accepts_a_scrape(stage: &mut Stage) -> Result<String> {
    let mut remarks = 0;
    for node in stage.cluster.nodes() {
        let (_, text) = node.get("/metrics")?;
        let mut child = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        std::io::Write::write_all(&mut child.stdin.take().context("a pipe")?, text.as_bytes())?;
        let output = child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        let about_names = |line: &&str| REMARKS_ABOUT_KAFKAS_NAMES.iter().any(|known| line.contains(known));
        let (names, others): (Vec<&str>, Vec<&str>) =
            said.lines().filter(|line| !line.is_empty()).partition(about_names);
        if !others.is_empty() {
            bail!("node {}: promtool check metrics says\n{}", node.id(), others.join("\n"));
        }
        remarks = names.len();
    }
    Ok(format!("promtool reads the scrapes of three nodes; {remarks} remarks about names, which are Kafka's"))
}
