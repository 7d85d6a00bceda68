//! Commands and what they come to survive encoding.

use std::collections::BTreeMap;

use highwater_controller::{
    AllocateProducerIds, AlterPartition, AlterPartitionEntry, AlterPartitionReassignments, AlterPartitionResult,
    AssignReplicasToDirs, Bootstrap, BrokerSession, Command, CommandError, CommandResponse, ConfigOperation,
    ConfigOperationKind, CreatePartitions, CreatePartitionsTopic, CreateTopics, CreateTopicsEntry, CreatedTopic,
    CreatedTopicConfig, DeleteTopics, DeletedTopic, DirectoryAssignment, DirectoryAssignmentResult, ElectLeaders,
    ElectionResult, ElectionType, FeatureUpdate, FenceBroker, IncrementalAlterConfigs, IsrMember, ManualAssignment,
    OfflineLogDirs, PartitionIsrState, ProducerIdBlock, Reassignment, ReassignmentResult, RegisterBroker,
    RegisterController, ResourceConfigOperations, TopicSelector, UnfenceBroker, UnregisterBroker, UpdateFeatures,
    UpgradeType,
};
use highwater_metadata::config::ConfigSource;
use highwater_metadata::{ConfigResource, Endpoint, HostPort, LeaderRecoveryState, NodeSoftware, SecurityProtocol};
use highwater_rpc::command::{decode_command, decode_outcome, encode_command, encode_outcome};
use highwater_types::{
    BrokerEpoch, BrokerId, DirectoryId, ErrorCode, IncarnationId, LeaderEpoch, MetadataOffset, PartitionEpoch,
    PartitionIndex, ProducerId, TopicId, TopicIdPartition, TopicName,
};

const SESSION: BrokerSession = BrokerSession { id: BrokerId(4), epoch: BrokerEpoch(99) };

fn target() -> TopicIdPartition {
    TopicIdPartition { topic_id: TopicId::from_random(8), partition: PartitionIndex(3) }
}

fn error() -> CommandError {
    CommandError::new(ErrorCode::UnknownServerError, "why")
}

fn register_broker() -> RegisterBroker {
    RegisterBroker {
        id: BrokerId(1),
        incarnation: IncarnationId::from_random(1),
        cluster_id: Some("c".to_owned()),
        listeners: vec![Endpoint {
            name: "L".to_owned(),
            host: "h".to_owned(),
            port: 9092,
            security_protocol: SecurityProtocol::SaslSsl,
        }],
        internal: HostPort { host: "i".to_owned(), port: 9093 },
        rack: Some("r".to_owned()),
        log_dirs: vec![DirectoryId::from_random(2)],
        has_offline_log_dirs: false,
        clean_shutdown: true,
        previous_session_valid: true,
        software: NodeSoftware::of_this_build(),
    }
}

fn create_topics() -> Command {
    let plain = CreateTopicsEntry {
        name: "not a/name".to_owned(),
        num_partitions: -1,
        replication_factor: i16::MIN,
        assignments: Vec::new(),
        configs: vec![("a".to_owned(), None), ("b".to_owned(), Some(String::new()))],
    };
    let assignment = ManualAssignment { partition: PartitionIndex(-3), replicas: vec![BrokerId(1), BrokerId(-1)] };
    let manual = CreateTopicsEntry { name: "m".to_owned(), assignments: vec![assignment], ..plain.clone() };
    Command::CreateTopics(CreateTopics { topics: vec![plain, manual], validate_only: true })
}

fn alter_partition() -> Command {
    let member = |broker, epoch| IsrMember { broker: BrokerId(broker), epoch: BrokerEpoch(epoch) };
    let entry = AlterPartitionEntry {
        target: target(),
        leader_epoch: LeaderEpoch(-1),
        partition_epoch: PartitionEpoch(5),
        new_isr: vec![member(4, 99), member(2, -1)],
        leader_recovery: LeaderRecoveryState::Recovering,
    };
    Command::AlterPartition(AlterPartition { session: SESSION, partitions: vec![entry] })
}

