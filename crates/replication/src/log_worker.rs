//! The task that does what is in the queue of [`LogWork`](crate::log_work::LogWork), on the blocking pool.

use std::sync::{Arc, Weak};

use highwater_env::lock::Mutex;
use highwater_env::run_blocking;

use crate::context::Context;
use crate::log_work::Done;
use crate::metadata::MetadataFollower;
use crate::stop::{Stop, until_stopped};

/// Works until told to stop. What is left in the queue then is done after the next start.
pub(crate) async fn work(context: Arc<Context>, metadata: Weak<Mutex<MetadataFollower>>, mut stop: Stop) {
    loop {
        let (name, job) = tokio::select! {
            next = context.log_work.next() => next,
            () = until_stopped(&mut stop) => return,
        };
        let (name, done) = run_blocking(move || {
            let done = job.run(&name);
            (name, done)
        })
        .await;
        let is_recovered = matches!(done, Done::Opened { .. });
        let Some(metadata) = metadata.upgrade() else { return };
        metadata.lock().on_work_done(&name, done);
        if is_recovered {
            context.log_work.on_recovered();
        }
        if *stop.borrow() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use highwater_env::{Env, Fs, SimFs, SimKv, clock};
    use highwater_log::{Identity, LogConfig, LogDirectory};
    use highwater_metadata::{
        BrokerRegistration, HostPort, MetadataDelta, MetadataImage, MetadataRecord, NodeSoftware, PartitionChange,
        PartitionImage, StaticBrokerConfig,
    };
    use highwater_records::{BatchBuilder, Compression, ValidationLimits, validate_produce};
    use highwater_types::*;
    use tokio::sync::watch;

    use super::*;
    use crate::node::Node;
    use crate::{Lease, LogDirectories, ReplicationConfig};

    const EPOCH: BrokerEpoch = BrokerEpoch(1);

    struct TheLease;

    impl Lease for TheLease {
        fn is_valid(&self) -> bool {
            true
        }

        fn broker_epoch(&self) -> BrokerEpoch {
            EPOCH
        }
    }

    fn open_directory(disk: &SimFs) -> Arc<LogDirectory> {
        let identity =
            Identity { node_id: BrokerId(0), cluster_id: None, new_directory_id: DirectoryId::from_random(1) };
        LogDirectory::open(Fs::Sim(disk.clone()), Path::new("data"), &identity).unwrap()
    }

    /// Leaves a log with one record, as a process that was killed does.
    fn leave_a_log(disk: &SimFs, name: &TopicPartition, topic_id: TopicId) {
        let now = clock::wall_ms();
        let mut batch = BatchBuilder::new(Compression::None);
        batch.append(now, None, Some(b"value"), &[]);
        let batch = validate_produce(batch.build(), name, &ValidationLimits::new(now)).unwrap();
        let mut log = open_directory(disk).open_log(name, topic_id, LogConfig::default(), now).unwrap();
        log.append_leader(&batch, LeaderEpoch(0), now).unwrap();
        log.flush_target().flush().unwrap();
    }

    /// Metadata that touch a partition when its log has just been recovered, and before it was taken over, do not take the place
    /// for empty.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_recovered_log_is_taken_over_before_its_name_is_free() {
        let (disk, topic, topic_id) = (SimFs::new(), TopicName::new("t").unwrap(), TopicId::from_random(1));
        let name = TopicPartition { topic: topic.clone(), partition: PartitionIndex(0) };
        let id = TopicIdPartition { topic_id, partition: name.partition };
        leave_a_log(&disk, &name, topic_id);
        let directory = open_directory(&disk);
        let registration = BrokerRegistration {
            id: BrokerId(0),
            epoch: EPOCH,
            incarnation: IncarnationId::from_random(1),
            listeners: Vec::new(),
            internal: HostPort { host: "127.0.0.1".to_owned(), port: 1 },
            rack: None,
            log_dirs: vec![directory.id()],
            fenced: false,
            in_controlled_shutdown: false,
            software: NodeSoftware::default(),
        };
        let alone = vec![BrokerId(0)];
        let state = PartitionImage::new(alone.clone(), vec![directory.id()], alone, BrokerId(0));
        let records = [
            MetadataRecord::RegisterBroker(registration),
            MetadataRecord::Topic { name: topic, id: topic_id },
            MetadataRecord::Partition { topic_id, partition: name.partition, state },
        ];
        let (image, delta) = MetadataImage::empty().apply(&records, MetadataOffset(3));
        let touched = PartitionChange::nothing(id, LeaderEpoch(0), PartitionEpoch(1));
        let touched: (MetadataImage, MetadataDelta) =
            image.apply(&[MetadataRecord::PartitionChange(touched)], MetadataOffset(4));

        let properties = StaticBrokerConfig::new(BrokerId(0), Default::default()).unwrap();
        let config = ReplicationConfig::new(BrokerId(0), properties);
        let node = Node::new(Env::in_memory(disk, SimKv::new()), config, Arc::new(TheLease));
        let context = Arc::new(Context::new(Arc::new(node)));
        let directories = LogDirectories { opened: vec![directory], unreadable: Vec::new() };
        let metadata = Arc::new(Mutex::new(MetadataFollower::new(context.clone(), &directories)));
        let (stop, stopped) = watch::channel(false);
        let worker = tokio::spawn(work(context.clone(), Arc::downgrade(&metadata), stopped));
        {
            let mut following = metadata.lock();
            following.apply(&Arc::new(image), &delta);
            assert!(context.log_work.is_busy(&name), "a crash left it");
            let (image, delta) = (Arc::new(touched.0), touched.1);
            // Meanwhile the worker is through with it, and waits for its turn.
            let until = clock::mono_ms() + Duration::from_millis(100);
            while clock::mono_ms() < until {
                following.apply(&image, &delta);
                assert!(context.partition(id).is_none(), "whoever takes it over knows what is in it");
            }
        }
        while context.log_work.recovering() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(context.partition(id).unwrap().snapshot().log_end, Offset(1));
        stop.send_replace(true);
        worker.await.unwrap();
    }
}
