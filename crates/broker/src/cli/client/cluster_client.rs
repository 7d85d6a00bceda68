//! All brokers of a cluster, as a client sees them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use highwater_protocol::messages::metadata_request::MetadataRequestTopic;
use highwater_protocol::messages::{MetadataRequest, MetadataResponse};
use highwater_types::ErrorCode;
use kafka_protocol::protocol::Request;

use super::connection::Connection;
use super::{Topic, topic_name};
use crate::cli::Failure;

/// Attempts at what a cluster in motion answers with "not now": half a minute. An election takes a second or two; the first use of
/// groups creates a topic of fifty partitions, which a busy machine has to create, flush and load.
pub(crate) const ATTEMPTS: u32 = 120;
/// Pause between two of them.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Versions of Metadata that name topics and say offline replicas.
const METADATA: RangeInclusive<i16> = 7..=12;

/// Connections to a cluster, opened when first needed.
pub(crate) struct ClusterClient {
    bootstrap: Vec<String>,
    any: Connection,
    brokers: BTreeMap<i32, Broker>,
}

struct Broker {
    address: String,
    connection: Option<Connection>,
}

impl ClusterClient {
    /// Connects to the first broker of `bootstrap` (`host:port,...`) that answers.
    pub(crate) async fn connect(bootstrap: &str) -> Result<Self, Failure> {
        let bootstrap: Vec<String> =
            bootstrap.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let any = open_first(&bootstrap).await?;
        Ok(Self { bootstrap, any, brokers: BTreeMap::new() })
    }

    /// Another client of the same cluster, with connections of its own.
    pub(crate) async fn another(&self) -> Result<Self, Failure> {
        let mut another = Self::connect(&self.bootstrap.join(",")).await?;
        another.refresh().await?;
        Ok(another)
    }

    /// Sends a request that any broker can answer; another broker is tried if the connection is gone.
    pub(crate) async fn call<R: Request>(
        &mut self,
        request: &R,
        versions: RangeInclusive<i16>,
    ) -> Result<R::Response, Failure> {
        match self.any.call(request, versions.clone()).await {
            Err(failure) if failure.is_unreachable() => {
                let known = self.brokers.values().map(|broker| broker.address.clone());
                let candidates: Vec<String> = self.bootstrap.iter().cloned().chain(known).collect();
                self.any = open_first(&candidates).await?;
                self.any.call(request, versions).await
            }
            result => result,
        }
    }

    /// Whether the broker we talk to has the API of `R` at `version`.
    pub(crate) fn supports<R: Request>(&self, version: i16) -> bool {
        self.any.supports::<R>(version)
    }

    /// The broker we talk to, `host:port`.
    pub(crate) fn address(&self) -> &str {
        self.any.address()
    }

    /// Sends a request to one broker.
    pub(crate) async fn call_broker<R: Request>(
        &mut self,
        id: i32,
        request: &R,
        versions: RangeInclusive<i16>,
    ) -> Result<R::Response, Failure> {
        let mut connection = self.take_connection(id).await?;
        // A connection that failed is not put back.
        let response = connection.call(request, versions).await?;
        self.put_back(id, connection);
        Ok(response)
    }

    /// Sends a request that gets no answer to one broker.
    pub(crate) async fn send_to_broker<R: Request>(
        &mut self,
        id: i32,
        request: &R,
        versions: RangeInclusive<i16>,
    ) -> Result<(), Failure> {
        let mut connection = self.take_connection(id).await?;
        connection.send(request, versions).await?;
        self.put_back(id, connection);
        Ok(())
    }

    async fn take_connection(&mut self, id: i32) -> Result<Connection, Failure> {
        let broker = self.brokers.get_mut(&id).ok_or_else(|| Failure::unreachable(format!("broker {id} is not up")))?;
        match broker.connection.take() {
            Some(connection) => Ok(connection),
            None => Connection::open(&broker.address).await,
        }
    }

