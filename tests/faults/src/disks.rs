//! Faults of real disks: full ones, and one of two that stops to work.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::executor::block_on;
use highwater_test_cluster::Cluster;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::load;
use crate::topic;
use crate::volumes::Volume;

/// A cell whose nodes have a volume each, at `{home}/small`.
pub struct DiskCell {
    pub name: &'static str,
    pub settings: &'static [(&'static str, &'static str)],
    pub volume_bytes: u64,
    pub fault: fn(&mut Cluster, &[Volume]) -> Result<()>,
}

pub const CELLS: &[DiskCell] = &[
    DiskCell {
        name: "all disks full, healed by DeleteRecords",
        settings: &[
            ALL_ON_VOLUME,
            ("highwater.disk.reserve.bytes", "25165824"),
            ("log.segment.bytes", "1048576"),
            ("log.retention.check.interval.ms", "500"),
            ("log.segment.delete.delay.ms", "0"),
        ],
        volume_bytes: 128 << 20,
        fault: fill_disks,
    },
    DiskCell {
        name: "one of two log directories fails",
        settings: &[("log.dirs", "{home}/data,{home}/small")],
        volume_bytes: 64 << 20,
        fault: fail_directory,
    },
    DiskCell {
        name: "power loss of one node",
        settings: &[ALL_ON_VOLUME],
        volume_bytes: 256 << 20,
        fault: |cluster, volumes| lose_power(cluster, volumes, &[2]),
    },
    DiskCell {
        name: "power loss of all nodes",
        settings: &[ALL_ON_VOLUME],
        volume_bytes: 256 << 20,
        fault: |cluster, volumes| lose_power(cluster, volumes, &[1, 2, 3]),
    },
];

/// Everything of a node, the quorum's metadata too, is on its volume.
const ALL_ON_VOLUME: (&str, &str) = ("log.dirs", "{home}/small");
const FILLER: &str = "filler";
/// Time for a state to come about.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon a failed directory must be known to the cluster.
const MOVED_WITHIN: Duration = Duration::from_secs(10);

/// Twice, so that the second loss meets logs that have recovered from the first. The processes stand still before their disks do:
/// without power nobody says anything any more, and a flush that meets the shutdown under way can succeed without being durable.
fn lose_power(cluster: &mut Cluster, volumes: &[Volume], nodes: &[usize]) -> Result<()> {
    for _ in 0..2 {
        for id in nodes {
            cluster.node(*id).signal(libc::SIGSTOP)?;
        }
        for id in nodes {
            volumes[id - 1].lose_power().with_context(|| format!("power loss of node {id}"))?;
        }
        for id in nodes {
            cluster.node(*id).kill();
            volumes[id - 1].regain_power()?;
        }
        for id in nodes {
            cluster.node(*id).start()?;
        }
        cluster.wait_ready()?;
        std::thread::sleep(Duration::from_secs(3));
    }
    Ok(())
}

fn fill_disks(cluster: &mut Cluster, _: &[Volume]) -> Result<()> {
    let bootstrap = cluster.bootstrap();
    fill(cluster, &bootstrap)?;
    produce_is_refused(&bootstrap)?;
    reads_and_commits_go_on(&bootstrap)?;
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &bootstrap).create()?;
    topics_come_and_go(&admin)?;
    cluster.node(3).kill();
    cluster.node(3).start()?;
    cluster.wait_ready()?;
    cluster.node(2).terminate()?;
    cluster.node(2).start()?;
    cluster.wait_ready().context("restart on a full disk")?;
    let mut all = TopicPartitionList::new();
    for partition in 0..topic::PARTITIONS {
        all.add_partition_offset(FILLER, partition, Offset::End)?;
    }
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    for element in block_on(admin.delete_records(&all, &options))?.elements() {
        element.error().with_context(|| format!("delete the records of partition {}", element.partition()))?;
    }
    until("there is room again", PATIENCE, || Ok(!is_full(cluster)?.contains(&true)))
}

fn is_full(cluster: &Cluster) -> Result<Vec<bool>> {
    let of_node = |id: usize| {
        let path = cluster.data_directory(id).with_file_name("small");
        let series = format!("highwater_log_directory_full{{logDirectory=\"{}\"}}", path.display());
        Ok(cluster.nodes()[id - 1].metric(&series)? == Some(1.0))
    };
    (1..=3).map(of_node).collect()
}

