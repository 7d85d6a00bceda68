//! The figures of the table, and what each must reach.

use crate::goal::Better::{self, Higher, Lower};
use crate::goal::Goal;

/// One row of the table.
#[derive(Debug)]
pub struct Figure {
    /// Its name in the findings of its workload.
    pub name: &'static str,
    /// Id of the workload that finds it.
    pub workload: &'static str,
    pub label: &'static str,
    pub unit: &'static str,
    pub better: Better,
    pub strict: Option<Goal>,
    pub relaxed: Option<Goal>,
}

/// A figure with one goal at both durabilities.
const fn row(
    workload: &'static str,
    name: &'static str,
    label: &'static str,
    unit: &'static str,
    better: Better,
    goal: Goal,
) -> Figure {
    Figure { name, workload, label, unit, better, strict: Some(goal), relaxed: Some(goal) }
}

/// A figure without a goal, which explains its neighbours.
const fn shown(
    workload: &'static str,
    name: &'static str,
    label: &'static str,
    unit: &'static str,
    better: Better,
) -> Figure {
    Figure { name, workload, label, unit, better, strict: None, relaxed: None }
}

impl Figure {
    /// The same with another goal at strict durability, which pays for flushes that Kafka does not make.
    const fn strict(mut self, goal: Goal) -> Self {
        self.strict = Some(goal);
        self
    }
}

/// Ratios to Kafka.
const fn ratio(must: f64, stretch: f64) -> Goal {
    Goal::Ratio { must, stretch }
}

/// Figures of ours, whatever Kafka's.
const fn value(must: f64, stretch: f64) -> Goal {
    Goal::Value { must, stretch }
}

