//! Thousands of random commands, many of them stale or wrong, with all invariants after each.

use std::collections::{BTreeMap, BTreeSet};

use highwater_controller::{
    AllocateProducerIds, AlterPartition, AlterPartitionEntry, AlterPartitionReassignments, AssignReplicasToDirs,
    Bootstrap, BrokerSession, Command, CommandResponse, ConfigOperation, ConfigOperationKind, CreatePartitions,
    CreatePartitionsTopic, CreateTopics, DeleteTopics, DirectoryAssignment, ElectLeaders, ElectionType, FenceBroker,
    IncrementalAlterConfigs, IsrMember, ManualAssignment, OfflineLogDirs, Reassignment, ResourceConfigOperations,
    TopicSelector, UnfenceBroker, UnregisterBroker,
};
use highwater_metadata::config::REASSIGNMENT_THROTTLE;
use highwater_metadata::{ConfigResource, LeaderRecoveryState, PartitionImage};
use highwater_types::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, MetadataOffset, PartitionEpoch, PartitionIndex, TopicId,
    TopicIdPartition, TopicName,
};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use crate::cluster::{Defect, TestCluster, WRONG_EPOCH, registration, topic};

const BROKERS: i32 = 6;
const TOPICS: usize = 8;
const STEPS: usize = 2500;
const SEEDS: u64 = 12;

struct Workload {
    cluster: TestCluster,
    rng: SmallRng,
    producer_ids: BTreeSet<i64>,
    accepted: BTreeMap<&'static str, u64>,
}

#[test]
fn random_commands_keep_the_invariants() {
    let mut accepted = BTreeMap::new();
    for seed in 0..SEEDS {
        println!("seed {seed}");
        for (kind, count) in run(seed, None) {
            *accepted.entry(kind).or_insert(0) += count;
        }
    }
    // The workload reaches every command, or it shows nothing.
    assert_eq!(accepted.len(), 15, "{accepted:?}");
    assert!(accepted.values().all(|&count| count > 100), "{accepted:?}");
}

/// One seed. Returns how often each command was accepted.
pub fn run(seed: u64, defect: Option<Defect>) -> BTreeMap<&'static str, u64> {
    let mut workload = Workload::new(seed);
    workload.cluster.defect = defect;
    for step in 0..STEPS {
        workload.step();
        if step % 500 == 0 {
            workload.cluster.check_replay();
        }
    }
    workload.cluster.check_replay();
    workload.everybody_returns();
    workload.accepted
}

impl Workload {
    fn new(seed: u64) -> Self {
        let mut cluster = TestCluster::new(seed);
        cluster.must(&Command::Bootstrap(Bootstrap { cluster_id: "test".to_owned(), features: BTreeMap::new() }));
        cluster.config.default_replication_factor = 3;
        let rng = SmallRng::seed_from_u64(seed ^ 0x5eed);
        Self { cluster, rng, producer_ids: BTreeSet::new(), accepted: BTreeMap::new() }
    }

