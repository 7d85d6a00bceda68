//! All figures, by chapter.

pub mod broker;
pub mod controller;
pub mod groups;
pub mod logs;
pub mod partitions;
pub mod process;
pub mod quorum;
pub mod replicas;
pub mod requests;
pub mod topics;

use crate::{Metric, Section};

/// The chapters in the order of the document.
pub static SECTIONS: &[&Section] = &[
    &controller::SECTION,
    &quorum::SECTION,
    &broker::SECTION,
    &replicas::SECTION,
    &requests::SECTION,
    &topics::SECTION,
    &groups::SECTION,
    &logs::SECTION,
    &partitions::SECTION,
    &process::SECTION,
];

/// Every figure.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    SECTIONS.iter().flat_map(|section| section.metrics.iter().copied())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Kind, Presence};

    #[test]
    fn each_figure_is_described_once_and_well() {
        let mut names = BTreeSet::new();
        for metric in all() {
            let name = metric.name;
            assert!(names.insert(name), "{name} is there twice");
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(name.chars().all(legal), "{name}");
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{name}: {}", metric.help);
            assert!(metric.when_bad.is_empty() || metric.when_bad.ends_with('.'), "{name}: {}", metric.when_bad);
            assert!(!metric.unit.is_empty(), "{name}");
            assert!(metric.kafka.is_empty() || metric.kafka.starts_with("kafka."), "{name}: {}", metric.kafka);
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            let per_partition = metric.presence == Presence::PerPartition;
            assert!(!per_partition || metric.labels.starts_with(&["topic", "partition"]), "{name}");
        }
    }
}
