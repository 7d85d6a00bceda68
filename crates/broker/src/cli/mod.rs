//! The command line: what can be asked, and what is printed. Client commands speak the Kafka protocol and know nothing else
//! of the cluster, so they also work against Apache Kafka.

mod cluster;
mod cluster_client;
mod connection;
mod consume;
mod dev;
mod failure;
mod group;
mod output;
mod partitioner;
mod produce;
mod server;
mod service_manager;
mod topic;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use highwater_env::KvOpener;

use cluster_client::ClusterClient;
pub use failure::Failure;
use output::Format;

/// Address that client commands use when told nothing.
const DEFAULT_BOOTSTRAP: &str = "127.0.0.1:9092";

/// A clustered, Kafka-compatible event broker.
#[derive(Debug, Parser)]
#[command(name = "highwater", version, propagate_version = true, arg_required_else_help = true)]
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
    /// Create, list, describe and delete topics.
    Topic {
        #[command(subcommand)]
        command: topic::TopicCommand,
    },
    /// Send lines from standard input to a topic.
    Produce(produce::ProduceArgs),
    /// Print the records of a topic.
    Consume(consume::ConsumeArgs),
    /// List and describe consumer groups.
    Group {
        #[command(subcommand)]
        command: group::GroupCommand,
    },
    /// Describe the cluster.
    Cluster {
        #[command(subcommand)]
        command: cluster::ClusterCommand,
    },
}

/// Options of every command that is a client.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    /// Brokers to ask first, as host:port[,host:port...].
    #[arg(long, short = 'b', env = "HIGHWATER_BOOTSTRAP_SERVER", default_value = DEFAULT_BOOTSTRAP, value_name = "HOST:PORT")]
    bootstrap_server: String,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

impl ClientArgs {
    async fn connect(&self) -> Result<ClusterClient, Failure> {
        ClusterClient::connect(&self.bootstrap_server).await
    }

    fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Table }
    }
}

/// Runs the command and returns the process's exit code: 0 done, 1 refused or failed, 2 wrong usage or configuration,
/// 3 no broker reached.
pub async fn run(cli: Cli, kv: Arc<dyn KvOpener>) -> ExitCode {
    let result = match cli.command {
        Command::Server(args) => server::run(args, kv).await,
        Command::Dev(args) => dev::run(args).await,
        Command::Topic { command } => topic::run(command).await,
        Command::Produce(args) => produce::run(args).await,
        Command::Consume(args) => consume::run(args).await,
        Command::Group { command } => group::run(command).await,
        Command::Cluster { command } => cluster::run(command).await,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}
