//! Single partitions: one family at a time, so that the text of all of them is never in memory at once.

use highwater_metrics::table::partitions;
use highwater_metrics::{Family, Metric};
use highwater_replication::PartitionFigures;

/// What a family shows of a replica.
enum Value {
    /// A figure of every replica.
    Replica(fn(&PartitionFigures) -> i64),
    /// A figure where the partition is led.
    Leader(fn(&PartitionFigures) -> i64),
    /// One figure per follower, where the partition is led.
    Followers,
}

/// A family of the chapter.
pub(crate) struct PartitionFamily {
    metric: &'static Metric,
    value: Value,
}

/// All families, in the order of the table.
pub(crate) static FAMILIES: [PartitionFamily; 12] = [
    replica(&partitions::LOG_SIZE, |figures| i64::try_from(figures.size_bytes).unwrap_or(i64::MAX)),
    replica(&partitions::NUM_LOG_SEGMENTS, |figures| figures.segments as i64),
    replica(&partitions::LOG_START_OFFSET, |figures| figures.log_start.get()),
    replica(&partitions::LOG_END_OFFSET, |figures| figures.log_end.get()),
    replica(&partitions::HIGH_WATERMARK, |figures| figures.high_watermark.get()),
    leader(&partitions::LAST_STABLE_OFFSET_LAG, |figures| {
        figures.high_watermark.get() - figures.last_stable_offset.get()
    }),
    leader(&partitions::REPLICAS_COUNT, |figures| figures.replicas as i64),
    leader(&partitions::IN_SYNC_REPLICAS_COUNT, |figures| figures.isr as i64),
    leader(&partitions::UNDER_REPLICATED, |figures| i64::from(figures.is_under_replicated())),
    leader(&partitions::UNDER_MIN_ISR, |figures| i64::from(figures.is_under_min_isr())),
    leader(&partitions::AT_MIN_ISR, |figures| i64::from(figures.is_at_min_isr())),
    PartitionFamily { metric: &partitions::FOLLOWER_LAG, value: Value::Followers },
];

const fn replica(metric: &'static Metric, value: fn(&PartitionFigures) -> i64) -> PartitionFamily {
    PartitionFamily { metric, value: Value::Replica(value) }
}

const fn leader(metric: &'static Metric, value: fn(&PartitionFigures) -> i64) -> PartitionFamily {
    PartitionFamily { metric, value: Value::Leader(value) }
}

impl PartitionFamily {
    /// The family's text.
    pub(crate) fn write(&self, all: &[PartitionFigures]) -> String {
        let mut family = Family::new(self.metric);
        for figures in all {
            match self.value {
                Value::Replica(value) => family.add(&[&figures.topic, &figures.partition], value(figures)),
                Value::Leader(value) if figures.leads() => {
                    family.add(&[&figures.topic, &figures.partition], value(figures));
                }
                Value::Leader(_) => {}
                Value::Followers => figures.follower_lags.iter().for_each(|(follower, lag)| {
                    family.add(&[&figures.topic, &figures.partition, follower], lag);
                }),
            }
        }
        family.into_text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_of_the_chapter_is_written() {
        let written = FAMILIES.iter().map(|family| family.metric.name);
        assert!(written.eq(partitions::SECTION.metrics.iter().map(|metric| metric.name)));
    }
}
