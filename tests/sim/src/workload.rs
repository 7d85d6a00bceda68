//! What clients do: make the topic, produce with idempotence and acks=all, read everything.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use highwater_history::{Isolation, Operation, Outcome, Poll, Process, Record, Recorder, Send};
use highwater_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use highwater_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use highwater_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use highwater_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use highwater_protocol::messages::{
    CreateTopicsRequest, FetchRequest, InitProducerIdRequest, ListOffsetsRequest, ListOffsetsResponse, ProduceRequest,
    TopicName,
};
use highwater_protocol::{KafkaRequest, StrBytes};
use highwater_records::{BatchBuilder, Compression, split_batches};
use highwater_types::{ErrorCode, Offset, PartitionIndex, ProducerEpoch, ProducerId, Sequence};
use tokio::time::sleep;

use crate::client::Client;
use crate::cluster::address;
use crate::history::{Acknowledged, History, key};
use crate::plan::NODES;

pub const TOPIC: &str = "t";
pub const PARTITIONS: i32 = 3;
/// ListOffsets' timestamp that asks for the end.
const LATEST: i64 = -1;
/// Pause after a failed call.
const BACKOFF: Duration = Duration::from_millis(60);
/// Every so manieth value is sent twice.
const REPEAT_EVERY: u64 = 13;
/// Most retries of one batch before the producer gives it up as unknown.
const MAX_RETRIES: usize = 60;

pub fn topic_name() -> TopicName {
    TopicName(StrBytes::from_static_str(TOPIC))
}

/// Creates the topic with three replicas and min.insync.replicas 2; tries every node until one does it.
pub async fn create_topic() -> Result<()> {
    let topic = CreatableTopic::default()
        .with_name(topic_name())
        .with_num_partitions(PARTITIONS)
        .with_replication_factor(NODES as i16)
        .with_configs(vec![
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_static_str("min.insync.replicas"))
                .with_value(Some(StrBytes::from_static_str("2"))),
        ]);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(2000);
    for attempt in 0..1000 {
        if let Ok(mut client) = Client::connect(&address(attempt % NODES)).await
            && let Ok(response) = client.call(5, &request).await
        {
            let code = response.topics.first().map(|topic| topic.error_code);
            if code == Some(0) || code == Some(ErrorCode::TopicAlreadyExists.code()) {
                return Ok(());
            }
        }
        sleep(BACKOFF).await;
    }
    bail!("the topic could not be created")
}

/// Connections by node, and leaders as last learnt.
#[derive(Default)]
struct Router {
    clients: BTreeMap<usize, Client>,
    leaders: BTreeMap<i32, usize>,
    next: usize,
}

impl Router {
    async fn client(&mut self, node: usize) -> Result<&mut Client> {
        match self.clients.entry(node) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(vacant) => Ok(vacant.insert(Client::connect(&address(node)).await?)),
        }
    }

    /// The node that leads the partition, asking the nodes in turn when it is not known.
    async fn leader(&mut self, partition: i32) -> Result<usize> {
        if let Some(&leader) = self.leaders.get(&partition) {
            return Ok(leader);
        }
        self.next = (self.next + 1) % NODES;
        let node = self.next;
        let answer = self.client(node).await?.metadata(TOPIC).await;
        let Ok(answer) = answer else {
            self.clients.remove(&node);
            bail!("no metadata");
        };
        for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            if let Ok(leader) = usize::try_from(partition.leader_id.0 - 1) {
                self.leaders.insert(partition.partition_index, leader);
            }
        }
        self.leaders.get(&partition).copied().context("no leader")
    }

    /// Asks that node; after a failure nothing is believed of it any more.
    async fn call<R: KafkaRequest>(
        &mut self,
        partition: i32,
        node: usize,
        version: i16,
        request: &R,
    ) -> Result<R::Response> {
        let answer = match self.client(node).await {
            Ok(client) => client.call(version, request).await,
            Err(error) => Err(error),
        };
        answer.inspect_err(|_| self.forget(partition, node))
    }

    fn forget(&mut self, partition: i32, node: usize) {
        self.clients.remove(&node);
        self.leaders.remove(&partition);
    }
}

/// An idempotent producer: one batch in flight, values `first, first + step, ...`, partitions in turn, until `stop`.
pub struct Producer {
    history: History,
    /// The session with the current id.
    process: Process,
    router: Router,
    id: Option<(ProducerId, ProducerEpoch)>,
    sequences: BTreeMap<i32, Sequence>,
}

impl Producer {
    pub fn new(history: History) -> Self {
        let process = history.recorder.process();
        Self { history, process, router: Router::default(), id: None, sequences: BTreeMap::new() }
    }