fn alter_configs() -> Command {
    use ConfigOperationKind::{Append, Delete, Set, Subtract};
    let operations = |kind| {
        let operation =
            |value: Option<&str>| ConfigOperation { name: "k".to_owned(), kind, value: value.map(str::to_owned) };
        vec![operation(Some("v")), operation(None)]
    };
    let topic = ConfigResource::Topic(TopicName::new("t").unwrap());
    let resources = [
        (topic.clone(), Set),
        (topic, Delete),
        (ConfigResource::Broker(BrokerId(0)), Append),
        (ConfigResource::DefaultBroker, Subtract),
    ];
    let resources = resources.map(|(resource, kind)| ResourceConfigOperations {
        resource,
        operations: operations(kind),
        replaces: kind == ConfigOperationKind::Append,
    });
    Command::IncrementalAlterConfigs(IncrementalAlterConfigs { resources: resources.to_vec(), validate_only: false })
}

fn commands() -> Vec<Command> {
    let grow = |assignments| CreatePartitionsTopic { name: "t".to_owned(), count: -5, assignments };
    vec![
        Command::Bootstrap(Bootstrap { cluster_id: "c".to_owned(), features: BTreeMap::from([("f".to_owned(), -2)]) }),
        Command::RegisterController(RegisterController {
            id: BrokerId(1),
            endpoint: HostPort { host: "h".to_owned(), port: 1 },
            directory_id: DirectoryId::from_random(1),
            cluster_id: None,
        }),
        Command::RegisterBroker(register_broker()),
        Command::RegisterBroker(RegisterBroker {
            cluster_id: None,
            listeners: Vec::new(),
            rack: None,
            clean_shutdown: false,
            previous_session_valid: false,
            software: NodeSoftware::default(),
            ..register_broker()
        }),
        Command::UnfenceBroker(UnfenceBroker { session: SESSION, metadata_offset: MetadataOffset(7) }),
        Command::FenceBroker(FenceBroker { session: SESSION, reason: "silent".to_owned() }),
        Command::ControlledShutdown(SESSION),
        Command::UnregisterController(BrokerId(3)),
        Command::UnregisterBroker(UnregisterBroker { id: BrokerId(0) }),
        create_topics(),
        Command::DeleteTopics(DeleteTopics {
            topics: vec![TopicSelector::Name("x".to_owned()), TopicSelector::Id(TopicId::from_random(3))],
        }),
        Command::CreatePartitions(CreatePartitions {
            topics: vec![grow(None), grow(Some(Vec::new())), grow(Some(vec![vec![BrokerId(1)], Vec::new()]))],
            validate_only: true,
        }),
        alter_partition(),
        alter_configs(),
        Command::AllocateProducerIds(AllocateProducerIds { session: SESSION }),
        Command::ElectLeaders(ElectLeaders { partitions: None, election: ElectionType::Preferred }),
        Command::ElectLeaders(ElectLeaders { partitions: Some(Vec::new()), election: ElectionType::Unclean }),
        Command::ElectLeaders(ElectLeaders { partitions: Some(vec![target()]), election: ElectionType::Preferred }),
        reassignments(),
        Command::OfflineLogDirs(OfflineLogDirs { session: SESSION, directories: vec![DirectoryId::from_random(4)] }),
        Command::AssignReplicasToDirs(AssignReplicasToDirs {
            session: SESSION,
            assignments: vec![DirectoryAssignment { target: target(), directory: DirectoryId::LOST }],
        }),
        Command::UpdateFeatures(UpdateFeatures {
            updates: vec![FeatureUpdate {
                name: "f".to_owned(),
                level: -1,
                upgrade_type: UpgradeType::UnsafeDowngrade,
            }],
            validate_only: true,
            controllers: BTreeMap::new(),
        }),
    ]
}

fn created() -> CommandResponse {
    let config = |value: Option<&str>, source| CreatedTopicConfig {
        name: "k".to_owned(),
        value: value.map(str::to_owned),
        read_only: value.is_none(),
        source,
        sensitive: value.is_some(),
    };
    let topic = CreatedTopic {
        id: TopicId::from_random(1),
        num_partitions: 3,
        replication_factor: 2,
        configs: vec![
            config(Some("v"), ConfigSource::Topic),
            config(None, ConfigSource::DynamicBroker),
            config(Some(""), ConfigSource::DynamicDefaultBroker),
            config(None, ConfigSource::StaticBroker),
            config(None, ConfigSource::Default),
        ],
    };
    CommandResponse::CreateTopics(vec![("a".to_owned(), Ok(topic)), ("b".to_owned(), Err(error()))])
}

