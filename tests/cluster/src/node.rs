//! One node's process.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::software::Software;

/// How long a controlled shutdown may take.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// Where a node runs.
#[derive(Debug, Clone)]
pub struct Host {
    /// For Kafka clients, for other nodes, for metrics and probes; each `host:port`.
    pub addresses: [String; 3],
    /// The command that runs a program on that host in its own stead, e.g. `ip netns exec NAME`; empty for this one.
    pub enter: Vec<String>,
}

/// One node: its files, and its process while it runs.
pub struct Node {
    id: usize,
    software: Software,
    config: PathBuf,
    host: Host,
    child: Option<Child>,
}

impl Node {
    /// A node that does not run yet.
    pub(crate) fn new(id: usize, software: Software, config: PathBuf, host: Host) -> Self {
        Self { id, software, config, host, child: None }
    }

    /// `node.id`.
    pub fn id(&self) -> usize {
        self.id
    }

    /// `host:port` for Kafka clients.
    pub fn address(&self) -> &str {
        &self.host.addresses[0]
    }

    /// `host:port` of the controller's listener.
    pub fn controller(&self) -> &str {
        &self.host.addresses[1]
    }

    /// `host:port` of Highwater's metrics and probes.
    pub fn http(&self) -> &str {
        &self.host.addresses[2]
    }

    /// Process id while the node runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// What the process runs.
    pub(crate) fn software(&self) -> &Software {
        &self.software
    }

    /// What the process runs from its next start on.
    pub fn install(&mut self, software: Software) {
        self.software = software;
    }

    /// Starts the process; its output is appended to `node.log` beside the properties.
    pub fn start(&mut self) -> Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(self.log_path())?;
        let child = self
            .command()?
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {:?}", self.software))?;
        self.child = Some(child);
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let command = self.software.command(&self.config)?;
        let Some((program, arguments)) = self.host.enter.split_first() else { return Ok(command) };
        let mut entered = Command::new(program);
        entered.args(arguments).arg(command.get_program()).args(command.get_args());
        Ok(entered)
    }

    /// Whether the process lives.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL, and waits for the end.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and waits for the end; its duration.
    pub fn terminate(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.signal(libc::SIGTERM)?;
        while self.is_running() {
            if started.elapsed() > STOPS_WITHIN {
                bail!("node {} did not stop within {STOPS_WITHIN:?}", self.id);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.child = None;
        Ok(started.elapsed())
    }

    /// Sends a signal, e.g. `SIGSTOP` or `SIGCONT`.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let pid = self.pid().with_context(|| format!("node {} does not run", self.id))?;
        // SAFETY: kill has no memory effects; the pid is our own child's, not yet waited for.
        let outcome = unsafe { libc::kill(i32::try_from(pid)?, signal) };
        if outcome != 0 {
            bail!("signal {signal} to node {}: {}", self.id, std::io::Error::last_os_error());
        }
        Ok(())
    }

    /// Whether Highwater's `/readyz` answers 200, or Kafka accepts connections.
    pub fn is_ready(&self) -> bool {
        match self.software {
            Software::Highwater(_) => self.get("/readyz").is_ok_and(|(status, _)| status == 200),
            Software::Kafka(_) => TcpStream::connect(self.address()).is_ok(),
        }
    }

    /// An HTTP GET of the node: status and body.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.http())?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let status = head.split_whitespace().nth(1).context("no status")?.parse()?;
        Ok((status, body.to_owned()))
    }

    /// The value of a metric series, e.g. `kafka_controller_kafkacontroller_activecontrollercount`.
    pub fn metric(&self, series: &str) -> Result<Option<f64>> {
        let (_, body) = self.get("/metrics")?;
        let line = body.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        Ok(line.and_then(|line| line.rsplit(' ').next()?.parse().ok()))
    }

    /// The last lines of the node's log.
    pub fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Where the node's output goes.
    pub fn log_path(&self) -> PathBuf {
        self.config.with_file_name("node.log")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}
