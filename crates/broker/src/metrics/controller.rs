//! The cluster as the active controller sees it.

use highwater_metadata::MetadataImage;
use highwater_metrics::Metric;
use highwater_metrics::table::controller;
use highwater_quorum::ControllerNode;
use prometheus::IntGauge;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

type Figure = fn(&MetadataImage) -> usize;

const FIGURES: [(&Metric, Figure); 7] = [
    (&controller::OFFLINE_PARTITIONS_COUNT, |image| {
        partitions(image).filter(|partition| !partition.has_leader()).count()
    }),
    (&controller::PREFERRED_REPLICA_IMBALANCE_COUNT, |image| {
        partitions(image).filter(|partition| partition.leader != partition.preferred_leader()).count()
    }),
    (&controller::GLOBAL_TOPIC_COUNT, MetadataImage::topic_count),
    (&controller::GLOBAL_PARTITION_COUNT, |image| partitions(image).count()),
    (&controller::ACTIVE_BROKER_COUNT, |image| image.brokers().filter(|broker| !broker.fenced).count()),
    (&controller::FENCED_BROKER_COUNT, |image| image.brokers().filter(|broker| broker.fenced).count()),
    (&controller::REASSIGNING_PARTITIONS, |image| {
        partitions(image).filter(|partition| partition.is_reassigning()).count()
    }),
];

/// Counted when asked for. On controllers that are not active all are 0, so that a sum over all nodes
/// is right, as in Kafka.
pub(crate) struct ControllerFigures {
    controller: ControllerNode,
    figures: Vec<(IntGauge, Figure)>,
}

impl ControllerFigures {
    pub(crate) fn new(controller: ControllerNode) -> Self {
        let figures = FIGURES.iter().map(|(metric, figure)| (metric.int_gauge(), *figure)).collect();
        Self { controller, figures }
    }
}

fn partitions(image: &MetadataImage) -> impl Iterator<Item = &highwater_metadata::PartitionImage> {
    image.topics().flat_map(|topic| topic.iter().map(|(_, partition)| &**partition))
}

impl Collector for ControllerFigures {
    fn desc(&self) -> Vec<&Desc> {
        self.figures.iter().flat_map(|(gauge, _)| gauge.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let image = self.controller.is_active().then(|| self.controller.image());
        for (gauge, figure) in &self.figures {
            let value = image.as_ref().map_or(0, |image| figure(image));
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.figures.iter().flat_map(|(gauge, _)| gauge.collect()).collect()
    }
}
