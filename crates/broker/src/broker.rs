//! Starting a node: everything is created, connected and started here, in the order that the parts depend on each other.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use highwater_controller::{ControllerConfig, RegisterBroker};
use highwater_coordinator_runtime::{CoordinatorConfig, GroupConfig, GroupCoordinator};
use highwater_env::{Env, Fs, Net, grpc_serve, rng, run_blocking};
use highwater_gateway::{BoundGateway, Services};
use highwater_log::{Identity, LogDirectory, LogDirectoryError};
use highwater_metadata::config::PARTITION_SERIES;
use highwater_quorum::{BrokerLink, ControllerClient, ControllerNode, FatalHandler, QuorumConfig, QuorumError, Voter};
use highwater_replication::{Lease, LogDirectories, Replicas, ReplicationConfig};
use highwater_types::{DirectoryId, IncarnationId};
use prometheus::Registry;
use rand::RngCore as _;
use tokio::task::JoinSet;
use tonic::service::RoutesBuilder;

use crate::config::BrokerConfig;
use crate::history_page::Historian;
use crate::http::{self, Readiness};
use crate::inspection::Inspected;
use crate::lifecycle::Lifecycle;
use crate::metrics;
use crate::running::{BrokerParts, RunningBroker};
use crate::sockets::{Addresses, Sockets, as_i16, as_i32, as_usize};
use crate::wiring::{
    ControllerAccess, DirectoryReports, GroupLeadership, IsrChanges, LinkLease, MetadataAccess, OffsetsPartitions,
    Publisher, rebalance,
};

