//! M3, M4 and M5: how long clients wait when a node dies or stops.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use highwater_test_cluster::{Cluster, Node};

use super::{RECORD_BYTES, Run};
use crate::admin::{
    Topic, active_controller, create_topic, leaders, request_topics, wait_for_brokers, wait_for_full_isr,
};
use crate::findings::Findings;
use crate::java_producer::{JavaPlan, longest_gap};
use crate::payload::Payloads;
use crate::producer::{Plan, Sent, Spread, produce_while};
use crate::raw::Connection;
use crate::results::median;
use crate::schedule::Schedule;

/// Partitions of the topic of each attempt: every node leads some.
const PARTITIONS: i32 = 6;
/// Records a second to the partition that is watched.
const RATE: u64 = 2_000;
/// How long the load runs before the fault, and at least after it.
const BEFORE: Duration = Duration::from_secs(2);
const LOAD_SECONDS: u64 = 5;
/// A creation that takes longer is tried again on another connection.
const CREATION_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for topics to be created again.
const RECOVERS_WITHIN: Duration = Duration::from_secs(60);
/// Creations in a row that show that the cluster is well.
const WELL: usize = 20;

/// Loads with faults begin so far apart: of a broker that dies a second time within fifteen seconds clients are told otherwise (ADR 9),
/// and that has a row of its own.
const APART: Duration = Duration::from_secs(18);

/// Time-outs of M5, equal for both: the shortest session that Highwater takes, and quorum followers that miss their leader as
/// soon as it. Highwater has no use for the last one, for it notices a broken stream.
const SHORT_TIMEOUTS: &[(&str, &str)] = &[
    ("broker.session.timeout.ms", "1000"),
    ("broker.heartbeat.interval.ms", "200"),
    ("controller.quorum.election.timeout.ms", "500"),
    ("controller.quorum.fetch.timeout.ms", "1000"),
];

/// What happens to the leader.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    KillLeader,
    KillLeaderAndController,
    /// A leader that has been killed once and has just come back.
    KillAgain,
    Stop,
}

impl Fault {
    fn happen(self, cluster: &mut Cluster, victim: usize) -> Result<()> {
        match self {
            Self::Stop => cluster.node(victim).terminate().map(|_| ()),
            Self::KillLeader | Self::KillLeaderAndController | Self::KillAgain => {
                cluster.node(victim).kill();
                Ok(())
            }
        }
    }
}

/// M3: the longest time between two acknowledgements of an idempotent librdkafka producer at its defaults, when the leader is
/// killed (active controller or not) or stopped as planned.
pub fn leader(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let mut cluster = run.start(3)?;
    let faults = [
        ("m3.leader", Fault::KillLeader),
        ("m3.controller", Fault::KillLeaderAndController),
        ("m3.again", Fault::KillAgain),
        ("m3.stop", Fault::Stop),
    ];
    gaps(run, &mut cluster, &faults, findings)?;
    match &run.options.kafka_libs {
        Some(libs) => java_producer(run, &mut cluster, libs, findings),
        None => Ok(()),
    }
}

/// M5: M3's kills, with time-outs that are short and equal on both systems.
pub fn leader_at_equal_timeouts(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let mut cluster = run.start_with(3, SHORT_TIMEOUTS)?;
    let faults = [("m5.leader", Fault::KillLeader), ("m5.controller", Fault::KillLeaderAndController)];
    gaps(run, &mut cluster, &faults, findings)
}

/// Notes the longest gap and the median one of each fault.
fn gaps(run: &Run<'_>, cluster: &mut Cluster, faults: &[(&str, Fault)], findings: &mut Findings) -> Result<()> {
    for (prefix, fault) in faults {
        let mut gaps = Vec::new();
        for attempt in 0..run.scale.repetitions {
            gaps.push(gap(run, cluster, *fault, &format!("{prefix}.{attempt}"))?.as_secs_f64() * 1e3);
        }
        findings.note(format!("{prefix}.longest_ms"), gaps.iter().copied().fold(0.0, f64::max));
        findings.note(format!("{prefix}.median_ms"), median(gaps).unwrap_or_default());
    }
    Ok(())
}

/// M3 with Kafka's own producer, whose class comes with Kafka's jars.
fn java_producer(run: &Run<'_>, cluster: &mut Cluster, libs: &Path, findings: &mut Findings) -> Result<()> {
    for (prefix, fault) in [("m3.java", Fault::KillLeader), ("m3.java_stop", Fault::Stop)] {
        let mut gaps = Vec::new();
        for attempt in 0..run.scale.repetitions {
            // One partition, so that every record waits for its leader.
            let topic = format!("{prefix}.{attempt}");
            create_topic(cluster, &topic, 1, 3)?;
            let leader = leaders(cluster.nodes()[0].address(), &topic)?.first().copied().context("no partition")?;
            let victim = usize::try_from(leader)?;
            let plan = JavaPlan {
                libs,
                topic: &topic,
                records: RATE * LOAD_SECONDS,
                records_per_second: RATE,
                before: BEFORE,
            };
            let rest = Rest::begin();
            let gap = longest_gap(&cluster.bootstrap(), plan, || fault.happen(cluster, victim))?;
            gaps.push(gap.as_secs_f64() * 1e3);
            recover(cluster, victim, &topic, 1)?;
            rest.end();
        }
        findings.note(format!("{prefix}.longest_ms"), gaps.iter().copied().fold(0.0, f64::max));
        findings.note(format!("{prefix}.median_ms"), median(gaps).unwrap_or_default());
    }
    Ok(())
}

