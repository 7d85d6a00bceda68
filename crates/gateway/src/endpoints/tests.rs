//! A small cluster: three brokers of which the third is fenced, brokers 1 and 3 with a second listener.

use highwater_metadata::{HostPort, MetadataRecord, NodeSoftware, SecurityProtocol};
use highwater_types::{BrokerEpoch, DirectoryId, IncarnationId, MetadataOffset, PartitionIndex, TopicId, TopicName};

use super::*;

pub(crate) const TOPIC_ID: TopicId = TopicId::from_random(42);

fn broker(id: i32, listeners: &[&str], fenced: bool) -> MetadataRecord {
    let listener = |name: &&str| Endpoint {
        name: (*name).to_owned(),
        host: format!("{}-{id}", name.to_lowercase()),
        port: 9092,
        security_protocol: SecurityProtocol::Plaintext,
    };
    MetadataRecord::RegisterBroker(BrokerRegistration {
        id: BrokerId(id),
        epoch: BrokerEpoch(i64::from(id)),
        incarnation: IncarnationId::from_random(id as u128),
        listeners: listeners.iter().map(listener).collect(),
        internal: HostPort { host: "h".to_owned(), port: 1 },
        rack: Some(format!("rack-{id}")),
        log_dirs: vec![DirectoryId::from_random(id as u128)],
        fenced,
        in_controlled_shutdown: false,
        software: NodeSoftware::default(),
    })
}

/// Partition `index` of `topic` is led by `leaders[index]`, with replicas 1, 2 and 3.
pub(crate) fn image(topics: &[(&str, TopicId, &[i32])]) -> MetadataImage {
    let mut records = vec![broker(1, &["EXTERNAL", "INTERNAL"], false), broker(2, &["EXTERNAL"], false)];
    records.push(broker(3, &["EXTERNAL", "INTERNAL"], true));
    for (name, id, leaders) in topics {
        records.push(MetadataRecord::Topic { name: TopicName::new(name).unwrap(), id: *id });
        for (index, leader) in (0..).zip(*leaders) {
            let replicas: Vec<_> = [1, 2, 3].map(BrokerId).to_vec();
            let directories = vec![DirectoryId::ZERO; 3];
            let state = PartitionImage::new(replicas.clone(), directories, replicas, BrokerId(*leader));
            records.push(MetadataRecord::Partition { topic_id: *id, partition: PartitionIndex(index), state });
        }
    }
    let end = MetadataOffset(i64::try_from(records.len()).unwrap());
    MetadataImage::empty().apply(&records, end).0
}

fn ids(brokers: &[i32]) -> Vec<BrokerId> {
    brokers.iter().copied().map(BrokerId).collect()
}

#[test]
fn clients_see_unfenced_brokers_of_their_own_listener() {
    let image = image(&[("t", TOPIC_ID, &[1])]);
    let seen = |listener| alive_brokers(&image, listener).map(|(broker, _)| broker.id).collect::<Vec<_>>();
    assert_eq!(seen("EXTERNAL"), ids(&[1, 2]));
    assert_eq!(seen("INTERNAL"), ids(&[1]));
    assert_eq!(seen("OTHER"), ids(&[]));
    assert_eq!(alive_endpoint(&image, BrokerId(1), "INTERNAL").unwrap().host, "internal-1");
    let partition = image.partition(TOPIC_ID, PartitionIndex(0)).unwrap();
    assert_eq!(offline_replicas(&image, partition, "EXTERNAL"), ids(&[3]));
    assert_eq!(offline_replicas(&image, partition, "INTERNAL"), ids(&[2, 3]));
}

#[test]
fn a_list_of_brokers_is_never_empty() {
    let image = image(&[]);
    let listed = |image: &MetadataImage, others: &[i32]| -> Vec<BrokerId> {
        listed_brokers(image, "INTERNAL", &ids(others)).map(|(broker, _)| broker.id).collect()
    };
    assert_eq!(listed(&image, &[]), ids(&[1]));
    assert_eq!(listed(&image, &[3]), ids(&[1, 3]), "3 has just died");
    assert_eq!(listed(&image.with_fenced(BrokerId(1)), &[]), ids(&[1, 3]), "2 is alive, but not there");
}

#[test]
fn any_reachable_broker_passes_for_the_controller() {
    let image = image(&[]);
    for (this, listener, expected) in [(2, "EXTERNAL", 2), (3, "EXTERNAL", 1), (2, "INTERNAL", 1), (1, "OTHER", -1)] {
        assert_eq!(controller_for_clients(&image, BrokerId(this), listener), BrokerId(expected));
    }
}

#[test]
fn hints_name_each_reachable_leader_once() {
    let image = image(&[("t", TOPIC_ID, &[1, 2, 1, -1])]);
    let key = |partition| TopicIdPartition { topic_id: TOPIC_ID, partition: PartitionIndex(partition) };
    let mut hints = LeaderHints::new(&image, "EXTERNAL");
    let leaders: Vec<_> = (0..5).map(|index| hints.leader(key(index)).map(|leader| leader.leader_id)).collect();
    assert_eq!(leaders, [Some(BrokerId(1)), Some(BrokerId(2)), Some(BrokerId(1)), None, None]);
    let endpoints = hints.into_endpoints();
    assert_eq!(endpoints.iter().map(|endpoint| endpoint.node_id).collect::<Vec<_>>(), ids(&[1, 2]));
    assert_eq!((endpoints[0].host.as_str(), endpoints[0].rack.as_deref()), ("external-1", Some("rack-1")));
}

#[test]
fn followers_in_a_rack_are_those_that_the_client_can_reach() {
    let image = image(&[("t", TOPIC_ID, &[1])]);
    let found = |partition, rack, listener| {
        let key = TopicIdPartition { topic_id: TOPIC_ID, partition: PartitionIndex(partition) };
        followers_in_rack(&image, key, rack, listener)
    };
    assert_eq!(found(0, "rack-2", "EXTERNAL"), ids(&[2]));
    // On another listener, the leader itself, fenced, in no rack, of no partition.
    let nobody = [(0, "rack-2", "INTERNAL"), (0, "rack-1", "EXTERNAL"), (0, "rack-3", "EXTERNAL")];
    for (partition, rack, listener) in nobody.into_iter().chain([(0, "", "EXTERNAL"), (9, "rack-2", "EXTERNAL")]) {
        assert_eq!(found(partition, rack, listener), ids(&[]), "{rack} of {partition} by {listener}");
    }
}
