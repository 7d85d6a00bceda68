//! Following the metadata: which replicas live here, who leads them, how they are configured.
//!
//! Metadata is obeyed only once it knows this very process (its registration has the epoch that the broker's lease has):
//! what it says about an earlier run of the broker is about a leader that may have lost unflushed records with its memory,
//! and appending in that leader's epoch again would put two records at one offset in one epoch (P1, P7).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Weak};

use highwater_env::{clock, rng};
use highwater_log::{Log, LogDirectory, LogError};
use highwater_metadata::{
    ConfigResource, LeaderRecoveryState, MetadataDelta, MetadataImage, PartitionImage, TopicImage,
};
use highwater_partition::{Assignment, Event, Replica, RoleKind};
use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex, TopicIdPartition, TopicPartition};
use rand::RngCore;

use crate::context::Context;
use crate::partition::{Partition, Surroundings, cursors_of};
use crate::topic_settings::TopicSettings;

/// Applies metadata to the replicas. One owner, called in the order of the metadata.
pub(crate) struct MetadataFollower {
    context: Arc<Context>,
    directories: Vec<Arc<LogDirectory>>,
    /// Where the partitions found at start are.
    found: BTreeMap<TopicPartition, usize>,
    /// Where those are that could not be opened.
    unopened: BTreeMap<TopicPartition, usize>,
    /// Replicas of each directory.
    counts: Vec<usize>,
    /// Whether all partitions have to be looked at: at first, and after metadata that did not know this process.
    everything: bool,
    /// What the image that is being applied changed here, for one line in the log.
    changes: Changes,
}

#[derive(Debug, Default)]
struct Changes {
    leading: usize,
    following: usize,
    without_leader: usize,
    opened: usize,
    deleted: usize,
}

impl MetadataFollower {
    pub fn new(context: Arc<Context>, directories: Vec<Arc<LogDirectory>>) -> Self {
        let mut follower = Self {
            context,
            counts: vec![0; directories.len()],
            directories,
            found: BTreeMap::new(),
            unopened: BTreeMap::new(),
            everything: true,
            changes: Changes::default(),
        };
        follower.find_partitions();
        follower
    }

    /// Takes over a newer image.
    pub fn apply(&mut self, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
        self.changes = Changes::default();
        self.apply_image(image, delta);
        let Changes { leading, following, without_leader, opened, deleted } = self.changes;
        if leading + following + without_leader + opened + deleted > 0 {
            tracing::info!(
                offset = %image.offset(), leading, following, without_leader, opened, deleted,
                "replicas here follow the metadata: so many began to lead, to follow, lost their leader, were opened, deleted"
            );
        }
    }

    fn apply_image(&mut self, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
        self.context.node.image.store(image.clone());
        let node_id = self.context.node.config.node_id;
        let epoch = image.broker_epoch(node_id);
        if epoch == BrokerEpoch::NONE || epoch != self.context.node.lease.broker_epoch() {
            self.everything = true;
            return;
        }
        if self.everything || !delta.brokers.is_empty() {
            self.update_active_brokers(image);
        }
        if std::mem::replace(&mut self.everything, false) {
            return self.apply_everything(image);
        }
        for (&topic_id, topic) in &delta.deleted_topics {
            let ids = topic.iter().map(|(partition, _)| TopicIdPartition { topic_id, partition });
            ids.for_each(|id| self.remove(id));
        }
        for (&topic_id, indexes) in &delta.changed_partitions {
            if let Some(topic) = image.topic(topic_id) {
                let changed = indexes.iter().filter_map(|&index| Some((index, topic.partition(index)?)));
                self.apply_topic(image, topic, changed);
            }
        }
        self.apply_configs(image, delta);
    }

    fn apply_everything(&mut self, image: &MetadataImage) {
        let here: Vec<TopicIdPartition> = self.context.partitions.read().keys().copied().collect();
        let gone = here.into_iter().filter(|&id| image.topic_partition(id).is_none());
        gone.for_each(|id| self.remove(id));
        for topic in image.topics() {
            self.apply_topic(image, topic, topic.iter());
            self.reconfigure(image, topic);
        }
        self.set_strays_aside();
    }

    fn apply_topic<'a>(
        &mut self,
        image: &MetadataImage,
        topic: &TopicImage,
        partitions: impl Iterator<Item = (PartitionIndex, &'a Arc<PartitionImage>)>,
    ) {
        let node_id = self.context.node.config.node_id;
        let mut settings = None;
        for (index, partition) in partitions {
            let id = TopicIdPartition { topic_id: topic.id, partition: index };
            if !partition.replicas.contains(&node_id) {
                self.remove(id);
                continue;
            }
            let settings = settings.get_or_insert_with(|| self.settings(image, topic));
            // Nobody waits for what this replica holds, so it may hold nothing.
            let replaceable = !partition.is_candidate(node_id);
            let Some(replica) = self.ensure(id, topic, settings, replaceable) else { continue };
            assign(&replica, partition, settings, &mut self.changes);
        }
    }

