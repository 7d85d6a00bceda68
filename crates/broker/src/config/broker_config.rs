//! What a node is: roles, addresses, directories, neighbours. Resolved once from [`Properties`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use highwater_metadata::config::{HTTP_LISTENER, broker_key, split_list};
use highwater_metadata::{Endpoint, HostPort, NodeSoftware, SecurityProtocol, StaticBrokerConfig};
use highwater_types::BrokerId;

use super::listeners::{SecurityMap, is_wildcard, parse_host_port, parse_listeners};
use super::voters::parse_voters;
use super::{ConfigError, ListenerAddress, Properties, Voter, safety};

/// Key of the address where a broker that is no controller serves other nodes.
pub const INTERNAL_LISTENER: &str = "highwater.internal.listener";
/// Where a node without configuration listens.
const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 9092;
/// Name of the controller listener when `controller.listener.names` is not set.
const DEFAULT_CONTROLLER_LISTENER: &str = "CONTROLLER";
/// Where data goes when neither `log.dirs` nor `log.dir` is set.
const DEFAULT_DATA_DIRECTORY: &str = "data";
/// Directory of the metadata store within `metadata.log.dir`.
const METADATA_DIRECTORY: &str = "metadata";
/// Distance of the internal and the HTTP port from the port of the first listener.
const INTERNAL_PORT_OFFSET: u16 = 1;
const HTTP_PORT_OFFSET: u16 = 2;

/// `process.roles`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessRoles {
    /// Holds partitions and serves clients.
    pub broker: bool,
    /// Votes in the metadata quorum.
    pub controller: bool,
}

/// Configuration of one node, checked.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// `node.id`.
    pub node_id: BrokerId,
    /// `process.roles`.
    pub roles: ProcessRoles,
    /// The voters of the metadata quorum, by id.
    pub voters: Vec<Voter>,
    /// Listeners for clients; empty on a node that is only a controller.
    pub listeners: Vec<ListenerAddress>,
    /// What clients are told to connect to, one per listener in the same order.
    pub advertised: Vec<Endpoint>,
    /// Where the gRPC services for other nodes listen: the controller listener, or [`INTERNAL_LISTENER`].
    pub internal_bind: HostPort,
    /// Where other nodes reach them.
    pub internal_advertised: HostPort,
    /// Where metrics and health are served; `None` if switched off.
    pub http: Option<HostPort>,
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// Directory of the metadata store, inside `metadata.log.dir` or the first of `log.dirs`.
    pub metadata_dir: PathBuf,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// All properties, for values that can also be set at run time or per topic.
    pub static_config: StaticBrokerConfig,
    /// What this process says that it runs: of this build, unless a test wants an older one.
    pub software: NodeSoftware,
    /// Sentences to log at start.
    pub warnings: Vec<String>,
}

