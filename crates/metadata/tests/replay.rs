//! Replay: what records do to the image, and that records which do not fit are noticed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use highwater_metadata::{
    BrokerChange, BrokerRegistration, ConfigResource, HostPort, LeaderRecoveryState, MetadataDelta, MetadataImage,
    MetadataRecord, NodeSoftware, PartitionChange, PartitionImage,
};
use highwater_types::{
    BrokerEpoch, BrokerId, DirectoryId, IncarnationId, LeaderEpoch, MetadataOffset, PartitionEpoch, PartitionIndex,
    ProducerId, TopicId, TopicIdPartition, TopicName,
};

fn apply(image: &MetadataImage, records: &[MetadataRecord]) -> (MetadataImage, MetadataDelta) {
    image.apply(records, MetadataOffset(image.offset().get() + records.len() as i64))
}

fn broker(id: i32, epoch: i64) -> MetadataRecord {
    MetadataRecord::RegisterBroker(BrokerRegistration {
        id: BrokerId(id),
        epoch: BrokerEpoch(epoch),
        incarnation: IncarnationId::from_random(1),
        listeners: Vec::new(),
        internal: HostPort { host: "::1".to_owned(), port: 1 },
        rack: None,
        log_dirs: Vec::new(),
        fenced: true,
        in_controlled_shutdown: false,
        software: NodeSoftware::default(),
    })
}

fn name() -> TopicName {
    TopicName::new("t").unwrap()
}

fn id(number: u128) -> TopicId {
    TopicId::from_random(number)
}

fn new_topic(number: u128) -> MetadataRecord {
    MetadataRecord::Topic { name: name(), id: id(number) }
}