    fn settings(&self, image: &MetadataImage, topic: &TopicImage) -> TopicSettings {
        let config = image.topic_config(topic.name.as_str(), &self.context.node.config.static_config);
        let expiration = image.broker_value("producer.id.expiration.ms", &self.context.node.config.static_config);
        TopicSettings::new(&config, expiration.as_deref(), self.context.node.config.replica_lag_time_max)
    }

    /// The replica, opened or created if it is not there yet. One whose log is damaged begins anew with an empty log if it
    /// is `replaceable`: until then it stays out of service, and its leader takes it out of the ISR.
    fn ensure(
        &mut self,
        id: TopicIdPartition,
        topic: &TopicImage,
        settings: &TopicSettings,
        replaceable: bool,
    ) -> Option<Arc<Partition>> {
        let name = TopicPartition { topic: topic.name.clone(), partition: id.partition };
        match self.context.partition(id) {
            Some(partition) if replaceable && partition.is_damaged() => self.close_damaged(&partition),
            Some(partition) => return Some(partition),
            None => {}
        }
        let known = self.found.remove(&name).or_else(|| self.unopened.remove(&name));
        let position = known.unwrap_or_else(|| self.emptiest_directory());
        if known.is_none() {
            self.counts[position] += 1;
        }
        let directory = self.directories[position].clone();
        match open(&directory, &name, id, settings, replaceable) {
            Ok(log) => {
                self.context.unavailable.write().remove(&id);
                self.changes.opened += 1;
                let checkpoint = directory.high_watermark(&name).unwrap_or(Offset::ZERO);
                let replica =
                    Replica::new(self.context.node.config.node_id, settings.settings, cursors_of(&log), checkpoint);
                let surroundings: Weak<dyn Surroundings> = Arc::<Context>::downgrade(&self.context);
                let lease = self.context.node.lease.clone();
                let partition = Partition::new(surroundings, lease, id, &directory, log, replica);
                partition.step(Event::ActiveBrokers(self.context.active_brokers.load().to_vec()));
                self.context.partitions.write().insert(id, partition.clone());
                Some(partition)
            }
            Err(error) => {
                tracing::error!(partition = %name, %error, "cannot open the replica; it stays out of service");
                self.unopened.insert(name, position);
                self.context.unavailable.write().insert(id);
                None
            }
        }
    }

    /// Lets go of a replica whose log turned out to be damaged; the next opening finds that too.
    fn close_damaged(&mut self, partition: &Arc<Partition>) {
        self.context.partitions.write().remove(&partition.id);
        self.context.cleaner.uncleanable.lock().remove(&partition.id);
        drop(partition.stop());
        let Some(directory) = partition.directory.upgrade() else { return };
        match directory.quarantine_partition(&partition.name, random()) {
            Ok(path) => log_quarantine(&partition.name, &path),
            Err(error) => tracing::error!(partition = %partition.name, %error, "cannot quarantine the replica"),
        }
        if let Some(position) = self.directories.iter().position(|other| Arc::ptr_eq(other, &directory)) {
            self.unopened.insert(partition.name.clone(), position);
        }
    }

    fn emptiest_directory(&self) -> usize {
        let online = (0..self.directories.len()).filter(|&position| self.directories[position].is_online());
        online.min_by_key(|&position| self.counts[position]).unwrap_or(0)
    }

    /// Stops a replica and deletes its data.
    fn remove(&mut self, id: TopicIdPartition) {
        self.context.unavailable.write().remove(&id);
        let Some(partition) = self.context.partitions.write().remove(&id) else { return };
        tracing::debug!(partition = %partition.name, topic_id = %id.topic_id, "deleting the replica");
        self.changes.deleted += 1;
        let Some(directory) = partition.directory.upgrade() else { return };
        if let Some(position) = self.directories.iter().position(|other| Arc::ptr_eq(other, &directory)) {
            self.counts[position] = self.counts[position].saturating_sub(1);
        }
        let Some(log) = partition.stop() else { return };
        if let Err(error) = directory.delete_log(log, random(), clock::wall_ms()) {
            tracing::error!(partition = %partition.name, %error, "cannot delete the replica");
        }
    }

    fn apply_configs(&self, image: &MetadataImage, delta: &MetadataDelta) {
        let node_id = self.context.node.config.node_id;
        let of_all = delta.configs.iter().any(|resource| match resource {
            ConfigResource::DefaultBroker => true,
            ConfigResource::Broker(id) => *id == node_id,
            ConfigResource::Topic(_) => false,
        });
        if of_all {
            image.topics().for_each(|topic| self.reconfigure(image, topic));
            return;
        }
        for resource in &delta.configs {
            if let ConfigResource::Topic(name) = resource
                && let Some(topic) = image.topic_by_name(name.as_str())
            {
                self.reconfigure(image, topic);
            }
        }
    }

    fn reconfigure(&self, image: &MetadataImage, topic: &TopicImage) {
        let mut settings = None;
        for (partition, _) in topic.iter() {
            let Some(partition) = self.context.partition(TopicIdPartition { topic_id: topic.id, partition }) else {
                continue;
            };
            let settings = settings.get_or_insert_with(|| self.settings(image, topic));
            partition.configure(settings);
        }
    }