    fn step(&mut self) {
        let (kind, command) = match self.rng.random_range(0..100) {
            0..8 => ("register", self.register()),
            8..22 => ("unfence", self.unfence()),
            22..29 => {
                ("fence", Command::FenceBroker(FenceBroker { session: self.session(), reason: "random".to_owned() }))
            }
            29..33 => ("shutdown", Command::ControlledShutdown(self.session())),
            33..34 => ("unregister", Command::UnregisterBroker(UnregisterBroker { id: self.broker() })),
            34..42 => ("create", self.create_topics()),
            42..47 => ("delete", self.delete_topics()),
            47..51 => ("grow", self.create_partitions()),
            51..77 => ("isr", self.alter_partition()),
            77..79 => ("offline", self.offline_log_dirs()),
            79..84 => ("assign", self.assign_replicas()),
            84..90 => ("configs", self.alter_configs()),
            90..94 => ("producer ids", Command::AllocateProducerIds(AllocateProducerIds { session: self.session() })),
            94..97 => ("elect", self.elect()),
            _ => ("reassign", self.reassign()),
        };
        let before = self.cluster.image.clone();
        let (_, response) = self.cluster.run(&command);
        if response.is_ok() {
            *self.accepted.entry(kind).or_default() += 1;
        }
        match (&command, response) {
            (_, Ok(CommandResponse::AllocateProducerIds(block))) => {
                let ids = block.first.get()..block.first.get() + i64::from(block.length);
                assert!(ids.into_iter().all(|id| self.producer_ids.insert(id)), "a producer id was given twice (M8)");
            }
            (Command::AlterPartition(request), Ok(CommandResponse::AlterPartition(results))) => {
                for (entry, result) in request.partitions.iter().zip(results) {
                    if let Ok(state) = result.result {
                        let old = before.topic_partition(entry.target).unwrap();
                        assert_eq!(
                            (entry.leader_epoch, entry.partition_epoch),
                            (old.leader_epoch, old.partition_epoch),
                            "P8"
                        );
                        assert_eq!(request.session.epoch, before.broker_epoch(request.session.id), "P8");
                        for member in &entry.new_isr {
                            let present = before.broker_epoch(member.broker);
                            assert!(before.is_active(member.broker), "P8: {member:?}");
                            assert!([present, BrokerEpoch::NONE].contains(&member.epoch), "P8: {member:?}");
                        }
                        assert!(state.partition_epoch > old.partition_epoch, "an accepted proposal uses its epoch up");
                    }
                }
            }
            (Command::CreateTopics(CreateTopics { validate_only: true, .. }), _) => {
                assert_eq!(self.cluster.image, before, "validation changes nothing");
            }
            _ => {}
        }
    }

    /// Once all brokers are back, every partition has a leader (liveness), but where all who had the records lost their disk.
    fn everybody_returns(&mut self) {
        for id in 0..BROKERS {
            let present = self.cluster.image.broker(BrokerId(id)).map(|broker| broker.log_dirs.clone());
            self.cluster.start_with(id, present);
        }
        for partition in self.cluster.image.topics().flat_map(|topic| topic.partitions.iter()) {
            let is_lost = partition.isr.is_empty() && partition.elr.is_empty() && partition.last_known_elr.is_empty();
            assert!(partition.has_leader() || is_lost, "{partition:?}");
        }
    }

    fn broker(&mut self) -> BrokerId {
        BrokerId(self.rng.random_range(0..BROKERS))
    }

    fn session(&mut self) -> BrokerSession {
        let id = self.broker();
        let epoch = if self.rng.random_bool(0.05) { WRONG_EPOCH } else { self.cluster.image.broker_epoch(id) };
        BrokerSession { id, epoch }
    }

    fn name(&mut self) -> String {
        format!("t{}", self.rng.random_range(0..TOPICS))
    }

    fn register(&mut self) -> Command {
        let id = self.broker().get();
        let rack = format!("r{}", id % 3);
        let mut request = registration(id, Some(&rack), u128::from(self.rng.random_range(1..1000u64)));
        request.clean_shutdown = self.rng.random();
        request.previous_session_valid = self.rng.random_bool(0.3);
        if self.rng.random_bool(0.03) {
            // Another disk: the old one is gone, with all that was on it.
            let disks = self.rng.random_range(1..4);
            request.log_dirs = (0..disks).map(|_| DirectoryId::from_random(self.rng.random())).collect();
        } else if let Some(present) = self.cluster.image.broker(BrokerId(id)) {
            request.log_dirs.clone_from(&present.log_dirs);
            request.has_offline_log_dirs = self.rng.random_bool(0.3);
            if self.rng.random_bool(0.2) {
                // A directory that failed, and is back.
                request.log_dirs.extend(self.some_directory(BrokerId(id)));
                request.log_dirs.sort_unstable();
                request.log_dirs.dedup();
            }
        }
        if self.rng.random_bool(0.05) {
            request.cluster_id = Some("other".to_owned());
        }
        Command::RegisterBroker(request)
    }

    /// Where the metadata say that a replica of the broker is, in service or not.
    fn some_directory(&mut self, id: BrokerId) -> Option<DirectoryId> {
        let (_, state) = self.some_partition()?;
        let position = state.replicas.iter().position(|&other| other == id)?;
        Some(state.directories[position]).filter(|directory| !directory.is_reserved())
    }

