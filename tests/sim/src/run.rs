//! One seed, from start to verdict.

use std::cell::Cell;
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use highwater_broker::NodeInspection;
use highwater_env::{install_flush_latency, rng};
use highwater_history::Coverage;
use highwater_log::inspection::BatchFile;
use highwater_metadata::PartitionImage;
use highwater_types::{BrokerId, MonoMs, PartitionIndex};
use tokio::task::JoinSet;
use turmoil::Sim;

use crate::administrator::Administrator;
use crate::checks::Checks;
use crate::cluster::{SimCluster, id};
use crate::disk_trouble::LOG_DIRS;
use crate::doubt::Doubt;
use crate::faults::{self, LATENCY};
use crate::history::{History, counts};
use crate::plan::{Durability, Fault, Layout, Plan};
use crate::voters::VoterAdministrator;
use crate::workload::{self, PARTITIONS, TOPIC};

/// Virtual time within which a healthy cluster must have healed and served a full read.
const HEALS_WITHIN: Duration = Duration::from_secs(60);
/// One step of virtual time.
const TICK: Duration = Duration::from_millis(1);

/// A run in which less was acknowledged shows nothing.
const LEAST: Coverage = Coverage { acknowledged: 100 };

/// What one seed did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub sent: usize,
    pub acknowledged: usize,
    pub read: usize,
    pub faults: usize,
    pub virtual_ms: u128,
    /// Equal for equal runs.
    pub digest: u64,
}

/// Runs the plan.
///
/// # Errors
/// The first invariant that broke, or what did not heal in time.
pub fn run(plan: &Plan) -> Result<Outcome> {
    if let Some(mutation) = plan.mutation {
        mutation.install();
    }
    rng::install(Some(plan.seed ^ 0x00ad_5eed));
    install_flush_latency(plan.seed ^ 0xd15c, plan.flush);
    let mut sim = simulation(plan.seed);
    let cluster = SimCluster::new(&mut sim, plan);
    let history = History::new();
    let stop = Rc::new(Cell::new(false));
    let finished = Rc::new(Cell::new(0));
    let clients = add_clients(&mut sim, plan, &history, &stop, &finished);
    let doubt = plan.doubt_ends.map(|until| Doubt::new(plan.seed, &cluster, until));
    let (checks, seen) = (Checks::default(), Vec::new());
    Run { plan, cluster, history, checks, doubt, seen, clients, stop, finished, digest: 0 }.execute(&mut sim)
}

/// A network without faults.
pub fn simulation<'a>(seed: u64) -> Sim<'a> {
    turmoil::Builder::new()
        .rng_seed(seed)
        .tick_duration(TICK)
        .simulation_duration(Duration::MAX)
        .min_message_latency(Duration::from_micros(100))
        .max_message_latency(LATENCY)
        .tcp_capacity(4096)
        .build()
}

