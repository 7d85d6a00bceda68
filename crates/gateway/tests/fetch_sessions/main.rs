//! Fetch sessions (KIP-227) as clients see them, and what they cost.

#[path = "../harness/mod.rs"]
mod harness;

use harness::TestBroker;
use harness::client::Client;
use harness::requests::{create, fetch, name, produce, values};
use harness::samples::batch;
use highwater_protocol::messages::fetch_request::ForgottenTopic;
use highwater_protocol::messages::*;
use highwater_test_allocator::{Counting, allocations_of_thread};
use highwater_types::TopicId;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Names topics by their names.
const BY_NAME: i16 = 12;
/// Names topics by their ids.
const BY_ID: i16 = 16;

/// A fetch that does not wait, at that place in a session.
fn within(session_id: i32, epoch: i32, topic: TopicId, partitions: &[(i32, i64)]) -> FetchRequest {
    let mut request = fetch("t", partitions, 0, 0).with_session_id(session_id).with_session_epoch(epoch);
    request.topics.retain(|topic| !topic.partitions.is_empty());
    request.topics.iter_mut().for_each(|asked| asked.topic_id = topic.0);
    request
}

/// Error, session, and (partition, error, high watermark) of all that is in the answer.
fn told(response: &FetchResponse) -> (i16, i32, Vec<(i32, i16, i64)>) {
    let partitions = response.responses.iter().flat_map(|topic| &topic.partitions);
    let told = partitions.map(|partition| (partition.partition_index, partition.error_code, partition.high_watermark));
    (response.error_code, response.session_id, told.collect())
}

async fn sessions(broker: &TestBroker) -> (f64, f64, f64) {
    (
        broker.metric("kafka_server_fetchsessioncache_numincrementalfetchsessions"),
        broker.metric("kafka_server_fetchsessioncache_numincrementalfetchpartitionscached"),
        broker.metric("kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total"),
    )
}

#[tokio::test]
async fn a_session_is_told_what_is_new_and_nothing_else() {
    for version in [BY_NAME, BY_ID] {
        let broker = TestBroker::start().await;
        let mut client = Client::connect(broker.address).await;
        let topic = create(&mut client, "t", 3, &[]).await;
        let all = [(0, 0), (1, 0), (2, 0)];
        let first = client.call(version, &within(0, 0, topic, &all)).await;
        let id = first.session_id;
        assert!(id > 0);
        assert_eq!(told(&first), (0, id, vec![(0, 0, 0), (1, 0, 0), (2, 0, 0)]));
        assert_eq!(sessions(&broker).await, (1.0, 3.0, 0.0));

        assert_eq!(told(&client.call(version, &within(id, 1, topic, &[])).await), (0, id, vec![]));
        client.call(9, &produce("t", 1, -1, batch(&["a"]))).await;
        // A connection of its own is no session of its own.
        let mut other = Client::connect(broker.address).await;
        let news = other.call(version, &within(id, 2, topic, &[])).await;
        assert_eq!(told(&news), (0, id, vec![(1, 0, 1)]));
        assert_eq!(values(news.responses[0].partitions[0].records.as_ref()), ["a"]);
        let expected_name = if version == BY_NAME { name("t") } else { name("") };
        assert_eq!(news.responses[0].topic, expected_name);
        assert_eq!(TopicId(news.responses[0].topic_id), if version == BY_ID { topic } else { TopicId::ZERO });
        assert_eq!(told(&client.call(version, &within(id, 3, topic, &[(1, 1)])).await), (0, id, vec![]));

        let forgotten =
            ForgottenTopic::default().with_topic(name("t")).with_topic_id(topic.0).with_partitions(vec![0, 1]);
        let request = within(id, 4, topic, &[]).with_forgotten_topics_data(vec![forgotten]);
        client.call(9, &produce("t", 0, -1, batch(&["b"]))).await;
        assert_eq!(told(&client.call(version, &request).await), (0, id, vec![]));
        assert_eq!(sessions(&broker).await, (1.0, 1.0, 0.0));
        // The last fetch of a client closes its session.
        client.call(version, &within(id, -1, topic, &[])).await;
        assert_eq!(sessions(&broker).await, (0.0, 0.0, 0.0));
        assert_eq!(told(&client.call(version, &within(id, 5, topic, &[])).await), (70, 0, vec![]));
    }
}

