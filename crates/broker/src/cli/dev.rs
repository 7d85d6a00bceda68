//! `highwater dev`: a cluster on this machine, each node a child process with its own directory. One that ends is started again,
//! as a service manager would do, so that whoever tries it out can kill nodes.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use clap::Args;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use highwater_env::Fs;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Failure;
use super::output::print_line;
use super::server::StopSignals;
use crate::logging::LogFormat;

/// Port of the first node; each further one is a hundred up, as `9192` and `9292`.
const FIRST_PORT: u16 = 9092;
const PORT_STEP: u16 = 100;
/// Longest wait for a node to stop after it was told to, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a node that ended stays away: as long as with the systemd unit.
const RESTART_PAUSE: Duration = Duration::from_secs(5);
/// A node that ends of its own accord so soon after its start will not do better the next time.
const START_TIME: Duration = Duration::from_secs(10);
/// Replicas of topics that do not ask for a number: as many as there are nodes, but not more than this.
const MOST_REPLICAS: u16 = 3;

const EXAMPLES: &str = "\
Examples:
  highwater dev                                  # three nodes on 127.0.0.1:9092, 9192 and 9292
  highwater dev --nodes 1 --data /tmp/one
  highwater dev --nodes 5 --set num.partitions=3";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DevArgs {
    /// How many nodes.
    #[arg(long, short = 'n', default_value = "3", value_parser = clap::value_parser!(u16).range(1..=9))]
    nodes: u16,
    /// Directory of all nodes' data and configuration; created if missing.
    #[arg(long, short = 'd', default_value = "./data/dev", value_name = "DIR")]
    data: PathBuf,
    /// Set a property on all nodes. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How log lines look.
    #[arg(long, env = "HIGHWATER_LOG_FORMAT", hide_env_values = true, value_enum, default_value = "plain")]
    log_format: LogFormat,
}

pub(super) async fn run(args: DevArgs) -> Result<(), Failure> {
    let mut signals = StopSignals::new()?;
    let stop = CancellationToken::new();
    print_line(&how_to_connect(&args))?;
    let mut nodes: FuturesUnordered<_> = (0..args.nodes).map(|index| keep_running(&args, index, &stop)).collect();
    let result = tokio::select! {
        Some(ended) = nodes.next() => ended,
        () = signals.received() => Ok(()),
    };
    stop.cancel();
    while nodes.next().await.is_some() {}
    result
}