fn partition(number: u128, index: i32, replicas: &[i32], isr: &[i32]) -> MetadataRecord {
    let ids = |ids: &[i32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
    let directories = vec![DirectoryId::ZERO; replicas.len()];
    let state = PartitionImage::new(ids(replicas), directories, ids(isr), BrokerId(isr.first().copied().unwrap_or(-1)));
    MetadataRecord::Partition { topic_id: id(number), partition: PartitionIndex(index), state }
}

fn change(leader: Option<i32>, leader_epoch: i32, partition_epoch: i32) -> PartitionChange {
    let partition = TopicIdPartition { topic_id: id(1), partition: PartitionIndex(0) };
    let nothing = PartitionChange::nothing(partition, LeaderEpoch(leader_epoch), PartitionEpoch(partition_epoch));
    PartitionChange { leader: leader.map(BrokerId), ..nothing }
}

fn config(value: Option<&str>) -> MetadataRecord {
    let resource = ConfigResource::Topic(name());
    MetadataRecord::Config { resource, name: "retention.ms".to_owned(), value: value.map(str::to_owned) }
}

/// A cluster with one topic of one partition on brokers 1 and 2.
fn sample() -> MetadataImage {
    let records = [
        MetadataRecord::ClusterId("c".to_owned()),
        broker(1, 1),
        broker(2, 2),
        new_topic(1),
        partition(1, 0, &[1, 2], &[1, 2]),
        config(Some("5")),
        MetadataRecord::ProducerIds { broker: BrokerId(1), broker_epoch: BrokerEpoch(1), next: ProducerId(1000) },
    ];
    apply(&MetadataImage::empty(), &records).0
}

#[test]
fn records_that_do_not_fit_stop_the_process() {
    let cases: [(&str, MetadataRecord); 20] = [
        ("cluster id", MetadataRecord::ClusterId("d".to_owned())),
        ("feature x is not there", MetadataRecord::FeatureLevel { name: "x".to_owned(), level: 0 }),
        ("not after 2", broker(2, 2)),
        ("negative", broker(-1, 9)),
        ("not registered with epoch 7", MetadataRecord::UnregisterBroker { id: BrokerId(1), epoch: BrokerEpoch(7) }),
        (
            "which is at 1",
            MetadataRecord::BrokerChange(BrokerChange {
                fenced: Some(true),
                ..BrokerChange::nothing(BrokerId(1), BrokerEpoch(9))
            }),
        ),
        ("topic t exists", new_topic(2)),
        ("topic id", MetadataRecord::Topic { name: TopicName::new("u").unwrap(), id: id(1) }),
        ("has no id", MetadataRecord::Topic { name: TopicName::new("u").unwrap(), id: TopicId::ZERO }),
        ("where 1 is next", partition(1, 2, &[1], &[1])),
        ("no replicas", partition(1, 1, &[], &[])),
        ("duplicate replica", partition(1, 1, &[1, 1], &[1])),
        ("duplicates in ISR", partition(1, 1, &[1], &[1, 1])),
        (
            "overlap",
            MetadataRecord::PartitionChange(PartitionChange { elr: Some(vec![BrokerId(1)]), ..change(None, 0, 1) }),
        ),
        ("not a subset", partition(1, 1, &[1], &[1, 2])),
        ("leader 3 is not in ISR", MetadataRecord::PartitionChange(change(Some(3), 1, 1))),
        ("partition epoch 0 is not after 0", MetadataRecord::PartitionChange(change(None, 0, 0))),
        ("leader 2 epoch 0 after leader 1 epoch 0", MetadataRecord::PartitionChange(change(Some(2), 0, 1))),
        (
            "which does not exist",
            MetadataRecord::Config {
                resource: ConfigResource::Topic(TopicName::new("u").unwrap()),
                name: "k".to_owned(),
                value: Some("v".to_owned()),
            },
        ),
        (
            "is not after 1000",
            MetadataRecord::ProducerIds { broker: BrokerId(1), broker_epoch: BrokerEpoch(1), next: ProducerId(1000) },
        ),
    ];
    let image = sample();
    for (message, record) in cases {
        let panic = catch_unwind(AssertUnwindSafe(|| apply(&image, std::slice::from_ref(&record)))).expect_err(message);
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(
            text.contains(message) && text.contains("does not fit"),
            "{record:?} gave {text:?} instead of {message:?}"
        );
    }
    let panic = catch_unwind(AssertUnwindSafe(|| image.apply(&[MetadataRecord::NoOp], image.offset())));
    assert!(panic.is_err(), "an offset that does not count the records");
}

#[test]
fn a_changed_copy_leaves_the_original_alone() {
    let image = sample();
    let hash = image.hash();
    let (changed, delta) = apply(&image, &[MetadataRecord::PartitionChange(change(Some(2), 1, 1))]);
    assert_eq!(image.partition(id(1), PartitionIndex(0)).unwrap().leader, BrokerId(1));
    assert_eq!(changed.partition(id(1), PartitionIndex(0)).unwrap().leader, BrokerId(2));
    assert_eq!((image.hash(), changed.hash() == hash), (hash, false));
    assert_eq!(delta.changed_partitions[&id(1)].len(), 1);
    assert_eq!(delta.elections, 1);
    // Elections are events: the difference between two images does not tell how many there were.
    assert_eq!(highwater_metadata::MetadataDelta { elections: 0, ..delta }, changed.delta_since(&image));
}

#[test]
fn deltas_name_what_is_new_and_what_is_gone() {
    let image = sample();
    // Recreated under the same name within one entry: the old topic is gone, the new one has no configuration.
    let records = [MetadataRecord::RemoveTopic { id: id(1) }, new_topic(2), partition(2, 0, &[2], &[2])];
    let (recreated, delta) = apply(&image, &records);
    assert_eq!(delta.created_topics.iter().copied().collect::<Vec<_>>(), [id(2)]);
    assert_eq!(delta.deleted_topics[&id(1)].partition_count(), 1);
    assert_eq!(recreated.configs(&ConfigResource::Topic(name())), None);
    assert_eq!(recreated.topic_by_name("t").unwrap().id, id(2));

    // Created and deleted within one entry: nothing to tell.
    let records = [
        MetadataRecord::RemoveTopic { id: id(2) },
        new_topic(3),
        config(Some("1")),
        MetadataRecord::RemoveTopic { id: id(3) },
    ];
    let (gone, delta) = apply(&recreated, &records);
    assert!(delta.created_topics.is_empty() && delta.configs.is_empty() && delta.changed_partitions.is_empty());
    assert_eq!(delta.deleted_topics.len(), 1);
    assert_eq!(gone.topic_count(), 0);

    let (same, delta) = apply(&gone, &[MetadataRecord::NoOp]);
    assert!(delta.is_empty());
    assert_ne!(same, gone, "the offset counts");
    assert_eq!((delta.from, delta.to), (gone.offset(), same.offset()));
}

#[test]
fn a_snapshot_is_the_image() {
    let image = sample();
    let loaded = MetadataImage::from_snapshot(&image.to_snapshot(), image.offset());
    assert_eq!(loaded, image);
    assert_eq!(loaded.hash(), image.hash());
    assert!(loaded.delta_since(&image).is_empty());
    let all = loaded.delta_since(&MetadataImage::empty());
    assert_eq!((all.brokers.len(), all.created_topics.len(), all.configs.len()), (2, 1, 1));
    assert_eq!(MetadataImage::empty().to_snapshot(), []);
}

#[test]
fn lookups() {
    let image = sample();
    assert!(image.topic_by_name("../no name").is_none());
    assert!(
        image.partition(id(1), PartitionIndex(-1)).is_none() && image.partition(id(1), PartitionIndex(1)).is_none()
    );
    assert_eq!(image.broker_epoch(BrokerId(9)), BrokerEpoch::NONE);
    assert!(!image.is_unfenced(BrokerId(1)) && !image.is_active(BrokerId(9)));
    assert_eq!(image.topics_by_name_from("s").count(), 1);
    assert_eq!(image.topics_by_name_from("u").count(), 0);
    assert_eq!(image.broker(BrokerId(1)).unwrap().internal.to_string(), "[::1]:1");
}

/// The mark of an unclean election is derived from the change that elects, and stays.
#[test]
fn unclean_elections_leave_a_lasting_mark() {
    let nobody = MetadataRecord::PartitionChange(PartitionChange {
        isr: Some(Vec::new()),
        elr: Some(vec![BrokerId(1)]),
        ..change(Some(-1), 1, 1)
    });
    let image = apply(&sample(), &[nobody]).0;
    let elected = |leader: i32, leader_recovery| PartitionChange {
        isr: Some(vec![BrokerId(leader)]),
        elr: Some(Vec::new()),
        leader_recovery,
        ..change(Some(leader), 2, 2)
    };
    let (clean, delta) = apply(&image, &[MetadataRecord::PartitionChange(elected(1, None))]);
    assert_eq!(clean.partition(id(1), PartitionIndex(0)).unwrap().unclean_epoch, LeaderEpoch::NONE);
    assert_eq!(delta.unclean_elections, 0);
    let recovering = Some(LeaderRecoveryState::Recovering);
    let (unclean, delta) = apply(&image, &[MetadataRecord::PartitionChange(elected(2, recovering))]);
    assert_eq!(delta.unclean_elections, 1);
    let recovered = PartitionChange { leader_recovery: Some(LeaderRecoveryState::Recovered), ..change(None, 2, 3) };
    let (later, delta) = apply(&unclean, &[MetadataRecord::PartitionChange(recovered)]);
    assert_eq!(later.partition(id(1), PartitionIndex(0)).unwrap().unclean_epoch, LeaderEpoch(2));
    assert_eq!(delta.unclean_elections, 0);
    assert_eq!(MetadataImage::from_snapshot(&later.to_snapshot(), later.offset()).hash(), later.hash());
}
