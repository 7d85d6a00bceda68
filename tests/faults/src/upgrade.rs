//! From an earlier version to this one, node by node, under load.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use highwater_test_cluster::{Cluster, Software};

use crate::command_line::highwater;
use crate::java::JavaClients;
use crate::live_reader::LiveReader;
use crate::load;
use crate::topic::TOPIC;

/// Names the earlier binary; without it there is nothing to upgrade from.
pub const EARLIER: &str = "HIGHWATER_EARLIER";
/// A level that the earlier binary does not know.
const LEVEL: &str = "highwater.metadata.version=3";
/// How long an earlier binary may take to end once its cluster is at that level.
const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// The earlier binary, if there is one.
pub fn earlier() -> Option<PathBuf> {
    std::env::var_os(EARLIER).map(PathBuf::from)
}

/// Clients of librdkafka and of Java see no error while the nodes change, one by one; the level that the new version has is refused
/// until the last node runs it; then leaders are explained, and the earlier version is not let in again.
pub fn roll(cluster: &mut Cluster, binary: &Path) -> Result<()> {
    let java = JavaClients::start(cluster)?;
    let reader = LiveReader::start(&cluster.bootstrap())?;
    let new = Software::Highwater(binary.to_owned());
    for id in 1..=3 {
        cluster.node(id).terminate()?;
        cluster.node(id).install(new.clone());
        cluster.node(id).start()?;
        cluster.wait_ready()?;
        std::thread::sleep(Duration::from_secs(2));
        if id < 3 {
            let refused = raise(cluster, binary)?.err().context("the level was raised while a node did not know it")?;
            ensure!(refused.contains("INVALID_UPDATE_VERSION"), "{refused}");
        }
    }
    let (read, pause) = reader.finish()?;
    let (acknowledged, gap) = java.finish()?;
    raise(cluster, binary)?.map_err(|error| anyhow::anyhow!("not raised with all nodes upgraded: {error}"))?;
    a_killed_leader_is_explained(cluster, binary)?;
    the_earlier_version_stays_out(cluster, &new)?;
    println!(
        "  librdkafka consumer: {read} records, 0 errors, longest pause {} ms; Java: {acknowledged} acknowledged and read, 0 \
         failed, longest gap {} ms",
        pause.as_millis(),
        gap.as_millis()
    );
    Ok(())
}

/// Raises the level; the inner error is the cluster's refusal.
fn raise(cluster: &Cluster, binary: &Path) -> Result<Result<String, String>> {
    highwater(binary, cluster, &["cluster", "features", "--set", LEVEL])
}

fn a_killed_leader_is_explained(cluster: &mut Cluster, binary: &Path) -> Result<()> {
    let leader_of_the_first =
        |bootstrap: &str| Ok::<_, anyhow::Error>(load::leaders(bootstrap)?.first().copied().flatten());
    let leader = leader_of_the_first(&cluster.bootstrap())?.context("no leader")?;
    cluster.node(leader).kill();
    let started = Instant::now();
    while leader_of_the_first(&cluster.bootstrap())?.is_none_or(|now| now == leader) {
        ensure!(started.elapsed() < ENDS_WITHIN, "broker {leader} still leads");
        std::thread::sleep(Duration::from_millis(100));
    }
    let words = ["explain", "partition", &format!("{}-0", TOPIC)];
    let told = highwater(binary, cluster, &words)?.map_err(|error| anyhow::anyhow!("explain: {error}"))?;
    let reason = format!("broker {leader}, which led, was fenced");
    ensure!(told.contains(&reason), "no {reason:?} in\n{told}");
    cluster.node(leader).start()?;
    cluster.wait_ready()
}

fn the_earlier_version_stays_out(cluster: &mut Cluster, new: &Software) -> Result<()> {
    let earlier = earlier().context("no earlier binary")?;
    let node = cluster.node(3);
    node.terminate()?;
    node.install(Software::Highwater(earlier));
    node.start()?;
    let started = Instant::now();
    while node.is_running() {
        if node.is_ready() {
            bail!("the earlier version serves in a cluster at a level that it does not know");
        }
        if started.elapsed() > ENDS_WITHIN {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    node.kill();
    node.install(new.clone());
    node.start()?;
    cluster.wait_ready()
}
