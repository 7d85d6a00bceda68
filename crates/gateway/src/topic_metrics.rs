//! Traffic by topic and in total. Only topics are counted on the way of a request; totals are added up when asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use highwater_env::lock::Mutex;
use highwater_metrics::Metric;
use highwater_types::TopicName;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec};

/// Figures of one topic, in the order of the table.
#[derive(Debug)]
pub(crate) struct TopicMetrics {
    /// Record bytes appended for clients.
    pub(crate) bytes_in: IntCounter,
    /// Record bytes sent to clients.
    pub(crate) bytes_out: IntCounter,
    /// Records appended for clients.
    pub(crate) messages_in: IntCounter,
    /// Produce requests, counted once per topic named in them.
    pub(crate) produce_requests: IntCounter,
    /// Partitions of produce requests that failed.
    pub(crate) failed_produce_requests: IntCounter,
    /// Fetch requests, counted per partition named in them.
    pub(crate) fetch_requests: IntCounter,
    /// Partitions of fetch requests that failed.
    pub(crate) failed_fetch_requests: IntCounter,
}

impl TopicMetrics {
    fn all(&self) -> [&IntCounter; 7] {
        [
            &self.bytes_in,
            &self.bytes_out,
            &self.messages_in,
            &self.produce_requests,
            &self.failed_produce_requests,
            &self.fetch_requests,
            &self.failed_fetch_requests,
        ]
    }
}

/// Counters by topic, with a series of no topic for all of them, as Kafka's beans have it.
#[derive(Clone)]
pub(crate) struct TopicTotals {
    shared: Arc<Shared>,
}

struct Shared {
    /// In the order of [`TopicMetrics::all`].
    vectors: [IntCounterVec; 7],
    topics: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    topics: BTreeMap<TopicName, Arc<TopicMetrics>>,
    /// What topics that are gone had counted.
    gone: [u64; 7],
}

impl TopicTotals {
    /// Nothing counted yet; `metrics` is the table's chapter, in the order of [`TopicMetrics`].
    pub(crate) fn new(metrics: &[&'static Metric]) -> Self {
        let vectors: Vec<IntCounterVec> = metrics.iter().map(|metric| metric.int_counter_vec()).collect();
        let vectors = vectors.try_into().expect("as many figures as a topic has");
        Self { shared: Arc::new(Shared { vectors, topics: Mutex::default() }) }
    }

    /// Counters of a topic; the same ones for the same name until it is forgotten.
    pub(crate) fn topic(&self, name: &TopicName) -> Arc<TopicMetrics> {
        let mut counted = self.shared.topics.lock();
        let counters = || {
            let counter = |index: usize| self.shared.vectors[index].with_label_values(&[name.as_str()]);
            Arc::new(TopicMetrics {
                bytes_in: counter(0),
                bytes_out: counter(1),
                messages_in: counter(2),
                produce_requests: counter(3),
                failed_produce_requests: counter(4),
                fetch_requests: counter(5),
                failed_fetch_requests: counter(6),
            })
        };
        counted.topics.entry(name.clone()).or_insert_with(counters).clone()
    }

    /// The topic is gone: it has no series any more, and its share of the totals stays.
    pub(crate) fn forget(&self, name: &TopicName) {
        let mut counted = self.shared.topics.lock();
        let Some(topic) = counted.topics.remove(name) else { return };
        for (gone, counter) in counted.gone.iter_mut().zip(topic.all()) {
            *gone += counter.get();
        }
        for vector in &self.shared.vectors {
            // Fails only when the child is gone already.
            let _ = vector.remove_label_values(&[name.as_str()]);
        }
    }
}

impl Collector for TopicTotals {
    fn desc(&self) -> Vec<&Desc> {
        self.shared.vectors.iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut totals = {
            let counted = self.shared.topics.lock();
            let mut totals = counted.gone;
            for topic in counted.topics.values() {
                totals.iter_mut().zip(topic.all()).for_each(|(total, counter)| *total += counter.get());
            }
            totals.into_iter()
        };
        let mut families: Vec<MetricFamily> = self.shared.vectors.iter().flat_map(Collector::collect).collect();
        for family in &mut families {
            let mut counter = prometheus::proto::Counter::default();
            counter.set_value(totals.next().unwrap_or_default() as f64);
            let mut total = prometheus::proto::Metric::default();
            total.set_counter(counter);
            family.mut_metric().push(total);
        }
        families
    }
}

#[cfg(test)]
mod tests {
    use highwater_metrics::table::topics::SECTION;
    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn a_total_counts_topics_that_are_gone() {
        let totals = TopicTotals::new(SECTION.metrics);
        let [a, b] = ["a", "b"].map(|name| TopicName::new(name).unwrap());
        totals.topic(&a).bytes_in.inc_by(5);
        totals.topic(&b).bytes_in.inc_by(7);
        totals.forget(&a);
        totals.topic(&b).bytes_in.inc_by(1);
        let text = TextEncoder::new().encode_to_string(&totals.collect()).unwrap();
        let lines: Vec<&str> =
            text.lines().filter(|line| line.starts_with("kafka") && line.contains("bytesin")).collect();
        let name = "kafka_server_brokertopicmetrics_bytesin_total";
        assert_eq!(lines, [format!("{name}{{topic=\"b\"}} 8"), format!("{name} 13")]);
        totals.topic(&a).bytes_in.inc();
        assert_eq!(totals.topic(&a).bytes_in.get(), 1, "a new topic of the same name begins anew");
    }
}
