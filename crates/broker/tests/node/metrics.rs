//! What three nodes show is what the table says, and `docs/metrics.md` is the table.

use std::collections::{BTreeMap, BTreeSet};

use highwater_metrics::{Kind, Metric, Presence, table};
use highwater_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use highwater_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use highwater_protocol::messages::{FetchRequest, FindCoordinatorRequest, GroupId, OffsetCommitRequest};

use super::*;

/// Three nodes that share two cores with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// One line of a scrape.
#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Three nodes of one cluster in this process; the third shows no partitions.
struct Trio {
    nodes: Vec<RunningBroker>,
}

impl Trio {
    async fn start() -> Self {
        let mut ports = Vec::new();
        for _ in 0..6 {
            // No connection leaves from this address, so the port is still free when the node binds it.
            ports.push(Net::Tcp.bind("127.0.0.3:0").await.unwrap());
        }
        let addresses: Vec<String> = ports.iter().map(|port| port.local_addr().unwrap().to_string()).collect();
        drop(ports);
        let voters: Vec<String> = (0..3).map(|node| format!("{}@{}", node + 1, addresses[3 + node])).collect();
        let mut nodes = Vec::new();
        for node in 0..3 {
            let (client, controller) = (&addresses[node], &addresses[3 + node]);
            let extra = [
                ("node.id", (node + 1).to_string()),
                ("process.roles", "broker,controller".to_owned()),
                ("controller.quorum.voters", voters.join(",")),
                ("listeners", format!("PLAINTEXT://{client},CONTROLLER://{controller}")),
                ("advertised.listeners", format!("PLAINTEXT://{client}")),
                ("controller.listener.names", "CONTROLLER".to_owned()),
                ("highwater.http.listener", "127.0.0.1:0".to_owned()),
                ("offsets.topic.num.partitions", "3".to_owned()),
                ("highwater.metrics.partition.series", (node < 2).to_string()),
            ];
            let extra: Vec<(&str, &str)> = extra.iter().map(|(key, value)| (*key, value.as_str())).collect();
            let machine = Machine::default();
            nodes.push(
                Broker::start(Machine::config(&extra), Env::in_memory(machine.disk, machine.store)).await.unwrap(),
            );
        }
        let trio = Self { nodes };
        trio.until("all nodes are ready", async |trio| trio.nodes.iter().all(RunningBroker::is_ready)).await;
        trio
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut(&Self) -> bool) {
        let wait = async {
            while !holds(self).await {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(PATIENCE, wait).await.is_err() {
            let mut states = Vec::new();
            for node in &self.nodes {
                states.push(get(node, "/readyz").await.1);
            }
            panic!("not within {PATIENCE:?}: {what}; {states:?}");
        }
    }

    async fn scrape(&self, node: usize) -> String {
        let (status, text) = get(&self.nodes[node], "/metrics").await;
        assert!(status.contains("200"), "{status} {text}");
        text
    }

    /// Sum of a series over the nodes.
    async fn sum(&self, name: &str) -> f64 {
        let mut sum = 0.0;
        for node in 0..3 {
            sum += samples(&self.scrape(node).await).iter().filter(|s| s.name == name).map(|s| s.value).sum::<f64>();
        }
        sum
    }

    /// Commits for a group, at whichever node coordinates it.
    async fn use_group(&self, group: &'static str) {
        let find = FindCoordinatorRequest::default().with_key(StrBytes::from_static_str(group));
        let partition = OffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(1);
        let topic = OffsetCommitRequestTopic::default().with_name(name("t")).with_partitions(vec![partition]);
        let commit = OffsetCommitRequest::default()
            .with_group_id(GroupId(StrBytes::from_static_str(group)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        self.until("a coordinator takes the commit", async |trio| {
            call(&mut client(&trio.nodes[0]).await, &find, 0).await;
            for node in &trio.nodes {
                let response = call(&mut client(node).await, &commit, 8).await;
                if response.topics[0].partitions[0].error_code == 0 {
                    return true;
                }
            }
            false
        })
        .await;
    }
}

fn samples(text: &str) -> Vec<Sample> {
    let mut samples = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let mut pairs = BTreeMap::new();
        for pair in labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty()) {
            let (label, value) = pair.split_once("=\"").unwrap();
            pairs.insert(label.to_owned(), value.trim_end_matches('"').to_owned());
        }
        samples.push(Sample { name: name.to_owned(), labels: pairs, value: value.parse().unwrap() });
    }
    samples
}

/// The figure that a series belongs to, and the labels that a histogram adds.
fn metric_of(series: &str) -> Option<(&'static Metric, &'static [&'static str])> {
    table::all().find_map(|metric| match (metric.kind, series.strip_prefix(metric.name)?) {
        (Kind::Histogram(_), "_bucket") => Some((metric, &["le"][..])),
        (Kind::Histogram(_), "_sum" | "_count") | (Kind::Counter | Kind::Gauge, "") => Some((metric, &[][..])),
        _ => None,
    })
}

/// Checks names, labels, types and help texts, and returns the names of the figures.
fn check_against_table(text: &str) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    let mut series = BTreeSet::new();
    for sample in samples(text) {
        let (metric, more) = metric_of(&sample.name).unwrap_or_else(|| panic!("not in the table: {sample:?}"));
        let labels: BTreeSet<&str> = sample.labels.keys().map(String::as_str).collect();
        let expected: BTreeSet<&str> = metric.labels.iter().chain(more).copied().collect();
        let is_total = labels.is_empty() && metric.name.starts_with("kafka_server_brokertopicmetrics_");
        assert!(labels == expected || is_total, "{sample:?}");
        assert!(series.insert(format!("{} {:?}", sample.name, sample.labels)), "twice: {sample:?}");
        seen.insert(metric.name);
    }
    for name in &seen {
        let metric = table::all().find(|metric| metric.name == *name).unwrap();
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        for line in [format!("# HELP {name} {}\n", metric.help), format!("# TYPE {name} {kind}\n")] {
            assert_eq!(text.matches(&line).count(), 1, "{line}");
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_show_what_the_table_says() {
    let trio = Trio::start().await;
    let mut conn = client(&trio.nodes[0]).await;
    let topic = CreatableTopic::default().with_name(name("t")).with_num_partitions(3).with_replication_factor(3);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    assert_eq!(call(&mut conn, &request, 5).await.topics[0].error_code, 0);
    trio.until("a record is committed, and errors are counted", async |trio| {
        let mut taken = 0;
        for node in &trio.nodes {
            taken += i32::from(produce(&mut client(node).await, "t").await.0 == 0);
        }
        taken == 1 && produce(&mut client(&trio.nodes[0]).await, "nowhere").await.0 != 0
    })
    .await;
    for node in &trio.nodes {
        let partition = FetchPartition::default().with_partition_max_bytes(1000);
        let topic = FetchTopic::default().with_topic(name("t")).with_partitions(vec![partition]);
        call(&mut client(node).await, &FetchRequest::default().with_topics(vec![topic]), 4).await;
    }
    // One on each partition of the offsets topic, and so one on each node.
    for group in ["a", "b", "c"] {
        trio.use_group(group).await;
    }
    trio.until("all is in sync, and the groups' lag is known", async |trio| {
        trio.sum("kafka_server_replicamanager_underreplicatedpartitions").await == 0.0
            && trio.sum("kafka_server_replicamanager_leadercount").await == 6.0
            && trio.scrape(0).await.contains("\nkafka_consumergroup_lag_sum{")
            && trio.sum("kafka_controller_kafkacontroller_activecontrollercount").await == 1.0
    })
    .await;

    let mut seen = BTreeSet::new();
    for node in 0..3 {
        let shown = check_against_table(&trio.scrape(node).await);
        let wanted = |metric: &&Metric| metric.presence == Presence::Always;
        let missing: Vec<&str> =
            table::all().filter(wanted).map(|metric| metric.name).filter(|name| !shown.contains(name)).collect();
        assert_eq!(missing, [""; 0], "always there, but not on node {}", node + 1);
        seen.extend(shown);
    }
    let missing: Vec<&str> = table::all().map(|metric| metric.name).filter(|name| !seen.contains(name)).collect();
    assert_eq!(missing, [""; 0], "in the table, but on no node");

    let quiet = check_against_table(&trio.scrape(2).await);
    let per_partition = table::all().filter(|metric| metric.presence == Presence::PerPartition);
    assert_eq!(per_partition.filter(|metric| quiet.contains(metric.name)).count(), 0, "switched off");
    assert!(trio.sum("kafka_network_requestmetrics_errors_total").await >= 1.0);
    assert_eq!(trio.sum("kafka_controller_kafkacontroller_offlinepartitionscount").await, 0.0);
    for node in &trio.nodes {
        node.shutdown().await;
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a file of the repository, not of a node")]
fn the_document_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let written = std::fs::read_to_string(path).unwrap();
    assert!(written == highwater_metrics::markdown(), "run: cargo xtask metrics > docs/metrics.md");
}