    fn put_back(&mut self, id: i32, connection: Connection) {
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.connection = Some(connection);
        }
    }

    /// Ids of the brokers that are up, asked for now.
    pub(crate) async fn live_brokers(&mut self) -> Result<Vec<i32>, Failure> {
        self.refresh().await?;
        Ok(self.brokers.keys().copied().collect())
    }

    /// Learns which brokers are up, and nothing of topics.
    pub(crate) async fn refresh(&mut self) -> Result<(), Failure> {
        self.metadata(Some(&[])).await.map(drop)
    }

    /// Whether a broker with this id was up when last asked.
    pub(crate) fn knows_broker(&self, id: i32) -> bool {
        self.brokers.contains_key(&id)
    }

    /// Metadata of `topics`, or of all topics. Topics are never created by asking.
    async fn metadata(&mut self, topics: Option<&[String]>) -> Result<MetadataResponse, Failure> {
        let named = |name: &String| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default()
            .with_topics(topics.map(|topics| topics.iter().map(named).collect()))
            .with_allow_auto_topic_creation(false);
        let response = self.call(&request, METADATA).await?;
        self.learn_brokers(&response);
        Ok(response)
    }

    fn learn_brokers(&mut self, metadata: &MetadataResponse) {
        let mut previous = std::mem::take(&mut self.brokers);
        for broker in &metadata.brokers {
            let address = host_port(broker.host.as_str(), broker.port);
            let kept = previous.remove(&broker.node_id.0).filter(|known| known.address == address);
            let connection = kept.and_then(|known| known.connection);
            self.brokers.insert(broker.node_id.0, Broker { address, connection });
        }
    }

    /// All topics, by name.
    pub(crate) async fn all_topics(&mut self) -> Result<Vec<Topic>, Failure> {
        let metadata = self.metadata(None).await?;
        let mut topics: Vec<Topic> = metadata.topics.into_iter().map(Topic::from_wire).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    /// Topics that must exist, in the order of `names`; all topics if there are none.
    pub(crate) async fn topics(&mut self, names: &[String]) -> Result<Vec<Topic>, Failure> {
        if names.is_empty() {
            return self.all_topics().await;
        }
        let metadata = self.metadata(Some(names)).await?;
        let mut known = BTreeMap::new();
        for topic in metadata.topics {
            let code = topic.error_code;
            let topic = Topic::from_wire(topic);
            if code != 0 {
                return Err(Failure::refused(&format!("topic {}", topic.name), code, None));
            }
            known.insert(topic.name.clone(), topic);
        }
        let find = |name: &String| {
            known
                .get(name)
                .cloned()
                .ok_or_else(|| Failure::new(format!("topic {name}: the broker does not mention it")))
        };
        names.iter().map(find).collect()
    }

    /// One topic that must exist.
    pub(crate) async fn topic(&mut self, name: &str) -> Result<Topic, Failure> {
        let topic = self.topics(&[name.to_owned()]).await?.into_iter().next();
        topic.ok_or_else(|| Failure::new(format!("topic {name}: the broker does not mention it")))
    }

    /// Those of `names` that exist.
    pub(crate) async fn existing_topics(&mut self, names: &[String]) -> Result<Vec<Topic>, Failure> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let metadata = self.metadata(Some(names)).await?;
        Ok(metadata.topics.into_iter().filter(|topic| topic.error_code == 0).map(Topic::from_wire).collect())
    }
}

async fn open_first(addresses: &[String]) -> Result<Connection, Failure> {
    let mut problems = Vec::new();
    for address in addresses {
        match Connection::open(address).await {
            Ok(connection) => return Ok(connection),
            Err(failure) if !problems.contains(&failure.message().to_owned()) => {
                problems.push(failure.message().to_owned());
            }
            Err(_) => {}
        }
    }
    let failure = Failure::unreachable(match problems.is_empty() {
        true => "no broker was named".to_owned(),
        false => problems.join("\n       "),
    });
    Err(failure.hint("is a node running (`highwater server`)? `--bootstrap host:port` names another"))
}

/// `host:port`, with brackets where the host is an IPv6 address.
pub(crate) fn host_port(host: &str, port: i32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Whether a client tries again after this error.
pub(crate) fn is_retriable(code: i16) -> bool {
    ErrorCode::from_code(code).is_some_and(ErrorCode::is_retriable)
}
