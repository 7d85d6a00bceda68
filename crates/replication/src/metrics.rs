//! Figures of all replicas together. Read when scraped: nothing is counted on the hot path. Those of single partitions are
//! [`crate::PartitionFigures`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use highwater_metrics::table::{logs, replicas};
use highwater_rpc::replication::Lane;
use highwater_types::BrokerId;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, IntGaugeVec};

use crate::cleaner_metrics::CleanerMetrics;
use crate::context::Context;
use crate::directory_metrics::DirectoryMetrics;
use crate::partition::Partition;
use crate::totals::catch_up;
use crate::{LogDirectories, PartitionFigures, PartitionRole};

/// Collects from the registry.
pub(crate) struct ReplicaMetrics {
    context: Arc<Context>,
    partitions: IntGauge,
    leaders: IntGauge,
    under_replicated: IntGauge,
    under_min_isr: IntGauge,
    at_min_isr: IntGauge,
    offline: IntGauge,
    producers: IntGauge,
    isr_shrinks: IntCounter,
    isr_expands: IntCounter,
    failed_isr_updates: IntCounter,
    bytes_in: IntCounter,
    bytes_out: IntCounter,
    throttled_bytes_in: IntCounter,
    throttled_bytes_out: IntCounter,
    throttled: IntGauge,
    follower_max_lag: IntGaugeVec,
    remaining_logs: IntGauge,
    directories: DirectoryMetrics,
    cleaner: CleanerMetrics,
}

/// What is added up over the replicas.
#[derive(Default)]
struct Totals {
    leaders: i64,
    under_replicated: i64,
    under_min_isr: i64,
    at_min_isr: i64,
    offline: i64,
    producers: i64,
    follower_max_lag: BTreeMap<BrokerId, i64>,
}

impl Totals {
    fn add(&mut self, figures: &PartitionFigures) {
        self.leaders += i64::from(figures.leads());
        self.under_replicated += i64::from(figures.is_under_replicated());
        self.under_min_isr += i64::from(figures.is_under_min_isr());
        self.at_min_isr += i64::from(figures.is_at_min_isr());
        self.offline += i64::from(figures.role == PartitionRole::Offline || !figures.has_leader);
        self.producers += figures.producers as i64;
        for &(follower, lag) in &figures.follower_lags {
            let max = self.follower_max_lag.entry(follower).or_default();
            *max = lag.max(*max);
        }
    }
}

impl ReplicaMetrics {
    pub fn new(context: Arc<Context>, directories: LogDirectories) -> Self {
        let fs = context.node.env.fs.clone();
        Self {
            context,
            partitions: replicas::PARTITION_COUNT.int_gauge(),
            leaders: replicas::LEADER_COUNT.int_gauge(),
            under_replicated: replicas::UNDER_REPLICATED_PARTITIONS.int_gauge(),
            under_min_isr: replicas::UNDER_MIN_ISR_PARTITION_COUNT.int_gauge(),
            at_min_isr: replicas::AT_MIN_ISR_PARTITION_COUNT.int_gauge(),
            offline: replicas::OFFLINE_REPLICA_COUNT.int_gauge(),
            producers: replicas::PRODUCER_ID_COUNT.int_gauge(),
            isr_shrinks: replicas::ISR_SHRINKS.int_counter(),
            isr_expands: replicas::ISR_EXPANDS.int_counter(),
            failed_isr_updates: replicas::FAILED_ISR_UPDATES.int_counter(),
            bytes_in: replicas::REPLICATION_BYTES_IN.int_counter(),
            bytes_out: replicas::REPLICATION_BYTES_OUT.int_counter(),
            throttled_bytes_in: replicas::THROTTLED_BYTES_IN.int_counter(),
            throttled_bytes_out: replicas::THROTTLED_BYTES_OUT.int_counter(),
            throttled: replicas::THROTTLED_REPLICAS.int_gauge(),
            follower_max_lag: replicas::FOLLOWER_MAX_LAG.int_gauge_vec(),
            remaining_logs: logs::REMAINING_LOGS.int_gauge(),
            directories: DirectoryMetrics::new(directories, fs),
            cleaner: CleanerMetrics::new(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let own: [&dyn Collector; 17] = [
            &self.partitions,
            &self.leaders,
            &self.under_replicated,
            &self.under_min_isr,
            &self.at_min_isr,
            &self.offline,
            &self.producers,
            &self.isr_shrinks,
            &self.isr_expands,
            &self.failed_isr_updates,
            &self.bytes_in,
            &self.bytes_out,
            &self.throttled_bytes_in,
            &self.throttled_bytes_out,
            &self.throttled,
            &self.follower_max_lag,
            &self.remaining_logs,
        ];
        own.into_iter().chain(self.directories.all()).chain(self.cleaner.all())
    }

    fn refresh(&self) {
        self.cleaner.refresh(&self.context);
        self.remaining_logs.set(self.context.log_work.recovering() as i64);
        self.directories.refresh();
        let partitions: Vec<_> = self.context.partitions.read().values().cloned().collect();
        let mut totals = Totals::default();
        partitions.iter().for_each(|partition| totals.add(&partition.figures()));
        let is_throttled =
            |partition: &&Arc<Partition>| partition.source().is_some_and(|(_, lane)| lane == Lane::Throttled);
        self.throttled.set(partitions.iter().filter(is_throttled).count() as i64);
        self.partitions.set(partitions.len() as i64);
        self.leaders.set(totals.leaders);
        self.under_replicated.set(totals.under_replicated);
        self.under_min_isr.set(totals.under_min_isr);
        self.at_min_isr.set(totals.at_min_isr);
        self.offline.set(totals.offline + self.context.unavailable.read().len() as i64);
        self.producers.set(totals.producers);
        self.follower_max_lag.reset();
        for (follower, lag) in totals.follower_max_lag {
            self.follower_max_lag.with_label_values(&[&follower.to_string()]).set(lag);
        }
        let counters = &self.context.node.counters;
        let follow = |counter: &IntCounter, total: &AtomicU64| catch_up(counter, total.load(Ordering::Relaxed));
        follow(&self.isr_shrinks, &counters.isr_shrinks);
        follow(&self.isr_expands, &counters.isr_expands);
        follow(&self.failed_isr_updates, &counters.failed_isr_updates);
        follow(&self.bytes_in, &counters.replication_bytes_in);
        follow(&self.bytes_out, &counters.replication_bytes_out);
        follow(&self.throttled_bytes_in, &counters.throttled_bytes_in);
        follow(&self.throttled_bytes_out, &counters.throttled_bytes_out);
    }
}

impl Collector for ReplicaMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().flat_map(|metric| metric.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        self.all().flat_map(|metric| metric.collect()).collect()
    }
}