/// Runs a node, again and again, until `stop`.
///
/// # Errors
/// It cannot be started, or does not come up.
async fn keep_running(args: &DevArgs, index: u16, stop: &CancellationToken) -> Result<(), Failure> {
    let node = index + 1;
    loop {
        let mut child = start_node(args, index)?;
        let started = Instant::now();
        if let Some(log) = child.stderr.take() {
            tokio::spawn(forward_log(node, args.log_format, log));
        }
        let status = tokio::select! {
            status = child.wait() => status?,
            () = stop.cancelled() => {
                stop_node(child).await;
                return Ok(());
            }
        };
        if is_hopeless(status, started.elapsed()) {
            let failure = Failure::new(format!("node {node} does not start ({status}), the others were stopped"));
            return Err(failure.hint("its log above says why; nothing else may use its ports"));
        }
        let seconds = RESTART_PAUSE.as_secs();
        eprintln!("node {node} ended ({status}); the others go on, and it is started again in {seconds} s");
        tokio::select! {
            () = sleep(RESTART_PAUSE) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

/// Whether a node that ended so after `ran` would end so again: not if somebody killed it.
fn is_hopeless(status: ExitStatus, ran: Duration) -> bool {
    status.code().is_some_and(|code| code != 0) && ran < START_TIME
}

fn start_node(args: &DevArgs, index: u16) -> Result<Child, Failure> {
    let directory = args.data.join(format!("node{}", index + 1));
    Fs::Real.create_dir_all(&directory)?;
    let config = directory.join("server.properties");
    Fs::Real.write_atomic(&config, node_properties(args.nodes, index, &directory).as_bytes())?;
    let binary = std::env::current_exe()?;
    let format = match args.log_format {
        LogFormat::Plain => "plain",
        LogFormat::Json => "json",
    };
    let mut command = Command::new(binary);
    command.arg("server").arg("--config").arg(&config).args(["--log-format", format]).stdin(Stdio::null());
    for assignment in &args.set {
        command.args(["--set", assignment]);
    }
    // A group of its own: Ctrl-C in the terminal reaches only this process, which then stops the nodes in order.
    command.process_group(0).kill_on_drop(true).stderr(Stdio::piped());
    command.spawn().map_err(|error| Failure::new(format!("node {} cannot be started: {error}", index + 1)))
}

/// Puts the number of the node before each line, but not into JSON.
async fn forward_log(node: u16, format: LogFormat, log: ChildStderr) {
    let mut lines = BufReader::new(log).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match format {
            LogFormat::Plain => eprintln!("node {node} | {line}"),
            LogFormat::Json => eprintln!("{line}"),
        }
    }
}

fn port(index: u16) -> u16 {
    FIRST_PORT + index * PORT_STEP
}

fn node_properties(nodes: u16, index: u16, directory: &Path) -> String {
    let voters: Vec<String> = (0..nodes).map(|one| format!("{}@127.0.0.1:{}", one + 1, port(one) + 1)).collect();
    let replicas = nodes.min(MOST_REPLICAS);
    let min_isr = if replicas > 1 { 2 } else { 1 };
    format!(
        "# Written by `highwater dev` at each start.\n\
         process.roles=broker,controller\n\
         node.id={}\n\
         controller.quorum.voters={}\n\
         listeners=PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}\n\
         controller.listener.names=CONTROLLER\n\
         log.dirs={}\n\
         default.replication.factor={replicas}\n\
         min.insync.replicas={min_isr}\n\
         offsets.topic.replication.factor={replicas}\n\
         group.initial.rebalance.delay.ms=0\n",
        index + 1,
        voters.join(","),
        port(index),
        port(index) + 1,
        directory.join("data").display(),
    )
}

fn how_to_connect(args: &DevArgs) -> String {
    let addresses: Vec<String> = (0..args.nodes).map(|index| format!("127.0.0.1:{}", port(index))).collect();
    let nodes = if args.nodes == 1 { "1 node".to_owned() } else { format!("{} nodes", args.nodes) };
    format!(
        "{nodes} starting, data in {}. Connect any Kafka client to\n  {}\nmetrics at http://127.0.0.1:{}/metrics, Ctrl-C stops all; \
         a node that ends or is killed is started again after {} s",
        args.data.display(),
        addresses.join(","),
        port(0) + 2,
        RESTART_PAUSE.as_secs(),
    )
}

/// Tells a node to stop, waits, and kills it if it does not.
async fn stop_node(mut child: Child) {
    if let Some(pid) = child.id().and_then(|pid| libc::pid_t::try_from(pid).ok()) {
        // SAFETY: no memory is involved. The child was not waited for (it has an id), so the pid is still its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
    if timeout(STOP_TIMEOUT, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;
    use crate::config::{BrokerConfig, Properties};

    #[test]
    fn the_files_it_writes_are_a_cluster() {
        for index in 0..3 {
            let mut properties = Properties::default();
            properties.add_file(node_properties(3, index, Path::new("/d")).as_bytes()).unwrap();
            let config = BrokerConfig::resolve(properties, "localhost").unwrap();
            assert_eq!(config.warnings, [""; 0]);
            assert_eq!(config.voters.len(), 3);
            assert_eq!(config.advertised[0].port, 9092 + 100 * index);
            assert_eq!(config.internal_advertised, config.voters[usize::from(index)].endpoint);
        }
    }

    #[test]
    fn a_node_is_given_up_only_if_it_does_not_come_up() {
        // As `wait` has it: the signal, or the exit status in the second byte.
        let (killed, ended, failed) = (ExitStatus::from_raw(9), ExitStatus::from_raw(0), ExitStatus::from_raw(1 << 8));
        let long = START_TIME * 2;
        assert!(is_hopeless(failed, Duration::from_secs(1)));
        for (status, ran) in [(failed, long), (killed, Duration::ZERO), (killed, long), (ended, Duration::ZERO)] {
            assert!(!is_hopeless(status, ran), "{status}");
        }
    }
}
