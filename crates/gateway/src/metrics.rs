//! Figures of the gateway, under the names that the common JMX exporter configuration gives Kafka's beans.
//!
//! Looking a child up by label values hashes and locks, so handles are kept: per API from the start, per topic from the
//! first use on.

use std::sync::Arc;

use arc_swap::ArcSwap;
use highwater_types::TopicName;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};
use std::collections::BTreeMap;

/// Upper bounds of the latency buckets in milliseconds: from a request that touches no disk to a long poll.
const LATENCY_BUCKETS_MS: [f64; 14] =
    [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0, 5000.0];

/// Figures of one topic.
#[derive(Debug)]
pub(crate) struct TopicMetrics {
    /// Record bytes appended for clients.
    pub(crate) bytes_in: IntCounter,
    /// Record bytes sent to clients.
    pub(crate) bytes_out: IntCounter,
    /// Records appended for clients.
    pub(crate) messages_in: IntCounter,
    /// Produce requests, counted per partition named in them.
    pub(crate) produce_requests: IntCounter,
    /// Partitions of produce requests that failed.
    pub(crate) failed_produce_requests: IntCounter,
    /// Fetch requests, counted per partition named in them.
    pub(crate) fetch_requests: IntCounter,
    /// Partitions of fetch requests that failed.
    pub(crate) failed_fetch_requests: IntCounter,
}

/// Figures of one API.
#[derive(Debug)]
pub(crate) struct ApiMetrics {
    /// Requests received.
    pub(crate) requests: IntCounter,
    /// Milliseconds from the frame's arrival to the encoded response.
    pub(crate) latency: Histogram,
}

/// All figures of the gateway.
pub(crate) struct GatewayMetrics {
    bytes_in: IntCounterVec,
    bytes_out: IntCounterVec,
    messages_in: IntCounterVec,
    produce_requests: IntCounterVec,
    failed_produce_requests: IntCounterVec,
    fetch_requests: IntCounterVec,
    failed_fetch_requests: IntCounterVec,
    connections: IntGaugeVec,
    accepted: IntCounterVec,
    /// Indexed by API key; `None` for keys not served.
    apis: Vec<Option<ApiMetrics>>,
    /// Handles of topics in use; replaced as a whole when one is added.
    topics: ArcSwap<BTreeMap<TopicName, Arc<TopicMetrics>>>,
}

impl GatewayMetrics {
    /// Registers everything with `registry`. `apis` are (key, name) of the served APIs.
    ///
    /// # Errors
    /// When a name is taken already: one registry serves one gateway.
    pub(crate) fn new(
        registry: &Registry,
        apis: impl Iterator<Item = (i16, &'static str)>,
    ) -> Result<Self, prometheus::Error> {
        let topic_counter = |name: &str, help: &str| {
            register(
                registry,
                IntCounterVec::new(
                    Opts::new(format!("kafka_server_brokertopicmetrics_{name}_total"), help),
                    &["topic"],
                )?,
            )
        };
        let requests = register(
            registry,
            IntCounterVec::new(
                Opts::new("kafka_network_requestmetrics_requests_total", "Requests received"),
                &["request"],
            )?,
        )?;
        let latency = HistogramOpts::new(
            "kafka_network_requestmetrics_totaltimems",
            "Milliseconds from the arrival of a request to its encoded response",
        );
        let latency =
            register(registry, HistogramVec::new(latency.buckets(LATENCY_BUCKETS_MS.to_vec()), &["request"])?)?;
        let mut table = Vec::new();
        for (key, name) in apis {
            let index = usize::try_from(key).expect("API keys are not negative");
            table.resize_with(table.len().max(index + 1), || None);
            table[index] = Some(ApiMetrics {
                requests: requests.with_label_values(&[name]),
                latency: latency.with_label_values(&[name]),
            });
        }
        let connections = Opts::new("kafka_server_socketservermetrics_connection_count", "Open client connections");
        let accepted =
            Opts::new("kafka_server_socketservermetrics_connection_creation_total", "Client connections accepted");
        Ok(Self {
            bytes_in: topic_counter("bytesin", "Record bytes received from clients")?,
            bytes_out: topic_counter("bytesout", "Record bytes sent to clients")?,
            messages_in: topic_counter("messagesin", "Records received from clients")?,
            produce_requests: topic_counter("totalproducerequests", "Produce requests per partition named")?,
            failed_produce_requests: topic_counter("failedproducerequests", "Failed partitions of produce requests")?,
            fetch_requests: topic_counter("totalfetchrequests", "Fetch requests per partition named")?,
            failed_fetch_requests: topic_counter("failedfetchrequests", "Failed partitions of fetch requests")?,
            connections: register(registry, IntGaugeVec::new(connections, &["listener"])?)?,
            accepted: register(registry, IntCounterVec::new(accepted, &["listener"])?)?,
            apis: table,
            topics: ArcSwap::from_pointee(BTreeMap::new()),
        })
    }

    /// Open connections of a listener.
    pub(crate) fn connections(&self, listener: &str) -> IntGauge {
        self.connections.with_label_values(&[listener])
    }

    /// Connections a listener ever accepted.
    pub(crate) fn accepted(&self, listener: &str) -> IntCounter {
        self.accepted.with_label_values(&[listener])
    }

    /// Figures of an API; `None` for a key that is not served.
    pub(crate) fn api(&self, key: i16) -> Option<&ApiMetrics> {
        self.apis.get(usize::try_from(key).ok()?)?.as_ref()
    }

    /// Figures of a topic that exists. Names that no topic has must not come here: they would stay for ever.
    pub(crate) fn topic(&self, name: &TopicName) -> Arc<TopicMetrics> {
        if let Some(metrics) = self.topics.load().get(name) {
            return Arc::clone(metrics);
        }
        let label = [name.as_str()];
        let metrics = Arc::new(TopicMetrics {
            bytes_in: self.bytes_in.with_label_values(&label),
            bytes_out: self.bytes_out.with_label_values(&label),
            messages_in: self.messages_in.with_label_values(&label),
            produce_requests: self.produce_requests.with_label_values(&label),
            failed_produce_requests: self.failed_produce_requests.with_label_values(&label),
            fetch_requests: self.fetch_requests.with_label_values(&label),
            failed_fetch_requests: self.failed_fetch_requests.with_label_values(&label),
        });
        self.topics.rcu(|topics| {
            let mut topics = BTreeMap::clone(topics);
            topics.insert(name.clone(), Arc::clone(&metrics));
            topics
        });
        metrics
    }

    /// Drops the figures of a deleted topic.
    pub(crate) fn forget_topic(&self, name: &TopicName) {
        if self.topics.load().get(name).is_none() {
            return;
        }
        self.topics.rcu(|topics| {
            let mut topics = BTreeMap::clone(topics);
            topics.remove(name);
            topics
        });
        let label = [name.as_str()];
        for vector in [
            &self.bytes_in,
            &self.bytes_out,
            &self.messages_in,
            &self.produce_requests,
            &self.failed_produce_requests,
            &self.fetch_requests,
            &self.failed_fetch_requests,
        ] {
            // Fails only when the child is gone already.
            let _ = vector.remove_label_values(&label);
        }
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