/// Produces until no node takes records any more.
fn fill(cluster: &Cluster, bootstrap: &str) -> Result<()> {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("compression.type", "none").create()?;
    let payload = vec![b'x'; 100_000];
    let (started, mut sent) = (Instant::now(), 0);
    loop {
        let record = BaseRecord::<(), [u8]>::to(FILLER).partition(sent % topic::PARTITIONS).payload(&payload);
        if producer.send(record).is_ok() {
            sent += 1;
        }
        producer.poll(Duration::from_millis(1));
        if sent % 50 == 0 && !is_full(cluster)?.contains(&false) {
            return Ok(());
        }
        ensure!(started.elapsed() < PATIENCE * 2, "the disks do not fill up: {:?}", is_full(cluster)?);
    }
}

/// A client tries again until its own time is over.
fn produce_is_refused(bootstrap: &str) -> Result<()> {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).set("message.timeout.ms", "3000").create()?;
    let sent = producer.send(BaseRecord::<(), str>::to(FILLER).partition(0).payload("late"));
    ensure!(sent.is_ok(), "not even queued");
    producer.flush(Duration::from_secs(10))?;
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
    let (_, before) = consumer.fetch_watermarks(FILLER, 0, PATIENCE)?;
    std::thread::sleep(Duration::from_millis(500));
    let (_, after) = consumer.fetch_watermarks(FILLER, 0, PATIENCE)?;
    ensure!(before == after, "records are taken on a full disk: {before} became {after}");
    Ok(())
}

fn reads_and_commits_go_on(bootstrap: &str) -> Result<()> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "on-a-full-disk")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic::TOPIC, 0, Offset::Beginning)?;
    consumer.assign(&assignment)?;
    for number in 0..100 {
        consumer.poll(PATIENCE).with_context(|| format!("only {number} records read"))??;
    }
    let mut position = TopicPartitionList::new();
    position.add_partition_offset(topic::TOPIC, 0, Offset::Offset(100))?;
    consumer.commit(&position, CommitMode::Sync).context("commit an offset")?;
    let committed = consumer.committed(PATIENCE)?;
    let found = committed.elements().first().map(|element| element.offset());
    ensure!(found == Some(Offset::Offset(100)), "committed: {found:?}");
    Ok(())
}

fn topics_come_and_go(admin: &AdminClient<DefaultClientContext>) -> Result<()> {
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let topic = NewTopic::new("while-full", 3, TopicReplication::Fixed(3));
    let created = block_on(admin.create_topics([&topic], &options))?;
    let deleted = block_on(admin.delete_topics(&["while-full"], &options))?;
    for outcome in created.into_iter().chain(deleted) {
        outcome.map_err(|(name, code)| anyhow::anyhow!("{name}: {code}"))?;
    }
    Ok(())
}

/// The disk of one directory of node 2 stops to work; the node goes on with the other, and later gets an empty disk.
fn fail_directory(cluster: &mut Cluster, volumes: &[Volume]) -> Result<()> {
    let bootstrap = cluster.bootstrap();
    let in_sync = |count: usize| load::in_sync(&bootstrap).map(|all| all.iter().all(|isr| isr.len() == count));
    until("all replicas are in sync", PATIENCE, || in_sync(3))?;
    volumes[1].shut_down()?;
    until("the node notices", MOVED_WITHIN, || {
        let offline = cluster.nodes()[1].metric("kafka_log_logmanager_offlinelogdirectorycount")?;
        Ok(offline == Some(1.0))
    })?;
    until("leaders move, and the replicas leave the ISRs", MOVED_WITHIN, || {
        let with_it = load::in_sync(&bootstrap)?.iter().filter(|isr| isr.contains(&2)).count();
        let led = load::leaders(&bootstrap)?.iter().all(Option::is_some);
        Ok(led && with_it > 0 && with_it < topic::PARTITIONS as usize)
    })?;
    std::thread::sleep(Duration::from_secs(2));
    ensure!(cluster.node(2).is_running(), "the node stopped: {}", cluster.node(2).log_tail());
    cluster.node(2).terminate()?;
    volumes[1].replace()?;
    cluster.node(2).start()?;
    cluster.wait_ready()?;
    until("the empty disk is filled by the leaders", PATIENCE, || in_sync(3))
}

/// Waits for a state.
pub fn until(what: &str, within: Duration, done: impl Fn() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !done()? {
        if started.elapsed() > within {
            bail!("waited in vain: {what}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
