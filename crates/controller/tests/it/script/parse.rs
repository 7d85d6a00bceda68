//! Lines of a script into commands.

use std::collections::BTreeMap;

use highwater_controller::{
    AllocateProducerIds, AlterPartition, AlterPartitionEntry, AlterPartitionReassignments, AssignReplicasToDirs,
    Bootstrap, BrokerSession, Command, ConfigOperation, ConfigOperationKind, CreatePartitions, CreatePartitionsTopic,
    CreateTopics, CreateTopicsEntry, DeleteTopics, DirectoryAssignment, ElectLeaders, ElectionType, FenceBroker,
    IncrementalAlterConfigs, IsrMember, ManualAssignment, OfflineLogDirs, Reassignment, RegisterController,
    ResourceConfigOperations, TopicSelector, UnfenceBroker, UnregisterBroker,
};
use highwater_metadata::{ConfigResource, HostPort, LeaderRecoveryState};
use highwater_types::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, MetadataOffset, PartitionEpoch, PartitionIndex, TopicId,
    TopicIdPartition, TopicName,
};

use crate::cluster::{TestCluster, registration};

/// `key=value` words after the plain ones.
struct Words<'a> {
    plain: Vec<&'a str>,
    named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Self {
        let (named, plain): (Vec<&str>, Vec<&str>) = line.split_whitespace().partition(|word| word.contains('='));
        Self { plain, named: named.into_iter().map(|word| word.split_once('=').unwrap()).collect() }
    }

    fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(&self, name: &str, default: T) -> T {
        self.named.get(name).map_or(default, |text| text.parse().unwrap())
    }

    fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }

    fn id(&self) -> i32 {
        self.plain[1].parse().unwrap()
    }
}

pub fn command(cluster: &TestCluster, line: &str) -> Command {
    let words = Words::of(line);
    let session = |id: i32| {
        let present = cluster.session(id);
        BrokerSession { epoch: BrokerEpoch(words.number("epoch", present.epoch.get())), ..present }
    };
    match words.plain[0] {
        "bootstrap" => bootstrap(&words),
        "controller" => controller(&words),
        "controller-gone" => Command::UnregisterController(BrokerId(words.id())),
        "register" => register(&words),
        "unfence" => {
            let metadata_offset = MetadataOffset(words.number("offset", cluster.image.offset().get()));
            Command::UnfenceBroker(UnfenceBroker { session: session(words.id()), metadata_offset })
        }
        "fence" => Command::FenceBroker(FenceBroker { session: session(words.id()), reason: "script".to_owned() }),
        "shutdown" => Command::ControlledShutdown(session(words.id())),
        "unregister" => Command::UnregisterBroker(UnregisterBroker { id: BrokerId(words.id()) }),
        "create" => create(&words, line),
        "delete" => delete(cluster, &words),
        "grow" => grow(&words),
        "isr" => isr(cluster, &words),
        "config" => config(line),
        "pids" => Command::AllocateProducerIds(AllocateProducerIds { session: session(words.id()) }),
        "elect" => elect(cluster, &words),
        "reassign" => reassign(&words),
        "offline" => Command::OfflineLogDirs(OfflineLogDirs {
            session: session(words.id()),
            directories: directories(words.named["dirs"]),
        }),
        "assign" => Command::AssignReplicasToDirs(AssignReplicasToDirs {
            session: session(words.id()),
            assignments: vec![DirectoryAssignment {
                target: target(cluster, words.plain[2], words.plain[3]),
                directory: directories(words.named["dir"])[0],
            }],
        }),
        other => panic!("unknown command {other}"),
    }
}

fn bootstrap(words: &Words<'_>) -> Command {
    let feature = |(name, level): (&&str, &&str)| ((*name).to_owned(), level.parse().unwrap());
    let cluster_id = words.plain.get(1).copied().unwrap_or_default().to_owned();
    Command::Bootstrap(Bootstrap { cluster_id, features: words.named.iter().map(feature).collect() })
}

