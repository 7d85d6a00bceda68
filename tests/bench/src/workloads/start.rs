//! M1: how long a node takes from the start of its process to its first acknowledgement.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use highwater_protocol::encode_request;
use highwater_records::{BatchBuilder, Compression};
use highwater_types::Timestamp;

use super::Run;
use crate::admin::create_topic;
use crate::findings::Findings;
use crate::raw::{Connection, PRODUCE_VERSION, expect_appended, produce_request};
use crate::results::median;

/// Longest start.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(2);

/// A node with one topic, stopped and started again and again.
pub fn first_acknowledgement(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let mut cluster = run.start(1)?;
    create_topic(&cluster, "topic", 1, 1)?;
    let mut builder = BatchBuilder::new(Compression::None);
    builder.append(Timestamp(1_800_000_000_000), None, Some(b"first"), &[]);
    let request = produce_request("topic", 0, -1, builder.build());
    let frame = encode_request(PRODUCE_VERSION, 1, Some("bench"), &request)?;
    let mut milliseconds = Vec::new();
    for _ in 0..run.scale.repetitions {
        let node = cluster.node(1);
        node.terminate()?;
        let started = Instant::now();
        node.start()?;
        while attempt(node.address(), &frame).is_err() {
            ensure!(started.elapsed() < STARTS_WITHIN, "no acknowledgement; the log ends:\n{}", node.log_tail());
            std::thread::sleep(PAUSE);
        }
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
    }
    findings.note("m1.longest_ms", milliseconds.iter().copied().fold(0.0, f64::max));
    findings.note("m1.start_ms", median(milliseconds).unwrap_or_default());
    Ok(())
}

fn attempt(address: &str, frame: &[u8]) -> Result<()> {
    let mut connection = Connection::open(address)?;
    connection.answer_within(Duration::from_secs(5))?;
    expect_appended(connection.exchange(frame)?)
}
