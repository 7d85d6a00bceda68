//! Real processes of Highwater (or of Apache Kafka, to compare with) for suites and benchmarks: start a cluster in a
//! temporary directory, kill, stop, pause and restart its nodes, read their CPU time and memory.
//!
//! In: the path of the `highwater` binary or of Kafka's jars, and server properties. Out: running processes that end with the value.
//! It knows nothing of the broker's crates: it sees what an operator sees.

mod kafka_tools;
mod node;
mod ports;
mod process;
mod software;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

pub use kafka_tools::kafka_class_path;
pub use node::{Host, Node};
pub use ports::{Loopback, free_ports};
pub use process::{ProcessFigures, figures, is_stopped, ticks_per_second};
pub use software::Software;

/// How long a cluster may take until every node says that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Some nodes on one loopback address of their own, stopped and deleted when dropped.
pub struct Cluster {
    nodes: Vec<Node>,
    directory: tempfile::TempDir,
    keep: bool,
}

impl Cluster {
    /// Starts `count` combined nodes with Kafka's own property names plus `extra` lines, and waits until all are ready.
    pub fn start(binary: &Path, count: usize, extra: &[(&str, &str)]) -> Result<Self> {
        Self::start_software(&Software::Highwater(binary.to_owned()), count, extra)
    }

    /// As [`Self::start`], with a choice of what runs on the nodes.
    pub fn start_software(software: &Software, count: usize, extra: &[(&str, &str)]) -> Result<Self> {
        Self::start_prepared(software, count, extra, |_| Ok(()))
    }

    /// As [`Self::start_software`]; `prepare` is called with each node's home, before anything but its properties is there. In
    /// the values of `extra`, `{home}` stands for that directory, and `{id}` for `node.id`.
    pub fn start_prepared(
        software: &Software,
        count: usize,
        extra: &[(&str, &str)],
        prepare: impl FnMut(&Path) -> Result<()>,
    ) -> Result<Self> {
        let host = Loopback::pick();
        let ports = free_ports(&host, count * 3)?;
        let hosts = ports.chunks(3).map(|ports| Host {
            addresses: [0, 1, 2].map(|kind| format!("{host}:{}", ports[kind])),
            enter: Vec::new(),
        });
        Self::start_on(software, hosts.collect(), extra, prepare)
    }

