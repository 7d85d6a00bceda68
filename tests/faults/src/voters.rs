//! Controllers join and leave the quorum (KIP-853) under load, and the active controller is killed in the middle of each change.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use highwater_test_cluster::{Cluster, Node};

use crate::cells::await_preferred_leaders;
use crate::command_line::{highwater, start_highwater};
use crate::disks::until;

/// The cell's name.
pub const NAME: &str = "voters change, kill -9 meanwhile";
/// Times from the request for a change to the kill.
const KILL_AFTER: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(8), Duration::from_millis(30), Duration::from_millis(120)];
/// Longest that a change may take, with the election of another active controller and the start of the killed one.
const CHANGES_WITHIN: Duration = Duration::from_secs(60);
/// The controller that joins.
const FOURTH: usize = 4;

/// The cluster, and the controller beside it.
struct Quorum<'a> {
    cluster: &'a mut Cluster,
    fourth: Node,
    binary: &'a Path,
    kills: usize,
    slowest: Duration,
}

/// A fourth controller gets a vote, the active one loses its own and gets it back, the fourth loses it: again and again.
/// It has the nodes' `settings`, because it becomes the active controller now and then.
pub fn change(cluster: &mut Cluster, binary: &Path, settings: &[(&str, &str)]) -> Result<()> {
    let mut fourth = cluster.joining_controller(settings)?;
    fourth.start()?;
    let mut quorum = Quorum { cluster, fourth, binary, kills: 0, slowest: Duration::ZERO };
    quorum.until_role(FOURTH, &["observer"])?;
    for kill_after in KILL_AFTER {
        quorum.change("add", FOURTH, kill_after)?;
        let active = quorum.active()?;
        quorum.change("remove", active, kill_after)?;
        quorum.change("add", active, kill_after)?;
        quorum.change("remove", FOURTH, kill_after)?;
    }
    let roles = quorum.roles()?;
    let voters: Vec<usize> = roles.iter().filter(|(_, role)| *role != "observer").map(|(&id, _)| id).collect();
    ensure!(voters == [1, 2, 3], "{roles:?}");
    println!(
        "  {} changes, {} active controllers killed, slowest change {:.1} s",
        KILL_AFTER.len() * 4,
        quorum.kills,
        quorum.slowest.as_secs_f64()
    );
    Ok(())
}

impl Quorum<'_> {
    /// Adds or removes a controller; kills the active one after a while, and starts it again. What the first request came to does not
    /// matter: the change is asked for until it has happened.
    fn change(&mut self, what: &str, id: usize, kill_after: Duration) -> Result<()> {
        let started = Instant::now();
        let active = self.active()?;
        let words = ["cluster", "controller", what, &id.to_string()];
        let mut asked = start_highwater(self.binary, self.cluster, &words)?;
        std::thread::sleep(kill_after);
        self.node(active).kill();
        self.kills += 1;
        let others_decide = self.active();
        self.node(active).start()?;
        ensure!(others_decide? != active, "the dead controller {active} is still the active one");
        asked.wait()?;
        let wanted: &[&str] = if what == "add" { &["voter", "leader"] } else { &["observer"] };
        until(&format!("{what} {id}"), CHANGES_WITHIN, || {
            let _refused_if_it_has_happened = highwater(self.binary, self.cluster, &words)?;
            Ok(self.roles()?.get(&id).is_some_and(|role| wanted.contains(&role.as_str())))
        })?;
        self.slowest = self.slowest.max(started.elapsed());
        self.cluster.wait_ready()?;
        await_preferred_leaders(self.cluster)
    }

    fn until_role(&self, id: usize, wanted: &[&str]) -> Result<()> {
        until(&format!("controller {id} is one of {wanted:?}"), CHANGES_WITHIN, || {
            Ok(self.roles()?.get(&id).is_some_and(|role| wanted.contains(&role.as_str())))
        })
    }

    /// The controllers, each `leader`, `voter` or `observer`. Nobody while nobody can tell.
    fn roles(&self) -> Result<BTreeMap<usize, String>> {
        let Ok(told) = highwater(self.binary, self.cluster, &["cluster", "controller", "list", "--json"])? else {
            return Ok(BTreeMap::new());
        };
        let told: serde_json::Value = serde_json::from_str(&told)?;
        let controllers = told["controllers"].as_array().context("no list of controllers")?.iter();
        let role = |one: &serde_json::Value| Some((one["id"].as_u64()? as usize, one["role"].as_str()?.to_owned()));
        controllers.map(|one| role(one).with_context(|| format!("{one}"))).collect()
    }

    /// The active controller, once there is one.
    fn active(&self) -> Result<usize> {
        let started = Instant::now();
        loop {
            let roles = self.roles()?;
            if let Some((&id, _)) = roles.iter().find(|(_, role)| *role == "leader") {
                return Ok(id);
            }
            ensure!(started.elapsed() < CHANGES_WITHIN, "no controller is active");
        }
    }

    fn node(&mut self, id: usize) -> &mut Node {
        if id == FOURTH { &mut self.fourth } else { self.cluster.node(id) }
    }
}
