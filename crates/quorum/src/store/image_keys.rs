//! The metadata image in the column family `sm_data`: one record per key, in an order in which they load.
//!
//! | tag | rest of the key | record |
//! |---|---|---|
//! | 1 | | cluster id |
//! | 2 | feature name | feature level |
//! | 3, 4 | node id | controller, broker |
//! | 5 | topic id | topic |
//! | 6 | topic id, partition | partition |
//! | 7 | resource, 0, key | configuration value |
//! | 8 | | next producer id |

use std::io;
use std::sync::Arc;

use highwater_env::{Kv, KvOp};
use highwater_metadata::{ConfigResource, MetadataDelta, MetadataImage, MetadataRecord};
use highwater_rpc::metadata::{decode_records, encode_records};
use highwater_types::{BrokerEpoch, BrokerId, MetadataOffset, PartitionIndex, ProducerId, TopicId};

use super::SM_DATA;
use crate::wire::damaged;

const CLUSTER: u8 = 1;
const FEATURE: u8 = 2;
const CONTROLLER: u8 = 3;
const BROKER: u8 = 4;
const TOPIC: u8 = 5;
const PARTITION: u8 = 6;
const CONFIG: u8 = 7;
const PRODUCER_IDS: u8 = 8;
/// Above every tag.
const END: u8 = 255;

/// Keys read at a time when the image is loaded.
const LOAD_PAGE: usize = 4096;

/// What to write so that the stored image goes from the one before `delta` to `image`.
pub(super) fn ops_for_delta(image: &MetadataImage, delta: &MetadataDelta, ops: &mut Vec<KvOp>) {
    if delta.features {
        ops.push(delete_tag(FEATURE));
        put_cluster_and_features(image, ops);
    }
    for &id in &delta.controllers {
        let record = image.controller(id).map(|controller| MetadataRecord::RegisterController(controller.clone()));
        put_or_delete(node_key(CONTROLLER, id), record, ops);
    }
    for &id in &delta.brokers {
        let record = image.broker(id).map(|broker| MetadataRecord::RegisterBroker((**broker).clone()));
        put_or_delete(node_key(BROKER, id), record, ops);
    }
    for (&id, topic) in &delta.deleted_topics {
        ops.push(KvOp::Delete { cf: SM_DATA, key: topic_key(id) });
        ops.push(delete_prefix(partition_prefix(id)));
        rewrite_config(image, &ConfigResource::Topic(topic.name.clone()), ops);
    }
    for &id in &delta.created_topics {
        put_topic(image, id, ops);
    }
    for (&id, partitions) in &delta.changed_partitions {
        for &partition in partitions {
            put_partition(image, id, partition, ops);
        }
    }
    for resource in &delta.configs {
        rewrite_config(image, resource, ops);
    }
    if delta.producer_ids {
        put_producer_ids(image, ops);
    }
}

/// What to write so that the stored image is `image`, whatever it was.
pub(super) fn ops_for_image(image: &MetadataImage) -> Vec<KvOp> {
    let mut ops = vec![KvOp::DeleteRange { cf: SM_DATA, from: vec![0], to: vec![END] }];
    put_cluster_and_features(image, &mut ops);
    for controller in image.controllers() {
        let record = MetadataRecord::RegisterController(controller.clone());
        ops.push(put(node_key(CONTROLLER, controller.id), &record));
    }
    for broker in image.brokers() {
        let record = MetadataRecord::RegisterBroker((**broker).clone());
        ops.push(put(node_key(BROKER, broker.id), &record));
    }
    for topic in image.topics() {
        put_topic(image, topic.id, &mut ops);
        for (index, _) in topic.iter() {
            put_partition(image, topic.id, index, &mut ops);
        }
    }
    for resource in image.configured_resources() {
        put_config(image, resource, &mut ops);
    }
    put_producer_ids(image, &mut ops);
    ops
}

/// The image stored in `kv`, which `offset` records made.
pub(super) fn load(kv: &Arc<dyn Kv>, offset: MetadataOffset) -> io::Result<MetadataImage> {
    let mut records = Vec::new();
    let mut from = vec![0];
    loop {
        let page = kv.scan(SM_DATA, &from, Some(&[END]), LOAD_PAGE)?;
        for (_, value) in &page {
            records.extend(decode_records(value).map_err(|error| damaged("the metadata image", &error))?);
        }
        match page.into_iter().next_back() {
            Some((mut last, _)) => {
                last.push(0);
                from = last;
            }
            None => return Ok(MetadataImage::from_snapshot(&records, offset)),
        }
    }
}

