//! One figure: its description, and the collectors that carry it.

use prometheus::core::{Desc, Describer};
use prometheus::{
    Counter, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

/// Upper bounds of the buckets of a whole request in milliseconds: from one that touches no disk to a long poll.
pub const LATENCY_MS: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0, 5000.0];
/// Upper bounds for a part of a request, or for work inside the node, in milliseconds.
pub const PHASE_MS: &[f64] = &[0.05, 0.25, 1.0, 5.0, 10.0, 25.0, 100.0, 500.0, 5000.0];
/// Upper bounds for requests and responses in bytes: from a heartbeat to `socket.request.max.bytes`.
pub const SIZE_BYTES: &[f64] = &[256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 16_777_216.0];

/// How a figure behaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Only grows, from 0 at the start of the process.
    Counter,
    /// Any value.
    Gauge,
    /// Observations, counted by these upper bounds.
    Histogram(&'static [f64]),
}

/// When a figure is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// From the start on.
    Always,
    /// Once there is something to show, per combination of labels.
    OnUse,
    /// As `OnUse`, for each partition with a replica on the broker, unless `highwater.metrics.partition.series=false`.
    PerPartition,
}

/// One figure of the table.
#[derive(Debug)]
pub struct Metric {
    /// Name in a scrape.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it is counted in.
    pub unit: &'static str,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it says, as one sentence.
    pub help: &'static str,
    /// The bean of Kafka's that it corresponds to; empty if there is none.
    pub kafka: &'static str,
    /// Which values are bad and what to do then; empty where no value is bad as such.
    pub when_bad: &'static str,
    /// When it is there.
    pub presence: Presence,
}

impl Metric {
    /// A figure that goes up and down.
    pub const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        let (kind, presence) = (Kind::Gauge, Presence::Always);
        Self { name, kind, unit, labels: &[], help, kafka: "", when_bad: "", presence }
    }

    /// A figure that only grows.
    pub const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Self { kind: Kind::Counter, ..Self::gauge(name, unit, help) }
    }

    /// A distribution.
    pub const fn histogram(
        name: &'static str,
        unit: &'static str,
        buckets: &'static [f64],
        help: &'static str,
    ) -> Self {
        Self { kind: Kind::Histogram(buckets), ..Self::gauge(name, unit, help) }
    }

    /// The same with labels: it is there for the combinations that occur.
    #[must_use]
    pub const fn by(self, labels: &'static [&'static str]) -> Self {
        Self { labels, presence: Presence::OnUse, ..self }
    }

    /// The same with labels whose values are known from the start, or which always has at least one.
    #[must_use]
    pub const fn always(self) -> Self {
        Self { presence: Presence::Always, ..self }
    }

    /// The same without labels, but only where there is something to show.
    #[must_use]
    pub const fn on_use(self) -> Self {
        Self { presence: Presence::OnUse, ..self }
    }

    /// The same for each partition: `topic`, `partition`, then `more`.
    #[must_use]
    pub const fn per_partition(self) -> Self {
        Self { presence: Presence::PerPartition, ..self }
    }

    /// The same with Kafka's bean.
    #[must_use]
    pub const fn kafka(self, bean: &'static str) -> Self {
        Self { kafka: bean, ..self }
    }

    /// The same with advice.
    #[must_use]
    pub const fn when_bad(self, advice: &'static str) -> Self {
        Self { when_bad: advice, ..self }
    }

    /// A collector of one whole number that goes up and down.
    pub fn int_gauge(&self) -> IntGauge {
        self.expect(Kind::Gauge);
        IntGauge::with_opts(self.opts()).expect("a legal name")
    }

    /// A collector of one number that goes up and down.
    pub fn float_gauge(&self) -> Gauge {
        self.expect(Kind::Gauge);
        Gauge::with_opts(self.opts()).expect("a legal name")
    }

    /// A collector of whole numbers that go up and down, by label.
    pub fn int_gauge_vec(&self) -> IntGaugeVec {
        self.expect(Kind::Gauge);
        IntGaugeVec::new(self.opts(), self.labels).expect("a legal name")
    }

    /// A counter of events.
    pub fn int_counter(&self) -> IntCounter {
        self.expect(Kind::Counter);
        IntCounter::with_opts(self.opts()).expect("a legal name")
    }

    /// A counter of fractions, such as seconds.
    pub fn float_counter(&self) -> Counter {
        self.expect(Kind::Counter);
        Counter::with_opts(self.opts()).expect("a legal name")
    }

    /// Counters of events, by label.
    pub fn int_counter_vec(&self) -> IntCounterVec {
        self.expect(Kind::Counter);
        IntCounterVec::new(self.opts(), self.labels).expect("a legal name")
    }

    /// A distribution.
    pub fn one_histogram(&self) -> Histogram {
        Histogram::with_opts(self.histogram_opts()).expect("a legal name")
    }

    /// The distribution of one label value, for an owner that makes one collector per value.
    ///
    /// # Panics
    /// Unless the figure has exactly one label.
    pub fn histogram_of(&self, value: &str) -> Histogram {
        let [label] = self.labels else { panic!("{} has not one label", self.name) };
        Histogram::with_opts(self.histogram_opts().const_label(*label, value)).expect("a legal name")
    }

    /// Distributions, by label.
    pub fn histogram_vec(&self) -> HistogramVec {
        HistogramVec::new(self.histogram_opts(), self.labels).expect("a legal name")
    }

    /// The description that a registry asks for, for owners that build their families themselves.
    pub fn desc(&self) -> Desc {
        let labels = self.labels.iter().map(|label| (*label).to_owned()).collect();
        self.opts().variable_labels(labels).describe().expect("a legal name")
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that makes collectors")]
    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that makes collectors")]
    fn histogram_opts(&self) -> HistogramOpts {
        let Kind::Histogram(buckets) = self.kind else { panic!("{} is no histogram", self.name) };
        HistogramOpts::new(self.name, self.help).buckets(buckets.to_vec())
    }

    fn expect(&self, kind: Kind) {
        assert_eq!(self.kind, kind, "{}", self.name);
    }
}
