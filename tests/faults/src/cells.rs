//! The faults. Each one installs itself, confirms that it was really there, and heals.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use highwater_test_cluster::Cluster;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::disks::until;
use crate::java::JavaClients;
use crate::live_reader::LiveReader;
use crate::load;
use crate::starved::starve_leader;
use crate::topic;

/// A fault: what happens to the cluster while the load runs.
pub type Fault = fn(&mut Cluster) -> Result<()>;

pub const CELLS: &[(&str, Fault)] = &[
    ("kill -9 leader", kill_leader),
    ("kill -9 leader and active controller", kill_leader_and_controller),
    ("kill -9 active controller", kill_controller),
    ("kill -9 all at once", kill_all),
    ("stop and continue leader", pause_leader),
    ("leader gets a tenth of a CPU", starve_leader),
    ("rolling restart", rolling_restart),
    ("emptied disk is refused", emptied_disk),
    ("corrupted segment of one node", corrupted_segment),
];

/// Time for the load to run undisturbed before and after a fault.
const CALM: Duration = Duration::from_secs(2);

fn kill_leader(cluster: &mut Cluster) -> Result<()> {
    for _ in 0..2 {
        let active = active_controller(cluster)?;
        let leader = load::leaders(&cluster.bootstrap())?.into_iter().flatten().find(|leader| *leader != active);
        kill_until_led(cluster, leader.context("only the active controller leads")?)?;
    }
    Ok(())
}

pub fn kill_leader_and_controller(cluster: &mut Cluster) -> Result<()> {
    for _ in 0..2 {
        let active = active_controller(cluster)?;
        let leads = load::leaders(&cluster.bootstrap())?.contains(&Some(active));
        ensure!(leads, "the active controller {active} leads no partition");
        kill_until_led(cluster, active)?;
    }
    Ok(())
}

/// Kills a node until the others lead all its partitions, and starts it again.
fn kill_until_led(cluster: &mut Cluster, node: usize) -> Result<()> {
    cluster.node(node).kill();
    ensure!(!cluster.node(node).is_running(), "node {node} still runs");
    std::thread::sleep(CALM);
    await_new_leaders(cluster, &[node], GIVEN_UP_WITHIN)?;
    cluster.node(node).start()?;
    cluster.wait_ready()?;
    await_preferred_leaders(cluster)?;
    std::thread::sleep(CALM);
    Ok(())
}

/// A dead node is given up well before `broker.session.timeout.ms`.
pub const GIVEN_UP_WITHIN: Duration = Duration::from_secs(5);
/// A hung one is fenced after `broker.session.timeout.ms` (9 s). If it was the active controller as well, those begin once there
/// is another.
const FENCED_WITHIN: Duration = Duration::from_secs(20);

/// Waits until others lead what these nodes led.
pub fn await_new_leaders(cluster: &Cluster, dead: &[usize], within: Duration) -> Result<()> {
    let others = other_nodes(cluster, dead);
    until(&format!("others lead what {dead:?} led"), within, || {
        Ok(load::leaders(&others)?.iter().all(|leader| leader.is_some_and(|leader| !dead.contains(&leader))))
    })
}

