//! The command line: what can be asked, and what is printed. Client commands speak the Kafka protocol and know nothing else
//! of the cluster, so they also work against Apache Kafka.

mod bench;
mod broker;
mod client;
mod cluster;
mod completions;
mod config;
mod consume;
mod dev;
mod doctor;
mod explain;
mod failure;
mod group;
mod json_record;
mod log;
mod output;
mod partition;
mod produce;
mod progress;
mod server;
mod service_manager;
mod size;
mod time;
mod topic;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use highwater_env::KvOpener;
use serde_json::Value;

use client::ClusterClient;
pub use failure::Failure;
use output::Format;

/// Address that client commands use when told nothing.
const DEFAULT_BOOTSTRAP: &str = "127.0.0.1:9092";

/// What scripts may rely on; part of `--help`.
const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 refused or failed, 2 wrong usage or configuration, 3 no broker reached.
With --json, results are JSON on standard output, and an error is one JSON object on standard error.
Colours and progress bars appear on terminals only; NO_COLOR switches colours off.";

/// A clustered, Kafka-compatible event broker.
#[derive(Debug, Parser)]
#[command(name = "highwater", version, propagate_version = true, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a node.
    Server(server::ServerArgs),
    /// Run a cluster of several nodes on this machine, for development.
    Dev(dev::DevArgs),
    /// Create, list, describe, change and delete topics; delete records; find offsets.
    Topic {
        #[command(subcommand)]
        command: topic::TopicCommand,
    },
    /// List partitions by their health, move replicas, elect leaders.
    Partition {
        #[command(subcommand)]
        command: partition::PartitionCommand,
    },
    /// Send lines from standard input to a topic.
    Produce(produce::ProduceArgs),
    /// Print the records of a topic.
    Consume(consume::ConsumeArgs),
    /// List and describe consumer groups, set and delete their offsets.
    Group {
        #[command(subcommand)]
        command: group::GroupCommand,
    },
    /// Show and change settings of topics, brokers and the cluster.
    Config {
        #[command(subcommand)]
        command: config::ConfigCommand,
    },
    /// Describe the cluster: brokers, health, quorum, features.
    Cluster {
        #[command(subcommand)]
        command: cluster::ClusterCommand,
    },
    /// List and describe brokers, empty and remove them.
    Broker {
        #[command(subcommand)]
        command: broker::BrokerCommand,
    },
    /// Say why a partition has its leader and its in-sync replicas.
    Explain {
        #[command(subcommand)]
        command: explain::ExplainCommand,
    },
    /// Look at this machine and the cluster, or at a configuration file, and say what to do.
    Doctor(doctor::DoctorArgs),
    /// Look at the files of partitions, without a node: print, check, compare indexes.
    Log {
        #[command(subcommand)]
        command: log::LogCommand,
    },
    /// Put load on the cluster and measure.
    Bench {
        #[command(subcommand)]
        command: bench::BenchCommand,
    },
    /// Say how many nodes, how much disk, network, CPU and memory a load needs.
    Size(size::SizeArgs),
    /// Print completions for a shell.
    Completions(completions::CompletionsArgs),
    /// Print the help of every command as Markdown.
    #[command(hide = true)]
    Reference,
}

/// Options of every command that is a client.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// Brokers to ask first, as host:port[,host:port...].
    #[arg(
        long,
        short = 'b',
        visible_alias = "bootstrap-server",
        env = "HIGHWATER_BOOTSTRAP",
        hide_env_values = true,
        default_value = DEFAULT_BOOTSTRAP,
        value_name = "HOST:PORT",
        display_order = 900
    )]
    bootstrap: String,
    /// Print JSON instead of text.
    #[arg(long, display_order = 901)]
    json: bool,
}

impl ClientArgs {
    async fn connect(&self) -> Result<ClusterClient, Failure> {
        ClusterClient::connect(&self.bootstrap).await
    }

    fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Table }
    }

    /// Prints a result as asked for.
    fn print(&self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<(), Failure> {
        self.format().print(json, text)
    }
}

/// Runs the command and returns the process's exit code: 0 done, 1 refused or failed, 2 wrong usage or configuration,
/// 3 no broker reached.
pub async fn run(cli: Cli, kv: Arc<dyn KvOpener>) -> ExitCode {
    let result = match cli.command {
        Command::Server(args) => server::run(args, kv).await,
        Command::Dev(args) => dev::run(args).await,
        Command::Topic { command } => topic::run(command).await,
        Command::Partition { command } => partition::run(command).await,
        Command::Produce(args) => produce::run(args).await,
        Command::Consume(args) => consume::run(args).await,
        Command::Group { command } => group::run(command).await,
        Command::Config { command } => config::run(command).await,
        Command::Cluster { command } => cluster::run(command).await,
        Command::Broker { command } => broker::run(command).await,
        Command::Explain { command } => explain::run(command).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Log { command } => log::run(command),
        Command::Bench { command } => bench::run(command).await,
        Command::Size(args) => size::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Reference => completions::print_reference(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report(wants_json());
            failure.exit_code()
        }
    }
}

/// Whether `--json` was among the options: every command takes it under this name.
fn wants_json() -> bool {
    std::env::args_os().take_while(|word| word != "--").any(|word| word == "--json")
}
