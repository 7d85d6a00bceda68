//! Names in expressions.

use highwater_metrics::{Kind, table};

/// Words that begin like a figure and are in no table.
pub fn unknown_names(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_part(c)).filter(|word| !word.contains(':'));
    let like_a_figure = |word: &&str| ["kafka_", "highwater_", "process_"].iter().any(|start| word.starts_with(start));
    words.filter(like_a_figure).filter(|word| !exists(word)).collect()
}

fn exists(name: &str) -> bool {
    table::all().any(|metric| match (metric.kind, name.strip_prefix(metric.name)) {
        (Kind::Histogram(_), Some(rest)) => ["_bucket", "_sum", "_count"].contains(&rest),
        (Kind::Counter | Kind::Gauge, Some(rest)) => rest.is_empty(),
        (_, None) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_name_is_found() {
        let text = "sum(kafka_log_log_size{a=\"b\"}) / process_threads + kafka_log_log_siz \
                    + rate(kafka_network_requestmetrics_totaltimems_bucket[5m]) + highwater:consumergroup_lag:records";
        assert_eq!(unknown_names(text), ["kafka_log_log_siz"]);
    }
}