/// Waits until every node leads again, so that the next fault meets a leader whichever node it hits.
pub fn await_preferred_leaders(cluster: &Cluster) -> Result<()> {
    let started = std::time::Instant::now();
    loop {
        let leaders = load::leaders(&cluster.bootstrap())?;
        if cluster.nodes().iter().all(|node| leaders.contains(&Some(node.id()))) {
            return Ok(());
        }
        ensure!(started.elapsed() < Duration::from_secs(30), "leadership does not come back: {leaders:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn kill_controller(cluster: &mut Cluster) -> Result<()> {
    let active = active_controller(cluster)?;
    cluster.node(active).kill();
    std::thread::sleep(CALM);
    let next = active_controller(cluster)?;
    ensure!(next != active, "the dead node {active} is still the active controller");
    cluster.node(active).start()?;
    cluster.wait_ready()
}

fn kill_all(cluster: &mut Cluster) -> Result<()> {
    for id in 1..=3 {
        cluster.node(id).kill();
    }
    std::thread::sleep(Duration::from_millis(500));
    for id in 1..=3 {
        cluster.node(id).start()?;
    }
    cluster.wait_ready()
}

fn pause_leader(cluster: &mut Cluster) -> Result<()> {
    let leader = load::leaders(&cluster.bootstrap())?.into_iter().flatten().next().context("no leader")?;
    cluster.node(leader).signal(libc::SIGSTOP)?;
    let others_lead = await_new_leaders(cluster, &[leader], FENCED_WITHIN);
    std::thread::sleep(CALM);
    cluster.node(leader).signal(libc::SIGCONT)?;
    others_lead?;
    cluster.wait_ready()
}

/// Beside the load, a consumer of librdkafka and Kafka's own producer and consumer run: none of them may see an error.
fn rolling_restart(cluster: &mut Cluster) -> Result<()> {
    let java = JavaClients::start(cluster)?;
    let reader = LiveReader::start(&cluster.bootstrap())?;
    for id in 1..=3 {
        cluster.node(id).terminate()?;
        cluster.node(id).start()?;
        cluster.wait_ready()?;
        std::thread::sleep(CALM);
    }
    let (read, pause) = reader.finish()?;
    let (acknowledged, gap) = java.finish()?;
    println!(
        "  librdkafka consumer: {read} records, 0 errors, longest pause {} ms; Java: {acknowledged} acknowledged and read, 0 \
         failed, longest gap {} ms",
        pause.as_millis(),
        gap.as_millis()
    );
    Ok(())
}

fn emptied_disk(cluster: &mut Cluster) -> Result<()> {
    let data = cluster.data_directory(3);
    cluster.node(3).kill();
    let saved = data.with_file_name("saved");
    std::fs::rename(&data, &saved)?;
    std::fs::create_dir_all(&data)?;
    cluster.node(3).start()?;
    let mut waited = 0;
    while cluster.node(3).is_running() && waited < 200 {
        std::thread::sleep(Duration::from_millis(50));
        waited += 1;
    }
    if cluster.node(3).is_running() {
        bail!("a node with an emptied disk runs on: {}", cluster.node(3).log_tail());
    }
    let log = cluster.node(3).log_tail();
    ensure!(log.contains("directory"), "the refusal does not say why: {log}");
    cluster.node(3).kill();
    std::fs::remove_dir_all(&data)?;
    std::fs::rename(&saved, &data)?;
    cluster.node(3).start()?;
    cluster.wait_ready()
}

/// Bytes change in the middle of a replica that was closed in order, so that no recovery looks at them: when somebody reads them, the
/// node must notice, set the replica aside and fetch it again.
fn corrupted_segment(cluster: &mut Cluster) -> Result<()> {
    let node = 2;
    let leads = load::leaders(&cluster.bootstrap())?.iter().position(|leader| *leader == Some(node));
    let partition = leads.with_context(|| format!("node {node} leads nothing"))?;
    cluster.node(node).terminate()?;
    let data = cluster.data_directory(node);
    let segment = data.join(format!("{}-{partition}/{:020}.log", topic::TOPIC, 0));
    let mut bytes = std::fs::read(&segment)?;
    let middle = bytes.len() / 2;
    ensure!(middle > 4096, "the segment is too short to be damaged in its middle: {} bytes", bytes.len());
    bytes[middle..middle + 64].iter_mut().for_each(|byte| *byte ^= 0xff);
    std::fs::write(&segment, bytes)?;
    cluster.node(node).start()?;
    cluster.wait_ready()?;
    await_preferred_leaders(cluster)?;
    let reader: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", cluster.bootstrap()).set("group.id", "faults-damage").create()?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic::TOPIC, i32::try_from(partition)?, Offset::Beginning)?;
    reader.assign(&assignment)?;
    let prefix = format!("{}-{partition}.", topic::TOPIC);
    until("the damaged replica is set aside", Duration::from_secs(60), || {
        while reader.poll(Duration::from_millis(10)).is_some() {}
        let names = std::fs::read_dir(&data)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
        let names: Vec<String> = names.collect::<Result<_>>()?;
        Ok(names.iter().any(|name| name.starts_with(&prefix) && name.ends_with("-quarantined")))
    })
}

/// Where the nodes but one serve clients.
pub fn other_nodes(cluster: &Cluster, without: &[usize]) -> String {
    let others: Vec<&str> =
        cluster.nodes().iter().filter(|node| !without.contains(&node.id())).map(|node| node.address()).collect();
    others.join(",")
}

/// The node that says that it is the active controller.
pub fn active_controller(cluster: &mut Cluster) -> Result<usize> {
    for _ in 0..100 {
        for node in cluster.nodes() {
            if node.pid().is_some()
                && node.metric("kafka_controller_kafkacontroller_activecontrollercount").ok().flatten() == Some(1.0)
            {
                return Ok(node.id());
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None.context("no node says that it is the active controller")
}
