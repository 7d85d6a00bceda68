//! The cluster as the active controller sees it.

use highwater_metadata::MetadataImage;
use highwater_quorum::ControllerNode;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Opts};

type Figure = fn(&MetadataImage) -> usize;

/// Counted when asked for. On controllers that are not active all but the first figure are 0, so that a sum over all nodes
/// is right, as in Kafka.
pub(crate) struct ControllerFigures {
    controller: ControllerNode,
    active: IntGauge,
    figures: Vec<(IntGauge, Figure)>,
}

impl ControllerFigures {
    pub(crate) fn new(controller: ControllerNode) -> Self {
        let figures: [(&str, &str, Figure); 5] = [
            ("kafka_controller_kafkacontroller_offlinepartitionscount", "Partitions without a leader.", |image| {
                partitions(image).filter(|partition| !partition.has_leader()).count()
            }),
            (
                "kafka_controller_kafkacontroller_preferredreplicaimbalancecount",
                "Partitions that are not led by their preferred leader.",
                |image| partitions(image).filter(|partition| partition.leader != partition.preferred_leader()).count(),
            ),
            ("kafka_controller_kafkacontroller_globaltopiccount", "Topics.", MetadataImage::topic_count),
            ("kafka_controller_kafkacontroller_globalpartitioncount", "Partitions.", |image| partitions(image).count()),
            (
                "kafka_controller_kafkacontroller_activebrokercount",
                "Registered brokers that are not fenced.",
                |image| image.brokers().filter(|broker| !broker.fenced).count(),
            ),
        ];
        let active = gauge(
            "kafka_controller_kafkacontroller_activecontrollercount",
            "1 on the active controller, 0 on the others.",
        );
        let figures = figures.into_iter().map(|(name, help, figure)| (gauge(name, help), figure)).collect();
        Self { controller, active, figures }
    }
}

fn gauge(name: &str, help: &str) -> IntGauge {
    IntGauge::with_opts(Opts::new(name, help)).expect("the name is legal")
}

fn partitions(image: &MetadataImage) -> impl Iterator<Item = &highwater_metadata::PartitionImage> {
    image.topics().flat_map(|topic| topic.iter().map(|(_, partition)| &**partition))
}

impl Collector for ControllerFigures {
    fn desc(&self) -> Vec<&Desc> {
        self.figures.iter().map(|(gauge, _)| gauge).chain([&self.active]).flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let image = self.controller.is_active().then(|| self.controller.image());
        self.active.set(i64::from(image.is_some()));
        for (gauge, figure) in &self.figures {
            let value = image.as_ref().map_or(0, |image| figure(image));
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        self.figures.iter().map(|(gauge, _)| gauge).chain([&self.active]).flat_map(Collector::collect).collect()
    }
}
