//! One of three nodes stops: figures move, alerts fire, and all is quiet again once it is back.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::load::{FAST_GROUP, SLOW_GROUP};
use crate::{Stage, until};

const PATIENCE: Duration = Duration::from_secs(60);
/// Alerts that the machine itself causes: three nodes share it with a build, and its disk may be nearly full.
const ALLOWED: [&str; 6] = [
    "HighwaterWorkersBusy",
    "HighwaterSlowFlushes",
    "HighwaterProduceSlow",
    "HighwaterControllerSlow",
    "HighwaterDiskNearlyFull",
    "HighwaterDiskFullSoon",
];

/// Under load and with nothing broken, no rule fires for some seconds.
pub fn nothing_fires_in_a_healthy_cluster(stage: &mut Stage) -> Result<String> {
    let fired = until("no alert fires", PATIENCE, || {
        let loud = loud(stage)?;
        Ok((loud.is_empty() && stage.prometheus.sum("up")? == 3.0).then_some(loud))
    })?;
    std::thread::sleep(Duration::from_secs(8));
    let loud = loud(stage)?;
    if !loud.is_empty() {
        bail!("these fire in a healthy cluster: {loud:?}");
    }
    debug_assert!(fired.is_empty());
    Ok("no alert fires under load".to_owned())
}

fn loud(stage: &Stage) -> Result<Vec<String>> {
    let firing = stage.prometheus.firing()?;
    Ok(firing.into_iter().filter(|name| !ALLOWED.contains(&name.as_str())).collect())
}

/// Kills a node, and looks for what an operator must see.
pub fn figures_move_and_alerts_fire(stage: &mut Stage) -> Result<String> {
    let lag = format!("sum(kafka_consumergroup_lag_sum{{consumergroup=\"{FAST_GROUP}\"}})");
    let seconds = format!("max(kafka_consumergroup_lag_seconds_max{{consumergroup=\"{FAST_GROUP}\"}})");
    let slow = format!("sum(kafka_consumergroup_lag_sum{{consumergroup=\"{SLOW_GROUP}\"}})");
    let grows = |stage: &Stage, expression: &str, from: f64| {
        until(expression, PATIENCE, || {
            let now = stage.prometheus.sum(expression)?;
            Ok((now > from).then_some(now))
        })
    };
    grows(stage, &slow, 0.0)?;
    stage.load.pause_fast_group(true);
    let shrinks = stage.prometheus.sum("sum(kafka_server_replicamanager_isrshrinks_total)")?;
    let elections = stage.prometheus.sum("max(kafka_controller_controllerstats_leaderelections_total)")?;
    let victim = follower_of_the_quorum(stage)?;
    stage.cluster.node(victim).kill();

    let alive = "max(kafka_controller_controllerstats_leaderelections_total and on (instance) up == 1)";
    grows(stage, "sum(kafka_server_replicamanager_underreplicatedpartitions and on (instance) up == 1)", 0.0)?;
    grows(stage, "sum(kafka_controller_kafkacontroller_fencedbrokercount and on (instance) up == 1)", 0.0)?;
    grows(stage, alive, elections)?;
    grows(stage, "sum(kafka_server_replicamanager_isrshrinks_total)", shrinks)?;
    let records = grows(stage, &lag, 1000.0)?;
    let age = grows(stage, &seconds, 3.0)?;
    if stage.prometheus.sum("sum(kafka_controller_kafkacontroller_offlinepartitionscount and on (instance) up == 1)")?
        > 0.0
    {
        bail!("partitions went offline although two nodes of three are left");
    }
    let expected: BTreeSet<&str> =
        ["HighwaterNodeDown", "HighwaterBrokerFenced", "HighwaterUnderReplicated", "HighwaterAtMinIsr"].into();
    until("the alerts fire", PATIENCE, || {
        let firing = stage.prometheus.firing()?;
        let missing = expected.iter().filter(|name| !firing.iter().any(|fires| fires == *name)).count();
        Ok((missing == 0).then_some(()))
    })?;

    stage.cluster.node(victim).start()?;
    stage.load.pause_fast_group(false);
    grows(stage, "sum(kafka_server_replicamanager_isrexpands_total)", 0.0)?;
    until("the alerts are over", PATIENCE, || {
        let firing = stage.prometheus.firing()?;
        let still = firing.iter().filter(|name| expected.contains(name.as_str())).count();
        Ok((still == 0 && stage.prometheus.sum("sum(up)")? == 3.0).then_some(()))
    })?;
    until("the group has caught up", PATIENCE, || Ok((stage.prometheus.sum(&lag)? < records / 2.0).then_some(())))?;
    Ok(format!(
        "{} alerts fired and ended; a group that stood still was {records} records and {age:.0} s behind",
        expected.len()
    ))
}

/// A node that is not the active controller, so that its figures of the cluster go on.
fn follower_of_the_quorum(stage: &Stage) -> Result<usize> {
    for node in stage.cluster.nodes() {
        if node.metric("kafka_controller_kafkacontroller_activecontrollercount")? == Some(0.0) {
            return Ok(node.id());
        }
    }
    bail!("every node is the active controller");
}
