//! How long four voters are without an active controller after it was killed. Three of them are left, and all of these must vote
//! for the same one.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use highwater_env::{CrashMode, install_flush_latency, rng};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::sleep;
use turmoil::Sim;

use crate::cluster::{SimCluster, id};
use crate::plan::{Layout, Plan};
use crate::run::simulation;
use crate::voters::VoterAdministrator;

/// Longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// When an active controller was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Nothing else happened.
    Quiet,
    /// Somebody had just asked for a change of the voters.
    Change,
}

/// What the administrator is to do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Nothing,
    FourVoters,
    Change,
}

/// Kills so many active controllers, and tells for each how long there was none.
///
/// # Errors
/// When the quorum does not come back in time.
pub fn measure(seed: u64, kills: usize) -> Result<Vec<(Moment, Duration)>> {
    let plan = Plan::without_faults(seed, Layout::Joining);
    rng::install(Some(seed ^ 0x00ad_5eed));
    install_flush_latency(seed ^ 0xd15c, plan.flush);
    let mut sim = simulation(seed);
    let cluster = SimCluster::new(&mut sim, &plan);
    let wanted = Rc::new(Cell::new(Wanted::FourVoters));
    sim.client("administrator", administrate(seed, plan.layout, wanted.clone()));
    let rng = SmallRng::seed_from_u64(seed ^ 0xe1ec_u64.rotate_left(40));
    let mut quorum = Quorum { sim, cluster, wanted, rng };
    (0..kills).map(|_| quorum.kill()).collect()
}

async fn administrate(seed: u64, layout: Layout, wanted: Rc<Cell<Wanted>>) -> turmoil::Result {
    let mut administrator = VoterAdministrator::new(seed, layout.controllers().map(id));
    loop {
        let now = wanted.get();
        let done = match now {
            Wanted::Nothing => Ok(()),
            Wanted::FourVoters => administrator.settle(&mut false).await,
            Wanted::Change => administrator.change().await,
        };
        if done.is_ok() && wanted.get() == now {
            wanted.set(Wanted::Nothing);
        }
        sleep(PAUSE).await;
    }
}

struct Quorum<'a> {
    sim: Sim<'a>,
    cluster: SimCluster,
    wanted: Rc<Cell<Wanted>>,
    rng: SmallRng,
}

impl Quorum<'_> {
    /// Brings everything back, then kills the active controller once.
    fn kill(&mut self) -> Result<(Moment, Duration)> {
        self.ask_for(Wanted::FourVoters)?;
        self.until("metadata converge", Self::has_converged)?;
        self.rest(300..1000)?;
        let moment = match self.rng.random_range(0..4) {
            0..2 => Moment::Quiet,
            more => {
                // With four voters one loses its vote; with three, one gets a vote.
                if more == 2 {
                    self.ask_for(Wanted::Change)?;
                    self.rest(300..1000)?;
                }
                self.wanted.set(Wanted::Change);
                self.rest(0..200)?;
                Moment::Change
            }
        };
        self.until("a controller is active", |quorum| quorum.active(None).is_some())?;
        let Some(killed) = self.active(None) else { unreachable!("one is active") };
        self.cluster.crash(&mut self.sim, killed, CrashMode::Keep, 0);
        let at = self.sim.elapsed();
        self.until("another controller is active", |quorum| quorum.active(Some(killed)).is_some())?;
        let without = self.sim.elapsed() - at;
        tracing::info!(?at, killed = id(killed), ?without, "elections: {moment:?}");
        self.rest(0..500)?;
        self.cluster.restart(&mut self.sim, killed);
        Ok((moment, without))
    }

    fn ask_for(&mut self, wanted: Wanted) -> Result<()> {
        self.wanted.set(wanted);
        self.until("what was asked for is done", |quorum| quorum.wanted.get() == Wanted::Nothing)
    }

    fn rest(&mut self, milliseconds: std::ops::Range<u64>) -> Result<()> {
        let end = self.sim.elapsed() + Duration::from_millis(self.rng.random_range(milliseconds));
        self.until("time passes", |quorum| quorum.sim.elapsed() >= end)
    }

    fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = self.sim.elapsed() + PATIENCE;
        while !is_so(self) {
            self.sim.step().map_err(|error| anyhow!("a host failed: {error}"))?;
            ensure!(self.sim.elapsed() < deadline, "not within {PATIENCE:?}: {what}");
        }
        Ok(())
    }

    /// The active controller, but not that one.
    fn active(&self, but: Option<usize>) -> Option<usize> {
        let nodes = self.cluster.inspect();
        let active = nodes.iter().find(|node| node.controller.is_some_and(|controller| controller.active))?;
        (0..self.cluster.nodes()).find(|&node| id(node) as i32 == active.node.0).filter(|&node| Some(node) != but)
    }

    fn has_converged(&self) -> bool {
        let nodes = self.cluster.inspect();
        nodes.len() == self.cluster.nodes()
            && nodes.iter().all(|node| node.image.offset() == nodes[0].image.offset())
            && nodes.iter().filter(|node| node.controller.is_some_and(|controller| controller.active)).count() == 1
    }
}
