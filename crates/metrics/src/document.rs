//! `docs/metrics.md`, from the table.

use std::fmt::Write as _;

use crate::table::SECTIONS;
use crate::{Kind, Metric, Presence, Role, Section};

const INTRODUCTION: &str = "\
# Metrics

Every node serves these figures in Prometheus' text format at `http://HOST:PORT/metrics`, by default on the port of its first
listener + 2 (`highwater.http.listener`). Names are those that Kafka's beans get from the common configuration of Prometheus'
JMX exporter (lower case; `...PerSec` becomes `..._total`), and those of kafka_exporter for the lag of groups, so that existing
dashboards find them. What Kafka has no figure for begins with `highwater_`.

Where the JMX exporter gives quantiles of a time (`{quantile=\"0.99\"}`), there is a histogram here: it can be added up over
nodes. Take `histogram_quantile(0.99, sum by (le, request) (rate(NAME_bucket[5m])))`.

Alert rules and a scrape configuration are in `deploy/prometheus/`, what to do when one fires is in
[operations/alerts.md](operations/alerts.md), dashboards are in `deploy/grafana/` ([pictures](dashboards.md)).

**When it is there**: *always* means from the start of a node of that role; *on use*, once there is something to show for a
combination of labels; *per partition*, for each replica on the broker, and not at all with
`highwater.metrics.partition.series=false`. That key is for brokers with many thousands of partitions; the figures without it
still tell that something is wrong and how much, and the command line tells where.

This page is generated: `cargo xtask metrics > docs/metrics.md`. A test compares it with the table in `crates/metrics`, and the
table with a scrape.
";

/// The whole page.
pub fn markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for section in SECTIONS {
        write_section(&mut page, section);
    }
    page
}

fn write_section(page: &mut String, section: &Section) {
    let nodes = match section.role {
        Role::Node => "On every node.",
        Role::Broker => "On nodes with the role `broker`.",
        Role::Controller => "On nodes with the role `controller`.",
    };
    // Writing to a string cannot fail, here and below.
    let _ = write!(page, "\n## {}\n\n{nodes} {}\n", section.title, section.note);
    section.metrics.iter().for_each(|metric| write_metric(page, metric));
}

fn write_metric(page: &mut String, metric: &Metric) {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    let presence = match metric.presence {
        Presence::Always => "always",
        Presence::OnUse => "on use",
        Presence::PerPartition => "per partition",
    };
    let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(", ") };
    let _ = write!(page, "\n### {}\n\n{}\n\n", metric.name, metric.help);
    let _ = writeln!(page, "- {kind}, in {}; labels: {labels}; {presence}", metric.unit);
    if let Kind::Histogram(buckets) = metric.kind {
        let buckets: Vec<String> = buckets.iter().map(ToString::to_string).collect();
        let _ = writeln!(page, "- buckets: {}", buckets.join(", "));
    }
    if !metric.kafka.is_empty() {
        let _ = writeln!(page, "- Kafka: `{}`", metric.kafka);
    }
    if !metric.when_bad.is_empty() {
        let _ = writeln!(page, "- **When it is bad**: {}", metric.when_bad);
    }
}
