//! Requests that most tests send.

use bytes::Bytes;
use highwater_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use highwater_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use highwater_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use highwater_protocol::messages::*;
use highwater_records::split_batches;
use highwater_types::TopicId;

use super::client::Client;

pub fn name(topic: &str) -> TopicName {
    TopicName(topic.to_owned().into())
}

/// Creates a topic and returns its id.
pub async fn create(
    client: &mut Client,
    topic: &str,
    partitions: i32,
    configs: &[(&'static str, &'static str)],
) -> TopicId {
    let configs = configs
        .iter()
        .map(|(key, value)| CreatableTopicConfig::default().with_name((*key).into()).with_value(Some((*value).into())));
    let topic = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs.collect());
    let response = client.call(7, &CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000)).await;
    assert_eq!(response.topics[0].error_code, 0, "{response:?}");
    TopicId(response.topics[0].topic_id)
}

pub fn produce(topic: &str, partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(5000).with_topic_data(vec![topic])
}

pub fn fetch(topic: &str, partitions: &[(i32, i64)], min_bytes: i32, max_wait_ms: i32) -> FetchRequest {
    let partition = |&(partition, offset): &(i32, i64)| {
        FetchPartition::default().with_partition(partition).with_fetch_offset(offset).with_partition_max_bytes(1 << 20)
    };
    let topic =
        FetchTopic::default().with_topic(name(topic)).with_partitions(partitions.iter().map(partition).collect());
    FetchRequest::default()
        .with_max_bytes(1 << 20)
        .with_min_bytes(min_bytes)
        .with_max_wait_ms(max_wait_ms)
        .with_topics(vec![topic])
}

pub fn values(records: Option<&Bytes>) -> Vec<String> {
    let records = records.cloned().unwrap_or_default();
    let mut values = Vec::new();
    for batch in split_batches(&records) {
        let batch = batch.unwrap();
        for record in &batch.records().unwrap() {
            values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
        }
    }
    values
}