    /// Tells all replicas who may join an ISR.
    fn update_active_brokers(&self, image: &MetadataImage) {
        let active: Vec<(BrokerId, BrokerEpoch)> =
            image.brokers().filter(|broker| broker.is_active()).map(|broker| (broker.id, broker.epoch)).collect();
        if **self.context.active_brokers.load() == active {
            return;
        }
        self.context.active_brokers.store(Arc::new(active.clone()));
        let partitions: Vec<_> = self.context.partitions.read().values().cloned().collect();
        for partition in partitions {
            partition.step(Event::ActiveBrokers(active.clone()));
        }
    }

    fn find_partitions(&mut self) {
        for (position, directory) in self.directories.iter().enumerate() {
            match directory.partitions() {
                Ok(found) => {
                    self.counts[position] = found.len();
                    self.found.extend(found.into_iter().map(|found| (found.partition, position)));
                }
                Err(error) => {
                    tracing::error!(directory = %directory.path().display(), %error, "cannot list the partitions");
                }
            }
        }
    }

    /// What was found at start and belongs to no replica of this broker: its topic was deleted, or it was moved away.
    fn set_strays_aside(&mut self) {
        for (name, position) in std::mem::take(&mut self.found) {
            self.counts[position] = self.counts[position].saturating_sub(1);
            match self.directories[position].set_stray_aside(&name, random()) {
                Ok(path) => tracing::warn!(
                    partition = %name, path = %path.display(),
                    "found a partition that is not assigned to this broker: set aside, remove it when you do not need it"
                ),
                Err(error) => tracing::error!(partition = %name, %error, "cannot set a stray partition aside"),
            }
        }
    }
}

fn log_quarantine(partition: &TopicPartition, path: &Path) {
    tracing::error!(
        %partition, path = %path.display(),
        "the log is damaged: set aside; the replica gets everything from its leader again. Check the disk"
    );
}

/// Opens a log; what another topic of that name left is set aside, and so is damaged data if it is `replaceable`.
fn open(
    directory: &LogDirectory,
    name: &TopicPartition,
    id: TopicIdPartition,
    settings: &TopicSettings,
    replaceable: bool,
) -> Result<Log, LogError> {
    let open = || directory.open_log(name, id.topic_id, settings.draw_log_config(), clock::wall_ms());
    match open() {
        Err(LogError::TopicIdMismatch { found, .. }) => {
            let path = directory.set_stray_aside(name, random())?;
            tracing::warn!(
                partition = %name, topic_id = %found, path = %path.display(),
                "found data of a former topic of that name: set aside, remove it when you do not need it"
            );
            open()
        }
        Err(error @ LogError::Corrupt { .. }) if replaceable => {
            tracing::error!(partition = %name, %error, "damaged");
            let path = directory.quarantine_partition(name, random())?;
            log_quarantine(name, &path);
            open()
        }
        result => result,
    }
}

fn assign(replica: &Arc<Partition>, image: &PartitionImage, settings: &TopicSettings, changes: &mut Changes) {
    let before = replica.snapshot();
    let assignment = Assignment {
        leader: image.leader,
        leader_epoch: image.leader_epoch,
        partition_epoch: image.partition_epoch,
        replicas: image.replicas.clone(),
        isr: image.isr.clone(),
        elr: image.elr.clone(),
        // The mark outlives the recovery: a replica that was away learns late that it has to give records up.
        unclean: settings.unclean_leader_election
            || image.leader_recovery == LeaderRecoveryState::Recovering
            || image.unclean_epoch != LeaderEpoch::NONE,
    };
    replica.assign(assignment);
    let now = replica.snapshot();
    if (now.role, now.leader_epoch) != (before.role, before.leader_epoch) {
        match now.role {
            RoleKind::Leader => changes.leading += 1,
            RoleKind::Follower => changes.following += 1,
            RoleKind::Offline => changes.without_leader += 1,
        }
    }
}

fn random() -> u128 {
    let mut rng = rng::get();
    u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())
}

impl Partition {
    /// Takes over the metadata of this partition.
    fn assign(self: &Arc<Self>, assignment: Assignment) {
        self.locked(|state, aftermath| {
            state.replicas.clone_from(&assignment.replicas);
            state.isr.clone_from(&assignment.isr);
            if !state.failed {
                state.step(self, Event::Assigned(assignment), aftermath);
            }
        });
    }

    /// Takes over the configuration of its topic.
    fn configure(self: &Arc<Self>, settings: &TopicSettings) {
        self.set_compacted(settings.log.compact_policy);
        self.locked(|state, aftermath| {
            if let Some(log) = &mut state.log {
                let segment_jitter_ms = log.config().segment_jitter_ms;
                let config = highwater_log::LogConfig { segment_jitter_ms, ..settings.log.clone() };
                if *log.config() != config {
                    log.update_config(config);
                }
            }
            if state.replica.settings() != settings.settings {
                state.step(self, Event::Configured(settings.settings), aftermath);
                // What was only appended so far counts no more, if durability became strict.
                aftermath.flush();
            }
        });
    }
}
