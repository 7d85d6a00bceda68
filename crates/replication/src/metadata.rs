//! Following the metadata: which replicas live here, who leads them, how they are configured.
//!
//! Metadata is obeyed only once it knows this very process (its registration has the epoch that the broker's lease has):
//! what it says about an earlier run of the broker is about a leader that may have lost unflushed records with its memory,
//! and appending in that leader's epoch again would put two records at one offset in one epoch (P1, P7).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Weak};

use highwater_env::clock;
use highwater_log::{Log, LogDirectory, LogError, LogSummary, Relocation, RelocationStage};
use highwater_metadata::{
    ConfigResource, LeaderRecoveryState, MetadataDelta, MetadataImage, PartitionImage, TopicImage,
};
use highwater_partition::{Assignment, Event, Replica, RoleKind};
use highwater_rpc::replication::Lane;
use highwater_types::{
    BrokerEpoch, BrokerId, DirectoryId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicIdPartition,
    TopicPartition,
};

use crate::LogDirectories;
use crate::context::Context;
use crate::future_log::FutureLog;
use crate::log_slot::LogSlot;
use crate::log_work::{Done, Job, Opening, quarantine, random, set_stray_aside};
use crate::partition::{Host, Partition, Surroundings};
use crate::placement::Placement;
use crate::relocation::Relocated;
use crate::topic_settings::TopicSettings;

/// Applies metadata to the replicas. One owner, called in the order of the metadata.
pub(crate) struct MetadataFollower {
    context: Arc<Context>,
    host: Arc<Host>,
    placement: Placement,
    /// Brokers that may join an ISR, as of the metadata last applied.
    active_brokers: Arc<[(BrokerId, BrokerEpoch)]>,
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
    recovering: usize,
    deleted: usize,
}

impl MetadataFollower {
    pub fn new(context: Arc<Context>, directories: &LogDirectories) -> Self {
        let placement = Placement::new(directories);
        let surroundings: Weak<dyn Surroundings> = Arc::<Context>::downgrade(&context);
        let host = Arc::new(Host { lease: context.node.lease.clone(), surroundings });
        Self {
            context,
            host,
            placement,
            active_brokers: Arc::default(),
            begun_anew: BTreeSet::new(),
            everything: true,
            changes: Changes::default(),
        }
    }