fn controller(words: &Words<'_>) -> Command {
    let id = words.id();
    Command::RegisterController(RegisterController {
        id: BrokerId(id),
        endpoint: HostPort { host: format!("c{id}"), port: words.number("port", 9093) },
        directory_id: DirectoryId::from_bytes(words.number("dir", u128::try_from(id).unwrap()).to_be_bytes()),
        cluster_id: words.named.get("cluster").map(|&id| id.to_owned()),
    })
}

fn register(words: &Words<'_>) -> Command {
    let mut request = registration(words.id(), words.named.get("rack").copied(), words.number("run", 1));
    request.cluster_id = words.named.get("cluster").map(|&id| id.to_owned());
    request.clean_shutdown = !words.has("unclean");
    request.previous_session_valid = words.has("alive");
    request.has_offline_log_dirs = words.has("others-offline");
    if let Some(ids) = words.named.get("dirs") {
        request.log_dirs = directories(ids);
    }
    if words.has("deaf") {
        request.listeners.clear();
    }
    Command::RegisterBroker(request)
}

fn directories(text: &str) -> Vec<DirectoryId> {
    text.split(',').map(|id| DirectoryId::from_bytes(id.parse::<u128>().unwrap().to_be_bytes())).collect()
}

fn ids(text: &str) -> Vec<BrokerId> {
    text.split(',').filter(|id| !id.is_empty()).map(|id| BrokerId(id.parse().unwrap())).collect()
}

/// `create a,b partitions=N rf=N assign=1,2/2,3 with key=value key`: after `with` come configuration overrides.
fn create(words: &Words<'_>, line: &str) -> Command {
    let overrides = line.split_once(" with ").map_or("", |(_, overrides)| overrides);
    let config = |word: &str| match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (word.to_owned(), None),
    };
    let assignments = words.named.get("assign").map_or(Vec::new(), |text| text.split('/').map(ids).collect());
    let first = words.number("first", 0);
    let entry = |name: &str| CreateTopicsEntry {
        name: name.to_owned(),
        num_partitions: words.number("partitions", -1),
        replication_factor: words.number("rf", -1),
        assignments: (first..)
            .map(PartitionIndex)
            .zip(assignments.clone())
            .map(|(partition, replicas)| ManualAssignment { partition, replicas })
            .collect(),
        configs: overrides.split_whitespace().map(config).collect(),
    };
    Command::CreateTopics(CreateTopics {
        topics: words.plain[1].split(',').map(entry).collect(),
        validate_only: words.has("validate"),
    })
}

fn delete(cluster: &TestCluster, words: &Words<'_>) -> Command {
    let selector = |name: &&str| match name.strip_prefix('#') {
        Some(name) => TopicSelector::Id(cluster.image.topic_id(name).unwrap_or(TopicId::from_random(7))),
        None => TopicSelector::Name((*name).to_owned()),
    };
    Command::DeleteTopics(DeleteTopics { topics: words.plain[1..].iter().map(selector).collect() })
}

fn grow(words: &Words<'_>) -> Command {
    let assignments = words.named.get("assign").map(|text| text.split('/').map(ids).collect::<Vec<_>>());
    let entry = |name: &str| CreatePartitionsTopic {
        name: name.to_owned(),
        count: words.number("count", 0),
        assignments: assignments.clone(),
    };
    Command::CreatePartitions(CreatePartitions {
        topics: words.plain[1].split(',').map(entry).collect(),
        validate_only: words.has("validate"),
    })
}