    /// Sends values from `first` on, `step` apart, until `stop` says so.
    pub async fn run(mut self, first: u64, step: u64, stop: impl Fn() -> bool) -> Result<()> {
        let mut value = first;
        while !stop() {
            let partition = (value / step % PARTITIONS as u64) as i32;
            self.send(partition, value).await;
            value += step;
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn producer_id(&mut self) -> Result<(ProducerId, ProducerEpoch)> {
        if let Some(id) = self.id {
            return Ok(id);
        }
        self.router.next = (self.router.next + 1) % NODES;
        let node = self.router.next;
        let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(60_000);
        let answer = self.router.client(node).await?.call(2, &request).await;
        let Ok(answer) = answer else {
            self.router.clients.remove(&node);
            bail!("no producer id");
        };
        ensure!(answer.error_code == 0, "InitProducerId: {}", answer.error_code);
        let id = (ProducerId(answer.producer_id.0), ProducerEpoch(answer.producer_epoch));
        self.id = Some(id);
        self.process = self.history.recorder.process();
        self.sequences.clear();
        Ok(id)
    }

    /// Sends one value and retries the same sequence until it is acknowledged or refused for good.
    async fn send(&mut self, partition: i32, value: u64) {
        let id = loop {
            match self.producer_id().await {
                Ok(id) => break id,
                Err(_) => sleep(BACKOFF).await,
            }
        };
        let sequence = self.sequences.get(&partition).copied().unwrap_or(Sequence(0));
        let send = Send { key: key(TOPIC, partition), value, offset: None, transaction: None };
        self.history.recorder.record(self.process, Outcome::Invoke, Operation::Send(send.clone()));
        for _ in 0..MAX_RETRIES {
            match self.attempt(partition, value, id, sequence).await {
                Ok(Some(acknowledged)) => {
                    self.history.acknowledged(self.process, send, acknowledged);
                    self.repeat(partition, value, id, sequence).await;
                    self.sequences.insert(partition, sequence.plus(1));
                    return;
                }
                Ok(None) => break,
                Err(_) => sleep(BACKOFF).await,
            }
        }
        // Outcome unknown: a new producer id, so that a late retry cannot follow on this sequence.
        self.history.recorder.record(self.process, Outcome::Info, Operation::Send(send));
        self.id = None;
    }

    /// Now and then a batch arrives again though it was answered, as when the network doubles it: it must not be appended.
    async fn repeat(&mut self, partition: i32, value: u64, id: (ProducerId, ProducerEpoch), sequence: Sequence) {
        if value.is_multiple_of(REPEAT_EVERY) {
            let _ = self.attempt(partition, value, id, sequence).await;
        }
    }

    /// `Ok(Some)`: acknowledged. `Ok(None)`: refused for good. `Err`: try again.
    async fn attempt(
        &mut self,
        partition: i32,
        value: u64,
        (id, epoch): (ProducerId, ProducerEpoch),
        sequence: Sequence,
    ) -> Result<Option<Acknowledged>> {
        let node = self.router.leader(partition).await?;
        let mut batch = BatchBuilder::new(Compression::None).producer(id, epoch, sequence);
        batch.append(highwater_env::clock::wall_ms(), None, Some(&value.to_be_bytes()), &[]);
        let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch.build()));
        let topic = TopicProduceData::default().with_name(topic_name()).with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(2000).with_topic_data(vec![topic]);
        let answer = match self.router.client(node).await {
            Ok(client) => client.call(9, &request).await,
            Err(error) => Err(error),
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                self.router.forget(partition, node);
                return Err(error);
            }
        };
        let answer =
            answer.responses.first().and_then(|topic| topic.partition_responses.first()).context("no partition")?;
        match ErrorCode::from_code(answer.error_code) {
            Some(ErrorCode::None) => {
                let (partition, offset) = (PartitionIndex(partition), Offset(answer.base_offset));
                Ok(Some(Acknowledged { partition, offset, node }))
            }
            Some(error) if error.is_retriable() => {
                self.router.leaders.remove(&partition);
                bail!("{error}")
            }
            _ => Ok(None),
        }
    }
}

/// Reads every partition from the beginning, over and over, until `stop`.
pub async fn consume(history: History, stop: impl Fn() -> bool) -> Result<()> {
    let mut reader = Reader::new(&history, false);
    let mut positions: BTreeMap<i32, Offset> = BTreeMap::new();
    while !stop() {
        for partition in 0..PARTITIONS {
            let position = positions.get(&partition).copied().unwrap_or(Offset(0));
            if let Ok(next) = reader.fetch(partition, position).await {
                positions.insert(partition, next);
            }
        }
        sleep(Duration::from_millis(40)).await;
    }
    Ok(())
}

