//! Logs are compacted beside their writers and readers.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use highwater_replication::Acks;
use highwater_types::*;

use crate::cluster::{Cluster, keyed_batch};

const COMPACTED: [(&str, &str); 3] =
    [("cleanup.policy", "compact"), ("segment.bytes", "4000"), ("min.cleanable.dirty.ratio", "0.01")];
const THROTTLE: &str = "log.cleaner.io.max.bytes.per.second";

#[tokio::test]
async fn every_replica_compacts_and_a_new_one_gets_the_compacted_log() {
    let mut cluster = Cluster::start(3).await;
    let id = cluster.create_topic("c", &COMPACTED);
    cluster.kill(2, false).await;
    cluster.controller.fence(BrokerId(2), &[id]);
    let mut last = BTreeMap::new();
    for number in 0..300 {
        let (key, value) = (format!("key-{}", number % 7), format!("{number:040}"));
        let offset = append(&cluster, id, &key, &value).await;
        last.insert(key, (offset, value));
    }
    // One segment, at most, of what is not compacted.
    let is_compacted = |cluster: &Cluster, node| cluster.values(node, id).len() < 60;
    cluster.until("compacted", |cluster| is_compacted(cluster, 0) && is_compacted(cluster, 1)).await;
    cluster.run(2).await;
    cluster.until_in_sync(id).await;
    for node in 0..3 {
        assert_eq!(cluster.status(node, id).log_end, Offset(300), "offsets stay");
        let values = cluster.values(node, id);
        assert!(last.values().all(|record| values.contains(record)), "node {node}: {values:?}");
    }
    let (mut fetched, mut from) = (Vec::new(), 0);
    while from < 300 {
        fetched.extend(cluster.fetch(0, id, from));
        from = fetched.last().map_or(300, |(offset, _)| offset + 1);
    }
    assert!(fetched.is_sorted_by_key(|(offset, _)| *offset) && last.values().all(|record| fetched.contains(record)));
}

/// A consumer that remembers what it read.
#[derive(Default)]
struct Consumer {
    position: i64,
    seen: BTreeMap<i64, String>,
}

impl Consumer {
    /// Reads on: at most so many records.
    fn read(&mut self, cluster: &Cluster, id: TopicIdPartition, count: usize) {
        let position = self.position;
        let fetched = cluster.fetch(0, id, position).into_iter().filter(|(offset, _)| *offset >= position);
        for (offset, value) in fetched.take(count) {
            assert!(offset >= self.position, "{offset} behind {}", self.position);
            self.seen.insert(offset, value);
            self.position = offset + 1;
        }
    }
}

#[tokio::test]
async fn consumers_miss_no_record_that_stays_and_read_none_twice() {
    let cluster = Cluster::start(1).await;
    let id = cluster.create_topic("c", &COMPACTED);
    let (mut tailing, mut lagging, mut appended) = (Consumer::default(), Consumer::default(), 0);
    while cluster.metric(0, "highwater_log_cleaner_passes_total") < 4.0 {
        assert!(appended < 100_000, "it is not compacted");
        append(&cluster, id, &format!("key-{}", appended % 7), &format!("{appended:040}")).await;
        appended += 1;
        tailing.read(&cluster, id, 2);
        if appended % 5 == 0 {
            lagging.read(&cluster, id, 3);
        }
    }
    for consumer in [&mut tailing, &mut lagging] {
        while consumer.position < appended {
            consumer.read(&cluster, id, 50);
        }
        let missed = cluster.values(0, id).into_iter().find(|(offset, value)| consumer.seen.get(offset) != Some(value));
        assert_eq!(missed, None);
    }
    assert!(lagging.seen.len() < appended as usize, "records went before it came");
}

#[tokio::test]
async fn a_throttled_compaction_goes_on_once_it_may() {
    let cluster = Cluster::start(1).await;
    cluster.controller.set_broker_config(THROTTLE, "1");
    let id = cluster.create_topic("c", &COMPACTED);
    for number in 0..300 {
        append(&cluster, id, "key", &format!("{number:040}")).await;
    }
    let metric = |cluster: &Cluster, name: &str| cluster.metric(0, &format!("highwater_log_cleaner_{name}"));
    cluster.until("compaction has begun", |cluster| metric(cluster, "read_bytes_total") > 0.0).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((metric(&cluster, "running"), metric(&cluster, "passes_total")), (1.0, 0.0), "hours from its end");
    assert!(cluster.values(0, id).len() > 200, "the first segment at most");
    cluster.controller.set_broker_config(THROTTLE, "100000000");
    cluster.until("compacted", |cluster| cluster.values(0, id).len() < 100).await;
}

#[tokio::test]
async fn an_idle_log_is_compacted_once_a_record_has_waited_for_the_maximal_lag() {
    let cluster = Cluster::start(1).await;
    let configs =
        [("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "1.0"), ("max.compaction.lag.ms", "500")];
    let id = cluster.create_topic("c", &configs);
    for number in 0..11 {
        append(&cluster, id, &format!("key-{}", number % 10), &format!("value-{number}")).await;
    }
    assert_eq!(cluster.values(0, id).len(), 11);
    let newest: Vec<_> = (1..11).map(|number| (number, format!("value-{number}"))).collect();
    cluster.until("compacted", |cluster| cluster.values(0, id) == newest).await;
    // Headers and keys were looked at, all was read once more, and ten of eleven records written.
    let recopied = |cluster: &Cluster| cluster.metric(0, "kafka_log_logcleaner_cleaner_recopy_percent");
    cluster.until("finished", |cluster| (20.0..50.0).contains(&recopied(cluster))).await;
}

#[tokio::test]
async fn a_damaged_log_is_counted_as_uncleanable() {
    let cluster = Cluster::start(1).await;
    cluster.controller.deaf(true);
    let id = cluster.create_topic("c", &COMPACTED);
    append(&cluster, id, "key", "value").await;
    cluster.disks[0].decay(Path::new("data/c-0/00000000000000000000.log"), 70).unwrap();
    for number in 0..100 {
        append(&cluster, id, "key", &format!("{number:040}")).await;
    }
    let metric = |cluster: &Cluster, name: &str| cluster.metric(0, &format!("kafka_log_logcleanermanager_{name}"));
    cluster.until("given up", |cluster| metric(cluster, "uncleanable_partitions_count") == 1.0).await;
    cluster.until("counted", |cluster| metric(cluster, "uncleanable_bytes") > 4_000.0).await;
}

/// Appends one record with acks=all and waits for the acknowledgement. Returns its offset.
async fn append(cluster: &Cluster, id: TopicIdPartition, key: &str, value: &str) -> i64 {
    let appended = cluster.node(0).replicas.append(id, &keyed_batch(Some(key), value), Acks::All).unwrap();
    appended.wait.unwrap().await.unwrap();
    appended.base_offset.get()
}