/// From the beginning of one load until the next may begin.
struct Rest {
    began: Instant,
}

impl Rest {
    fn begin() -> Self {
        Self { began: Instant::now() }
    }

    fn end(self) {
        std::thread::sleep(APART.saturating_sub(self.began.elapsed()));
    }
}

fn gap(run: &Run<'_>, cluster: &mut Cluster, fault: Fault, topic: &str) -> Result<Duration> {
    let mut died_before = None;
    if fault == Fault::KillAgain {
        let before = format!("{topic}.before");
        let (_, victim) = leader_for(run, cluster, &before, |leader, controller| leader != controller)?;
        cluster.node(victim).kill();
        recover(cluster, victim, &before, PARTITIONS)?;
        died_before = Some(victim);
    }
    let (partition, victim) = leader_for(run, cluster, topic, |leader, controller| match fault {
        Fault::KillLeaderAndController => leader == controller,
        Fault::KillAgain => Some(leader) == died_before,
        Fault::KillLeader | Fault::Stop => leader != controller,
    })?;
    let bootstrap = cluster.bootstrap();
    let rest = Rest::begin();
    let sent = under_load(&bootstrap, topic, partition, || fault.happen(cluster, victim))?;
    recover(cluster, victim, topic, PARTITIONS)?;
    rest.end();
    Ok(sent.longest_gap)
}

/// A new topic's first partition whose leader is such a one beside the active controller, and that leader.
fn leader_for(
    run: &Run<'_>,
    cluster: &Cluster,
    topic: &str,
    wanted: impl Fn(usize, usize) -> bool,
) -> Result<(i32, usize)> {
    create_topic(cluster, topic, PARTITIONS, 3)?;
    let controller = active_controller(cluster, run.system)?;
    for (partition, leader) in (0..).zip(leaders(cluster.nodes()[0].address(), topic)?) {
        let leader = usize::try_from(leader)?;
        if wanted(leader, controller) {
            return Ok((partition, leader));
        }
    }
    bail!("no partition of {topic} with such a leader")
}

/// Starts the node again, and waits until nothing is left of the fault.
fn recover(cluster: &mut Cluster, victim: usize, topic: &str, partitions: i32) -> Result<()> {
    cluster.node(victim).start()?;
    wait_for_brokers(cluster)?;
    wait_for_full_isr(cluster, topic, partitions, 3)
}

fn under_load(bootstrap: &str, topic: &str, partition: i32, fault: impl FnOnce() -> Result<()>) -> Result<Sent> {
    let (payloads, schedule) = (Payloads::new(RECORD_BYTES), Schedule::new(RATE));
    let plan = Plan {
        topic,
        records: schedule.records_in(LOAD_SECONDS),
        payloads: &payloads,
        spread: Spread::Only(partition),
        schedule: Some(schedule),
        properties: &[("enable.idempotence", "true")],
    };
    produce_while(bootstrap, &plan, BEFORE, fault)
}

/// M4: the longest time between two creations of topics, one after the other, when the active controller is killed.
pub fn controller(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    let mut cluster = run.start(3)?;
    let mut gaps = Vec::new();
    for attempt in 0..run.scale.repetitions {
        wait_for_brokers(&cluster)?;
        let controller = active_controller(&cluster, run.system)?;
        let survivor = cluster.nodes().iter().find(|node| node.id() != controller).map(Node::address);
        let survivor = survivor.context("no other node")?.to_owned();
        let mut creations = Creations::new(&survivor, attempt);
        creations.make(WELL)?;
        cluster.node(controller).kill();
        creations.make(WELL)?;
        gaps.push(creations.longest_gap.as_secs_f64() * 1e3);
        cluster.node(controller).start()?;
    }
    findings.note("m4.longest_ms", gaps.iter().copied().fold(0.0, f64::max));
    findings.note("m4.gap_ms", median(gaps).unwrap_or_default());
    Ok(())
}

/// Topics created one after the other through one node.
struct Creations<'a> {
    address: &'a str,
    attempt: usize,
    number: usize,
    connection: Option<Connection>,
    last: Option<Instant>,
    longest_gap: Duration,
}

impl<'a> Creations<'a> {
    fn new(address: &'a str, attempt: usize) -> Self {
        Self { address, attempt, number: 0, connection: None, last: None, longest_gap: Duration::ZERO }
    }

    /// Creates so many more, trying again for as long as the cluster may take to recover.
    fn make(&mut self, count: usize) -> Result<()> {
        let deadline = Instant::now() + RECOVERS_WITHIN;
        for _ in 0..count {
            while let Err(error) = self.create() {
                if Instant::now() > deadline {
                    return Err(error);
                }
                self.connection = None;
                std::thread::sleep(Duration::from_millis(5));
            }
            let now = Instant::now();
            self.longest_gap = self.longest_gap.max(self.last.map_or(Duration::ZERO, |last| now - last));
            self.last = Some(now);
        }
        Ok(())
    }

    fn create(&mut self) -> Result<()> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.address)?,
        };
        connection.answer_within(CREATION_WITHIN)?;
        // A creation whose answer was lost may have happened: each attempt has a name of its own.
        self.number += 1;
        let name = format!("topic-{}-{}", self.attempt, self.number);
        request_topics(&mut connection, &[Topic { name: &name, partitions: 1, replicas: 1, configs: &[] }])?;
        self.connection = Some(connection);
        Ok(())
    }
}