impl BrokerConfig {
    /// As [`BrokerConfig::resolve`], for a machine called `localhost`.
    ///
    /// # Errors
    /// All problems that could be found.
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let mut all = Properties::default();
        properties.iter().for_each(|(key, value)| all.set(key, value));
        Self::resolve(all, "localhost")
    }

    /// Checks and resolves `properties`. With none at all: a single node on 127.0.0.1:9092 with data in `./data`.
    /// `host_name` is the machine's: listeners on every interface are advertised under it unless told otherwise.
    ///
    /// # Errors
    /// All problems that could be found.
    pub fn resolve(properties: Properties, host_name: &str) -> Result<Self, ConfigError> {
        let properties = with_defaults(properties);
        let mut problems = safety::refusals(&properties);
        let values = StaticBrokerConfig::new(BrokerId::default(), properties.clone().into_values());
        if let Err(illegal) = values {
            // Numbers and words are not legal: nothing below could rely on them.
            problems.extend(illegal.lines().map(str::to_owned));
            return Err(ConfigError { problems });
        }
        let node = Resolver { properties: &properties, host_name, problems: &mut problems }.node();
        match node {
            Some(node) if problems.is_empty() => Ok(node),
            _ => Err(ConfigError { problems }),
        }
    }

    /// The value in force at start of a property of the table: what was set, or the default.
    pub fn value(&self, key: &str) -> Option<&str> {
        let set = self.static_config.properties().get(key).map(String::as_str).filter(|value| !value.is_empty());
        set.or_else(|| broker_key(key).and_then(|known| known.default))
    }

    /// The value of a numeric property that has a default.
    ///
    /// # Panics
    /// When the table has no default for `key` or does not say that it is a number.
    pub fn number(&self, key: &str) -> i64 {
        let value = self.value(key).unwrap_or_else(|| panic!("{key} has no default"));
        value.trim().parse().unwrap_or_else(|_| panic!("{key}={value} was checked to be a number"))
    }

    /// The value of a property in milliseconds. Negative values count as zero.
    pub fn milliseconds(&self, key: &str) -> Duration {
        Duration::from_millis(u64::try_from(self.number(key)).unwrap_or(0))
    }

    /// The value of a boolean property.
    pub fn flag(&self, key: &str) -> bool {
        self.value(key).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// The controllers that another node dials, `host:port` with their ids.
    pub fn voter_addresses(&self) -> impl Iterator<Item = (BrokerId, String)> + '_ {
        self.voters.iter().map(|voter| (voter.id, voter.endpoint.to_string()))
    }
}

/// Collects problems while the parts are resolved in the order in which they depend on each other.
struct Resolver<'a> {
    properties: &'a Properties,
    host_name: &'a str,
    problems: &'a mut Vec<String>,
}

/// Listeners by use, in the order of the property.
struct Sockets {
    clients: Vec<ListenerAddress>,
    controller: Option<ListenerAddress>,
    advertised: Vec<Endpoint>,
    /// The controller listener's entry in `advertised.listeners`.
    controller_advertised: Option<HostPort>,
}

