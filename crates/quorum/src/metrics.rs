//! Figures of one controller, collected when they are asked for.

use std::sync::Arc;

use highwater_metrics::Metric;
use highwater_metrics::table::{controller, quorum};
use openraft::async_runtime::Instant as _;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, IntGaugeVec};

use crate::ControllerNode;
use crate::controller_core::Core;

/// Reads one figure.
type Read = fn(&Core) -> i64;

const GAUGES: [(&Metric, Read); 12] = [
    (&controller::ACTIVE_CONTROLLER_COUNT, |core| i64::from(core.active_term().is_some())),
    (&quorum::TERM, |core| as_i64(core.raft_metrics().current_term)),
    (&quorum::LEADER_ID, |core| core.leader_hint().0.map_or(-1, |leader| i64::from(leader.get()))),
    (&quorum::VOTERS, |core| as_i64(core.raft_metrics().membership_config.voter_ids().count() as u64)),
    (&quorum::LAST_LOG_INDEX, |core| core.raft_metrics().last_log_index.map_or(-1, as_i64)),
    (&quorum::COMMITTED_INDEX, |core| {
        core.raft_metrics().cluster_committed.map_or(-1, |log_id| as_i64(log_id.index()))
    }),
    (&quorum::LAST_APPLIED_INDEX, |core| core.raft_metrics().last_applied.map_or(-1, |log_id| as_i64(log_id.index()))),
    (&quorum::COMMIT_LAG, |core| {
        let metrics = core.raft_metrics();
        let next = |index: Option<u64>| index.map_or(0, |index| index + 1);
        let committed = next(metrics.cluster_committed.map(|log_id| log_id.index()));
        as_i64(committed.saturating_sub(next(metrics.last_applied.map(|log_id| log_id.index()))))
    }),
    (&quorum::QUORUM_ACK_AGE, |core| {
        let acked = core.raft_metrics().last_quorum_acked;
        acked.map_or(-1, |acked| as_i64(acked.into_inner().elapsed().as_millis() as u64))
    }),
    (&quorum::SNAPSHOT_INDEX, |core| core.raft_metrics().snapshot.map_or(-1, |log_id| as_i64(log_id.index()))),
    (&quorum::PURGED_INDEX, |core| core.raft_metrics().purged.map_or(-1, |log_id| as_i64(log_id.index()))),
    (&controller::LAST_APPLIED_RECORD_OFFSET, |core| core.feed.image().offset().0),
];

/// Registers with any number of registries; each gets its own collector.
pub(crate) struct QuorumCollector {
    core: Arc<Core>,
    gauges: Vec<(IntGauge, Read)>,
    elections: IntCounter,
    unclean_elections: IntCounter,
    queue_size: IntGauge,
    follower_lag: IntGaugeVec,
}

impl ControllerNode {
    /// The figures of this controller: Raft's term, log positions, elections, and the times of commands.
    pub fn metrics(&self) -> impl Collector + use<> {
        QuorumCollector::new(self.core().clone())
    }
}

impl QuorumCollector {
    fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            gauges: GAUGES.iter().map(|(metric, read)| (metric.int_gauge(), *read)).collect(),
            elections: controller::LEADER_ELECTIONS.int_counter(),
            unclean_elections: controller::UNCLEAN_LEADER_ELECTIONS.int_counter(),
            queue_size: controller::EVENT_QUEUE_SIZE.int_gauge(),
            follower_lag: quorum::FOLLOWER_LAG.int_gauge_vec(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let times = &self.core.event_times;
        let others: [&dyn Collector; 6] = [
            &self.elections,
            &self.unclean_elections,
            &self.queue_size,
            &self.follower_lag,
            &times.queue,
            &times.processing,
        ];
        self.gauges.iter().map(|(gauge, _)| gauge as &dyn Collector).chain(others)
    }

    fn refresh(&self) {
        let core = &self.core;
        self.gauges.iter().for_each(|(gauge, read)| gauge.set(read(core)));
        self.elections.inc_by(core.feed.elections().saturating_sub(self.elections.get()));
        self.unclean_elections.inc_by(core.feed.unclean_elections().saturating_sub(self.unclean_elections.get()));
        self.queue_size.set((core.queue.max_capacity() - core.queue.capacity()) as i64);
        self.follower_lag.reset();
        let raft = core.raft_metrics();
        let next = |index: Option<u64>| index.map_or(0, |index| index + 1);
        for (node, matching) in raft.replication.iter().flatten() {
            let held = next(matching.as_ref().map(|log_id| log_id.index()));
            let lag = next(raft.last_log_index).saturating_sub(held);
            self.follower_lag.with_label_values(&[&node.node.to_string()]).set(as_i64(lag));
        }
    }
}

impl Collector for QuorumCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        self.all().flat_map(Collector::collect).collect()
    }
}

fn as_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
