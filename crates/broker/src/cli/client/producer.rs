//! Sending batches to one topic: idempotent with acks=all, so that trying again never writes a record twice.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use bytes::Bytes;
use highwater_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use highwater_protocol::messages::{InitProducerIdRequest, ProduceRequest, ProducerId as WireProducerId};
use highwater_records::{BatchBuilder, Compression};
use highwater_types::{ErrorCode, ProducerEpoch, ProducerId, Sequence};

use super::{ATTEMPTS, ClusterClient, RETRY_PAUSE, is_retriable, topic_name};
use crate::cli::Failure;

/// How long the broker may wait for the replicas.
const REPLICATION_TIMEOUT_MS: i32 = 30_000;
/// Versions of Produce that tell which record was refused.
const PRODUCE: RangeInclusive<i16> = 8..=12;

/// Which replicas must have a record before it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acks {
    /// All in-sync replicas.
    All,
    /// The leader.
    Leader,
    /// None: the broker does not even answer.
    None,
}

/// Identity of an idempotent producer, with its next sequence number in each partition.
struct Identity {
    id: ProducerId,
    epoch: ProducerEpoch,
    sequences: BTreeMap<i32, Sequence>,
}

/// A producer of one topic.
pub(crate) struct Producer {
    client: ClusterClient,
    topic: String,
    acks: Acks,
    compression: Compression,
    identity: Option<Identity>,
    /// Leader by partition; `None` where there is none.
    leaders: BTreeMap<i32, Option<i32>>,
}

impl Producer {
    /// A producer for a topic that must exist. It is idempotent with acks=all; otherwise a retry can write records twice.
    pub(crate) async fn start(
        mut client: ClusterClient,
        topic: &str,
        acks: Acks,
        compression: Compression,
    ) -> Result<Self, Failure> {
        let identity = match acks {
            Acks::All => Some(init_producer_id(&mut client).await?),
            Acks::Leader | Acks::None => None,
        };
        let mut producer =
            Self { client, topic: topic.to_owned(), acks, compression, identity, leaders: BTreeMap::new() };
        producer.learn_leaders().await?;
        Ok(producer)
    }

    /// How many partitions the topic has.
    pub(crate) fn partitions(&self) -> i32 {
        i32::try_from(self.leaders.len()).unwrap_or(i32::MAX)
    }

    async fn learn_leaders(&mut self) -> Result<(), Failure> {
        let topic = self.client.topic(&self.topic).await?;
        self.leaders = topic.partitions.iter().map(|one| (one.id.partition, one.leader)).collect();
        match self.leaders.is_empty() {
            true => Err(Failure::new(format!("topic {} has no partitions", self.topic))),
            false => Ok(()),
        }
    }

    /// An empty batch for the next [`Producer::send`] to `partition`.
    pub(crate) fn batch(&self, partition: i32) -> BatchBuilder {
        let builder = BatchBuilder::new(self.compression);
        match &self.identity {
            Some(identity) => {
                let sequence = identity.sequences.get(&partition).copied().unwrap_or(Sequence(0));
                builder.producer(identity.id, identity.epoch, sequence)
            }
            None => builder,
        }
    }

    /// Sends one batch until the cluster has it. Idempotent, because the sequence number stays the same.
    pub(crate) async fn send(&mut self, partition: i32, batch: BatchBuilder) -> Result<(), Failure> {
        let count = batch.record_count();
        self.deliver(partition, batch.build()).await?;
        if let Some(identity) = &mut self.identity {
            let sequence = identity.sequences.entry(partition).or_insert(Sequence(0));
            *sequence = sequence.plus(count);
        }
        Ok(())
    }

    async fn deliver(&mut self, partition: i32, batch: Bytes) -> Result<(), Failure> {
        let what = format!("topic {} partition {partition}", self.topic);
        for attempt in 1.. {
            let failure = match self.try_deliver(partition, batch.clone()).await {
                Ok((0, _)) => return Ok(()),
                Ok((code, _)) if code == ErrorCode::DuplicateSequenceNumber as i16 => return Ok(()),
                Ok((code, message)) if !is_retriable(code) => {
                    return Err(Failure::refused(&what, code, message.as_deref()));
                }
                Ok((code, message)) => Failure::refused(&what, code, message.as_deref()),
                Err(failure) => failure,
            };
            if attempt >= ATTEMPTS {
                return Err(failure);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
            // The leader may be another one now; if nobody can say, the old one is asked again.
            let _ = self.learn_leaders().await;
        }
        unreachable!("the loop ends by returning")
    }

    /// The partition's error code and message.
    async fn try_deliver(&mut self, partition: i32, batch: Bytes) -> Result<(i16, Option<String>), Failure> {
        let Some(leader) = self.leaders.get(&partition).copied().flatten() else {
            return Ok((ErrorCode::LeaderNotAvailable as i16, None));
        };
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
        let topic = TopicProduceData::default().with_name(topic_name(&self.topic)).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(match self.acks {
                Acks::All => -1,
                Acks::Leader => 1,
                Acks::None => 0,
            })
            .with_timeout_ms(REPLICATION_TIMEOUT_MS)
            .with_topic_data(vec![topic]);
        if self.acks == Acks::None {
            self.client.send_to_broker(leader, &request, PRODUCE).await?;
            return Ok((0, None));
        }
        let response = self.client.call_broker(leader, &request, PRODUCE).await?;
        let answer =
            response.responses.into_iter().next().and_then(|topic| topic.partition_responses.into_iter().next());
        let answer = answer.ok_or_else(|| Failure::new("the broker says nothing of the partition"))?;
        let of_record = answer.record_errors.into_iter().find_map(|error| error.batch_index_error_message);
        let message = of_record.or(answer.error_message).map(|message| message.to_string());
        Ok((answer.error_code, message))
    }
}

async fn init_producer_id(client: &mut ClusterClient) -> Result<Identity, Failure> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_producer_id(WireProducerId(-1))
        .with_producer_epoch(-1);
    for attempt in 1.. {
        let response = client.call(&request, 0..=4).await?;
        match response.error_code {
            0 => {
                return Ok(Identity {
                    id: ProducerId(response.producer_id.0),
                    epoch: ProducerEpoch(response.producer_epoch),
                    sequences: BTreeMap::new(),
                });
            }
            code if is_retriable(code) && attempt < ATTEMPTS => tokio::time::sleep(RETRY_PAUSE).await,
            code => return Err(Failure::refused("producer id", code, None)),
        }
    }
    unreachable!("the loop ends by returning")
}