/// Every figure, in the order of the table.
pub const FIGURES: &[Figure] = &[
    row("A", "a.produce.cpu_s_per_gb", "produce RF 1, acks=1, 256 KiB batches", "CPU s/GB", Lower, ratio(4.0, 6.0)),
    row("A", "a.produce.mb_per_s", "the same", "MB/s", Higher, ratio(1.5, 1.7)),
    row("A", "a.read.cpu_s_per_gb", "read back", "CPU s/GB", Lower, ratio(1.3, 3.0)),
    row("B", "b.cpu_s_per_gb", "keyed, 16 KiB batches, 64 partitions", "CPU s/GB", Lower, ratio(3.5, 5.0)),
    row("B", "b.mb_per_s", "the same", "MB/s", Higher, ratio(1.6, 2.0)),
    row("C", "c.cpu_s_per_million", "100 B keyed records, 16 partitions", "CPU s/million", Lower, ratio(4.0, 8.0)),
    row("D", "d.lz4.cpu_s_per_gb", "as A with lz4", "CPU s/GB", Lower, ratio(5.0, 8.0)),
    row("D", "d.zstd.cpu_s_per_gb", "as A with zstd", "CPU s/GB", Lower, ratio(5.0, 8.0)),
    row("E", "e.cpu_s_per_gb", "RF 3, acks=all, idempotent, 16 partitions", "CPU s/GB", Lower, ratio(4.0, 6.0)),
    row("E", "e.mb_per_s", "the same", "MB/s", Higher, ratio(1.8, 2.5)),
    shown("E2", "e2.p50_ms", "E at 20,000 records/s, linger 1 ms: p50", "ms", Lower),
    row("E2", "e2.p99_ms", "p99", "ms", Lower, ratio(3.0, 6.0)),
    row("E2", "e2.p99.9_ms", "p99.9", "ms", Lower, ratio(4.0, 10.0)),
    row("E2", "e2.cpu_s_per_gb", "CPU", "CPU s/GB", Lower, ratio(4.0, 6.0)).strict(ratio(2.0, 3.0)),
    shown("E2", "e2.stood_still_s", "the machine itself stood still", "s", Lower),
    row("F", "f.rf3.p50_ms", "one record in flight, RF 3, acks=all: p50", "ms", Lower, ratio(1.5, 2.5))
        .strict(ratio(0.9, 1.3)),
    row("F", "f.rf3.cpu_us_per_record", "CPU", "us/record", Lower, ratio(5.0, 8.0)).strict(ratio(2.5, 4.0)),
    row("F", "f.rf1.p50_ms", "RF 1, acks=1: p50", "ms", Lower, ratio(1.5, 2.5)).strict(ratio(0.9, 1.3)),
    row("F", "f.rf1.cpu_us_per_record", "CPU", "us/record", Lower, ratio(5.0, 8.0)).strict(ratio(2.5, 4.0)),
    row("G", "g.tail.cpu_s_per_gb", "five consumers at the tail, 20 MB/s", "CPU s/GB read", Lower, ratio(1.3, 2.0)),
    row("G", "g.catch_up.cpu_s_per_gb", "catching up from the page cache", "CPU s/GB", Lower, ratio(1.3, 2.0)),
    row("G", "g.catch_up.mb_per_s", "the same", "MB/s", Higher, ratio(1.0, 1.2)),
    row(
        "G",
        "g.cold.p99_inflation",
        "producer's p99 as E at 20,000/s while a consumer reads from disk",
        "times",
        Lower,
        ratio(3.0, 10.0),
    ),
    row("I", "i.idle_cores", "5,000 partitions RF 3, at rest: CPU of all nodes", "cores", Lower, ratio(10.0, 50.0)),
    row("I", "i.private_mb", "private memory a node", "MB", Lower, ratio(8.0, 20.0)),
    row("I", "i.creation_s", "creation until every leader answers", "s", Lower, ratio(5.0, 20.0)),
    shown("I", "i.failover_s", "kill -9 of a node until every partition's leader answers", "s", Lower),
    row(
        "I2",
        "i2.complete_partitions",
        "partitions of one node, RF 1, with leaders",
        "partitions",
        Higher,
        value(50_000.0, 100_000.0),
    ),
    shown("I2", "i2.creation_s", "their creation", "s", Lower),
    shown("I2", "i2.private_mb", "their private memory", "MB", Lower),
    shown("I2", "i2.private_bytes_each", "the same for each partition", "B", Lower),
    shown("I2", "i2.more_open_files", "open files more than without them", "", Lower),
    shown("I2", "i2.idle_cores", "CPU at rest", "cores", Lower),
    row("K", "k.steady_cores", "groups of ten members, heartbeats: CPU of all nodes", "cores", Lower, ratio(4.0, 8.0)),
    shown("K", "k.rebalance.cpu_ms", "CPU of one rebalance", "ms", Lower),
    row("K", "k.rebalance.p99_ms", "rebalance: p99", "ms", Lower, ratio(2.0, 4.0)),
    row(
        "L",
        "l.1.records_per_s",
        "flushed before acknowledged, RF 1, 1 partition",
        "records/s",
        Higher,
        ratio(4.0, 10.0),
    ),
    row("L", "l.16.records_per_s", "16 partitions", "records/s", Higher, ratio(4.0, 10.0)),
    row("L", "l.128.records_per_s", "128 partitions", "records/s", Higher, ratio(4.0, 10.0)),
    row("L", "l.steady.p99_ms", "16 partitions at 10,000 records/s: p99", "ms", Lower, ratio(3.0, 5.0)),
    row("M1", "m1.start_ms", "start of a node to its first acknowledgement", "ms", Lower, ratio(8.0, 20.0)),
    row("M2", "m2.restart_ms", "kill -9, restart until every partition answers", "ms", Lower, ratio(8.0, 20.0)),
    shown("M2", "m2.first_answer_ms", "until one partition answers", "ms", Lower),
    shown("M2", "m2.cpu_s", "CPU until every partition answers", "s", Lower),
    row("M3", "m3.leader.median_ms", "gap after kill -9 of a leader: median", "ms", Lower, value(500.0, 500.0)),
    row("M3", "m3.leader.longest_ms", "longest", "ms", Lower, value(2_000.0, 1_000.0)),
    row(
        "M3",
        "m3.controller.median_ms",
        "of a leader that is the active controller: median",
        "ms",
        Lower,
        value(500.0, 500.0),
    ),
    row("M3", "m3.controller.longest_ms", "longest", "ms", Lower, value(2_000.0, 1_000.0)),
    shown("M3", "m3.again.median_ms", "of a leader that was killed some seconds before: median", "ms", Lower),
    shown("M3", "m3.again.longest_ms", "longest", "ms", Lower),
    row("M3", "m3.stop.longest_ms", "planned stop: longest", "ms", Lower, value(100.0, 30.0)),
    row("M3", "m3.java.median_ms", "Java producer, kill -9 of a leader: median", "ms", Lower, value(500.0, 500.0)),
    row("M3", "m3.java.longest_ms", "longest", "ms", Lower, value(2_000.0, 1_000.0)),
    row("M3", "m3.java_stop.longest_ms", "Java producer, planned stop: longest", "ms", Lower, value(100.0, 30.0)),
    row("M4", "m4.gap_ms", "active controller killed: gap in topic creation", "ms", Lower, ratio(3.0, 10.0)),
    shown("M5", "m5.leader.median_ms", "both at 1 s: gap after kill -9 of a leader: median", "ms", Lower),
    shown("M5", "m5.leader.longest_ms", "longest", "ms", Lower),
    shown("M5", "m5.controller.median_ms", "of a leader that is the active controller: median", "ms", Lower),
    shown("M5", "m5.controller.longest_ms", "longest", "ms", Lower),
    row("N", "n.idle_mb", "resident memory a node, idle", "MB", Lower, ratio(12.0, 25.0)),
    row("N", "n.loaded_mb", "peak under load", "MB", Lower, ratio(8.0, 20.0)),
    shown("S", "s.10.idle_cores", "10 idle partitions RF 3: CPU of all nodes at rest", "cores", Lower),
    shown("S", "s.10.private_mb", "private memory a node", "MB", Lower),
    shown("S", "s.10.load.cpu_s_per_gb", "2,000 records/s to six others", "CPU s/GB", Lower),
    shown("S", "s.10.load.p99_ms", "p99", "ms", Lower),
    shown("S", "s.100.idle_cores", "100 idle partitions RF 3: CPU of all nodes at rest", "cores", Lower),
    shown("S", "s.100.private_mb", "private memory a node", "MB", Lower),
    shown("S", "s.100.load.cpu_s_per_gb", "2,000 records/s to six others", "CPU s/GB", Lower),
    shown("S", "s.100.load.p99_ms", "p99", "ms", Lower),
    shown("S", "s.1000.idle_cores", "1,000 idle partitions RF 3: CPU of all nodes at rest", "cores", Lower),
    shown("S", "s.1000.private_mb", "private memory a node", "MB", Lower),
    shown("S", "s.1000.load.cpu_s_per_gb", "2,000 records/s to six others", "CPU s/GB", Lower),
    shown("S", "s.1000.load.p99_ms", "p99", "ms", Lower),
    shown("S", "s.10000.idle_cores", "10,000 idle partitions RF 3: CPU of all nodes at rest", "cores", Lower),
    shown("S", "s.10000.private_mb", "private memory a node", "MB", Lower),
    shown("S", "s.10000.load.cpu_s_per_gb", "2,000 records/s to six others", "CPU s/GB", Lower),
    shown("S", "s.10000.load.p99_ms", "p99", "ms", Lower),
    shown("S", "s.connections.idle_cores", "and 2,000 idle connections: CPU at rest", "cores", Lower),
    shown("S", "s.connections.private_mb", "private memory a node", "MB", Lower),
    shown("S", "s.connections.load.p99_ms", "2,000 records/s: p99", "ms", Lower),
    shown("T", "t.alone.p99_ms", "20,000 records/s, RF 3, acks=all, with nothing beside it: p99", "ms", Lower),
    shown("T", "t.alone.p99.9_ms", "p99.9", "ms", Lower),
    shown("T", "t.retention.p99_ms", "beside retention of 1 GB in segments of 4 MiB: p99", "ms", Lower),
    shown("T", "t.retention.p99.9_ms", "p99.9", "ms", Lower),
    shown("T", "t.compaction.p99_ms", "beside compaction of 1 GB: p99", "ms", Lower),
    shown("T", "t.compaction.p99.9_ms", "p99.9", "ms", Lower),
    shown("T", "t.snapshots.p99_ms", "beside metadata snapshots and 1,000 new partitions: p99", "ms", Lower),
    shown("T", "t.snapshots.p99.9_ms", "p99.9", "ms", Lower),
    shown("T", "t.catching_up.p99_ms", "beside a follower that catches up 2 GB: p99", "ms", Lower),
    shown("T", "t.catching_up.p99.9_ms", "p99.9", "ms", Lower),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::workloads;

    #[test]
    fn every_figure_has_a_name_of_its_own_and_a_workload() {
        let names: BTreeSet<&str> = FIGURES.iter().map(|figure| figure.name).collect();
        assert_eq!(names.len(), FIGURES.len());
        for figure in FIGURES {
            assert!(workloads::find(figure.workload).is_some(), "{}", figure.name);
            assert!(figure.name.starts_with(&figure.workload.to_lowercase()), "{}", figure.name);
        }
    }

    #[test]
    fn a_stretch_is_no_easier_than_its_must() {
        for figure in FIGURES {
            for goal in [figure.strict, figure.relaxed].into_iter().flatten() {
                assert!(goal.stretch_is_harder(figure.better), "{}", figure.name);
            }
        }
    }
}
