//! K: many classic consumer groups: what their heartbeats cost, and how long a rebalance takes.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::Run;
use crate::admin::{create_topic, wait_for_brokers};
use crate::findings::Findings;
use crate::group::Group;
use crate::latency::Latencies;
use crate::meter::Meter;

/// Members of each group.
const MEMBERS: usize = 10;
/// Time between two heartbeats of a member: the clients' default.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);
/// Groups that form at once: so many members connect at a time.
const FORMING: usize = 100;
/// Rebalances a second.
const REBALANCES_PER_SECOND: usize = 25;

pub fn run(run: &Run<'_>, findings: &mut Findings) -> Result<()> {
    // Kafka's default: the members of a new group arrive within it, so that it forms in one generation.
    let cluster = run.start_with(3, &[("group.initial.rebalance.delay.ms", "3000")])?;
    wait_for_brokers(&cluster)?;
    create_topic(&cluster, "topic", 10, 3)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bootstrap = cluster.nodes()[0].address().to_owned();
    let groups = runtime.block_on(form(&bootstrap, run.scale.groups))?;
    findings.note("k.groups", groups.len() as f64);

    let meter = Meter::start(&cluster);
    let groups = runtime.block_on(heartbeats(groups, Duration::from_secs(run.scale.seconds)))?;
    let used = meter.used();
    findings.note("k.steady_cores", used.cpu_seconds / run.scale.seconds as f64);
    findings.note_company("k.steady", &used);

    let (count, meter) = (groups.len() as f64, Meter::start(&cluster));
    let latencies = runtime.block_on(rebalances(groups))?;
    let used = meter.used();
    findings.note("k.rebalance.cpu_ms", used.cpu_seconds * 1e3 / count);
    findings.note_company("k.rebalance", &used);
    findings.note_latencies("k.rebalance", &latencies.sorted());
    Ok(())
}

/// Groups whose members have joined and got their assignments.
async fn form(bootstrap: &str, count: usize) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    let mut forming = JoinSet::new();
    for number in 0..count {
        let bootstrap = bootstrap.to_owned();
        forming.spawn(async move { Group::form(&bootstrap, &format!("group-{number}"), MEMBERS).await });
        if forming.len() >= FORMING {
            groups.push(forming.join_next().await.context("no group")???);
        }
    }
    while let Some(group) = forming.join_next().await {
        groups.push(group??);
    }
    Ok(groups)
}

/// Every group's members send heartbeats, spread evenly over the interval.
async fn heartbeats(groups: Vec<Group>, duration: Duration) -> Result<Vec<Group>> {
    let (count, end) = (groups.len() as u32, Instant::now() + duration);
    let mut running = JoinSet::new();
    for (number, mut group) in groups.into_iter().enumerate() {
        let delay = HEARTBEAT_INTERVAL * number as u32 / count;
        running.spawn(async move {
            sleep(delay).await;
            while Instant::now() < end {
                let next = tokio::time::Instant::now() + HEARTBEAT_INTERVAL;
                group.heartbeat().await?;
                sleep_until(next).await;
            }
            anyhow::Ok(group)
        });
    }
    let mut groups = Vec::new();
    while let Some(group) = running.join_next().await {
        groups.push(group??);
    }
    ensure!(groups.len() == count as usize, "a group went away");
    Ok(groups)
}

/// Every group rebalances once, at a steady rate; the time from when it was due until all members have their assignments.
async fn rebalances(groups: Vec<Group>) -> Result<Latencies> {
    let started = tokio::time::Instant::now();
    let mut running = JoinSet::new();
    for (number, mut group) in groups.into_iter().enumerate() {
        let due = started + Duration::from_secs(1) * number as u32 / REBALANCES_PER_SECOND as u32;
        running.spawn(async move {
            sleep_until(due).await;
            group.rebalance().await?;
            // The group stays until all are done: its leaving is not measured.
            anyhow::Ok((due.elapsed(), group))
        });
    }
    let (mut latencies, mut done) = (Latencies::default(), Vec::new());
    while let Some(outcome) = running.join_next().await {
        let (latency, group) = outcome??;
        latencies.add(latency);
        done.push(group);
    }
    Ok(latencies)
}
