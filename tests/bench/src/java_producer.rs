//! Kafka's own Java producer at its defaults, as its `VerifiableProducer` runs it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use serde::Deserialize;

/// Longest wait for the first acknowledgement: a Java machine starts slowly.
const FIRST_WITHIN: Duration = Duration::from_secs(60);

/// The tool turns retries off, which also turns idempotence off; these are the client's own defaults.
const CLIENT_DEFAULTS: &str = "retries=2147483647\nenable.idempotence=true\n";

/// What it sends: so many records at a rate, to a topic.
#[derive(Debug, Clone, Copy)]
pub struct JavaPlan<'a> {
    pub libs: &'a Path,
    pub topic: &'a str,
    pub records: u64,
    pub records_per_second: u64,
    /// How long after the first acknowledgement something happens to the brokers.
    pub before: Duration,
}

/// One line of its output.
#[derive(Debug, Deserialize)]
struct Event {
    name: String,
    /// Milliseconds since 1970.
    timestamp: u64,
}

/// Sends as planned, makes `fault` happen meanwhile, and gives the longest time between two acknowledgements.
pub fn longest_gap(bootstrap: &str, plan: JavaPlan<'_>, fault: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let mut config = tempfile::NamedTempFile::new()?;
    config.write_all(CLIENT_DEFAULTS.as_bytes())?;
    let mut child = Command::new("java")
        .arg("-Xmx256M")
        .arg("-cp")
        .arg(std::fs::canonicalize(plan.libs)?.join("*"))
        .args(["org.apache.kafka.tools.VerifiableProducer", "--bootstrap-server", bootstrap, "--topic", plan.topic])
        .arg("--command-config")
        .arg(config.path())
        .args(["--acks", "-1", "--max-messages", &plan.records.to_string()])
        .args(["--throughput", &plan.records_per_second.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("start java")?;
    let (first, acknowledged) = channel();
    let gap = std::thread::scope(|scope| {
        let reader = scope.spawn(|| gaps(&mut child, &first));
        let outcome = after_first(&acknowledged, plan.before).and_then(|()| fault());
        let gap = reader.join().map_err(|_| anyhow!("the reader panicked"))?;
        outcome.and(gap)
    });
    child.wait()?;
    gap
}

fn after_first(acknowledged: &Receiver<()>, pause: Duration) -> Result<()> {
    acknowledged.recv_timeout(FIRST_WITHIN).context("the Java producer sends nothing")?;
    std::thread::sleep(pause);
    Ok(())
}

fn gaps(child: &mut Child, first: &Sender<()>) -> Result<Duration> {
    let output = child.stdout.take().context("no output")?;
    let (mut last, mut longest) = (None, 0);
    for line in BufReader::new(output).lines() {
        let Ok(event) = serde_json::from_str::<Event>(&line?) else { continue };
        match event.name.as_str() {
            "producer_send_success" => {
                longest = longest.max(last.map_or(0, |last| event.timestamp.saturating_sub(last)));
                if last.replace(event.timestamp).is_none() {
                    // The receiver is gone if the wait was given up; its error says so.
                    let _ = first.send(());
                }
            }
            "producer_send_error" => bail!("a record of the Java producer was not acknowledged"),
            _ => {}
        }
    }
    last.map(|_| Duration::from_millis(longest)).context("the Java producer sent nothing")
}
