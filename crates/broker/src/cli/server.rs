//! `highwater server`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use highwater_env::{Env, Fs, KvOpener};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Failure, service_manager};
use crate::config::{BrokerConfig, Properties};
use crate::logging::{self, LogFormat};
use crate::{Broker, RunningBroker, StartError, announce};

/// Where Linux keeps the machine's name.
const HOST_NAME_FILE: &str = "/proc/sys/kernel/hostname";

const EXAMPLES: &str = "\
Examples:
  highwater server                                             # one node on 127.0.0.1:9092, data in ./data
  highwater server --config /etc/highwater/server.properties
  highwater server --set listeners=PLAINTEXT://127.0.0.1:19092 --set log.dirs=/tmp/data
  HIGHWATER_NODE_ID=2 highwater server --config server.properties --log-format json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServerArgs {
    /// A server.properties file with Kafka's property names. Without one: a single node on 127.0.0.1:9092.
    #[arg(long, short = 'c', env = "HIGHWATER_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set a property, over the file and over HIGHWATER_* variables. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// How log lines look.
    #[arg(long, env = "HIGHWATER_LOG_FORMAT", hide_env_values = true, value_enum, default_value = "plain")]
    log_format: LogFormat,
}

pub(super) async fn run(args: ServerArgs, kv: Arc<dyn KvOpener>) -> Result<(), Failure> {
    logging::start(args.log_format);
    let config = load_config(&args)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let mut stop = StopSignals::new()?;
    let node = Broker::start(config, Env::real(kv)).await.map_err(|error| start_failure(&error))?;
    announce::lines(&node).iter().for_each(|line| tracing::info!("{line}"));
    tokio::select! {
        result = node.closed() => result.map_err(|failure| Failure::new(failure.to_string())),
        () = stop.received() => {
            service_manager::stopping();
            shut_down(&node, stop).await
        }
        never = service_manager::report(&node) => match never {},
    }
}

fn start_failure(error: &StartError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        StartError::Bind(_) | StartError::Gateway(_) => {
            failure.hint("is a node running already? `--set listeners=PLAINTEXT://127.0.0.1:PORT` takes another port")
        }
        _ => failure,
    }
}

fn load_config(args: &ServerArgs) -> Result<BrokerConfig, Failure> {
    let mut properties = Properties::default();
    if let Some(path) = &args.config {
        let content =
            Fs::Real.read(path).map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
        properties.add_file(&content).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
    }
    properties.add_environment(std::env::vars_os().filter_map(|(key, value)| {
        // A variable that is no text cannot be a property.
        Some((key.into_string().ok()?, value.into_string().ok()?))
    }));
    properties.add_assignments(&args.set)?;
    Ok(BrokerConfig::resolve(properties, &host_name())?)
}

pub(super) fn host_name() -> String {
    let name = Fs::Real.read(Path::new(HOST_NAME_FILE)).unwrap_or_default();
    let name = String::from_utf8_lossy(&name).trim().to_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// A second signal means "now".
async fn shut_down(node: &RunningBroker, mut stop: StopSignals) -> Result<(), Failure> {
    tracing::info!("stopping: other brokers take over, logs are closed (a second signal stops at once)");
    tokio::select! {
        () = node.shutdown() => {
            tracing::info!("stopped");
            Ok(())
        }
        () = stop.received() => Err(Failure::new("stopped at once: the next start reads the tails of all logs again")),
        result = node.closed() => result.map_err(|failure| Failure::new(failure.to_string())),
    }
}

/// SIGTERM and SIGINT.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(super) async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