fn reassignments() -> Command {
    let one = |replicas| Reassignment { topic: "a".to_owned(), partition: PartitionIndex(-1), replicas };
    Command::AlterPartitionReassignments(AlterPartitionReassignments {
        reassignments: vec![one(None), one(Some(Vec::new())), one(Some(vec![BrokerId(3), BrokerId(1)]))],
        allow_replication_factor_change: true,
        rate: Some(-1),
    })
}

fn altered() -> CommandResponse {
    let state = PartitionIsrState {
        leader: BrokerId::NONE,
        leader_epoch: LeaderEpoch(1),
        isr: vec![BrokerId(0), BrokerId(1)],
        elr: vec![BrokerId(2)],
        leader_recovery: LeaderRecoveryState::Recovered,
        partition_epoch: PartitionEpoch(2),
    };
    CommandResponse::AlterPartition(vec![
        AlterPartitionResult { target: target(), result: Ok(state) },
        AlterPartitionResult { target: target(), result: Err(error()) },
    ])
}

fn responses() -> Vec<CommandResponse> {
    let topic = ConfigResource::Topic(TopicName::new("t").unwrap());
    let deleted =
        |name: Option<&str>, result| DeletedTopic { name: name.map(str::to_owned), id: TopicId::ZERO, result };
    vec![
        CommandResponse::Bootstrap,
        CommandResponse::RegisterController,
        CommandResponse::RegisterBroker { epoch: BrokerEpoch(5) },
        CommandResponse::UnfenceBroker,
        CommandResponse::FenceBroker,
        CommandResponse::ControlledShutdown { may_stop: true, offset: MetadataOffset(8) },
        CommandResponse::UnregisterController,
        CommandResponse::UnregisterBroker,
        created(),
        CommandResponse::DeleteTopics(vec![deleted(Some("a"), Ok(())), deleted(None, Err(error()))]),
        CommandResponse::CreatePartitions(vec![("a".to_owned(), Ok(())), ("b".to_owned(), Err(error()))]),
        altered(),
        CommandResponse::IncrementalAlterConfigs(vec![(topic, Ok(())), (ConfigResource::DefaultBroker, Err(error()))]),
        CommandResponse::AllocateProducerIds(ProducerIdBlock { first: ProducerId(1000), length: 1000 }),
        CommandResponse::UpdateFeatures(vec![("f".to_owned(), Ok(())), (String::new(), Err(error()))]),
        CommandResponse::OfflineLogDirs,
        CommandResponse::AssignReplicasToDirs(vec![
            DirectoryAssignmentResult { target: target(), result: Ok(()) },
            DirectoryAssignmentResult { target: target(), result: Err(error()) },
        ]),
        CommandResponse::AlterPartitionReassignments(vec![
            ReassignmentResult { topic: "a".to_owned(), partition: PartitionIndex(1), result: Ok(()) },
            ReassignmentResult { topic: String::new(), partition: PartitionIndex(-1), result: Err(error()) },
        ]),
        CommandResponse::ElectLeaders(vec![
            ElectionResult { target: target(), result: Ok(()) },
            ElectionResult { target: target(), result: Err(error()) },
        ]),
    ]
}

#[test]
fn commands_survive() {
    for command in commands() {
        assert_eq!(decode_command(&encode_command(&command)).unwrap(), command);
    }
    assert!(decode_command(&[]).is_err());
}

#[test]
fn outcomes_survive() {
    let outcomes = responses().into_iter().map(Ok).chain([Err(error())]);
    for outcome in outcomes {
        assert_eq!(decode_outcome(&encode_outcome(&outcome)).unwrap(), outcome);
    }
    assert!(decode_outcome(&[]).is_err());
}

/// Neither a cut nor a changed byte makes a decoder panic.
#[test]
fn damaged_bytes_are_refused_or_read_as_something_else() {
    let mut texts: Vec<Vec<u8>> = commands().iter().map(|command| encode_command(command).to_vec()).collect();
    texts.extend(responses().into_iter().map(|response| encode_outcome(&Ok(response)).to_vec()));
    for bytes in texts {
        for end in 0..bytes.len() {
            for flip in [0x00, 0x01, 0x08, 0x80, 0xff] {
                let mut damaged = bytes.clone();
                damaged[end] ^= flip;
                let _ = (decode_command(&damaged), decode_outcome(&damaged));
                damaged.truncate(end);
                let _ = (decode_command(&damaged), decode_outcome(&damaged));
            }
        }
    }
}
