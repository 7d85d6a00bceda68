//! Who holds what is committed, beside the controller's decisions: P2 and P10 for any sequence of commands.
//!
//! A model of the partitions' data: leaders commit records all the time where they may (the ISR has the minimum, nobody is
//! an eligible leader replica), replicas in the ISR hold all of them, and what a broker loses when it comes back is lost.
//! Whoever is in ISR or ELR, or leads without an unclean election on record, must hold all that is committed.

use std::collections::{BTreeMap, BTreeSet};

use highwater_controller::{AssignReplicasToDirs, Command, RegisterBroker};
use highwater_metadata::config::Durability;
use highwater_metadata::{MetadataImage, PartitionImage, StaticBrokerConfig};
use highwater_types::{BrokerId, DirectoryId, LeaderEpoch, PartitionIndex, TopicId};

type Key = (TopicId, PartitionIndex);

/// The replicas of each partition that hold all that is committed.
pub struct RecordsHeld {
    complete: BTreeMap<Key, BTreeSet<BrokerId>>,
    /// For messages.
    seed: u64,
}

impl RecordsHeld {
    pub fn new(seed: u64) -> Self {
        Self { complete: BTreeMap::new(), seed }
    }

    pub fn check(&mut self, command: &Command, before: &MetadataImage, after: &MetadataImage) {
        if let Command::RegisterBroker(request) = command
            && before.broker_epoch(request.id) != after.broker_epoch(request.id)
        {
            self.lose(request, before);
        }
        if let Command::AssignReplicasToDirs(request) = command
            && before.broker_epoch(request.session.id) == request.session.epoch
        {
            self.give_up(request, before, after);
        }
        self.complete.retain(|&(topic, index), _| after.partition(topic, index).is_some());
        for topic in after.topics() {
            let config = after.topic_config(topic.name.as_str(), &StaticBrokerConfig::default());
            let min_isr = usize::try_from(config.min_insync_replicas).expect("positive");
            for (index, partition) in topic.iter() {
                let at = format!("partition {index} of {} (seed {})", topic.name, self.seed);
                let key = (topic.id, index);
                let old = before.partition(topic.id, index).map(|partition| &**partition);
                self.follow(key, old, partition, matches!(command, Command::AlterPartition(_)));
                self.check_eligible(key, partition, &at);
                self.commit(key, partition, min_isr);
            }
        }
    }

    /// Replicas that join the ISR have caught up; a leader elected uncleanly decides what is committed.
    fn follow(&mut self, key: Key, old: Option<&PartitionImage>, new: &PartitionImage, proposed: bool) {
        let Some(old) = old else {
            self.complete.insert(key, new.replicas.iter().copied().collect());
            return;
        };
        let complete = self.complete.entry(key).or_default();
        if new.unclean_epoch != old.unclean_epoch {
            *complete = BTreeSet::from([new.leader]);
        }
        if proposed && complete.contains(&old.leader) {
            complete.extend(&new.isr);
        }
        complete.retain(|id| new.replicas.contains(id));
    }

    fn check_eligible(&self, key: Key, partition: &PartitionImage, at: &str) {
        let complete = &self.complete[&key];
        for id in partition.isr.iter().chain(&partition.elr) {
            assert!(complete.contains(id), "P2: {at}: {id} may lead without all that is committed: {partition:?}");
        }
        assert!(
            !partition.has_leader()
                || complete.contains(&partition.leader)
                || partition.unclean_epoch != LeaderEpoch::NONE,
            "P10: {at}: {partition:?}"
        );
    }

    /// More is committed wherever it may be: then only the maximal ISR has it.
    fn commit(&mut self, key: Key, partition: &PartitionImage, min_isr: usize) {
        let minimum = min_isr.min(partition.replicas.len());
        if partition.has_leader() && partition.elr.is_empty() && partition.isr.len() >= minimum {
            self.complete.insert(key, partition.isr.iter().copied().collect());
        }
    }

    /// A replica that was assigned to no directory holds nothing from then on.
    fn give_up(&mut self, request: &AssignReplicasToDirs, before: &MetadataImage, after: &MetadataImage) {
        for assignment in &request.assignments {
            let (id, key) = (request.session.id, assignment.target);
            let directory = |image: &MetadataImage| {
                let partition = image.topic_partition(key)?;
                let position = partition.replicas.iter().position(|&other| other == id)?;
                Some(partition.directories[position])
            };
            if directory(after) == Some(DirectoryId::LOST) && directory(before) != Some(DirectoryId::LOST) {
                self.complete.entry((key.topic_id, key.partition)).or_default().remove(&id);
            }
        }
    }

    /// What a run of a broker loses to the one before.
    fn lose(&mut self, request: &RegisterBroker, before: &MetadataImage) {
        let kept_all = before
            .broker(request.id)
            .is_some_and(|broker| broker.log_dirs.iter().all(|directory| request.log_dirs.contains(directory)));
        for (&(topic, index), complete) in &mut self.complete {
            let Some(partition) = before.partition(topic, index) else { continue };
            let Some(position) = partition.replicas.iter().position(|&id| id == request.id) else { continue };
            let directory = partition.directories[position];
            let kept = match directory {
                DirectoryId::UNASSIGNED => kept_all,
                DirectoryId::LOST => false,
                // Offline, not gone.
                directory => request.log_dirs.contains(&directory) || request.has_offline_log_dirs,
            };
            let name = before.topic(topic).expect("it has partitions").name.as_str();
            let durability = before.topic_config(name, &StaticBrokerConfig::default()).durability;
            if !kept || (!request.clean_shutdown && durability == Durability::Relaxed) {
                complete.remove(&request.id);
            }
        }
    }
}
