//! Records survive encoding, and bytes that are no records are refused.

use highwater_metadata::{
    BrokerChange, BrokerRegistration, ConfigResource, ControllerRegistration, Endpoint, EventKind, HostPort,
    LeaderRecoveryState, MetadataEvent, MetadataRecord, NodeSoftware, PartitionChange, PartitionImage,
    SecurityProtocol,
};
use highwater_rpc::metadata::{decode_records, encode_records};
use highwater_types::{
    BrokerEpoch, BrokerId, DirectoryId, IncarnationId, LeaderEpoch, PartitionEpoch, PartitionIndex, ProducerId,
    Timestamp, TopicId, TopicIdPartition, TopicName,
};

fn ids(ids: &[i32]) -> Vec<BrokerId> {
    ids.iter().copied().map(BrokerId).collect()
}

fn broker() -> BrokerRegistration {
    let endpoint = |name: &str, security_protocol| Endpoint {
        name: name.to_owned(),
        host: "host".to_owned(),
        port: u16::MAX,
        security_protocol,
    };
    BrokerRegistration {
        id: BrokerId(0),
        epoch: BrokerEpoch(i64::MAX),
        incarnation: IncarnationId::from_random(5),
        listeners: vec![
            endpoint("A", SecurityProtocol::Plaintext),
            endpoint("B", SecurityProtocol::Ssl),
            endpoint("C", SecurityProtocol::SaslPlaintext),
            endpoint("D", SecurityProtocol::SaslSsl),
        ],
        internal: HostPort { host: "::1".to_owned(), port: 0 },
        rack: Some(String::new()),
        log_dirs: vec![DirectoryId::from_random(1), DirectoryId::from_random(2)],
        fenced: true,
        in_controlled_shutdown: true,
        software: NodeSoftware::of_this_build(),
    }
}

fn partition() -> PartitionImage {
    PartitionImage {
        replicas: ids(&[0, 1, i32::MAX]),
        directories: vec![DirectoryId::ZERO, DirectoryId::from_random(3), DirectoryId::ZERO],
        isr: ids(&[1]),
        elr: ids(&[0]).into(),
        last_known_elr: ids(&[2, 3]).into(),
        adding: ids(&[4]).into(),
        removing: ids(&[5]).into(),
        leader: BrokerId::NONE,
        leader_recovery: LeaderRecoveryState::Recovering,
        leader_epoch: LeaderEpoch(7),
        partition_epoch: PartitionEpoch(i32::MAX),
        unclean_epoch: LeaderEpoch(5),
    }
}

fn no_change() -> PartitionChange {
    let id = TopicIdPartition { topic_id: TopicId::from_random(1), partition: PartitionIndex(0) };
    PartitionChange::nothing(id, LeaderEpoch(0), PartitionEpoch(1))
}

/// Every kind of record, every optional field present and absent, empty lists told from absent ones.
fn samples() -> Vec<MetadataRecord> {
    let name = TopicName::new("t").unwrap();
    let config = |resource, value: Option<&str>| MetadataRecord::Config {
        resource,
        name: "k".to_owned(),
        value: value.map(str::to_owned),
    };
    let change = |fenced, in_controlled_shutdown| {
        MetadataRecord::BrokerChange(BrokerChange {
            id: BrokerId(1),
            epoch: BrokerEpoch(2),
            fenced,
            in_controlled_shutdown,
            log_dirs: fenced.map(|_| vec![DirectoryId::from_random(2)]),
            software: fenced.map(|_| NodeSoftware::of_this_build()),
        })
    };
    let event = |broker, detail: &str| {
        let (at, kind) = (Timestamp(i64::MAX), EventKind::BrokerFenced);
        MetadataRecord::Event(MetadataEvent { at, kind, broker, detail: detail.to_owned() })
    };
    vec![
        MetadataRecord::NoOp,
        event(None, ""),
        event(Some(BrokerId(0)), "silent"),
        MetadataRecord::ClusterId("c".to_owned()),
        MetadataRecord::FeatureLevel { name: "f".to_owned(), level: -1 },
        MetadataRecord::RegisterController(ControllerRegistration {
            id: BrokerId(3),
            endpoint: HostPort { host: "h".to_owned(), port: 9093 },
            directory_id: DirectoryId::from_random(9),
        }),
        MetadataRecord::RegisterBroker(broker()),
        MetadataRecord::RegisterBroker(BrokerRegistration {
            listeners: Vec::new(),
            rack: None,
            log_dirs: Vec::new(),
            fenced: false,
            in_controlled_shutdown: false,
            software: NodeSoftware::default(),
            ..broker()
        }),
        change(None, None),
        change(Some(false), Some(true)),
        change(Some(true), Some(false)),
        MetadataRecord::UnregisterController { id: BrokerId(3) },
        MetadataRecord::UnregisterBroker { id: BrokerId(1), epoch: BrokerEpoch(0) },
        MetadataRecord::Topic { name: name.clone(), id: TopicId::from_random(1) },
        MetadataRecord::Partition {
            topic_id: TopicId::from_random(1),
            partition: PartitionIndex(0),
            state: partition(),
        },
        MetadataRecord::PartitionChange(no_change()),
        MetadataRecord::PartitionChange(PartitionChange {
            replicas: Some(ids(&[1, 2])),
            directories: Some(vec![DirectoryId::from_random(1), DirectoryId::ZERO]),
            isr: Some(ids(&[2])),
            elr: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            adding: Some(Vec::new()),
            removing: Some(ids(&[0])),
            leader: Some(BrokerId::NONE),
            leader_recovery: Some(LeaderRecoveryState::Recovered),
            ..no_change()
        }),
        MetadataRecord::PartitionChange(PartitionChange { leader: Some(BrokerId(0)), ..no_change() }),
        MetadataRecord::RemoveTopic { id: TopicId::from_random(1) },
        config(ConfigResource::Topic(name), Some("v")),
        config(ConfigResource::Broker(BrokerId(0)), Some("")),
        config(ConfigResource::DefaultBroker, None),
        MetadataRecord::ProducerIds { broker: BrokerId::NONE, broker_epoch: BrokerEpoch::NONE, next: ProducerId(1000) },
    ]
}

#[test]
fn records_survive() {
    for record in samples() {
        let bytes = encode_records(std::slice::from_ref(&record));
        assert_eq!(decode_records(&bytes).unwrap(), [record]);
    }
    let all = samples();
    assert_eq!(decode_records(&encode_records(&all)).unwrap(), all);
    assert_eq!(decode_records(&[]).unwrap(), []);
}

/// Neither a cut nor a changed byte makes the decoder panic.
#[test]
fn damaged_bytes_are_refused_or_read_as_something_else() {
    let bytes = encode_records(&samples()).to_vec();
    for end in 0..bytes.len() {
        let _ = decode_records(&bytes[..end]);
        for flip in [0x01, 0x08, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[end] ^= flip;
            let _ = decode_records(&damaged);
        }
    }
    // A record of a kind that this version does not know: refused, not skipped.
    let unknown = [0x0a, 0x03, 0xfa, 0x7f, 0x00];
    assert!(decode_records(&unknown).is_err());
}
