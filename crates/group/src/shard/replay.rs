//! Reading a shard back from its log.

use std::sync::Arc;

use thiserror::Error;

use super::{Group, GroupCoordinatorShard};
use crate::classic::ClassicGroup;
use crate::output::{Now, Output};
use crate::schema::{GroupMetadataValue, OffsetCommitValue, RecordKey, SchemaError};

/// A record that belongs to classic groups but cannot be read. Loading the shard fails: going on would lose an offset.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// The key cannot be read.
    #[error("key: {0}")]
    Key(SchemaError),
    /// The value cannot be read.
    #[error("value of {key:?}: {error}")]
    Value {
        /// Its key.
        key: RecordKey,
        /// What is wrong with it.
        error: SchemaError,
    },
}

impl GroupCoordinatorShard {
    /// Applies one record of the log, in the order of the log. Records of group kinds that are not served are skipped
    /// and counted.
    pub fn replay(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), ReplayError> {
        let key = RecordKey::decode(key).map_err(ReplayError::Key)?;
        match (&key, value) {
            (RecordKey::OffsetCommit { group, topic, partition }, Some(value)) => {
                let value =
                    OffsetCommitValue::decode(value).map_err(|error| ReplayError::Value { key: key.clone(), error })?;
                self.group_or_new(group).offsets.insert(topic.clone(), *partition, value);
            }
            (RecordKey::OffsetCommit { group, topic, partition }, None) => {
                if let Some(found) = self.groups.get_mut(group.as_str()) {
                    found.offsets.remove(topic, *partition);
                    self.remove_if_unknown_to_log(group);
                }
            }
            (RecordKey::GroupMetadata { group }, Some(value)) => {
                let value = GroupMetadataValue::decode(value)
                    .map_err(|error| ReplayError::Value { key: key.clone(), error })?;
                let group_id: Arc<str> = Arc::from(group.as_str());
                let group = self.groups.entry(group_id.clone()).or_insert_with(|| Group::new(group_id.clone()));
                group.classic = ClassicGroup::from_record(group_id, value);
                group.has_record = true;
            }
            (RecordKey::GroupMetadata { group }, None) => {
                if let Some(found) = self.groups.get_mut(group.as_str()) {
                    // Its offsets, if any, were committed later than those deleted with it.
                    found.has_record = false;
                    found.classic = ClassicGroup::new(found.classic.group_id.clone());
                    self.timers.cancel_group(&Arc::from(group.as_str()));
                    self.remove_if_unknown_to_log(group);
                }
            }
            (RecordKey::Unknown { .. }, _) => self.skipped_records += 1,
        }
        Ok(())
    }

    /// The whole log has been replayed: sessions of the members start now.
    pub fn on_loaded(&mut self, now: Now) -> Output {
        let max_size = self.config.max_size;
        let mut output = Output::default();
        let group_ids: Vec<_> = self.groups.keys().cloned().collect();
        for group_id in group_ids {
            let step = self.step(now, &group_id, |group, effects| {
                group.rearm_all_heartbeats(effects);
                if group.member_count() > max_size {
                    // The limit was lowered. A rebalance lets members commit before some of them are turned away.
                    group.prepare_rebalance(effects);
                }
            });
            output.writes.extend(step.writes);
            output.replies.extend(step.replies);
        }
        self.ensure_expiration_timer(now);
        output
    }

    /// A group that only had offsets exists as long as it has some.
    fn remove_if_unknown_to_log(&mut self, group_id: &str) {
        let group = &self.groups[group_id];
        if !group.has_record && group.offsets.is_empty() && group.classic.is_unused() {
            self.remove_group(group_id);
        }
    }
}