/// `isr topic partition 1,2@epoch`: epochs default to the present ones, the sender to the leader.
fn isr(cluster: &TestCluster, words: &Words<'_>) -> Command {
    let target = target(cluster, words.plain[1], words.plain[2]);
    let state = cluster.image.topic_partition(target).map(|state| (**state).clone());
    let present = state
        .as_ref()
        .map_or((0, 0, -1), |state| (state.leader_epoch.get(), state.partition_epoch.get(), state.leader.get()));
    let member = |text: &str| {
        let (id, epoch) = text.split_once('@').unwrap_or((text, ""));
        let broker = BrokerId(id.parse().unwrap());
        IsrMember { broker, epoch: epoch.parse().map_or(cluster.image.broker_epoch(broker), BrokerEpoch) }
    };
    let sender = cluster.session(words.number("from", present.2));
    let entry = AlterPartitionEntry {
        target,
        leader_epoch: LeaderEpoch(words.number("leader_epoch", present.0)),
        partition_epoch: PartitionEpoch(words.number("partition_epoch", present.1)),
        new_isr: words.plain[3].split(',').map(member).collect(),
        leader_recovery: if words.has("recovering") {
            LeaderRecoveryState::Recovering
        } else {
            LeaderRecoveryState::Recovered
        },
    };
    let session = BrokerSession { epoch: BrokerEpoch(words.number("epoch", sender.epoch.get())), ..sender };
    Command::AlterPartition(AlterPartition { session, partitions: vec![entry] })
}

fn target(cluster: &TestCluster, name: &str, partition: &str) -> TopicIdPartition {
    let topic_id = cluster.image.topic_id(name).unwrap_or(TopicId::from_random(7));
    TopicIdPartition { topic_id, partition: PartitionIndex(partition.parse().unwrap()) }
}

/// `config [replace] [validate] topic NAME|broker ID|default set key value; delete key; append key value`
fn config(line: &str) -> Command {
    let line = line.strip_prefix("config ").unwrap();
    let (line, replaces) = line.strip_prefix("replace ").map_or((line, false), |rest| (rest, true));
    let (line, validate_only) = line.strip_prefix("validate ").map_or((line, false), |rest| (rest, true));
    let mut words = line.splitn(3, ' ');
    let (kind, name) = (words.next().unwrap(), words.next().unwrap());
    let resource = match (kind, name) {
        ("topic", name) => ConfigResource::Topic(TopicName::new(name).unwrap()),
        ("broker", "default") => ConfigResource::DefaultBroker,
        ("broker", id) => ConfigResource::Broker(BrokerId(id.parse().unwrap())),
        other => panic!("unknown resource {other:?}"),
    };
    let operation = |text: &str| {
        let mut words = text.trim().splitn(3, ' ');
        let kind = match words.next().unwrap() {
            "set" => ConfigOperationKind::Set,
            "delete" => ConfigOperationKind::Delete,
            "append" => ConfigOperationKind::Append,
            "subtract" => ConfigOperationKind::Subtract,
            other => panic!("unknown operation {other}"),
        };
        ConfigOperation { kind, name: words.next().unwrap().to_owned(), value: words.next().map(str::to_owned) }
    };
    let operations = words.next().unwrap().split(';').map(operation).collect();
    Command::IncrementalAlterConfigs(IncrementalAlterConfigs {
        resources: vec![ResourceConfigOperations { resource, operations, replaces }],
        validate_only,
    })
}

fn elect(cluster: &TestCluster, words: &Words<'_>) -> Command {
    let election = if words.has("unclean") { ElectionType::Unclean } else { ElectionType::Preferred };
    let named: Vec<&str> = words.plain[1..].iter().copied().filter(|word| *word != "unclean").collect();
    let partitions = named.first().map(|name| vec![target(cluster, name, named[1])]);
    Command::ElectLeaders(ElectLeaders { partitions, election })
}

/// `reassign topic partition replicas=1,2 same-factor rate=5`; without replicas it is cancelled.
fn reassign(words: &Words<'_>) -> Command {
    let reassignment = Reassignment {
        topic: words.plain[1].to_owned(),
        partition: PartitionIndex(words.plain[2].parse().unwrap()),
        replicas: words.named.get("replicas").map(|text| ids(text)),
    };
    Command::AlterPartitionReassignments(AlterPartitionReassignments {
        reassignments: vec![reassignment],
        allow_replication_factor_change: !words.has("same-factor"),
        rate: words.named.get("rate").map(|rate| rate.parse().unwrap()),
    })
}