    fn offline_log_dirs(&mut self) -> Command {
        let session = self.session();
        let known = self.cluster.image.broker(session.id).map(|broker| broker.log_dirs.clone()).unwrap_or_default();
        let mut directories: Vec<DirectoryId> = known.choose(&mut self.rng).copied().into_iter().collect();
        directories.retain(|_| self.rng.random_bool(0.9));
        Command::OfflineLogDirs(OfflineLogDirs { session, directories })
    }

    /// Mostly the truth about a replica: never that one is back in a directory that it was not in.
    fn assign_replicas(&mut self) -> Command {
        let session = self.session();
        let known = self.cluster.image.broker(session.id).map(|broker| broker.log_dirs.clone()).unwrap_or_default();
        let mut assignments = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            let Some((target, _)) = self.some_partition() else { break };
            let directory = match self.rng.random_range(0..4) {
                0 => DirectoryId::LOST,
                1 => DirectoryId::from_random(self.rng.random()),
                _ => known.choose(&mut self.rng).copied().unwrap_or(DirectoryId::UNASSIGNED),
            };
            assignments.push(DirectoryAssignment { target, directory });
        }
        Command::AssignReplicasToDirs(AssignReplicasToDirs { session, assignments })
    }

    fn unfence(&mut self) -> Command {
        let back = self.rng.random_range(0..3) * self.rng.random_range(0..20);
        let metadata_offset = MetadataOffset(self.cluster.image.offset().get() - back);
        Command::UnfenceBroker(UnfenceBroker { session: self.session(), metadata_offset })
    }

    fn create_topics(&mut self) -> Command {
        let mut topics = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            let mut entry = topic(&self.name(), self.rng.random_range(-1..6), self.rng.random_range(-1..5));
            if self.rng.random_bool(0.3) {
                let replicas = (0..self.rng.random_range(1..4)).map(|_| self.broker()).collect();
                entry = topic(&entry.name, -1, -1);
                entry.assignments = vec![ManualAssignment { partition: PartitionIndex(0), replicas }];
            }
            if self.rng.random_bool(0.3) {
                let value = ["true", "false", "maybe"].choose(&mut self.rng).map(|&value| value.to_owned());
                entry.configs.push(("unclean.leader.election.enable".to_owned(), value));
            }
            topics.push(entry);
        }
        Command::CreateTopics(CreateTopics { topics, validate_only: self.rng.random_bool(0.1) })
    }

    fn delete_topics(&mut self) -> Command {
        let name = self.name();
        let selector = match self.cluster.image.topic_id(&name) {
            Some(id) if self.rng.random() => TopicSelector::Id(id),
            _ => TopicSelector::Name(name),
        };
        Command::DeleteTopics(DeleteTopics { topics: vec![selector] })
    }

    fn create_partitions(&mut self) -> Command {
        let count = self.rng.random_range(0..8);
        let entry = CreatePartitionsTopic { name: self.name(), count, assignments: None };
        Command::CreatePartitions(CreatePartitions { topics: vec![entry], validate_only: false })
    }

    /// Mostly what a leader would propose, sometimes wrong in one respect.
    fn alter_partition(&mut self) -> Command {
        let Some((target, state)) = self.some_partition() else { return Command::ControlledShutdown(self.session()) };
        let mut isr: Vec<BrokerId> = state.replicas.iter().copied().filter(|_| self.rng.random_bool(0.7)).collect();
        if !isr.contains(&state.leader) && self.rng.random_bool(0.95) {
            isr.push(state.leader);
        }
        if self.rng.random_bool(0.03) {
            isr.push(self.broker());
        }
        let stale = |rng: &mut SmallRng| i32::from(rng.random_bool(0.04)) - i32::from(rng.random_bool(0.04));
        let image = &self.cluster.image;
        let member = |broker| IsrMember { broker, epoch: image.broker_epoch(broker) };
        let mut new_isr: Vec<IsrMember> = isr.into_iter().map(member).collect();
        if let Some(first) = new_isr.first_mut().filter(|_| self.rng.random_bool(0.03)) {
            first.epoch = BrokerEpoch(first.epoch.get() - 1);
        }
        let entry = AlterPartitionEntry {
            target,
            leader_epoch: LeaderEpoch(state.leader_epoch.get() + stale(&mut self.rng)),
            partition_epoch: PartitionEpoch(state.partition_epoch.get() + stale(&mut self.rng)),
            new_isr,
            leader_recovery: LeaderRecoveryState::Recovered,
        };
        let id = if self.rng.random_bool(0.95) { state.leader } else { self.broker() };
        let epoch = self.cluster.image.broker_epoch(id).get() - i64::from(self.rng.random_bool(0.03));
        let session = BrokerSession { id, epoch: BrokerEpoch(epoch) };
        Command::AlterPartition(AlterPartition { session, partitions: vec![entry] })
    }

    fn some_partition(&mut self) -> Option<(TopicIdPartition, PartitionImage)> {
        let topics: Vec<_> = self.cluster.image.topics().collect();
        let topic = topics.choose(&mut self.rng)?;
        let partition = PartitionIndex(self.rng.random_range(0..topic.partition_count()));
        let state = topic.partition(partition)?;
        Some((TopicIdPartition { topic_id: topic.id, partition }, (**state).clone()))
    }

    fn alter_configs(&mut self) -> Command {
        let resource = match self.rng.random_range(0..4) {
            0 => ConfigResource::DefaultBroker,
            1 => ConfigResource::Broker(self.broker()),
            _ => ConfigResource::Topic(TopicName::new(&self.name()).unwrap()),
        };
        let keys = [
            "unclean.leader.election.enable",
            "min.insync.replicas",
            "min.insync.replicas",
            "highwater.durability",
            "cleanup.policy",
            REASSIGNMENT_THROTTLE,
            "node.id",
            "nonsense",
        ];
        let values = ["true", "false", "1", "2", "3", "relaxed", "compact", "delete", "x"];
        let kinds = [
            ConfigOperationKind::Set,
            ConfigOperationKind::Set,
            ConfigOperationKind::Delete,
            ConfigOperationKind::Append,
        ];
        let operation = ConfigOperation {
            name: (*keys.choose(&mut self.rng).unwrap()).to_owned(),
            kind: *kinds.choose(&mut self.rng).unwrap(),
            value: Some((*values.choose(&mut self.rng).unwrap()).to_owned()),
        };
        let resources = vec![ResourceConfigOperations {
            resource,
            operations: vec![operation],
            replaces: self.rng.random_bool(0.1),
        }];
        Command::IncrementalAlterConfigs(IncrementalAlterConfigs {
            resources,
            validate_only: self.rng.random_bool(0.1),
        })
    }

    fn elect(&mut self) -> Command {
        let target = self.some_partition().map(|(target, _)| target);
        let unknown = TopicIdPartition { topic_id: TopicId::from_random(1), partition: PartitionIndex(0) };
        let partitions = self.rng.random_bool(0.5).then(|| vec![target.unwrap_or(unknown)]);
        let election = if self.rng.random_bool(0.8) { ElectionType::Preferred } else { ElectionType::Unclean };
        Command::ElectLeaders(ElectLeaders { partitions, election })
    }

    /// Any set of brokers, some of them unknown, or the end of it.
    fn reassign(&mut self) -> Command {
        let topic = self.name();
        let partition = PartitionIndex(self.rng.random_range(0..4));
        let mut replicas: Vec<BrokerId> = (0..self.rng.random_range(1..5)).map(|_| self.broker()).collect();
        if self.rng.random_bool(0.95) {
            let mut seen = BTreeSet::new();
            replicas.retain(|&id| seen.insert(id));
        }
        let replicas = self.rng.random_bool(0.8).then_some(replicas);
        Command::AlterPartitionReassignments(AlterPartitionReassignments {
            reassignments: vec![Reassignment { topic, partition, replicas }],
            allow_replication_factor_change: self.rng.random_bool(0.9),
            rate: self.rng.random_bool(0.3).then(|| self.rng.random_range(-1..100)),
        })
    }
}
