//! What a partition that nobody uses gives back: its log is closed, and there is no room for those who wait.
//!
//! Reads and flushes go on without the partition's lock, with the sides of the log that [`Partition::reader`] and
//! [`Partition::flush_target`] hand out. They would not hear of what a log does that is opened later: (1) a reader holds the
//! read side, (2) the log is closed and opened again, (3) it is cut and continued, (4) the reader takes the new bytes for the
//! old. So a log is closed only once nobody holds them.

use std::sync::Arc;

use highwater_log::SpaceUse;

use super::{Partition, State};
use crate::aftermath::Aftermath;

impl Partition {
    /// Gives back what an idle partition needs not; of one in use, nothing. Blocks for the disk.
    pub fn rest(self: &Arc<Self>) {
        self.waiters.shrink();
        self.locked(|state, aftermath| state.rest(self, aftermath));
    }

    /// Takes back the sides of the log that work without the lock. False, and no change, if somebody uses them.
    fn take_back_handles(&self) -> bool {
        let Some(handles) = self.handles.swap(None) else { return true };
        let taken = Arc::try_unwrap(handles);
        taken.map_err(|handles| self.handles.store(Some(handles))).is_ok()
    }
}

impl State {
    fn rest(&mut self, partition: &Arc<Partition>, aftermath: &mut Aftermath) {
        self.parked.shrink();
        self.deletions.shrink();
        if let Some(directory) = partition.directory()
            && self.is_idle(partition)
            && partition.take_back_handles()
        {
            if let Some(log) = self.log.as_open().filter(|log| log.is_shared()) {
                partition.hand_out(log);
                return;
            }
            match self.log.cool_down(&directory, &partition.name, partition.id) {
                Err(error) if !error.is_disk_full() => self.fail(partition, &error.to_string(), aftermath),
                _ => {}
            }
            // One that has to stay open.
            if let Some(log) = self.log.as_open() {
                partition.hand_out(log);
            }
        }
    }

    /// Whether the log is open and nothing is under way with it. The cleaner looks into compacted logs all the time.
    fn is_idle(&self, partition: &Partition) -> bool {
        let (replica, busy) = (&self.replica, partition.is_compacted() || partition.is_compacting());
        let settled = [replica.cursors().flushed, replica.high_watermark()] == [replica.cursors().log_end; 2];
        let awaited = self.future.is_some() || !self.parked.is_empty() || !self.deletions.is_empty();
        // Closing it writes files.
        let has_room = partition.admits(0, SpaceUse::Produce);
        settled && has_room && !(self.failed || busy || awaited) && self.log.as_open().is_some_and(|log| log.is_idle())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Weak;
    use std::time::Duration;

    use highwater_env::{Fs, SimFs, clock};
    use highwater_log::{Identity, LogDirectory};
    use highwater_metadata::TopicConfig;
    use highwater_partition::Replica;
    use highwater_types::*;

    use super::*;
    use crate::Lease;
    use crate::context::Context;
    use crate::home::Home;
    use crate::log_slot::LogSlot;
    use crate::partition::{Host, Surroundings};
    use crate::topic_settings::TopicSettings;

    struct NoLease;

    impl Lease for NoLease {
        fn is_valid(&self) -> bool {
            false
        }

        fn broker_epoch(&self) -> BrokerEpoch {
            BrokerEpoch::NONE
        }
    }

    fn with_open_log(directory: &Arc<LogDirectory>) -> Arc<Partition> {
        let topic = TopicName::new("t").unwrap();
        let name = TopicPartition { topic, partition: PartitionIndex(0) };
        let id = TopicIdPartition { topic_id: TopicId::from_random(1), partition: PartitionIndex(0) };
        let settings = TopicSettings::new(&TopicConfig::default(), None, Duration::from_secs(30));
        let log = directory.open_log(&name, id.topic_id, settings.log.draw_config(), clock::wall_ms()).unwrap();
        let log = LogSlot::open(log, settings.log.clone());
        let replica = Replica::new(BrokerId(0), settings.settings, log.cursors().unwrap(), Offset::ZERO);
        let surroundings: Weak<dyn Surroundings> = Weak::<Context>::new();
        let host = Arc::new(Host { lease: Arc::new(NoLease), surroundings });
        Partition::new(id, (&host, &Arc::new(Home::new(directory))), (name, log), (replica, false))
    }

    #[test]
    fn a_log_that_somebody_reads_is_not_closed() {
        let identity =
            Identity { node_id: BrokerId(0), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
        let directory = LogDirectory::open(Fs::Sim(SimFs::new()), Path::new("data"), &identity).unwrap();
        let partition = with_open_log(&directory);
        let is_open = |partition: &Partition| partition.state.lock().log.as_open().is_some();
        let reader = partition.reader().unwrap();
        // At the first look, the files were used since the one before, of which there was none.
        directory.release_idle_files();
        directory.release_idle_files();
        partition.rest();
        assert!(is_open(&partition));
        assert!(Arc::ptr_eq(&reader, &partition.reader().unwrap()), "who comes next reads what this one does");
        drop(reader);
        partition.rest();
        assert!(!is_open(&partition));
        assert_eq!(partition.reader().unwrap().log_end(), Offset::ZERO, "it is opened again");
        assert!(is_open(&partition));
    }
}
