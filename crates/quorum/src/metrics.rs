//! Figures of one controller, collected when they are asked for.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Opts};

use crate::ControllerNode;
use crate::controller_core::Core;

/// Reads one figure.
type Read = fn(&Core) -> i64;

/// Registers with any number of registries; each gets its own collector.
pub(crate) struct QuorumCollector {
    core: Arc<Core>,
    gauges: Vec<(IntGauge, Read)>,
}

impl ControllerNode {
    /// The figures of this controller: whether it is active, Raft's term, log positions, and the metadata offset.
    pub fn metrics(&self) -> impl Collector + use<> {
        QuorumCollector::new(self.core().clone())
    }
}

impl QuorumCollector {
    fn new(core: Arc<Core>) -> Self {
        let figures: [(&str, &str, Read); 9] = [
            (
                "highwater_controller_active_count",
                "1 on the active controller, 0 on the others; the sum over all nodes is 1.",
                |core| i64::from(core.active_term().is_some()),
            ),
            ("highwater_raft_term", "Raft term of the metadata quorum, which is the controller epoch.", |core| {
                as_i64(core.raft_metrics().current_term)
            }),
            ("highwater_raft_leader_id", "Node id of the Raft leader as this node knows it; -1 if none.", |core| {
                core.raft_metrics().current_leader.map_or(-1, as_i64)
            }),
            ("highwater_raft_last_log_index", "Index of the last entry in this node's metadata log.", |core| {
                core.raft_metrics().last_log_index.map_or(-1, as_i64)
            }),
            ("highwater_raft_last_applied_index", "Index of the last entry this node has applied.", |core| {
                core.raft_metrics().last_applied.map_or(-1, |log_id| as_i64(log_id.index()))
            }),
            (
                "highwater_raft_commit_lag",
                "Entries that the quorum has committed and this node has not applied yet.",
                |core| {
                    let metrics = core.raft_metrics();
                    let next = |index: Option<u64>| index.map_or(0, |index| index + 1);
                    let committed = next(metrics.cluster_committed.map(|log_id| log_id.index()));
                    as_i64(committed.saturating_sub(next(metrics.last_applied.map(|log_id| log_id.index()))))
                },
            ),
            ("highwater_metadata_offset", "Where the committed metadata log ends on this node.", |core| {
                core.feed.image().offset().0
            }),
            (
                "kafka_controller_controllerstats_uncleanleaderelections",
                "Elections of leaders that may lack acknowledged records, in the metadata that this controller has applied since \
                 it started. Every controller counts them: take the maximum over the nodes.",
                |core| as_i64(core.feed.unclean_elections()),
            ),
            ("highwater_controller_fenced_broker_count", "Registered brokers that are fenced.", |core| {
                core.feed.image().brokers().filter(|broker| broker.fenced).count().try_into().unwrap_or(i64::MAX)
            }),
        ];
        let gauge = |(name, help, read): (&str, &str, Read)| {
            (IntGauge::with_opts(Opts::new(name, help)).expect("the names are legal"), read)
        };
        Self { core, gauges: figures.into_iter().map(gauge).collect() }
    }
}

impl Collector for QuorumCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.iter().flat_map(|(gauge, _)| gauge.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let read = |(gauge, read): &(IntGauge, Read)| {
            gauge.set(read(&self.core));
            gauge.collect()
        };
        self.gauges.iter().flat_map(read).collect()
    }
}

fn as_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
