//! All brokers of a cluster, as a client sees them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use highwater_protocol::StrBytes;
use highwater_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use highwater_protocol::messages::metadata_request::MetadataRequestTopic;
use highwater_protocol::messages::metadata_response::MetadataResponseTopic;
use highwater_protocol::messages::{
    BrokerId, FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest, MetadataResponse, TopicName,
};
use highwater_types::ErrorCode;
use kafka_protocol::protocol::Request;

use super::Failure;
use super::connection::Connection;

/// Attempts at what a cluster in motion answers with "not now": an election takes a second or two.
pub(super) const ATTEMPTS: u32 = 40;
/// Pause between two of them.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Connections to a cluster, opened when first needed.
pub(super) struct ClusterClient {
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
    pub(super) async fn connect(bootstrap: &str) -> Result<Self, Failure> {
        let bootstrap: Vec<String> =
            bootstrap.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let any = open_first(&bootstrap).await?;
        Ok(Self { bootstrap, any, brokers: BTreeMap::new() })
    }

    /// Sends a request that any broker can answer; another broker is tried if the connection is gone.
    pub(super) async fn call<R: Request>(
        &mut self,
        request: &R,
        versions: RangeInclusive<i16>,
    ) -> Result<R::Response, Failure> {
        self.any.call(request, versions).await
    }

    /// Sends a request to one broker.
    pub(super) async fn call_broker<R: Request>(
        &mut self,
        id: i32,
        request: &R,
        versions: RangeInclusive<i16>,
    ) -> Result<R::Response, Failure> {
        let broker = self.brokers.get_mut(&id).ok_or_else(|| Failure::unreachable(format!("broker {id} is not up")))?;
        let mut connection = match broker.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&broker.address).await?,
        };
        // A connection that failed is not put back.
        let response = connection.call(request, versions).await?;
        if let Some(broker) = self.brokers.get_mut(&id) {
            broker.connection = Some(connection);
        }
        Ok(response)
    }

    /// Ids of the brokers that are up, as of the last metadata.
    pub(super) fn broker_ids(&self) -> Vec<i32> {
        self.brokers.keys().copied().collect()
    }

    /// Metadata of `topics`, or of all topics. Topics are never created by asking.
    pub(super) async fn metadata(&mut self, topics: Option<&[String]>) -> Result<MetadataResponse, Failure> {
        let named = |name: &String| MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default()
            .with_topics(topics.map(|topics| topics.iter().map(named).collect()))
            .with_allow_auto_topic_creation(false);
        let response = match self.any.call(&request, 7..=12).await {
            Ok(response) => response,
            Err(_) => {
                // The broker we talked to may have stopped.
                let known = self.brokers.values().map(|broker| broker.address.clone());
                let candidates: Vec<String> = self.bootstrap.iter().cloned().chain(known).collect();
                self.any = open_first(&candidates).await?;
                self.any.call(&request, 7..=12).await?
            }
        };
        self.learn_brokers(&response);
        Ok(response)
    }

    fn learn_brokers(&mut self, metadata: &MetadataResponse) {
        let mut previous = std::mem::take(&mut self.brokers);
        for broker in &metadata.brokers {
            let host = broker.host.as_str();
            let address = if host.contains(':') {
                format!("[{host}]:{}", broker.port)
            } else {
                format!("{host}:{}", broker.port)
            };
            let kept = previous.remove(&broker.node_id.0).filter(|known| known.address == address);
            let connection = kept.and_then(|known| known.connection);
            self.brokers.insert(broker.node_id.0, Broker { address, connection });
        }
    }

    /// Metadata of one topic that must exist.
    pub(super) async fn topic(&mut self, name: &str) -> Result<MetadataResponseTopic, Failure> {
        let metadata = self.metadata(Some(&[name.to_owned()])).await?;
        let topic = metadata.topics.into_iter().next();
        let topic = topic.ok_or_else(|| Failure::new(format!("topic {name}: the broker does not mention it")))?;
        match topic.error_code {
            0 => Ok(topic),
            code => Err(Failure::refused(&format!("topic {name}"), code, None)),
        }
    }

    /// The offset of `timestamp` (or -1, -2: Kafka's special values) in each partition of `leaders`, asked of its leader.
    /// A partition that has no such offset is left out.
    pub(super) async fn list_offsets(
        &mut self,
        topic: &str,
        leaders: &BTreeMap<i32, i32>,
        timestamp: i64,
    ) -> Result<BTreeMap<i32, i64>, Failure> {
        let mut by_leader: BTreeMap<i32, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for (&partition, &leader) in leaders {
            let ask = ListOffsetsPartition::default()
                .with_partition_index(partition)
                .with_current_leader_epoch(-1)
                .with_timestamp(timestamp);
            by_leader.entry(leader).or_default().push(ask);
        }
        let mut offsets = BTreeMap::new();
        for (leader, partitions) in by_leader {
            let topics = vec![ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(partitions)];
            let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(topics);
            let response = self.call_broker(leader, &request, 1..=7).await?;
            for answer in response.topics.into_iter().flat_map(|topic| topic.partitions) {
                match answer.error_code {
                    0 if answer.offset >= 0 => drop(offsets.insert(answer.partition_index, answer.offset)),
                    0 => {}
                    code => {
                        let what = format!("topic {topic} partition {}", answer.partition_index);
                        return Err(Failure::refused(&what, code, None));
                    }
                }
            }
        }
        Ok(offsets)
    }

    /// The broker that coordinates `group`.
    pub(super) async fn coordinator(&mut self, group: &str) -> Result<i32, Failure> {
        let request = FindCoordinatorRequest::default()
            .with_key_type(0)
            .with_coordinator_keys(vec![StrBytes::from_string(group.to_owned())]);
        for attempt in 1.. {
            let response = self.any.call(&request, 4..=4).await?;
            let coordinator = response.coordinators.first();
            let coordinator =
                coordinator.ok_or_else(|| Failure::new(format!("group {group}: no coordinator was named")))?;
            match coordinator.error_code {
                0 => {
                    self.metadata(Some(&[])).await?;
                    return Ok(coordinator.node_id.0);
                }
                code if is_retriable(code) && attempt < ATTEMPTS => tokio::time::sleep(RETRY_PAUSE).await,
                code => {
                    let message = coordinator.error_message.as_ref().map(|message| message.as_str());
                    return Err(Failure::refused(&format!("group {group}"), code, message));
                }
            }
        }
        unreachable!("the loop ends by returning")
    }
}

async fn open_first(addresses: &[String]) -> Result<Connection, Failure> {
    let mut problems = Vec::new();
    for address in addresses {
        match Connection::open(address).await {
            Ok(connection) => return Ok(connection),
            Err(failure) => problems.push(failure.to_string().trim_start_matches("error: ").to_owned()),
        }
    }
    let failure = Failure::unreachable(match problems.is_empty() {
        true => "no broker was named".to_owned(),
        false => problems.join("\n       "),
    });
    Err(failure.hint("is a node running (`highwater server`)? `--bootstrap-server host:port` names another"))
}

/// Whether a client tries again after this error.
pub(super) fn is_retriable(code: i16) -> bool {
    ErrorCode::from_code(code).is_some_and(ErrorCode::is_retriable)
}

/// A topic name as messages carry it.
pub(super) fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_owned()))
}