    /// As [`Self::start_prepared`], with a node on each of the hosts.
    pub fn start_on(
        software: &Software,
        hosts: Vec<Host>,
        extra: &[(&str, &str)],
        mut prepare: impl FnMut(&Path) -> Result<()>,
    ) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("highwater-cluster-").tempdir()?;
        let count = hosts.len();
        let addresses: Vec<[String; 3]> = hosts.iter().map(|host| host.addresses.clone()).collect();
        let controllers = addresses.iter().enumerate();
        let voters: Vec<String> =
            controllers.map(|(index, [_, address, _])| format!("{}@{address}", index + 1)).collect();
        let mut configs = Vec::new();
        for (index, addresses) in addresses.iter().enumerate() {
            let home = directory.path().join(format!("node{}", index + 1));
            std::fs::create_dir_all(&home)?;
            prepare(&home)?;
            let mut properties = software.properties(count, &addresses[2]);
            properties.extend(common_properties(index + 1, count, &voters, addresses, &home));
            let mut properties: Vec<(&str, String)> = properties;
            for (key, value) in extra {
                properties.retain(|(name, _)| name != key);
                properties.push((
                    key,
                    value.replace("{home}", &home.display().to_string()).replace("{id}", &(index + 1).to_string()),
                ));
            }
            let text: String = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
            let config = home.join("server.properties");
            std::fs::write(&config, text)?;
            configs.push(config);
        }
        software.prepare(&configs)?;
        let nodes = configs.into_iter().zip(hosts).enumerate();
        let nodes: Vec<Node> =
            nodes.map(|(index, (config, host))| Node::new(index + 1, software.clone(), config, host)).collect();
        let mut cluster = Self { nodes, directory, keep: std::env::var_os("HIGHWATER_KEEP").is_some() };
        for node in &mut cluster.nodes {
            node.start()?;
        }
        cluster.wait_ready()?;
        Ok(cluster)
    }

    /// A controller beside the nodes, with `extra` lines of properties, which joins their quorum once it is started. Its id is the
    /// one after theirs.
    pub fn joining_controller(&self, extra: &[(&str, &str)]) -> Result<Node> {
        let id = self.nodes.len() + 1;
        let address = Loopback::pick();
        let ports = free_ports(&address, 3)?;
        let host = Host { addresses: [0, 1, 2].map(|kind| format!("{address}:{}", ports[kind])), enter: Vec::new() };
        let home = self.directory.path().join(format!("node{id}"));
        std::fs::create_dir_all(&home)?;
        let voters: Vec<String> =
            self.nodes.iter().map(|node| format!("{}@{}", node.id(), node.controller())).collect();
        let properties = [
            ("process.roles", "controller".to_owned()),
            ("node.id", id.to_string()),
            ("controller.quorum.voters", voters.join(",")),
            ("listeners", format!("CONTROLLER://{}", host.addresses[1])),
            ("controller.listener.names", "CONTROLLER".to_owned()),
            ("highwater.http.listener", host.addresses[2].clone()),
            ("log.dirs", home.join("data").display().to_string()),
        ];
        let extra = extra.iter().map(|(key, value)| (*key, (*value).to_owned()));
        let text: String = properties.into_iter().chain(extra).map(|(key, value)| format!("{key}={value}\n")).collect();
        let config = home.join("server.properties");
        std::fs::write(&config, text)?;
        let software = self.nodes[0].software().clone();
        Ok(Node::new(id, software, config, host))
    }

    /// Waits until every running node answers that it is ready.
    pub fn wait_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        for node in &mut self.nodes {
            while !node.is_ready() {
                if node.is_running() && Instant::now() < deadline {
                    std::thread::sleep(Duration::from_millis(20));
                    continue;
                }
                bail!("node {} did not become ready; the end of its log:\n{}", node.id(), node.log_tail());
            }
        }
        Ok(())
    }

    /// `host:port,host:port,...` of all nodes, for clients.
    pub fn bootstrap(&self) -> String {
        self.nodes.iter().map(|node| node.address().to_owned()).collect::<Vec<_>>().join(",")
    }

    /// The node with this id (1, 2, ...).
    pub fn node(&mut self, id: usize) -> &mut Node {
        &mut self.nodes[id - 1]
    }

    /// All nodes in the order of their ids.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Where data, properties and logs of the nodes are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The Kafka partition directory of a node.
    pub fn data_directory(&self, id: usize) -> PathBuf {
        self.directory.path().join(format!("node{id}")).join("data")
    }

    /// CPU seconds and memory of all running nodes, summed.
    pub fn figures(&self) -> ProcessFigures {
        self.nodes
            .iter()
            .filter_map(Node::pid)
            .filter_map(figures)
            .fold(ProcessFigures::default(), ProcessFigures::plus)
    }

    /// Keeps directory and logs after the value is dropped, and says where they are.
    pub fn keep_files(&mut self) {
        self.keep = true;
    }
}

/// What both programs are told alike; everything else is at its default.
fn common_properties(
    id: usize,
    count: usize,
    voters: &[String],
    [client, controller, _http]: &[String; 3],
    home: &Path,
) -> Vec<(&'static str, String)> {
    let replicas = count.min(3).to_string();
    vec![
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", id.to_string()),
        ("controller.quorum.voters", voters.join(",")),
        ("listeners", format!("PLAINTEXT://{client},CONTROLLER://{controller}")),
        ("advertised.listeners", format!("PLAINTEXT://{client}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        ("log.dirs", home.join("data").display().to_string()),
        ("default.replication.factor", replicas.clone()),
        ("min.insync.replicas", if count > 1 { "2" } else { "1" }.to_owned()),
        ("offsets.topic.replication.factor", replicas),
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
    ]
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.kill();
        }
        if self.keep {
            self.directory.disable_cleanup(true);
            eprintln!("kept: {}", self.directory.path().display());
        }
    }
}

/// The `--binary PATH` of a suite's command line, and the remaining words.
pub fn binary_argument() -> Result<(PathBuf, Vec<String>)> {
    let mut words = std::env::args().skip(1);
    let mut binary = None;
    let mut rest = Vec::new();
    while let Some(word) = words.next() {
        if word == "--binary" {
            binary = Some(PathBuf::from(words.next().context("--binary needs a path")?));
        } else {
            rest.push(word);
        }
    }
    let binary = binary.context("usage: --binary PATH-OF-HIGHWATER [NAME ...]")?;
    let binary = std::fs::canonicalize(&binary).with_context(|| format!("no binary at {}", binary.display()))?;
    Ok((binary, rest))
}