/// Adds two producers, one tailing consumer, the administrators that the plan has, and a full read once they have stopped; returns
/// how many clients these are. They share two machines, each with a producer of its own: a machine costs time at every tick.
fn add_clients(
    sim: &mut Sim<'_>,
    plan: &Plan,
    history: &History,
    stop: &Rc<Cell<bool>>,
    finished: &Rc<Cell<usize>>,
) -> usize {
    let changes_voters = plan.layout == Layout::Joining;
    let others = 3 + usize::from(plan.administrator) + usize::from(changes_voters);
    let mut machines: [Vec<Client>; 2] = Default::default();
    for (producer, machine) in machines.iter_mut().enumerate() {
        let (history, stop, finished) = (history.clone(), stop.clone(), finished.clone());
        machine.push(Box::pin(async move {
            workload::create_topic().await?;
            workload::Producer::new(history).run(producer as u64, 2, || stop.get()).await?;
            finished.set(finished.get() + 1);
            Ok(())
        }));
    }
    let (shared, stopping, done) = (history.clone(), stop.clone(), finished.clone());
    machines[0].push(Box::pin(async move {
        workload::consume(shared, || stopping.get()).await?;
        done.set(done.get() + 1);
        Ok(())
    }));
    if plan.administrator {
        let (seed, stopping, done) = (plan.seed, stop.clone(), finished.clone());
        machines[1].push(Box::pin(async move {
            workload::create_topic().await?;
            Administrator::new(seed).run(|| stopping.get()).await?;
            done.set(done.get() + 1);
            Ok(())
        }));
    }
    if changes_voters {
        let (seed, controllers, stopping, done) =
            (plan.seed, plan.layout.controllers(), stop.clone(), finished.clone());
        machines[1].push(Box::pin(async move {
            workload::create_topic().await?;
            VoterAdministrator::new(seed, controllers.map(id)).run(|| stopping.get()).await?;
            done.set(done.get() + 1);
            Ok(())
        }));
    }
    let (shared, done) = (history.clone(), finished.clone());
    machines[0].push(Box::pin(async move {
        while done.get() < others {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        workload::read_all(shared).await?;
        done.set(done.get() + 1);
        Ok(())
    }));
    for (index, clients) in machines.into_iter().enumerate() {
        sim.client(format!("clients{index}"), run_clients(clients));
    }
    others + 1
}

/// One client.
type Client = Pin<Box<dyn Future<Output = turmoil::Result>>>;

/// Runs the clients of one machine side by side, until all have ended or one has failed.
async fn run_clients(clients: Vec<Client>) -> turmoil::Result {
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn_local(client);
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

fn digest(history: &History) -> Result<u64> {
    let mut lines = Vec::new();
    history.recorder.write_json_lines(&mut lines)?;
    let mix = |digest: u64, byte: &u8| (digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    Ok(lines.iter().fold(0xcbf2_9ce4_8422_2325, mix))
}

/// Whether all nodes show what they showed before: then no check can find anything that it did not find then.
fn is_as_before(now: &[NodeInspection], before: &[NodeInspection]) -> bool {
    let same = |(now, before): (&NodeInspection, &NodeInspection)| {
        (now.node, now.broker_epoch, now.controller) == (before.node, before.broker_epoch, before.controller)
            && Arc::ptr_eq(&now.image, &before.image)
            && now.replicas == before.replicas
    };
    now.len() == before.len() && now.iter().zip(before).all(same)
}

struct Run<'a> {
    plan: &'a Plan,
    cluster: SimCluster,
    history: History,
    checks: Checks,
    doubt: Option<Doubt>,
    /// What the nodes showed at the last tick.
    seen: Vec<NodeInspection>,
    clients: usize,
    stop: Rc<Cell<bool>>,
    finished: Rc<Cell<usize>>,
    digest: u64,
}

impl Run<'_> {
    fn execute(mut self, sim: &mut Sim<'_>) -> Result<Outcome> {
        let mut pending: Vec<(Duration, bool, Fault)> = Vec::new();
        for (start, end, fault) in &self.plan.faults {
            pending.extend([(*start, true, *fault), (*end, false, *fault)]);
        }
        pending.sort_by_key(|(at, starts, _)| (*at, *starts));
        pending.reverse();
        while sim.elapsed() < self.plan.faults_end {
            while let Some(&(_, starts, fault)) = pending.last().filter(|(at, ..)| *at <= sim.elapsed()) {
                pending.pop();
                let seed = self.plan.seed ^ sim.elapsed().as_millis() as u64;
                faults::apply(sim, &mut self.cluster, fault, starts, seed);
            }
            self.tick(sim)?;
        }
        faults::end_all(sim, &mut self.cluster, self.plan.seed);
        // Producers go on for a moment on the healed cluster, so that what was wedged shows itself.
        let calm = sim.elapsed() + Duration::from_secs(2);
        while sim.elapsed() < calm {
            self.tick(sim)?;
        }
        self.stop.set(true);
        let deadline = sim.elapsed() + HEALS_WITHIN;
        while self.finished.get() < self.clients || !self.is_healthy() {
            self.tick(sim)?;
            if sim.elapsed() > deadline {
                let (finished, clients) = (self.finished.get(), self.clients);
                bail!("liveness: {finished} of {clients} clients ended within {HEALS_WITHIN:?}; {}", self.health());
            }
        }
        let events = self.history.recorder.events();
        highwater_history::check(&events, LEAST).into_result()?;
        self.compare_replicas()?;
        let (sent, acknowledged, read) = counts(&events);
        Ok(Outcome {
            sent,
            acknowledged,
            read,
            faults: self.plan.faults.len() + usize::from(self.plan.doubt_ends.is_some()),
            virtual_ms: sim.elapsed().as_millis(),
            digest: self.digest ^ digest(&self.history)?,
        })
    }

    fn tick(&mut self, sim: &mut Sim<'_>) -> Result<()> {
        sim.step().map_err(|error| anyhow!("a host failed: {error}"))?;
        let nodes = self.cluster.inspect();
        self.doubt.iter_mut().for_each(|doubt| doubt.step(sim, &mut self.cluster, &nodes));
        let is_new = !is_as_before(&nodes, &self.seen) || self.checks.awaits(&self.history);
        self.seen = nodes;
        if !is_new {
            return Ok(());
        }
        self.mix(sim.elapsed());
        if self.plan.history_only {
            return Ok(());
        }
        let now = MonoMs(sim.elapsed().as_millis() as u64);
        self.checks.after_tick(&self.seen, now, &self.history).with_context(|| format!("at {:?}", sim.elapsed()))
    }

    fn mix(&mut self, at: Duration) {
        let mut mix = |value: u64| self.digest = (self.digest ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(5);
        mix(at.as_millis() as u64);
        for node in &self.seen {
            mix(node.node.0 as u64);
            mix(node.image.offset().0 as u64);
            for replica in &node.replicas {
                mix(replica.log_end.0 as u64);
                mix(replica.high_watermark.0 as u64);
            }
        }
    }

    /// Every partition has a leader and a full ISR, every replica holds the whole log, all metadata is equal.
    fn is_healthy(&self) -> bool {
        let nodes = self.cluster.inspect();
        let Some(first) = nodes.first().filter(|_| nodes.len() == self.cluster.nodes() && self.cluster.all_running())
        else {
            return false;
        };
        let Some(topic) = first.image.topic_by_name(TOPIC) else { return false };
        let converged = nodes.iter().all(|node| node.image.offset() == first.image.offset());
        converged && topic.iter().all(|(index, partition)| self.is_well(&nodes, index, partition))
    }

    fn is_well(&self, nodes: &[NodeInspection], index: PartitionIndex, image: &PartitionImage) -> bool {
        let is_moving = !image.adding.is_empty() || !image.removing.is_empty();
        let is_full = image.leader != BrokerId::NONE && image.isr.len() == image.replicas.len();
        let ends: Vec<_> = nodes
            .iter()
            .flat_map(|node| &node.replicas)
            .filter(|replica| replica.topic.as_str() == TOPIC && replica.partition == index)
            .map(|replica| (replica.log_end, replica.flushed))
            .collect();
        let must_be_flushed = self.plan.durability == Durability::Strict;
        is_full
            && !is_moving
            && ends.len() == image.replicas.len()
            && ends.iter().all(|(end, flushed)| *end == ends[0].0 && (flushed == end || !must_be_flushed))
    }

    fn health(&self) -> String {
        let nodes = self.cluster.inspect();
        let mut text = format!("{} nodes answer", nodes.len());
        for node in &nodes {
            text += &format!("; node {} metadata {} controller {:?}", node.node, node.image.offset(), node.controller);
            for replica in node.replicas.iter().filter(|replica| replica.topic.as_str() == TOPIC) {
                text += &format!(
                    " [{}-{} {:?} leader {} epoch {} isr {:?} hw {} flushed {} end {}]",
                    replica.topic,
                    replica.partition,
                    replica.role,
                    replica.leader,
                    replica.leader_epoch,
                    replica.isr,
                    replica.high_watermark,
                    replica.flushed,
                    replica.log_end
                );
            }
        }
        text
    }

    /// P1: at rest, the replicas' files hold the same bytes.
    fn compare_replicas(&self) -> Result<()> {
        let nodes = self.cluster.inspect();
        for partition in 0..PARTITIONS {
            let directory = format!("{TOPIC}-{partition}");
            let holds = |node: &&NodeInspection| {
                let mut replicas = node.replicas.iter();
                replicas.any(|replica| replica.topic.as_str() == TOPIC && replica.partition.0 == partition)
            };
            let holders: Vec<usize> = nodes.iter().filter(holds).map(|node| node.node.0 as usize - 1).collect();
            let logs: Vec<Vec<u8>> =
                holders.iter().map(|&node| self.read_log(node, &directory)).collect::<Result<_>>()?;
            for (node, log) in holders.iter().zip(&logs) {
                ensure!(
                    *log == logs[0],
                    "P1: {TOPIC}-{partition}: nodes {} and {} differ at byte {:?} ({} and {} bytes)",
                    holders[0] + 1,
                    node + 1,
                    log.iter().zip(&logs[0]).position(|(left, right)| left != right),
                    logs[0].len(),
                    log.len()
                );
            }
        }
        Ok(())
    }

    fn read_log(&self, node: usize, name: &str) -> Result<Vec<u8>> {
        let files = highwater_env::Fs::Sim(self.cluster.disk(node).clone());
        let mut places = LOG_DIRS.iter().map(|log_dir| Path::new(log_dir).join(name));
        let place = places.find(|place| files.exists(place).is_ok_and(|exists| exists));
        let directory = &place.with_context(|| format!("node {} has no {name}", node + 1))?;
        let mut bytes = Vec::new();
        for entry in files.read_dir(directory)? {
            if entry.name.ends_with(".log") {
                let path = directory.join(&entry.name);
                let mut batches = BatchFile::open(&files, &path)?;
                while batches.next_batch()?.is_some() {}
                // Without the room that was written ahead.
                let (end, _) = batches.position_and_rest();
                bytes.extend_from_slice(&files.read(&path)?[..end as usize]);
            }
        }
        Ok(bytes)
    }
}
