//! The groups that this broker coordinates, in total.

use std::sync::Arc;

use highwater_coordinator_runtime::{GroupCoordinator, GroupState};
use highwater_metrics::Metric;
use highwater_metrics::table::groups;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, IntGaugeVec};

const STATES: [(GroupState, &Metric); 5] = [
    (GroupState::Empty, &groups::NUM_GROUPS_EMPTY),
    (GroupState::PreparingRebalance, &groups::NUM_GROUPS_PREPARING_REBALANCE),
    (GroupState::CompletingRebalance, &groups::NUM_GROUPS_COMPLETING_REBALANCE),
    (GroupState::Stable, &groups::NUM_GROUPS_STABLE),
    (GroupState::Dead, &groups::NUM_GROUPS_DEAD),
];

/// Counted when asked for.
pub(crate) struct GroupTotals {
    groups: Arc<GroupCoordinator>,
    count: IntGauge,
    by_state: Vec<(GroupState, IntGauge)>,
    offsets: IntGauge,
    rebalances: IntCounter,
    shards: IntGaugeVec,
}

impl GroupTotals {
    pub(crate) fn new(groups: Arc<GroupCoordinator>) -> Self {
        Self {
            groups,
            count: groups::NUM_GROUPS.int_gauge(),
            by_state: STATES.iter().map(|(state, metric)| (*state, metric.int_gauge())).collect(),
            offsets: groups::NUM_OFFSETS.int_gauge(),
            rebalances: groups::COMPLETED_REBALANCES.int_counter(),
            shards: groups::NUM_PARTITIONS.int_gauge_vec(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let own: [&dyn Collector; 4] = [&self.count, &self.offsets, &self.rebalances, &self.shards];
        own.into_iter().chain(self.by_state.iter().map(|(_, gauge)| gauge as &dyn Collector))
    }

    fn refresh(&self) {
        let figures = self.groups.group_figures();
        self.count.set(figures.len() as i64);
        for (state, gauge) in &self.by_state {
            gauge.set(figures.iter().filter(|group| group.state == *state).count() as i64);
        }
        self.offsets.set(self.groups.committed_offsets().len() as i64);
        self.rebalances.inc_by(self.groups.completed_rebalances().saturating_sub(self.rebalances.get()));
        let shards = self.groups.shard_counts();
        for (state, count) in [("loading", shards.loading), ("active", shards.active), ("failed", shards.failed)] {
            self.shards.with_label_values(&[state]).set(count as i64);
        }
    }
}

impl Collector for GroupTotals {
    fn desc(&self) -> Vec<&Desc> {
        self.all().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        self.all().flat_map(Collector::collect).collect()
    }
}