    /// Takes over a newer image.
    pub fn apply(&mut self, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
        self.changes = Changes::default();
        self.apply_image(image, delta);
        let Changes { leading, following, without_leader, opened, recovering, deleted } = self.changes;
        if leading + following + without_leader + opened + recovering + deleted > 0 {
            tracing::info!(
                offset = %image.offset(), leading, following, without_leader, opened, recovering, deleted,
                "replicas here follow the metadata: so many began to lead, to follow, lost their leader, are there, are \
                 recovered first, were deleted"
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
            self.context.links.on_registered();
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
        let here: Vec<TopicIdPartition> =
            self.context.partitions.read().values().map(|partition| partition.id).collect();
        let gone = here.into_iter().filter(|&id| image.topic_partition(id).is_none());
        gone.for_each(|id| self.remove(id));
        self.update_throttles(image);
        for topic in image.topics() {
            self.apply_topic(image, topic, topic.iter());
            self.reconfigure(image, topic);
        }
        self.set_strays_aside(image);
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
            replica.set_throttled(self.is_throttled(image, settings, (index, partition)));
            assign(&replica, partition, settings, &mut self.changes);
        }
    }

    fn settings(&self, image: &MetadataImage, topic: &TopicImage) -> TopicSettings {
        let config = image.topic_config(topic.name.as_str(), &self.context.node.config.static_config);
        let expiration = image.broker_value("producer.id.expiration.ms", &self.context.node.config.static_config);
        TopicSettings::new(&config, expiration.as_deref(), self.context.node.config.replica_lag_time_max)
    }

    /// The replica, if its log is there, or need not be looked at yet; else it is recovered and joins later. One whose log is
    /// damaged begins anew with an empty log once the cluster counts on it no more: until then it stays out of service, and
    /// the controller is told.
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
        if self.context.log_work.is_busy(&name) {
            // Whoever is through with it looks at the metadata again.
            return None;
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
        place.left_over.iter().for_each(|&position| set_stray_aside(self.placement.directory(position), &name));
        let directory = self.placement.directory(place.position).clone();
        if let Some(unique) = place.adopt
            && let Err(error) = directory.adopt_future(&name, unique)
        {
            tracing::error!(partition = %name, %error, "the replica is out of service");
            self.context.unavailable.write().insert(id);
            return None;
        }
        let give_up = standing.lost && standing.replaceable;
        let summary = match place.is_found {
            true => directory.take_summary(&name, id.topic_id).filter(|_| !give_up),
            false => Some(LogSummary::EMPTY),
        };
        let Some(summary) = summary else {
            self.changes.recovering += 1;
            let (settings, replaceable) = (settings.log.clone(), standing.replaceable);
            self.context.log_work.add(name, Job::Open { directory, id, settings, replaceable, give_up });
            return None;
        };
        if standing.lost {
            self.begun_anew.insert(id);
        }
        let log = LogSlot::cold(summary, settings.log.clone());
        let partition = self.insert(id, &directory, (name, log), settings);
        self.report(&partition, image, standing.assigned);
        Some(partition)
    }

    fn insert(
        &mut self,
        id: TopicIdPartition,
        directory: &Arc<LogDirectory>,
        (name, log): (TopicPartition, LogSlot),
        settings: &TopicSettings,
    ) -> Arc<Partition> {
        self.context.unavailable.write().remove(&id);
        self.changes.opened += 1;
        let checkpoint = directory.high_watermark(&name).unwrap_or(Offset::ZERO);
        let cursors = log.cursors().expect("a log that is there");
        let replica = Replica::new(self.context.node.config.node_id, settings.settings, cursors, checkpoint);
        let (compacted, home) = (settings.log.config.compact_policy, self.placement.home(directory));
        let partition = Partition::new(id, (&self.host, home), (name, log), (replica, compacted));
        partition.set_checkpointed(checkpoint);
        partition.step(Event::ActiveBrokers(self.active_brokers.clone()));
        self.context.partitions.write().insert(partition.clone());
        self.resume_relocation(&partition, directory);
        partition
    }

    /// A [`Job`] is done: takes the log over, if the metadata still want it, and does what waited for the name.
    ///
    /// The name is free only now. Otherwise: (1) a log is recovered, and its name free; (2) metadata come first that touch the
    /// partition, and find neither a replica nor work for it; (3) they take the place for empty, and the replica leads or follows
    /// without a record; (4) the log that was recovered is found to be there.
    pub fn on_work_done(&mut self, name: &TopicPartition, done: Done) {
        self.context.log_work.free(name);
        let image = self.context.node.image.load_full();
        let look_again = match done {
            Done::Freed => true,
            Done::Opened { opening, result } => self.on_opened(&image, name, opening, *result),
        };
        // While the metadata do not know this process, all partitions are still to be looked at.
        if look_again
            && !self.everything
            && let Some(topic) = image.topic_by_name(name.topic.as_str())
            && let Some(partition) = topic.partition(name.partition)
        {
            self.apply_topic(&image, topic, std::iter::once((name.partition, partition)));
        }
    }

    /// Returns whether to look at the metadata of that name again.
    fn on_opened(
        &mut self,
        image: &MetadataImage,
        name: &TopicPartition,
        opening: Opening,
        result: Result<Log, LogError>,
    ) -> bool {
        let Opening { id, directory, settings: opened_with, replaceable, give_up } = opening;
        let node_id = self.context.node.config.node_id;
        let wanted = image.topic_partition(id).filter(|partition| partition.replicas.contains(&node_id));
        match (result, wanted.zip(image.topic(id.topic_id))) {
            (Ok(log), Some((_, topic))) => {
                if give_up {
                    self.begun_anew.insert(id);
                }
                let settings = self.settings(image, topic);
                self.insert(id, &directory, (name.clone(), LogSlot::open(log, opened_with)), &settings);
                true
            }
            (Ok(log), None) => {
                self.release(&directory);
                let log = LogSlot::open(log, opened_with);
                self.context.log_work.add(name.clone(), Job::Delete { directory, log });
                false
            }
            (Err(error), wanted) => {
                tracing::error!(partition = %name, %error, "cannot open the replica; it stays out of service");
                let damaged = matches!(error, LogError::Corrupt { .. });
                if let Some(position) = self.placement.position_of(&directory) {
                    self.placement.give_back(name.clone(), position);
                }
                let Some((partition, _)) = wanted else { return true };
                self.context.unavailable.write().insert(id);
                if damaged {
                    self.context.reports.assign(id, DirectoryId::LOST);
                }
                // What made it replaceable may have come while it was tried.
                damaged && !replaceable && !partition.is_candidate(node_id)
            }
        }
    }

    fn release(&mut self, directory: &Arc<LogDirectory>) {
        if let Some(position) = self.placement.position_of(directory) {
            self.placement.release(position);
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
        let Some(directory) = partition.directory() else { return };
        if assigned != DirectoryId::LOST {
            self.begun_anew.remove(&partition.id);
        }
        if directory.id() == assigned {
            self.context.reports.forget(partition.id);
            self.discard_relocations(partition.id, RelocationStage::Moved);
        } else {
            self.context.reports.assign(partition.id, directory.id());
        }
    }

    /// Lets go of a replica whose data is given up, and puts the data aside.
    fn close_damaged(&mut self, partition: &Arc<Partition>) {
        self.context.partitions.write().remove(partition.id);
        self.context.cleaner.uncleanable.lock().remove(&partition.id);
        drop(partition.stop());
        let Some(directory) = partition.directory() else { return };
        if let Err(error) = quarantine(&directory, &partition.name) {
            tracing::error!(partition = %partition.name, %error, "cannot quarantine the replica");
        }
        self.release(&directory);
    }

    /// Stops a replica and deletes its data.
    fn remove(&mut self, id: TopicIdPartition) {
        self.context.unavailable.write().remove(&id);
        self.context.reports.forget(id);
        self.begun_anew.remove(&id);
        self.discard_relocations(id, RelocationStage::Moved);
        self.discard_relocations(id, RelocationStage::Future);
        let Some(partition) = self.context.partitions.write().remove(id) else { return };
        tracing::debug!(partition = %partition.name, topic_id = %id.topic_id, "deleting the replica");
        self.changes.deleted += 1;
        let Some(directory) = partition.directory() else { return };
        self.release(&directory);
        let log = partition.stop();
        // One that is gone has been closed: this broker is about to stop. What lies in a failed directory stays there: nothing
        // is tried again.
        if !log.is_gone() && directory.is_online() {
            self.context.log_work.add(partition.name.clone(), Job::Delete { directory, log });
        }
    }

    fn apply_configs(&self, image: &MetadataImage, delta: &MetadataDelta) {
        // Another broker's, because a leader's rate decides how its followers catch up.
        let of_all = delta.configs.iter().any(|resource| !matches!(resource, ConfigResource::Topic(_)));
        if of_all {
            self.update_throttles(image);
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
        for (index, of_topic) in topic.iter() {
            let Some(partition) = self.context.partition(TopicIdPartition { topic_id: topic.id, partition: index })
            else {
                continue;
            };
            let settings = settings.get_or_insert_with(|| self.settings(image, topic));
            partition.configure(settings);
            partition.set_throttled(self.is_throttled(image, settings, (index, of_topic)));
        }
    }

    fn update_throttles(&self, image: &MetadataImage) {
        let node = &self.context.node;
        node.throttles.update(image, &node.config.static_config);
    }

    fn is_throttled(
        &self,
        image: &MetadataImage,
        settings: &TopicSettings,
        partition: (PartitionIndex, &PartitionImage),
    ) -> bool {
        let node = &self.context.node;
        node.throttles.is_throttled(image, node.config.node_id, settings, partition)
    }

    /// Tells all replicas who may join an ISR.
    fn update_active_brokers(&mut self, image: &MetadataImage) {
        let active: Arc<[(BrokerId, BrokerEpoch)]> =
            image.brokers().filter(|broker| broker.is_active()).map(|broker| (broker.id, broker.epoch)).collect();
        if self.active_brokers == active {
            return;
        }
        self.active_brokers = active.clone();
        let partitions: Vec<_> = self.context.partitions.read().values().cloned().collect();
        for partition in partitions {
            partition.step(Event::ActiveBrokers(active.clone()));
        }
    }

    /// What was found at start and belongs to no replica of this broker: its topic was deleted, or it was moved away.
    fn set_strays_aside(&mut self, image: &MetadataImage) {
        let node_id = self.context.node.config.node_id;
        let is_here = |id| image.topic_partition(id).is_some_and(|partition| partition.replicas.contains(&node_id));
        for (position, relocation) in self.placement.take_unwanted_relocations(is_here) {
            discard(self.placement.directory(position), &relocation);
        }
        for (name, position) in self.placement.take_unclaimed() {
            let directory = self.placement.directory(position).clone();
            match self.context.log_work.is_busy(&name) {
                // In another directory.
                true => set_stray_aside(&directory, &name),
                false => self.context.log_work.add(name, Job::SetAside { directory }),
            }
        }
    }
}

impl MetadataFollower {
    /// Moves a replica to the log directory at `path`, or lets it begin there if it is not here yet (AlterReplicaLogDirs,
    /// KIP-113). Back to where it is ends a move. The move goes on after this returns. Blocks for the disk.
    ///
    /// # Errors
    /// LOG_DIR_NOT_FOUND; KAFKA_STORAGE_ERROR if the directory or the replica is out of service;
    /// UNKNOWN_TOPIC_OR_PARTITION; REPLICA_NOT_AVAILABLE if the replica is not here, or not yet.
    pub fn alter_log_dir(&mut self, name: &TopicPartition, path: &Path) -> Result<(), ErrorCode> {
        let position = self.placement.position_at(path).map_err(|is_configured| match is_configured {
            true => ErrorCode::KafkaStorageError,
            false => ErrorCode::LogDirNotFound,
        })?;
        let directory = self.placement.directory(position).clone();
        if !directory.is_online() {
            return Err(ErrorCode::KafkaStorageError);
        }
        let image = self.context.node.image.load_full();
        let topic = image.topic_by_name(name.topic.as_str()).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        topic.partition(name.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
        let id = TopicIdPartition { topic_id: topic.id, partition: name.partition };
        let Some(partition) = self.context.partition(id) else {
            if self.context.unavailable.read().contains(&id) {
                return Err(ErrorCode::KafkaStorageError);
            }
            self.placement.prefer(name.clone(), position);
            return Err(ErrorCode::ReplicaNotAvailable);
        };
        if partition.snapshot().failed {
            return Err(ErrorCode::KafkaStorageError);
        }
        if partition.is_in(&directory) {
            partition.set_future(None);
            return Ok(());
        }
        if partition.future().is_some_and(|future| future.is_in(&directory)) {
            return Ok(());
        }
        let future = FutureLog::new(self.placement.home(&directory), random());
        partition.set_future(Some(future.clone()));
        // The copy is there from now on, so that the move goes on after a restart.
        if let Err(error) = partition.open_future(&future) {
            tracing::error!(partition = %name, directory = %path.display(), %error, "not moved to another log directory");
            partition.forget_future(&future);
            future.discard(name);
            return Err(ErrorCode::KafkaStorageError);
        }
        self.context.relocations.add(partition, future);
        Ok(())
    }

    /// A log is in another directory now: the controller is told, and only then what it left is removed.
    pub fn on_relocated(&mut self, relocated: &Relocated) {
        let Relocated { partition, from, to, unique } = relocated;
        let (Some(left), Some(reached)) = (self.placement.position_of(from), self.placement.position_of(to)) else {
            return;
        };
        self.placement.on_relocated(left, reached);
        let id = partition.id;
        self.placement.add_relocation(left, from.moved_aside(&partition.name, id.topic_id, *unique));
        let image = self.context.node.image.load_full();
        match image.topic_partition(id).filter(|_| self.context.partition(id).is_some()) {
            Some(state) => {
                let assigned = self.standing(id, state).assigned;
                self.report(partition, state, assigned);
            }
            None => self.discard_relocations(id, RelocationStage::Moved),
        }
    }

    /// Goes on with a move that an earlier process began. Other copies are of no use.
    fn resume_relocation(&mut self, partition: &Arc<Partition>, home: &Arc<LogDirectory>) {
        for (position, relocation) in self.placement.take_relocations(partition.id, RelocationStage::Future) {
            let directory = self.placement.directory(position);
            if Arc::ptr_eq(directory, home) || partition.future().is_some() || !directory.is_online() {
                discard(directory, &relocation);
                continue;
            }
            let future = FutureLog::new(self.placement.home(directory), relocation.unique);
            partition.set_future(Some(future.clone()));
            self.context.relocations.add(partition.clone(), future);
        }
    }

    fn discard_relocations(&mut self, id: TopicIdPartition, stage: RelocationStage) {
        for (position, relocation) in self.placement.take_relocations(id, stage) {
            discard(self.placement.directory(position), &relocation);
        }
    }
}

fn discard(directory: &LogDirectory, relocation: &Relocation) {
    if directory.is_online()
        && let Err(error) = directory.discard_relocation(relocation, clock::wall_ms())
    {
        tracing::warn!(directory = %directory.path().display(), %error, "what a moved replica left remains for now");
    }
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

fn assign(replica: &Arc<Partition>, image: &Arc<PartitionImage>, settings: &TopicSettings, changes: &mut Changes) {
    let before = replica.snapshot();
    let assignment = Assignment {
        leader: image.leader,
        leader_epoch: image.leader_epoch,
        partition_epoch: image.partition_epoch,
        replicas: image.replicas.clone(),
        isr: image.isr.clone(),
        elr: image.elr.to_vec(),
        // The mark outlives the recovery: a replica that was away learns late that it has to give records up.
        unclean: settings.unclean_leader_election
            || image.leader_recovery == LeaderRecoveryState::Recovering
            || image.unclean_epoch != LeaderEpoch::NONE,
    };
    replica.assign(image, assignment);
    let now = replica.snapshot();
    if (now.role, now.leader_epoch) != (before.role, before.leader_epoch) {
        match now.role {
            RoleKind::Leader => changes.leading += 1,
            RoleKind::Follower => changes.following += 1,
            RoleKind::Offline => changes.without_leader += 1,
        }
    }
}

impl Partition {
    /// Takes over the metadata of this partition.
    fn assign(self: &Arc<Self>, image: &Arc<PartitionImage>, assignment: Assignment) {
        self.locked(|state, aftermath| {
            let was_in_sync = state.isr().contains(&state.replica.id());
            state.assigned = Some(image.clone());
            if state.failed {
                return;
            }
            state.step(self, Event::Assigned(assignment), aftermath);
            let lane = state.starting_lane(self);
            // Out of the ISR but level with its leader, it stays where it is.
            if lane == Lane::InSync || was_in_sync {
                state.change_lane(self, lane, aftermath);
            }
        });
    }

    /// Takes over the configuration of its topic.
    fn configure(self: &Arc<Self>, settings: &TopicSettings) {
        self.set_compacted(settings.log.config.compact_policy);
        self.locked(|state, aftermath| {
            state.log.configure(&settings.log);
            if state.replica.settings() != settings.settings {
                state.step(self, Event::Configured(settings.settings), aftermath);
                // What was only appended so far counts no more, if durability became strict.
                aftermath.flush();
            }
        });
    }
}