/// Why a node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket cannot be bound; the text names the address.
    #[error("{0}")]
    Bind(#[source] io::Error),
    /// A client listener cannot be bound, or figures exist twice.
    #[error(transparent)]
    Gateway(#[from] highwater_gateway::StartError),
    /// A log directory cannot be used.
    #[error(transparent)]
    LogDirectory(#[from] LogDirectoryError),
    /// Two log directories have the same id.
    #[error("log directories {first} and {second} have the same directory.id: one is a copy, take it out of log.dirs")]
    SameDirectory {
        /// The one named first.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// The controller cannot run.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// The replicas cannot run.
    #[error(transparent)]
    Replication(#[from] highwater_replication::StartError),
    /// Figures exist twice.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The node as a whole.
pub struct Broker;

impl Broker {
    /// Starts a node and returns as soon as all its parts run. Whether it serves clients already is what
    /// [`RunningBroker::is_ready`] says: it has to find the quorum, register and catch up first.
    ///
    /// # Errors
    /// When a socket is taken, a directory cannot be used or belongs to another node, or the configuration cannot work.
    /// What turns out later ends [`RunningBroker::closed`].
    pub async fn start(config: BrokerConfig, env: Env) -> Result<RunningBroker, StartError> {
        let mut config = config;
        let sockets = Sockets::bind(&env, &config).await?;
        let addresses = sockets.addresses()?;
        addresses.complete(&mut config);
        Starter {
            env,
            config,
            addresses,
            lifecycle: Lifecycle::new(),
            registry: Registry::new(),
            tasks: JoinSet::new(),
        }
        .start(sockets)
        .await
    }
}

/// What is collected on the way.
struct Starter {
    env: Env,
    config: BrokerConfig,
    addresses: Addresses,
    lifecycle: Lifecycle,
    registry: Registry,
    tasks: JoinSet<()>,
}

/// The parts of a broker before it is linked to the quorum.
struct Storage {
    directories: LogDirectories,
    lease: Arc<LinkLease>,
    replicas: Arc<Replicas>,
    groups: Arc<GroupCoordinator>,
    partitions: Arc<OffsetsPartitions>,
}

impl Starter {
    async fn start(mut self, sockets: Sockets) -> Result<RunningBroker, StartError> {
        let Sockets { gateway, internal, http } = sockets;
        // First of all: their locks say whether this node runs already.
        let directories =
            if self.config.roles.broker { self.open_directories().await? } else { LogDirectories::default() };
        let controller = match self.config.roles.controller {
            true => Some(ControllerNode::start(&self.env, self.quorum_config()).await?),
            false => None,
        };
        let client = ControllerClient::new(&self.env, &self.voters(), controller.clone());
        if let Some(controller) = controller.clone().filter(|_| self.config.flag("auto.leader.rebalance.enable")) {
            let seconds =
                u64::try_from(self.config.number("leader.imbalance.check.interval.seconds")).unwrap_or(u64::MAX);
            self.tasks.spawn(rebalance(controller, client.clone(), Duration::from_secs(seconds)));
        }
        let storage = match self.config.roles.broker {
            true => Some(self.open_storage(directories, &client)?),
            false => None,
        };
        let mut routes = RoutesBuilder::default();
        controller.iter().for_each(|controller| controller.add_services(&mut routes));
        storage.iter().for_each(|storage| storage.replicas.add_routes(&mut routes));
        self.tasks.spawn(async move {
            grpc_serve(internal, routes.routes()).await;
        });
        let broker = match (storage, gateway) {
            (Some(storage), Some(gateway)) => Some(self.link(storage, gateway, client.clone())?),
            _ => None,
        };
        let scrape = self.scrape(controller.as_ref(), broker.as_ref())?;
        let readiness = Readiness {
            lifecycle: self.lifecycle.clone(),
            controller: controller.clone(),
            broker: broker.as_ref().map(|broker| (broker.link.clone(), broker.gateway.clone())),
        };
        if let Some(listener) = http {
            let historian = Historian {
                client: client.clone(),
                link: broker.as_ref().map(|broker| broker.link.clone()),
                controller: controller.clone(),
            };
            self.tasks.spawn(http::serve(listener, scrape, readiness.clone(), historian));
        }
        let inspected = Inspected {
            node: self.config.node_id,
            link: broker.as_ref().map(|broker| broker.link.clone()),
            replicas: broker.as_ref().map(|broker| broker.replicas.clone()),
            controller: controller.clone(),
        };
        Ok(RunningBroker::new(
            self.config,
            self.addresses,
            self.lifecycle,
            self.tasks,
            readiness,
            inspected,
            broker,
            controller,
        ))
    }

    fn voters(&self) -> Vec<Voter> {
        let voter = |voter: &crate::config::Voter| Voter { id: voter.id, endpoint: voter.endpoint.clone() };
        self.config.voters.iter().map(voter).collect()
    }

    fn quorum_config(&self) -> QuorumConfig {
        let config = &self.config;
        QuorumConfig {
            node_id: config.node_id,
            voters: self.voters(),
            endpoint: config.internal_advertised.clone(),
            metadata_dir: config.metadata_dir.clone(),
            cluster_id: None,
            session_timeout: config.milliseconds("broker.session.timeout.ms"),
            controller: ControllerConfig {
                static_config: config.static_config.clone(),
                default_replication_factor: as_i16(config.number("default.replication.factor")),
                num_partitions: as_i32(config.number("num.partitions")),
                delete_topic_enable: config.flag("delete.topic.enable"),
            },
            software: config.software.clone(),
            on_fatal: self.fatal_handler(),
        }
    }

    /// What is in memory may not be what is on disk once Raft has died: a real process must not run on for one more flush.
    /// All other reasons, and all in simulation, end the node in order.
    fn fatal_handler(&self) -> FatalHandler {
        let lifecycle = self.lifecycle.clone();
        let is_real = matches!(self.env.fs, Fs::Real);
        FatalHandler(Arc::new(move |error| match error {
            QuorumError::Fatal(_) if is_real => FatalHandler::abort().0(error),
            _ => lifecycle.fail(error.to_string()),
        }))
    }

    /// Opens the log directories. One that the disk refuses is left out (as in Kafka); when it refuses all of them, or one
    /// belongs to somebody else, the node does not start.
    async fn open_directories(&self) -> Result<LogDirectories, StartError> {
        let mut directories = LogDirectories::default();
        let mut failure = None;
        for path in &self.config.log_dirs {
            let identity = Identity {
                node_id: self.config.node_id,
                cluster_id: None,
                new_directory_id: DirectoryId::from_bytes(random_id()),
            };
            let (fs, opening) = (self.env.fs.clone(), path.clone());
            match run_blocking(move || LogDirectory::open(fs, &opening, &identity)).await {
                Ok(directory) => {
                    let reserve = self.config.number("highwater.disk.reserve.bytes");
                    directory.space().set_reserve(u64::try_from(reserve).unwrap_or(0));
                    directories.opened.push(directory);
                }
                Err(error @ LogDirectoryError::Io { .. }) => {
                    tracing::error!(
                        directory = %path.display(), %error,
                        "log directory out of service: its replicas are offline. Repair or replace the disk and restart"
                    );
                    directories.unreadable.push(path.clone());
                    failure = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        match (directories.opened.is_empty(), failure) {
            (true, Some(error)) => Err(error.into()),
            _ => check_different(&directories).map(|()| directories),
        }
    }

    fn open_storage(&self, directories: LogDirectories, client: &ControllerClient) -> Result<Storage, StartError> {
        let config = &self.config;
        let lease = Arc::new(LinkLease::default());
        let changes = IsrChanges { node_id: config.node_id, client: client.clone(), lease: lease.clone() };
        let replication = ReplicationConfig {
            replica_lag_time_max: config.milliseconds("replica.lag.time.max.ms"),
            high_watermark_checkpoint_interval: config.milliseconds("replica.high.watermark.checkpoint.interval.ms"),
            retention_check_interval: config.milliseconds("log.retention.check.interval.ms"),
            recovery_threads_per_data_dir: usize::try_from(config.number("num.recovery.threads.per.data.dir"))
                .unwrap_or(1),
            ..ReplicationConfig::new(config.node_id, config.static_config.clone())
        };
        let lease_of_replicas: Arc<dyn Lease> = lease.clone();
        let metadata_root = config.metadata_dir.parent();
        let holds_metadata = |directory: &Arc<LogDirectory>| Some(directory.path()) == metadata_root;
        let reports = DirectoryReports {
            node_id: config.node_id,
            client: client.clone(),
            lease: lease.clone(),
            lifecycle: self.lifecycle.clone(),
            metadata_position: directories.opened.iter().position(holds_metadata).filter(|_| config.roles.controller),
        };
        let (env, changes, reports) = (self.env.clone(), Arc::new(changes), Arc::new(reports));
        let replicas = Replicas::start(env, replication, directories.clone(), changes, reports, lease_of_replicas)?;
        let partitions = Arc::new(OffsetsPartitions::new(replicas.clone()));
        let groups = GroupCoordinator::new(self.coordinator_config(), partitions.clone());
        Ok(Storage { directories, lease, replicas, groups, partitions })
    }

    fn coordinator_config(&self) -> CoordinatorConfig {
        let config = &self.config;
        let as_u64 = |number: i64| u64::try_from(number).unwrap_or(0);
        CoordinatorConfig {
            group: GroupConfig {
                min_session_timeout_ms: as_i32(config.number("group.min.session.timeout.ms")),
                max_session_timeout_ms: as_i32(config.number("group.max.session.timeout.ms")),
                max_size: as_usize(config.number("group.max.size")),
                initial_rebalance_delay_ms: as_i32(config.number("group.initial.rebalance.delay.ms")),
                offset_metadata_max_bytes: as_usize(config.number("offset.metadata.max.bytes")),
                offsets_retention_ms: config.number("offsets.retention.minutes").saturating_mul(60_000),
                offsets_retention_check_interval_ms: as_u64(config.number("offsets.retention.check.interval.ms")),
            },
            offsets_commit_timeout_ms: as_u64(config.number("offsets.commit.timeout.ms")),
        }
    }

    /// Registers the broker with the cluster; clients are served once it may serve.
    fn link(
        &mut self,
        storage: Storage,
        bound: BoundGateway,
        client: ControllerClient,
    ) -> Result<BrokerParts, StartError> {
        let Storage { directories, lease, replicas, groups, partitions } = storage;
        let gateway = Arc::new(OnceLock::new());
        let publisher = Publisher {
            replicas: replicas.clone(),
            groups: GroupLeadership::new(self.config.node_id, groups.clone(), partitions),
            directories: directories.opened.clone(),
            gateway: gateway.clone(),
            lifecycle: self.lifecycle.clone(),
        };
        let heartbeat_interval = self.config.milliseconds("broker.heartbeat.interval.ms");
        let registration = self.registration(&directories);
        let link = BrokerLink::start(client, heartbeat_interval, registration, Arc::new(publisher));
        lease.attach(link.clone());
        let services = Services {
            metadata: Arc::new(MetadataAccess(link.metadata())),
            replicas: replicas.clone(),
            groups: groups.clone(),
            controller: Arc::new(ControllerAccess(link.controller_client())),
        };
        let parts = BrokerParts { link: link.clone(), lease, replicas, groups, gateway };
        let (registry, lifecycle, slot) = (self.registry.clone(), self.lifecycle.clone(), parts.gateway.clone());
        self.tasks.spawn(async move {
            if let Err(refused) = link.unfenced().await {
                return lifecycle.fail(format!("the cluster refuses this broker: {}", refused.message));
            }
            match bound.serve(services, &registry) {
                Ok(gateway) => drop(slot.set(Arc::new(gateway))),
                Err(error) => return lifecycle.fail(error.to_string()),
            }
            tracing::info!("serving clients");
            lifecycle.fail(format!("the cluster refuses this broker: {}", link.refused().await.message));
        });
        Ok(parts)
    }

    fn registration(&self, directories: &LogDirectories) -> RegisterBroker {
        let LogDirectories { opened, unreadable } = directories;
        let online = opened.iter().filter(|directory| directory.is_online());
        let mut log_dirs: Vec<DirectoryId> = online.map(|directory| directory.id()).collect();
        log_dirs.sort_unstable();
        RegisterBroker {
            id: self.config.node_id,
            incarnation: IncarnationId::from_bytes(random_id()),
            cluster_id: opened.iter().find_map(|directory| directory.cluster_id()),
            listeners: self.config.advertised.clone(),
            internal: self.config.internal_advertised.clone(),
            rack: self.config.rack.clone(),
            has_offline_log_dirs: !unreadable.is_empty() || log_dirs.len() < opened.len(),
            log_dirs,
            clean_shutdown: opened.iter().all(|directory| directory.was_clean_shutdown()),
            previous_session_valid: false,
            software: self.config.software.clone(),
        }
    }

    /// Registers what is figured out when asked for, and says where all of it comes from.
    fn scrape(
        &self,
        controller: Option<&ControllerNode>,
        broker: Option<&BrokerParts>,
    ) -> Result<metrics::Scrape, StartError> {
        let registry = &self.registry;
        if let Some(controller) = controller {
            registry.register(Box::new(controller.metrics()))?;
            registry.register(Box::new(metrics::ControllerFigures::new(controller.clone())))?;
        }
        if let Some(broker) = broker {
            registry.register(broker.replicas.collector())?;
            registry.register(Box::new(metrics::GroupTotals::new(broker.groups.clone())))?;
            registry.register(Box::new(metrics::BrokerFigures::new(broker.link.clone(), broker.gateway.clone())))?;
        }
        if matches!(self.env.net, Net::Tcp) {
            let roles = match (self.config.roles.broker, self.config.roles.controller) {
                (true, true) => "broker,controller",
                (true, false) => "broker",
                (false, _) => "controller",
            };
            registry.register(Box::new(metrics::ProcessFigures::new(Fs::Real, self.config.node_id, roles)))?;
            registry.register(Box::new(metrics::RuntimeFigures::of_current()))?;
        }
        let broker = broker.map(|broker| {
            let partitions = self.config.flag(PARTITION_SERIES);
            let groups = metrics::GroupSeries::new(broker.groups.clone(), broker.replicas.clone(), partitions);
            metrics::BrokerSeries { replicas: broker.replicas.clone(), groups: Arc::new(groups), partitions }
        });
        Ok(metrics::Scrape { registry: registry.clone(), broker })
    }
}

/// A copied directory has the id of its original, and nobody could tell which of the two holds a replica.
fn check_different(directories: &LogDirectories) -> Result<(), StartError> {
    for (index, directory) in directories.opened.iter().enumerate() {
        let same = |other: &&Arc<LogDirectory>| other.id() == directory.id();
        if let Some(other) = directories.opened[..index].iter().find(same) {
            let (first, second) = (other.path().to_owned(), directory.path().to_owned());
            return Err(StartError::SameDirectory { first, second });
        }
    }
    Ok(())
}

/// 16 random bytes, marked as a random UUID (RFC 9562, version 4).
fn random_id() -> [u8; 16] {
    let mut bytes = [0; 16];
    rng::get().fill_bytes(&mut bytes);
    uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes()
}