/// Reads every partition from the beginning to its end.
pub async fn read_all(history: History) -> Result<()> {
    let mut reader = Reader::new(&history, true);
    for partition in 0..PARTITIONS {
        let (mut position, mut end) = (Offset(0), None);
        let mut failures = 0;
        while end.is_none_or(|end| position < end) {
            let progress = match end {
                None => reader.latest(partition).await.map(|latest| end = Some(latest)),
                Some(_) => reader.fetch(partition, position).await.map(|next| position = next),
            };
            match progress {
                Ok(()) => {}
                Err(error) => {
                    failures += 1;
                    ensure!(failures < 300, "partition {partition} cannot be read at {position}: {error:#}");
                    sleep(BACKOFF).await;
                }
            }
        }
    }
    Ok(())
}

/// A consumer: asks the leaders and notes what they say.
struct Reader<'a> {
    recorder: &'a Recorder,
    process: Process,
    router: Router,
    is_final: bool,
}

impl<'a> Reader<'a> {
    fn new(history: &'a History, is_final: bool) -> Self {
        let recorder = &history.recorder;
        Self { recorder, process: recorder.process(), router: Router::default(), is_final }
    }

    fn record(&self, outcome: Outcome, operation: Operation) {
        self.recorder.record(self.process, outcome, operation);
    }

    /// The end that the leader exposes. Unlike the high watermark in a fetch answer, it never goes back when leaders change (P3):
    /// a new leader that does not know yet what was committed refuses.
    async fn latest(&mut self, partition: i32) -> Result<Offset> {
        let key = key(TOPIC, partition);
        let node = self.router.leader(partition).await?;
        let wanted = ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_current_leader_epoch(-1)
            .with_timestamp(LATEST);
        let topic = ListOffsetsTopic::default().with_name(topic_name()).with_partitions(vec![wanted]);
        let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
        self.record(Outcome::Invoke, Operation::End { key: key.clone(), offset: None });
        let answer = self.router.call(partition, node, 5, &request).await;
        let offset = answer.and_then(|answer| self.end_in(&answer, partition));
        let outcome = if offset.is_ok() { Outcome::Ok } else { Outcome::Info };
        self.record(outcome, Operation::End { key, offset: offset.as_ref().ok().map(|offset| offset.0) });
        offset
    }

    fn end_in(&mut self, answer: &ListOffsetsResponse, partition: i32) -> Result<Offset> {
        let answer = answer.topics.first().and_then(|topic| topic.partitions.first()).context("no partition")?;
        if answer.error_code != 0 {
            self.router.leaders.remove(&partition);
            bail!("list offsets: {:?}", ErrorCode::from_code(answer.error_code));
        }
        Ok(Offset(answer.offset))
    }

    /// One fetch; notes what it read and gives the next position.
    async fn fetch(&mut self, partition: i32, from: Offset) -> Result<Offset> {
        let node = self.router.leader(partition).await?;
        let wanted = FetchPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(from.0)
            .with_last_fetched_epoch(-1)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(64 * 1024);
        let topic = FetchTopic::default().with_topic(topic_name()).with_partitions(vec![wanted]);
        let request = FetchRequest::default()
            .with_max_wait_ms(0)
            .with_min_bytes(0)
            .with_max_bytes(1 << 20)
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let answer = self.router.call(partition, node, 11, &request).await?;
        let answer = answer.responses.first().and_then(|topic| topic.partitions.first()).context("no partition")?;
        if answer.error_code != 0 {
            self.router.leaders.remove(&partition);
            bail!("fetch: {:?}", ErrorCode::from_code(answer.error_code));
        }
        let (mut next, mut records) = (from, Vec::new());
        for batch in split_batches(&answer.records.clone().unwrap_or_default()) {
            let batch = batch?;
            let base = batch.header().base_offset;
            for record in batch.records()?.iter() {
                let record = record?;
                let offset = base.plus(i64::from(record.offset_delta));
                if offset >= from {
                    let value = record.value.context("no value")?.try_into().context("not 8 bytes")?;
                    let value = u64::from_be_bytes(value);
                    records.push(Record { key: key(TOPIC, partition), offset: offset.0, value });
                    next = offset.plus(1);
                }
            }
        }
        let poll = Poll { records, isolation: Isolation::ReadUncommitted, transaction: None, is_final: self.is_final };
        if self.is_final || !poll.records.is_empty() {
            self.record(Outcome::Ok, Operation::Poll(poll));
        }
        Ok(next)
    }
}
