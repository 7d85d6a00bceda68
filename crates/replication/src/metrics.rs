//! Figures for Prometheus, under the names that Kafka's metrics have after the JMX exporter. Read when scraped: nothing is
//! counted on the hot path.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use highwater_types::BrokerId;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts};

use crate::cleaner_metrics::CleanerMetrics;
use crate::context::Context;
use crate::directory_metrics::DirectoryMetrics;
use crate::totals::catch_up;
use crate::{LogDirectories, PartitionRole, PartitionStatus};

/// Collects from the registry.
pub(crate) struct ReplicaMetrics {
    context: Arc<Context>,
    partitions: IntGauge,
    leaders: IntGauge,
    under_replicated: IntGauge,
    under_min_isr: IntGauge,
    at_min_isr: IntGauge,
    offline: IntGauge,
    isr_shrinks: IntCounter,
    isr_expands: IntCounter,
    failed_isr_updates: IntCounter,
    log_start: IntGaugeVec,
    log_end: IntGaugeVec,
    high_watermark: IntGaugeVec,
    size: IntGaugeVec,
    remaining_logs: IntGauge,
    directories: DirectoryMetrics,
    cleaner: CleanerMetrics,
}

impl ReplicaMetrics {
    pub fn new(context: Arc<Context>, directories: LogDirectories) -> Self {
        Self {
            context,
            directories: DirectoryMetrics::new(directories),
            partitions: gauge("partitioncount", "Replicas on this broker"),
            leaders: gauge("leadercount", "Partitions led by this broker"),
            under_replicated: gauge("underreplicatedpartitions", "Partitions led here with a replica out of sync"),
            under_min_isr: gauge("underminisrpartitioncount", "Partitions led here below min.insync.replicas"),
            at_min_isr: gauge("atminisrpartitioncount", "Partitions led here with exactly min.insync.replicas in sync"),
            offline: gauge("offlinereplicacount", "Replicas here that are out of service or have no leader"),
            isr_shrinks: counter("isrshrinks_total", "Times an ISR of a partition led here lost a member"),
            isr_expands: counter("isrexpands_total", "Times an ISR of a partition led here got a member"),
            failed_isr_updates: counter(
                "failedisrupdates_total",
                "ISR changes the controller refused or did not answer",
            ),
            log_start: per_partition("kafka_log_log_logstartoffset", "First offset of the log"),
            log_end: per_partition("kafka_log_log_logendoffset", "Offset of the next record"),
            high_watermark: per_partition("kafka_cluster_partition_highwatermark", "Everything below is committed"),
            size: per_partition("kafka_log_log_size", "Size of the log in bytes"),
            remaining_logs: IntGauge::new(
                "kafka_log_logmanager_remaininglogstorecover",
                "Logs that a crash left and that wait for recovery",
            )
            .expect("a legal name"),
            cleaner: CleanerMetrics::new(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let own: [&dyn Collector; 14] = [
            &self.partitions,
            &self.leaders,
            &self.under_replicated,
            &self.under_min_isr,
            &self.at_min_isr,
            &self.offline,
            &self.isr_shrinks,
            &self.isr_expands,
            &self.failed_isr_updates,
            &self.log_start,
            &self.log_end,
            &self.high_watermark,
            &self.size,
            &self.remaining_logs,
        ];
        own.into_iter().chain(self.directories.all()).chain(self.cleaner.all())
    }

    fn per_partition(&self) -> [&IntGaugeVec; 4] {
        [&self.log_start, &self.log_end, &self.high_watermark, &self.size]
    }

    fn refresh(&self) {
        self.cleaner.refresh(&self.context);
        self.remaining_logs.set(self.context.log_work.recovering() as i64);
        self.directories.refresh();
        let partitions: Vec<_> = self.context.partitions.read().values().cloned().collect();
        let statuses: Vec<PartitionStatus> = partitions.iter().map(|partition| partition.status()).collect();
        let count = |what: fn(&PartitionStatus) -> bool| statuses.iter().filter(|status| what(status)).count() as i64;
        self.partitions.set(statuses.len() as i64);
        self.leaders.set(count(leads));
        self.under_replicated.set(count(|status| leads(status) && status.isr.len() < status.replicas.len()));
        self.under_min_isr.set(count(|status| leads(status) && status.isr.len() < status.min_isr));
        self.at_min_isr.set(count(|status| leads(status) && status.isr.len() == status.min_isr));
        let offline = count(|status| status.role == PartitionRole::Offline || status.leader == BrokerId::NONE);
        self.offline.set(offline + self.context.unavailable.read().len() as i64);
        let counters = &self.context.node.counters;
        catch_up(&self.isr_shrinks, counters.isr_shrinks.load(Ordering::Relaxed));
        catch_up(&self.isr_expands, counters.isr_expands.load(Ordering::Relaxed));
        catch_up(&self.failed_isr_updates, counters.failed_isr_updates.load(Ordering::Relaxed));
        self.per_partition().iter().for_each(|vector| vector.reset());
        for status in &statuses {
            let index = status.partition.to_string();
            let labels = [status.topic.as_str(), &index];
            self.log_start.with_label_values(&labels).set(status.log_start.get());
            self.log_end.with_label_values(&labels).set(status.log_end.get());
            self.high_watermark.with_label_values(&labels).set(status.high_watermark.get());
            self.size.with_label_values(&labels).set(i64::try_from(status.size_bytes).unwrap_or(i64::MAX));
        }
    }
}

impl Collector for ReplicaMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.all().flat_map(|metric| metric.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        let families = self.all().flat_map(|metric| metric.collect()).collect();
        // Until the next scrape they would only take room, four figures for each partition.
        self.per_partition().iter().for_each(|vector| vector.reset());
        families
    }
}

fn leads(status: &PartitionStatus) -> bool {
    status.role == PartitionRole::Leader
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("kafka_server_replicamanager_{name}"), help)
}

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::with_opts(opts(name, help)).expect("a legal name")
}

fn counter(name: &str, help: &str) -> IntCounter {
    IntCounter::with_opts(opts(name, help)).expect("a legal name")
}

fn per_partition(name: &str, help: &str) -> IntGaugeVec {
    IntGaugeVec::new(Opts::new(name, help), &["topic", "partition"]).expect("a legal name")
}