fn put_cluster_and_features(image: &MetadataImage, ops: &mut Vec<KvOp>) {
    if let Some(id) = image.cluster_id() {
        ops.push(put(vec![CLUSTER], &MetadataRecord::ClusterId(id.to_owned())));
    }
    for (name, &level) in image.features() {
        let mut key = vec![FEATURE];
        key.extend_from_slice(name.as_bytes());
        ops.push(put(key, &MetadataRecord::FeatureLevel { name: name.clone(), level }));
    }
}

fn put_topic(image: &MetadataImage, id: TopicId, ops: &mut Vec<KvOp>) {
    if let Some(topic) = image.topic(id) {
        ops.push(put(topic_key(id), &MetadataRecord::Topic { name: topic.name.clone(), id }));
    }
}

fn put_partition(image: &MetadataImage, topic_id: TopicId, partition: PartitionIndex, ops: &mut Vec<KvOp>) {
    if let Some(state) = image.partition(topic_id, partition) {
        let mut key = partition_prefix(topic_id);
        key.extend_from_slice(&partition.0.to_be_bytes());
        ops.push(put(key, &MetadataRecord::Partition { topic_id, partition, state: (**state).clone() }));
    }
}

fn rewrite_config(image: &MetadataImage, resource: &ConfigResource, ops: &mut Vec<KvOp>) {
    ops.push(delete_prefix(config_prefix(resource)));
    put_config(image, resource, ops);
}

fn put_config(image: &MetadataImage, resource: &ConfigResource, ops: &mut Vec<KvOp>) {
    for (name, value) in image.configs(resource).into_iter().flatten() {
        let mut key = config_prefix(resource);
        key.extend_from_slice(name.as_bytes());
        let record =
            MetadataRecord::Config { resource: resource.clone(), name: name.clone(), value: Some(value.clone()) };
        ops.push(put(key, &record));
    }
}

fn put_producer_ids(image: &MetadataImage, ops: &mut Vec<KvOp>) {
    let next = image.next_producer_id();
    if next > ProducerId(0) {
        let record = MetadataRecord::ProducerIds { broker: BrokerId::NONE, broker_epoch: BrokerEpoch::NONE, next };
        ops.push(put(vec![PRODUCER_IDS], &record));
    }
}

fn put_or_delete(key: Vec<u8>, record: Option<MetadataRecord>, ops: &mut Vec<KvOp>) {
    ops.push(match record {
        Some(record) => put(key, &record),
        None => KvOp::Delete { cf: SM_DATA, key },
    });
}

fn put(key: Vec<u8>, record: &MetadataRecord) -> KvOp {
    KvOp::Put { cf: SM_DATA, key, value: encode_records(std::slice::from_ref(record)).to_vec() }
}

fn delete_tag(tag: u8) -> KvOp {
    KvOp::DeleteRange { cf: SM_DATA, from: vec![tag], to: vec![tag + 1] }
}

fn delete_prefix(prefix: Vec<u8>) -> KvOp {
    // No key has a 0xff byte right after one of these prefixes: partitions are not negative, configuration keys are ASCII.
    let mut to = prefix.clone();
    to.push(0xff);
    KvOp::DeleteRange { cf: SM_DATA, from: prefix, to }
}

fn node_key(tag: u8, id: BrokerId) -> Vec<u8> {
    tagged(tag, &id.0.to_be_bytes())
}

fn topic_key(id: TopicId) -> Vec<u8> {
    tagged(TOPIC, &id.to_bytes())
}

fn partition_prefix(id: TopicId) -> Vec<u8> {
    tagged(PARTITION, &id.to_bytes())
}

fn config_prefix(resource: &ConfigResource) -> Vec<u8> {
    let name = match resource {
        ConfigResource::Topic(name) => format!("t{name}"),
        ConfigResource::DefaultBroker => "d".to_owned(),
        ConfigResource::Broker(id) => format!("b{id}"),
    };
    let mut key = tagged(CONFIG, name.as_bytes());
    key.push(0);
    key
}

fn tagged(tag: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + rest.len() + 8);
    key.push(tag);
    key.extend_from_slice(rest);
    key
}
