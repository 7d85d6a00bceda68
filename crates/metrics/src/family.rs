//! Writing the values of one figure as text, without a collector: for figures that are many.

use std::fmt::{Display, Write as _};

use crate::{Kind, Metric};

/// One figure's block in a scrape, in Prometheus' text format. Without a value it is empty.
#[derive(Debug)]
pub struct Family {
    metric: &'static Metric,
    text: String,
}

impl Family {
    /// Nothing yet.
    ///
    /// # Panics
    /// For a histogram, which has more than one value.
    pub fn new(metric: &'static Metric) -> Self {
        assert!(!matches!(metric.kind, Kind::Histogram(_)), "{}", metric.name);
        Self { metric, text: String::new() }
    }

    /// Adds a value. Each combination of labels must come once.
    ///
    /// # Panics
    /// When there are not as many label values as the figure has labels.
    pub fn add(&mut self, labels: &[&dyn Display], value: impl Display) {
        let Metric { name, kind, help, labels: names, .. } = self.metric;
        assert_eq!(names.len(), labels.len(), "{name}");
        if self.text.is_empty() {
            let kind = if *kind == Kind::Counter { "counter" } else { "gauge" };
            // Writing to a string cannot fail, here and below.
            let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        }
        self.text.push_str(name);
        for (position, (label, text)) in names.iter().zip(labels).enumerate() {
            let opening = if position == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{opening}{label}=\"");
            let start = self.text.len();
            let _ = write!(self.text, "{text}\"");
            escape(&mut self.text, start);
        }
        let closing = if names.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{closing} {value}");
    }

    /// The block.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// Escapes the label value that was written from `start` on and ends with the closing quote.
fn escape(text: &mut String, start: usize) {
    let value = &text[start..text.len() - 1];
    if value.contains(['\\', '"', '\n']) {
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        text.truncate(start);
        text.push_str(&escaped);
        text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SIZE: Metric = Metric::gauge("size", "bytes", "How large.").by(&["topic", "partition"]);
    static PLAIN: Metric = Metric::counter("plain_total", "events", "How many.");

    #[test]
    fn values_are_written_as_prometheus_reads_them() {
        let mut family = Family::new(&SIZE);
        family.add(&[&"t", &0], 17);
        family.add(&[&"a \"b\"\\\n", &1], 0.5);
        let expected = "# HELP size How large.\n# TYPE size gauge\nsize{topic=\"t\",partition=\"0\"} 17\n\
                        size{topic=\"a \\\"b\\\"\\\\\\n\",partition=\"1\"} 0.5\n";
        assert_eq!(family.into_text(), expected);
        let mut family = Family::new(&PLAIN);
        family.add(&[], 3);
        assert_eq!(family.into_text(), "# HELP plain_total How many.\n# TYPE plain_total counter\nplain_total 3\n");
        assert_eq!(Family::new(&SIZE).into_text(), "");
    }
}
