//! Following the metadata: which replicas live here, who leads them, how they are configured.
//!
//! Metadata is obeyed only once it knows this very process (its registration has the epoch that the broker's lease has):
//! what it says about an earlier run of the broker is about a leader that may have lost unflushed records with its memory,
//! and appending in that leader's epoch again would put two records at one offset in one epoch (P1, P7).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Weak};

use highwater_env::{clock, rng};
use highwater_log::{Log, LogDirectory, LogError};
use highwater_metadata::{
    ConfigResource, LeaderRecoveryState, MetadataDelta, MetadataImage, PartitionImage, TopicImage,
};
use highwater_partition::{Assignment, Event, Replica, RoleKind};
use highwater_types::{
    BrokerEpoch, BrokerId, DirectoryId, LeaderEpoch, Offset, PartitionIndex, TopicIdPartition, TopicPartition,
};
use rand::RngCore;

use crate::LogDirectories;
use crate::context::Context;
use crate::partition::{Partition, Surroundings, cursors_of};
use crate::placement::Placement;
use crate::topic_settings::TopicSettings;

/// Applies metadata to the replicas. One owner, called in the order of the metadata.
pub(crate) struct MetadataFollower {
    context: Arc<Context>,
    placement: Placement,
    /// Replicas that the metadata still call lost, and that began anew in this process.
    begun_anew: BTreeSet<TopicIdPartition>,
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
    pub fn new(context: Arc<Context>, directories: &LogDirectories) -> Self {
        let placement = Placement::new(directories);
        Self { context, placement, begun_anew: BTreeSet::new(), everything: true, changes: Changes::default() }
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
            let Some(replica) = self.ensure(id, topic, partition, settings) else { continue };
            assign(&replica, partition, settings, &mut self.changes);
        }
    }

    fn settings(&self, image: &MetadataImage, topic: &TopicImage) -> TopicSettings {
        let config = image.topic_config(topic.name.as_str(), &self.context.node.config.static_config);
        let expiration = image.broker_value("producer.id.expiration.ms", &self.context.node.config.static_config);
        TopicSettings::new(&config, expiration.as_deref(), self.context.node.config.replica_lag_time_max)
    }

    /// The replica, opened or created if it is not there yet. One whose log is damaged begins anew with an empty log once
    /// the cluster counts on it no more: until then it stays out of service, and the controller is told.
    fn ensure(
        &mut self,
        id: TopicIdPartition,
        topic: &TopicImage,
        image: &PartitionImage,
        settings: &TopicSettings,
    ) -> Option<Arc<Partition>> {
        let name = TopicPartition { topic: topic.name.clone(), partition: id.partition };
        let standing = self.standing(id, image);
        match self.context.partition(id) {
            Some(partition) if standing.replaceable && (partition.is_damaged() || standing.lost) => {
                self.close_damaged(&partition);
            }
            Some(partition) => {
                self.report(&partition, image, standing.assigned);
                return Some(partition);
            }
            None => {}
        }
        let place = match self.placement.claim(&name, id.topic_id, standing.assigned, !standing.replaceable) {
            Ok(place) => place,
            Err(problem) => {
                if self.context.unavailable.write().insert(id) {
                    tracing::error!(partition = %name, %problem, "the replica is out of service");
                }
                return None;
            }
        };
        place.left_over.iter().for_each(|&position| self.set_stray_aside(&name, position));
        let directory = self.placement.directory(place.position).clone();
        match open(&directory, &name, id, settings, &standing) {
            Ok(log) => {
                self.context.unavailable.write().remove(&id);
                self.changes.opened += 1;
                if standing.lost {
                    self.begun_anew.insert(id);
                }
                let checkpoint = directory.high_watermark(&name).unwrap_or(Offset::ZERO);
                let replica =
                    Replica::new(self.context.node.config.node_id, settings.settings, cursors_of(&log), checkpoint);
                let surroundings: Weak<dyn Surroundings> = Arc::<Context>::downgrade(&self.context);
                let lease = self.context.node.lease.clone();
                let partition = Partition::new(surroundings, lease, id, &directory, log, replica);
                partition.step(Event::ActiveBrokers(self.context.active_brokers.load().to_vec()));
                self.context.partitions.write().insert(id, partition.clone());
                self.report(&partition, image, standing.assigned);
                Some(partition)
            }
            Err(error) => {
                tracing::error!(partition = %name, %error, "cannot open the replica; it stays out of service");
                if let LogError::Corrupt { .. } = error {
                    self.context.reports.assign(id, DirectoryId::LOST);
                }
                self.placement.give_back(name, id.topic_id, place.position);
                self.context.unavailable.write().insert(id);
                None
            }
        }
    }

    fn standing(&self, id: TopicIdPartition, image: &PartitionImage) -> Standing {
        let node_id = self.context.node.config.node_id;
        let position = image.replicas.iter().position(|&replica| replica == node_id);
        let assigned = position.map_or(DirectoryId::UNASSIGNED, |position| image.directories[position]);
        let lost = assigned == DirectoryId::LOST && !self.begun_anew.contains(&id);
        Standing { assigned, replaceable: !image.is_candidate(node_id), lost }
    }

    /// Tells the controller where the replica is, if the metadata do not say so. A damaged one is given up as soon as
    /// another one is in sync.
    fn report(&mut self, partition: &Arc<Partition>, image: &PartitionImage, assigned: DirectoryId) {
        if partition.is_damaged() {
            if image.isr.iter().any(|&id| id != self.context.node.config.node_id) {
                self.context.reports.assign(partition.id, DirectoryId::LOST);
            }
            return;
        }
        let Some(directory) = partition.directory.upgrade() else { return };
        if assigned != DirectoryId::LOST {
            self.begun_anew.remove(&partition.id);
        }
        if directory.id() == assigned {
            self.context.reports.forget(partition.id);
        } else {
            self.context.reports.assign(partition.id, directory.id());
        }
    }

    /// Lets go of a replica whose data is given up, and puts the data aside.
    fn close_damaged(&mut self, partition: &Arc<Partition>) {
        self.context.partitions.write().remove(&partition.id);
        self.context.cleaner.uncleanable.lock().remove(&partition.id);
        drop(partition.stop());
        let Some(directory) = partition.directory.upgrade() else { return };
        match directory.quarantine_partition(&partition.name, random()) {
            Ok(path) => log_quarantine(&partition.name, &path),
            Err(error) => tracing::error!(partition = %partition.name, %error, "cannot quarantine the replica"),
        }
        if let Some(position) = self.placement.position_of(&directory) {
            self.placement.release(position);
        }
    }

    /// Stops a replica and deletes its data.
    fn remove(&mut self, id: TopicIdPartition) {
        self.context.unavailable.write().remove(&id);
        self.context.reports.forget(id);
        self.begun_anew.remove(&id);
        let Some(partition) = self.context.partitions.write().remove(&id) else { return };
        tracing::debug!(partition = %partition.name, topic_id = %id.topic_id, "deleting the replica");
        self.changes.deleted += 1;
        let Some(directory) = partition.directory.upgrade() else { return };
        if let Some(position) = self.placement.position_of(&directory) {
            self.placement.release(position);
        }
        // What lies in a failed directory stays there: nothing is tried again.
        let Some(log) = partition.stop().filter(|_| directory.is_online()) else { return };
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

    /// What was found at start and belongs to no replica of this broker: its topic was deleted, or it was moved away.
    fn set_strays_aside(&mut self) {
        for (name, position) in self.placement.take_unclaimed() {
            self.set_stray_aside(&name, position);
        }
    }

    fn set_stray_aside(&self, name: &TopicPartition, position: usize) {
        let directory = self.placement.directory(position);
        if !directory.is_online() {
            return;
        }
        match directory.set_stray_aside(name, random()) {
            Ok(path) => tracing::warn!(
                partition = %name, path = %path.display(),
                "found a partition that is not assigned to this log directory: set aside, remove it when you do not need it"
            ),
            Err(error) => tracing::error!(partition = %name, %error, "cannot set a stray partition aside"),
        }
    }
}

fn log_quarantine(partition: &TopicPartition, path: &Path) {
    tracing::error!(
        %partition, path = %path.display(),
        "the log is damaged: set aside; the replica gets everything from its leader again. Check the disk"
    );
}

/// What the metadata say about a replica of this broker.
struct Standing {
    /// Its log directory.
    assigned: DirectoryId,
    /// Nobody counts on what it holds, so it may hold nothing.
    replaceable: bool,
    /// What it held is given up, and is still there.
    lost: bool,
}

/// Opens a log; what another topic of that name left is set aside, and so is what was given up, and damaged data on which nobody
/// counts.
fn open(
    directory: &LogDirectory,
    name: &TopicPartition,
    id: TopicIdPartition,
    settings: &TopicSettings,
    standing: &Standing,
) -> Result<Log, LogError> {
    if standing.lost && standing.replaceable && directory.has_partition(name)? {
        log_quarantine(name, &directory.quarantine_partition(name, random())?);
    }
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
        Err(error @ LogError::Corrupt { .. }) if standing.replaceable => {
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
