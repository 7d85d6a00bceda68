//! Real Highwater processes for suites and benchmarks: start a cluster in a temporary directory, kill, stop, pause and
//! restart its nodes, read their CPU time and memory.
//!
//! In: the path of the `highwater` binary and server properties. Out: running processes that end with the value.
//! It knows nothing of the broker's crates: it sees what an operator sees.

mod kafka_tools;
mod node;
mod ports;
mod process;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

pub use kafka_tools::kafka_class_path;
pub use node::Node;
pub use ports::{Loopback, free_ports};
pub use process::{ProcessFigures, figures};

/// How long a cluster may take until every node says that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Some nodes on one loopback address of their own, stopped and deleted when dropped.
pub struct Cluster {
    nodes: Vec<Node>,
    directory: tempfile::TempDir,
    keep: bool,
}

impl Cluster {
    /// Starts `count` combined nodes with Kafka's own property names plus `extra` lines, and waits until all are ready.
    pub fn start(binary: &Path, count: usize, extra: &[(&str, &str)]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("highwater-cluster-").tempdir()?;
        let host = Loopback::pick();
        let ports = free_ports(&host, count * 3)?;
        let voters: Vec<String> =
            (0..count).map(|index| format!("{}@{host}:{}", index + 1, ports[index * 3 + 1])).collect();
        let replicas = count.min(3).to_string();
        let min_isr = if count > 1 { "2" } else { "1" };
        let mut nodes = Vec::new();
        for index in 0..count {
            let home = directory.path().join(format!("node{}", index + 1));
            std::fs::create_dir_all(&home)?;
            let (client, controller, http) = (ports[index * 3], ports[index * 3 + 1], ports[index * 3 + 2]);
            let mut properties = vec![
                ("process.roles", "broker,controller".to_owned()),
                ("node.id", (index + 1).to_string()),
                ("controller.quorum.voters", voters.join(",")),
                ("listeners", format!("PLAINTEXT://{host}:{client},CONTROLLER://{host}:{controller}")),
                ("advertised.listeners", format!("PLAINTEXT://{host}:{client}")),
                ("controller.listener.names", "CONTROLLER".to_owned()),
                ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
                ("log.dirs", home.join("data").display().to_string()),
                ("default.replication.factor", replicas.clone()),
                ("min.insync.replicas", min_isr.to_owned()),
                ("offsets.topic.replication.factor", replicas.clone()),
                ("group.initial.rebalance.delay.ms", "0".to_owned()),
                ("highwater.http.listener", format!("{host}:{http}")),
            ];
            for (key, value) in extra {
                properties.retain(|(name, _)| name != key);
                properties.push((key, (*value).to_owned()));
            }
            let text: String = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
            let config = home.join("server.properties");
            std::fs::write(&config, text)?;
            nodes.push(Node::new(
                index + 1,
                binary.to_owned(),
                config,
                format!("{host}:{client}"),
                format!("{host}:{http}"),
            ));
        }
        let mut cluster = Self { nodes, directory, keep: std::env::var_os("HIGHWATER_KEEP").is_some() };
        for node in &mut cluster.nodes {
            node.start()?;
        }
        cluster.wait_ready()?;
        Ok(cluster)
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
