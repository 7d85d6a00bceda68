//! `highwater dev`: a cluster on this machine, each node a child process with its own directory.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use futures::future::select_all;
use highwater_env::Fs;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

use super::Failure;
use super::output::print_line;
use super::server::StopSignals;
use crate::logging::LogFormat;

/// Port of the first node; each further one is a hundred up, as `9192` and `9292`.
const FIRST_PORT: u16 = 9092;
const PORT_STEP: u16 = 100;
/// Longest wait for a node to stop after it was told to, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
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
    let mut stop = StopSignals::new()?;
    let mut children = Vec::new();
    for index in 0..args.nodes {
        match start_node(&args, index) {
            Ok(mut child) => {
                if let Some(log) = child.stderr.take() {
                    tokio::spawn(forward_log(index + 1, args.log_format, log));
                }
                children.push(child);
            }
            Err(failure) => {
                stop_all(&mut children).await;
                return Err(failure);
            }
        }
    }
    print_line(&how_to_connect(&args))?;
    let ended = {
        let waits =
            children.iter_mut().enumerate().map(|(index, child)| Box::pin(async move { (index, child.wait().await) }));
        tokio::select! {
            ((index, status), _, _) = select_all(waits) => Some((index, status)),
            () = stop.received() => None,
        }
    };
    stop_all(&mut children).await;
    match ended {
        None => Ok(()),
        Some((index, status)) => {
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            let failure =
                Failure::new(format!("node {} ended by itself ({status}), the others were stopped", index + 1));
            Err(failure.hint("its log above says why; nothing else may use its ports"))
        }
    }
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
        "{nodes} starting, data in {}. Connect any Kafka client to\n  {}\nmetrics at http://127.0.0.1:{}/metrics, Ctrl-C stops all",
        args.data.display(),
        addresses.join(","),
        port(0) + 2,
    )
}

/// Tells all nodes to stop, waits, and kills what does not.
async fn stop_all(children: &mut [Child]) {
    for child in children.iter() {
        if let Some(pid) = child.id().and_then(|pid| libc::pid_t::try_from(pid).ok()) {
            // SAFETY: no memory is involved. The child was not waited for (it has an id), so the pid is still its own.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
    }
    for child in children {
        if timeout(STOP_TIMEOUT, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

#[cfg(test)]
mod tests {
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
}
