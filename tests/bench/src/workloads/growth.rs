//! S: what partitions and connections cost that are there and not in use: at rest, and beside a load on others.

use std::time::Duration;

use anyhow::Result;
use highwater_protocol::messages::ApiVersionsRequest;

use super::{IDEMPOTENT, RECORD_BYTES, Run, as_fast_as_it_goes};
use crate::admin::{Topic, create_topic, request_topics, wait_for_leaders, wait_until_served};
use crate::findings::Findings;
use crate::meter::Meter;
use crate::payload::Payloads;
use crate::producer::{Plan, produce};
use crate::raw::Connection;
use crate::schedule::Schedule;

/// Partitions that are there besides those in use.
const STEPS: [i32; 4] = [10, 100, 1_000, 10_000];
const PARTITIONS_PER_TOPIC: i32 = 500;
const ACTIVE_PARTITIONS: i32 = 6;
/// Records a second of the load.
const RATE: u64 = 2_000;
const CONNECTIONS: usize = 2_000;
/// How long a cluster calms down before it is watched.
const CALM: Duration = Duration::from_secs(5);
const API_VERSIONS_VERSION: i16 = 3;

pub fn run(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let (cluster, payloads) = (run.start(3)?, Payloads::new(RECORD_BYTES));
    create_topic(&cluster, "active", ACTIVE_PARTITIONS, 3)?;
    let watch = |prefix: &str, findings: &mut Findings| {
        std::thread::sleep(CALM);
        let seconds = run.scale.idle_seconds;
        let meter = Meter::start(&cluster);
        std::thread::sleep(Duration::from_secs(seconds));
        let used = meter.used();
        findings.note(format!("{prefix}.idle_cores"), used.cpu_seconds / seconds as f64);
        findings.note(format!("{prefix}.private_mb"), used.private_mb);
        findings.note_company(prefix, &used);

        let (steady, schedule) = ([IDEMPOTENT, &[("linger.ms", "1")]].concat(), Schedule::new(RATE));
        let records = schedule.records_in(run.scale.seconds.min(10));
        let plan = as_fast_as_it_goes("active", ACTIVE_PARTITIONS, records, &payloads, &steady);
        let meter = Meter::start(&cluster);
        let sent = produce(&cluster.bootstrap(), &Plan { schedule: Some(schedule), ..plan })?;
        findings.note_transfer(&format!("{prefix}.load"), &meter.used(), sent.bytes, sent.seconds);
        findings.note_latencies(&format!("{prefix}.load"), &sent.latencies.sorted());
        anyhow::Ok(())
    };
    let (mut present, mut creating) = (0, Connection::open(cluster.nodes()[0].address())?);
    for step in STEPS {
        while present < step {
            let (name, partitions) = (format!("idle-{present}"), (step - present).min(PARTITIONS_PER_TOPIC));
            let topic = [Topic { name: &name, partitions, replicas: 3, configs: &[] }];
            request_topics(&mut creating, &topic)?;
            wait_for_leaders(&cluster, &topic)?;
            wait_until_served(&cluster, &topic)?;
            present += partitions;
        }
        watch(&format!("s.{step}"), findings)?;
    }
    let mut connections = Vec::new();
    for number in 0..CONNECTIONS {
        let mut connection = Connection::open(cluster.nodes()[number % cluster.nodes().len()].address())?;
        connection.call(API_VERSIONS_VERSION, &ApiVersionsRequest::default())?;
        connections.push(connection);
    }
    watch("s.connections", findings)
}