#[tokio::test]
async fn what_does_not_fit_the_session_is_refused_and_changes_nothing() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    let topic = create(&mut client, "t", 2, &[]).await;
    let id = client.call(BY_ID, &within(0, 0, topic, &[(0, 0)])).await.session_id;
    for (version, epoch, error) in [(BY_ID, 2, 71), (BY_ID, -3, 71), (BY_ID, i32::MAX, 71), (BY_NAME, 1, 106)] {
        let response = client.call(version, &within(id, epoch, topic, &[(1, 0)])).await;
        assert_eq!((response.error_code, response.responses.len()), (error, 0), "epoch {epoch} of version {version}");
    }
    assert_eq!(told(&client.call(BY_ID, &within(id, 1, topic, &[])).await), (0, id, vec![]));
    assert_eq!(sessions(&broker).await, (1.0, 1.0, 0.0));
    // A new session takes the place of the one that the client gives up for it.
    let next = client.call(BY_ID, &within(id, 0, topic, &[(0, 0)])).await.session_id;
    assert!(next > 0 && next != id);
    assert_eq!(sessions(&broker).await, (1.0, 1.0, 0.0));
}

#[tokio::test]
async fn no_session_holds_what_does_not_exist() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    let topic = create(&mut client, "t", 1, &[]).await;
    for version in [BY_NAME, BY_ID] {
        let missing = [(0, 0), (7, 0)];
        let response = client.call(version, &within(0, 0, topic, &missing)).await;
        assert_eq!(told(&response), (0, 0, vec![(0, 0, 0), (7, 3, -1)]));
        let id = client.call(version, &within(0, 0, topic, &[(0, 0)])).await.session_id;
        let response = client.call(version, &within(id, 1, topic, &[(7, 0)])).await;
        assert_eq!(told(&response), (0, 0, vec![(0, 0, 0), (7, 3, -1)]));
        assert_eq!(sessions(&broker).await, (0.0, 0.0, 0.0));
        // Named twice: what the session held would not be what was asked.
        let response = client.call(version, &within(0, 0, topic, &[(0, 0), (0, 0)])).await;
        assert_eq!(told(&response), (0, 0, vec![(0, 0, 0), (0, 0, 0)]));
        assert_eq!(sessions(&broker).await, (0.0, 0.0, 0.0));
    }
    let id = client.call(BY_ID, &within(0, 0, topic, &[(0, 0)])).await.session_id;
    let delete = DeleteTopicsRequest::default().with_topic_names(vec![name("t")]).with_timeout_ms(1000);
    client.call(3, &delete).await;
    assert_eq!(told(&client.call(BY_ID, &within(id, 1, topic, &[])).await), (0, 0, vec![(0, 100, -1)]));
    assert_eq!(sessions(&broker).await, (0.0, 0.0, 0.0));
}

#[tokio::test]
async fn clients_beyond_the_slots_go_on_with_full_fetches() {
    let broker = TestBroker::start_with(|config| config.fetch_session_cache_slots = 1).await;
    let mut client = Client::connect(broker.address).await;
    let topic = create(&mut client, "t", 2, &[]).await;
    assert!(client.call(BY_ID, &within(0, 0, topic, &[(0, 0)])).await.session_id > 0);
    for _ in 0..3 {
        let response = client.call(BY_ID, &within(0, 0, topic, &[(0, 0), (1, 0)])).await;
        assert_eq!(told(&response), (0, 0, vec![(0, 0, 0), (1, 0, 0)]));
    }
    assert_eq!(sessions(&broker).await, (1.0, 1.0, 0.0));
    // Older versions know no sessions.
    assert_eq!(told(&client.call(4, &within(0, 0, topic, &[(0, 0)])).await).1, 0);
}

/// Allocations of one fetch of one partition, by client and broker together; both run on this thread. The fewest of many, for other
/// tasks of the broker run on it too.
async fn allocations_of_a_fetch(client: &mut Client, topic: TopicId, id: i32, first_epoch: i32) -> u64 {
    const FETCHES: i32 = 200;
    let mut fewest = u64::MAX;
    for round in 0..FETCHES {
        let epoch = if id == 0 { -1 } else { first_epoch + round };
        let request = within(id, epoch, topic, &[(0, 0)]);
        let before = allocations_of_thread();
        let response = client.call(BY_ID, &request).await;
        fewest = fewest.min(allocations_of_thread() - before);
        assert_eq!(response.responses[0].partitions[0].high_watermark, 1);
    }
    fewest
}

#[tokio::test]
async fn a_fetch_of_one_partition_costs_no_more_within_a_session() {
    let broker = TestBroker::start().await;
    let mut client = Client::connect(broker.address).await;
    let topic = create(&mut client, "t", 1, &[]).await;
    client.call(9, &produce("t", 0, -1, batch(&["a"]))).await;
    let without = allocations_of_a_fetch(&mut client, topic, 0, 0).await;
    let id = client.call(BY_ID, &within(0, 0, topic, &[(0, 0)])).await.session_id;
    let with = allocations_of_a_fetch(&mut client, topic, id, 1).await;
    println!("{without} allocations without a session, {with} within one");
    assert!(with <= without, "{with} allocations within a session, {without} without");
}