impl Resolver<'_> {
    fn node(&mut self) -> Option<BrokerConfig> {
        let roles = self.roles();
        let node_id = self.node_id()?;
        let sockets = self.sockets(roles)?;
        let voters = self.voters(node_id, roles, &sockets)?;
        let (internal_bind, internal_advertised) = self.internal(node_id, &voters, &sockets)?;
        let http = self.http(&sockets)?;
        let log_dirs = self.log_dirs()?;
        let metadata_root = self.properties.get("metadata.log.dir").map_or_else(|| log_dirs[0].clone(), PathBuf::from);
        let static_config = StaticBrokerConfig::new(node_id, self.properties.clone().into_values());
        Some(BrokerConfig {
            node_id,
            roles,
            voters,
            listeners: sockets.clients,
            advertised: sockets.advertised,
            internal_bind,
            internal_advertised,
            http,
            log_dirs,
            metadata_dir: metadata_root.join(METADATA_DIRECTORY),
            rack: self.properties.get("broker.rack").map(str::to_owned),
            static_config: self.collect(static_config)?,
            software: NodeSoftware::of_this_build(),
            warnings: safety::warnings(self.properties),
        })
    }

    fn collect<T>(&mut self, result: Result<T, String>) -> Option<T> {
        result.map_err(|problem| self.problems.push(problem)).ok()
    }

    fn roles(&self) -> ProcessRoles {
        // Which words are legal was checked with all values.
        match self.properties.get("process.roles").map(split_list) {
            Some(roles) => {
                ProcessRoles { broker: roles.contains(&"broker"), controller: roles.contains(&"controller") }
            }
            None => ProcessRoles { broker: true, controller: true },
        }
    }

    fn node_id(&mut self) -> Option<BrokerId> {
        let get = |key| self.properties.get(key).and_then(|value| value.parse::<i32>().ok()).filter(|id| *id >= 0);
        match (get("node.id"), get("broker.id")) {
            (Some(node), Some(broker)) if node != broker => {
                self.problems.push(format!("node.id={node} and broker.id={broker} differ: remove broker.id"));
                None
            }
            (Some(id), _) | (None, Some(id)) => Some(BrokerId(id)),
            (None, None) if self.properties.get("controller.quorum.voters").is_some() => {
                self.problems.push("node.id is not set: which of controller.quorum.voters is this node?".to_owned());
                None
            }
            (None, None) => Some(BrokerId(1)),
        }
    }

    fn controller_names(&self) -> Vec<String> {
        let names = self.properties.get("controller.listener.names").map(split_list);
        let names = names.unwrap_or_else(|| vec![DEFAULT_CONTROLLER_LISTENER]);
        names.into_iter().map(str::to_ascii_uppercase).collect()
    }

    fn sockets(&mut self, roles: ProcessRoles) -> Option<Sockets> {
        let security = self.collect(SecurityMap::parse(self.properties.get("listener.security.protocol.map")))?;
        let all = match self.properties.get("listeners") {
            Some(text) => self.collect(parse_listeners("listeners", text))?,
            None => default_listeners(roles),
        };
        let names = self.controller_names();
        let (controllers, clients): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| names.contains(&one.name));
        let advertised = match self.properties.get("advertised.listeners") {
            Some(text) => self.collect(parse_listeners("advertised.listeners", text))?,
            None => Vec::new(),
        };
        for (listener, is_controller) in
            controllers.iter().map(|one| (one, true)).chain(clients.iter().map(|one| (one, false)))
        {
            self.check_protocol(&security, listener, is_controller);
        }
        let controller = self.controller_listener(roles, controllers, &clients)?;
        let controller_advertised =
            controller.as_ref().and_then(|own| advertised.iter().find(|one| one.name == own.name));
        let controller_advertised = controller_advertised.map(|one| one.address.clone());
        let clients = self.client_listeners(roles, clients)?;
        let advertised = self.advertised(&clients, &names, advertised)?;
        Some(Sockets { clients, controller, advertised, controller_advertised })
    }

    fn check_protocol(&mut self, security: &SecurityMap, listener: &ListenerAddress, is_controller: bool) {
        match security.protocol(&listener.name, is_controller) {
            Ok(SecurityProtocol::Plaintext) => {}
            Ok(other) => self.problems.push(format!(
                "listener {} asks for {}, which this version does not speak: only PLAINTEXT is available",
                listener.name,
                other.name()
            )),
            Err(problem) => self.problems.push(problem),
        }
    }

    fn controller_listener(
        &mut self,
        roles: ProcessRoles,
        mut found: Vec<ListenerAddress>,
        clients: &[ListenerAddress],
    ) -> Option<Option<ListenerAddress>> {
        if !roles.controller {
            if let Some(listener) = found.first() {
                let name = &listener.name;
                self.problems.push(format!("listeners has {listener}, but this node is no controller: remove {name}"));
            }
            return Some(None);
        }
        if !found.is_empty() {
            return Some(Some(found.remove(0)));
        }
        // A node that nobody else has to find may leave it out.
        if let (None, Some(first)) = (self.properties.get("controller.quorum.voters"), clients.first()) {
            let address = offset_port(&first.address, INTERNAL_PORT_OFFSET);
            return Some(Some(ListenerAddress { name: DEFAULT_CONTROLLER_LISTENER.to_owned(), address }));
        }
        let names = self.controller_names().join(", ");
        self.problems.push(format!(
            "this node is a controller, but none of controller.listener.names ({names}) is in listeners"
        ));
        None
    }

    fn client_listeners(&mut self, roles: ProcessRoles, clients: Vec<ListenerAddress>) -> Option<Vec<ListenerAddress>> {
        match (roles.broker, clients.is_empty()) {
            (true, true) => {
                self.problems.push("this node is a broker, but listeners has no listener for clients".to_owned());
                None
            }
            (false, false) => {
                let names: Vec<&str> = clients.iter().map(|listener| listener.name.as_str()).collect();
                self.problems.push(format!(
                    "this node is only a controller, but listeners has {}: remove it, or name it in controller.listener.names",
                    names.join(", ")
                ));
                None
            }
            _ => Some(clients),
        }
    }

    /// What clients are told for each listener: its entry in `advertised.listeners`, else the listener itself.
    fn advertised(
        &mut self,
        clients: &[ListenerAddress],
        controller_names: &[String],
        given: Vec<ListenerAddress>,
    ) -> Option<Vec<Endpoint>> {
        let known = |one: &&ListenerAddress| {
            controller_names.contains(&one.name) || clients.iter().any(|listener| listener.name == one.name)
        };
        if let Some(stray) = given.iter().find(|one| !known(one)) {
            self.problems.push(format!("advertised.listeners has {}, which is not in listeners", stray.name));
            return None;
        }
        let mut endpoints = Vec::new();
        for listener in clients {
            let told = given.iter().find(|one| one.name == listener.name).unwrap_or(listener);
            if is_wildcard(&told.address.host) && told != listener {
                self.problems.push(format!("advertised.listeners: nobody can connect to {told}, give it a host name"));
                return None;
            }
            let mut endpoint = told.endpoint(SecurityProtocol::Plaintext);
            if is_wildcard(&endpoint.host) {
                endpoint.host = self.host_name.to_owned();
            }
            endpoints.push(endpoint);
        }
        Some(endpoints)
    }

    fn voters(&mut self, node_id: BrokerId, roles: ProcessRoles, sockets: &Sockets) -> Option<Vec<Voter>> {
        let voters = match self.properties.get("controller.quorum.voters") {
            Some(text) => self.collect(parse_voters(text))?,
            None => self.voters_without_list(node_id, sockets)?,
        };
        let listed = voters.iter().any(|voter| voter.id == node_id);
        if !roles.controller && listed {
            self.problems.push(format!("node {} is in controller.quorum.voters, but not a controller", node_id.0));
            return None;
        }
        Some(voters)
    }

    /// A single controller is its own quorum. `controller.quorum.bootstrap.servers` is fine if it means just that.
    fn voters_without_list(&mut self, node_id: BrokerId, sockets: &Sockets) -> Option<Vec<Voter>> {
        let servers = self.properties.get("controller.quorum.bootstrap.servers").map(split_list).unwrap_or_default();
        let Some(controller) = &sockets.controller else {
            let problem = "controller.quorum.voters is not set: list the controllers as id@host:port";
            self.problems.push(problem.to_owned());
            return None;
        };
        let own_port = controller.address.port;
        let foreign = servers.iter().find(|server| parse_host_port(server).is_none_or(|one| one.port != own_port));
        if servers.len() > 1 || foreign.is_some() {
            self.problems.push(format!(
                "controller.quorum.bootstrap.servers={} does not say which node has which id: list all controllers in \
                 controller.quorum.voters as id@host:port, the same on every node",
                servers.join(",")
            ));
            return None;
        }
        let mut endpoint = match servers.first().and_then(|server| parse_host_port(server)) {
            Some(server) => server,
            None => sockets.controller_advertised.clone().unwrap_or_else(|| controller.address.clone()),
        };
        if is_wildcard(&endpoint.host) {
            // Nobody but this node dials it.
            endpoint.host = "localhost".to_owned();
        }
        Some(vec![Voter { id: node_id, endpoint }])
    }

    /// Bind and advertised address of the services for other nodes.
    fn internal(&mut self, node_id: BrokerId, voters: &[Voter], sockets: &Sockets) -> Option<(HostPort, HostPort)> {
        if let Some(controller) = &sockets.controller {
            let own = voters.iter().find(|voter| voter.id == node_id).map(|own| own.endpoint.clone());
            return Some((
                controller.address.clone(),
                own.unwrap_or_else(|| self.joining_endpoint(sockets, controller)),
            ));
        }
        let first = sockets.clients.first()?;
        let bind = match self.properties.get(INTERNAL_LISTENER) {
            Some(text) => match parse_host_port(text) {
                Some(address) => address,
                None => {
                    self.problems.push(format!("{INTERNAL_LISTENER}: {text:?} is not of the form host:port"));
                    return None;
                }
            },
            None => offset_port(&first.address, INTERNAL_PORT_OFFSET),
        };
        let mut advertised = bind.clone();
        if is_wildcard(&advertised.host) {
            advertised.host = sockets.advertised.first()?.host.clone();
        }
        Some((bind, advertised))
    }

    /// Where a controller that is not in `controller.quorum.voters` is found: it tells the voters.
    fn joining_endpoint(&self, sockets: &Sockets, controller: &ListenerAddress) -> HostPort {
        let mut endpoint = sockets.controller_advertised.clone().unwrap_or_else(|| controller.address.clone());
        if is_wildcard(&endpoint.host) {
            endpoint.host = self.host_name.to_owned();
        }
        endpoint
    }

    fn http(&mut self, sockets: &Sockets) -> Option<Option<HostPort>> {
        if self.properties.contains(HTTP_LISTENER) {
            let Some(text) = self.properties.get(HTTP_LISTENER).filter(|text| *text != "none") else {
                return Some(None);
            };
            let address = parse_host_port(text);
            if address.is_none() {
                self.problems.push(format!("{HTTP_LISTENER}: {text:?} is not of the form host:port, nor none"));
            }
            return address.map(Some);
        }
        let first = sockets.clients.first().or(sockets.controller.as_ref())?;
        Some(Some(offset_port(&first.address, HTTP_PORT_OFFSET)))
    }

    /// Never empty.
    fn log_dirs(&mut self) -> Option<Vec<PathBuf>> {
        let given = self.properties.get("log.dirs").or_else(|| self.properties.get("log.dir"));
        let names = split_list(given.unwrap_or(DEFAULT_DATA_DIRECTORY));
        let directories: Vec<PathBuf> = names.into_iter().filter(|name| !name.is_empty()).map(PathBuf::from).collect();
        let twice = directories.iter().enumerate().find(|(index, directory)| directories[..*index].contains(directory));
        if directories.is_empty() {
            self.problems.push("log.dirs names no directory".to_owned());
            return None;
        }
        if let Some((_, directory)) = twice {
            self.problems.push(format!("log.dirs lists {} twice", directory.display()));
            return None;
        }
        Some(directories)
    }
}

/// A node without `controller.quorum.voters` is alone: Kafka's default of three replicas for committed offsets would leave it
/// without consumer groups.
fn with_defaults(mut properties: Properties) -> Properties {
    const KEY: &str = "offsets.topic.replication.factor";
    if properties.get("controller.quorum.voters").is_none() && properties.get(KEY).is_none() {
        properties.set(KEY, "1");
    }
    properties
}

fn default_listeners(roles: ProcessRoles) -> Vec<ListenerAddress> {
    let at = |name: &str, port| ListenerAddress {
        name: name.to_owned(),
        address: HostPort { host: DEFAULT_HOST.to_owned(), port },
    };
    let client = roles.broker.then(|| at("PLAINTEXT", DEFAULT_PORT));
    let controller = roles.controller.then(|| at(DEFAULT_CONTROLLER_LISTENER, DEFAULT_PORT + INTERNAL_PORT_OFFSET));
    client.into_iter().chain(controller).collect()
}

/// The same host, the port moved up; port 0 stays "any free port".
fn offset_port(address: &HostPort, offset: u16) -> HostPort {
    let port = if address.port == 0 { 0 } else { address.port.saturating_add(offset) };
    HostPort { host: address.host.clone(), port }
}
