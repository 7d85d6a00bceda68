//! Consumer lag of the groups that this broker coordinates.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_coordinator_runtime::GroupCoordinator;
use highwater_replication::Replicas;
use highwater_types::{Offset, PartitionIndex};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

const LABELS: &[&str] = &["group", "topic", "partition"];

/// Committed offsets and, for partitions with a replica on this broker, how far they are behind the high watermark. A lag
/// that this broker cannot know is left out: it has no replica to compare with.
pub(crate) struct GroupLag {
    groups: Arc<GroupCoordinator>,
    replicas: Arc<Replicas>,
    committed: Desc,
    lag: Desc,
}

impl GroupLag {
    pub(crate) fn new(groups: Arc<GroupCoordinator>, replicas: Arc<Replicas>) -> Self {
        let desc = |opts: Opts| prometheus::core::Describer::describe(&opts).expect("the name is legal");
        Self { groups, replicas, committed: desc(committed_opts()), lag: desc(lag_opts()) }
    }

    fn high_watermarks(&self) -> BTreeMap<(String, PartitionIndex), Offset> {
        let key = |status: highwater_replication::PartitionStatus| {
            ((status.topic.as_str().to_owned(), status.partition), status.high_watermark)
        };
        self.replicas.statuses().into_iter().map(key).collect()
    }
}

fn committed_opts() -> Opts {
    Opts::new("kafka_consumergroup_current_offset", "Offset a group has committed for a partition.")
        .variable_labels(LABELS.iter().map(|label| (*label).to_owned()).collect())
}

fn lag_opts() -> Opts {
    Opts::new("kafka_consumergroup_lag", "Records between a group's committed offset and the high watermark.")
        .variable_labels(LABELS.iter().map(|label| (*label).to_owned()).collect())
}

impl Collector for GroupLag {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.committed, &self.lag]
    }

    /// Built anew each time: groups and topics that are gone leave nothing behind.
    fn collect(&self) -> Vec<MetricFamily> {
        let committed = IntGaugeVec::new(committed_opts(), LABELS).expect("the name is legal");
        let lag = IntGaugeVec::new(lag_opts(), LABELS).expect("the name is legal");
        let ends = self.high_watermarks();
        for offset in self.groups.committed_offsets() {
            let partition = offset.partition.0.to_string();
            let labels = [offset.group_id.as_str(), offset.topic.as_str(), partition.as_str()];
            committed.with_label_values(&labels).set(offset.offset.0);
            if let Some(end) = ends.get(&(offset.topic.clone(), offset.partition)) {
                lag.with_label_values(&labels).set((end.0 - offset.offset.0).max(0));
            }
        }
        [committed, lag].iter().flat_map(Collector::collect).collect()
    }
}
