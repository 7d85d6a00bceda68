//! What is forgotten: expired offsets, offsets of deleted topics, groups nobody uses.

use highwater_types::{MonoMs, TopicName};

use super::{Group, GroupCoordinatorShard};
use crate::effects::PendingWrite;
use crate::offsets::RetentionBase;
use crate::output::{Now, Output, Reply};
use crate::schema::CoordinatorRecord;
use crate::timers::TimerKey;

/// Tombstones are appended in batches of about this size, far below the smallest sensible `max.message.bytes`, because a
/// group may have more offsets than fit into one batch.
const MAX_TOMBSTONE_BATCH_BYTES: usize = 128 * 1024;

impl GroupCoordinatorShard {
    /// Forgets the offsets of topics that were deleted.
    pub fn on_topics_deleted(&mut self, now: Now, topics: &[TopicName]) -> Output {
        let mut records = Vec::new();
        for (group_id, group) in &self.groups {
            for topic in topics {
                let partitions = group.offsets.partitions_of(topic.as_str());
                let tombstone = |p| CoordinatorRecord::offset_commit_tombstone(group_id, topic.as_str(), p);
                records.extend(partitions.map(tombstone));
            }
        }
        self.write_tombstones(now, records, None)
    }

    /// Appends tombstones in batches; `reply` follows the last.
    pub(super) fn write_tombstones(
        &mut self,
        now: Now,
        mut records: Vec<CoordinatorRecord>,
        reply: Option<Reply>,
    ) -> Output {
        let mut size_bytes = 0;
        let mut fits = |record: &CoordinatorRecord| {
            size_bytes += record.size_bytes();
            size_bytes <= MAX_TOMBSTONE_BATCH_BYTES
        };
        let count = records.iter().take_while(|record| fits(record)).count().max(1).min(records.len());
        let rest = records.split_off(count);
        self.with_effects(now, |effects| {
            if records.is_empty() {
                effects.output.replies.extend(reply);
            } else {
                effects.write(records.clone(), PendingWrite::Tombstones { records, rest, reply });
            }
        })
    }

    /// Nothing is timed in a shard without groups.
    pub(super) fn ensure_expiration_timer(&mut self, now: Now) {
        if !self.groups.is_empty() && !self.timers.is_scheduled(&TimerKey::Expiration) {
            let deadline = now.mono.0.saturating_add(self.config.offsets_retention_check_interval_ms);
            self.timers.schedule(TimerKey::Expiration, MonoMs(deadline));
        }
    }

    pub(super) fn on_expiration_deadline(&mut self, now: Now) -> Output {
        let mut records = Vec::new();
        for (group_id, group) in &self.groups {
            self.expire_group(now, group_id, group, &mut records);
        }
        self.ensure_expiration_timer(now);
        self.write_tombstones(now, records, None)
    }

    /// Expired offsets, and the group itself if none is left and nobody uses it.
    fn expire_group(&self, now: Now, group_id: &str, group: &Group, records: &mut Vec<CoordinatorRecord>) {
        let base = RetentionBase::of(&group.classic);
        let mut is_used = !group.classic.is_unused();
        for (topic, partition, value) in group.offsets.iter() {
            let expired = !group.classic.is_subscribed_to(topic)
                && base.is_expired(value, now.wall, self.config.offsets_retention_ms);
            if expired {
                records.push(CoordinatorRecord::offset_commit_tombstone(group_id, topic, partition));
            } else {
                is_used = true;
            }
        }
        if !is_used {
            records.push(CoordinatorRecord::group_metadata_tombstone(group_id));
        }
    }
}
