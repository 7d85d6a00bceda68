//! A real Apache Kafka with three nodes, to record what its tools print: needs its jars in the directory `KAFKA_LIBS`.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::normalise::Nodes;
use crate::output_of;

const HOST: &str = "127.0.0.1";
/// How long it may take until all nodes listen.
const UP_WITHIN: Duration = Duration::from_secs(180);

/// The running nodes, killed and deleted with the value.
pub struct Kafka {
    processes: Vec<Child>,
    directory: tempfile::TempDir,
    ports: Vec<(u16, u16)>,
}

impl Kafka {
    /// Formats and starts the nodes with the same properties as [`Cluster::start`](highwater_test_cluster::Cluster::start).
    pub fn start() -> Result<Self> {
        let libraries =
            std::env::var_os("KAFKA_LIBS").context("KAFKA_LIBS does not name the directory of Kafka's jars")?;
        let class_path = format!("{}/*", PathBuf::from(libraries).display());
        let ports = free_ports()?;
        let mut kafka = Self { processes: Vec::new(), directory: tempfile::tempdir()?, ports };
        for index in 0..kafka.ports.len() {
            kafka.configure(index, &class_path)?;
        }
        for index in 0..kafka.ports.len() {
            let mut java = Command::new("java");
            java.args(["-Xms512M", "-Xmx512M", "-cp", &class_path, "kafka.Kafka"]).arg(kafka.properties(index));
            java.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            kafka.processes.push(java.spawn()?);
        }
        let deadline = Instant::now() + UP_WITHIN;
        for (client, _) in &kafka.ports {
            while TcpStream::connect((HOST, *client)).is_err() {
                if Instant::now() > deadline {
                    bail!("Kafka does not listen on {client}");
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        }
        Ok(kafka)
    }

    pub fn nodes(&self) -> Nodes {
        let data = (0..self.ports.len()).map(|index| self.home(index).join("data")).collect();
        Nodes { host: HOST.to_owned(), ports: self.ports.clone(), data }
    }

    fn home(&self, index: usize) -> PathBuf {
        self.directory.path().join(format!("node{}", index + 1))
    }

    fn properties(&self, index: usize) -> PathBuf {
        self.home(index).join("server.properties")
    }

    fn configure(&self, index: usize, class_path: &str) -> Result<()> {
        let (home, (client, controller)) = (self.home(index), self.ports[index]);
        std::fs::create_dir_all(&home)?;
        let voter = |(index, (_, port)): (usize, &(u16, u16))| format!("{}@{HOST}:{port}", index + 1);
        let voters = self.ports.iter().enumerate().map(voter).collect::<Vec<_>>().join(",");
        let properties = format!(
            "process.roles=broker,controller\nnode.id={}\ncontroller.quorum.voters={voters}\n\
             listeners=PLAINTEXT://{HOST}:{client},CONTROLLER://{HOST}:{controller}\n\
             advertised.listeners=PLAINTEXT://{HOST}:{client}\ncontroller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=PLAINTEXT\nlog.dirs={}\ndefault.replication.factor=3\nmin.insync.replicas=2\n\
             offsets.topic.replication.factor=3\ngroup.initial.rebalance.delay.ms=0\n",
            index + 1,
            home.join("data").display()
        );
        let path = self.properties(index);
        std::fs::write(&path, properties)?;
        let mut format = Command::new("java");
        format.args(["-cp", class_path, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c"]);
        output_of(format.arg(&path)).map(drop)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_ports() -> Result<Vec<(u16, u16)>> {
    let listeners: Vec<TcpListener> =
        (0..6).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>()?;
    let ports: Vec<u16> =
        listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect::<Result<_, std::io::Error>>()?;
    Ok(ports.chunks(2).map(|pair| (pair[0], pair[1])).collect())
}
