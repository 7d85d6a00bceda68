//! Figures of the gateway.
//!
//! Looking a child up by label values hashes and locks, so handles are kept: per API and per topic from the first use on.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use highwater_metrics::table::{requests, topics};
use highwater_protocol::ResponseBody;
use highwater_types::{ErrorCode, TopicName};
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry};
use std::collections::BTreeMap;

use crate::fetch_session_cache::FetchSessionCache;
use crate::response_errors::for_each_error;
use crate::topic_metrics::{TopicMetrics, TopicTotals};

/// Largest API key with figures, plus 1. Kafka 4.3 defines keys up to 92.
const API_KEYS: usize = 128;

/// Figures of one API.
#[derive(Debug)]
pub(crate) struct ApiMetrics {
    name: &'static str,
    requests: IntCounter,
    request_bytes: Histogram,
    response_bytes: Histogram,
    queue: Histogram,
    local: Histogram,
    remote: Histogram,
    response_queue: Histogram,
    send: Histogram,
    total: Histogram,
    errors: IntCounterVec,
}

/// How long the parts of a request took, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Phases {
    pub(crate) queue: u64,
    pub(crate) local: u64,
    pub(crate) remote: u64,
    pub(crate) response_queue: u64,
    pub(crate) send: u64,
    pub(crate) total: u64,
}

impl ApiMetrics {
    /// A request of that size in bytes has arrived.
    pub(crate) fn on_request(&self, bytes: usize) {
        self.requests.inc();
        self.request_bytes.observe(bytes as f64);
    }

    /// This is what it will be answered with, of that size once encoded.
    pub(crate) fn on_response(&self, bytes: usize) {
        self.response_bytes.observe(bytes as f64);
    }

    /// Counts the errors in a response.
    pub(crate) fn count_errors(&self, body: &ResponseBody) {
        for_each_error(body, |code| match ErrorCode::from_code(code) {
            Some(error) => self.errors.with_label_values(&[self.name, error.name()]).inc(),
            None => self.errors.with_label_values(&[self.name, &code.to_string()]).inc(),
        });
    }

    /// The request is over.
    pub(crate) fn on_done(&self, phases: Phases) {
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a request fit 52 bits")]
        let observe = |histogram: &Histogram, us: u64| histogram.observe(us as f64 / 1000.0);
        observe(&self.queue, phases.queue);
        observe(&self.local, phases.local);
        observe(&self.remote, phases.remote);
        observe(&self.response_queue, phases.response_queue);
        observe(&self.send, phases.send);
        observe(&self.total, phases.total);
    }
}

/// Figures of one listener.
#[derive(Debug, Clone)]
pub(crate) struct ListenerMetrics {
    /// Open connections.
    pub(crate) open: IntGauge,
    /// Connections ever accepted.
    pub(crate) accepted: IntCounter,
    /// Connections closed at once because of a limit.
    pub(crate) refused: IntCounter,
    /// Connections closed because of what the client sent.
    pub(crate) faults: IntCounter,
}

/// Figures of fetch sessions.
#[derive(Debug, Clone)]
pub(crate) struct FetchSessionMetrics {
    sessions: IntGauge,
    partitions: IntGauge,
    evictions: IntCounter,
}

impl FetchSessionMetrics {
    /// Shows what the cache holds. Called by one at a time.
    pub(crate) fn show<S>(&self, cache: &FetchSessionCache<S>) {
        self.sessions.set(i64::try_from(cache.len()).unwrap_or(i64::MAX));
        self.partitions.set(i64::try_from(cache.partitions()).unwrap_or(i64::MAX));
        self.evictions.inc_by(cache.evictions() - self.evictions.get());
    }
}

/// All figures of the gateway.
pub(crate) struct GatewayMetrics {
    requests: IntCounterVec,
    errors: IntCounterVec,
    request_bytes: HistogramVec,
    response_bytes: HistogramVec,
    queue: HistogramVec,
    local: HistogramVec,
    remote: HistogramVec,
    response_queue: HistogramVec,
    send: HistogramVec,
    total: HistogramVec,
    /// Requests that could not be decoded.
    pub(crate) undecodable: IntCounter,
    open: IntGaugeVec,
    accepted: IntCounterVec,
    refused: IntCounterVec,
    faults: IntCounterVec,
    /// Of fetch sessions.
    pub(crate) fetch_sessions: FetchSessionMetrics,
    /// Partitions of fetches whose client was sent to a follower.
    pub(crate) fetch_redirects: IntCounter,
    /// Indexed by API key.
    apis: Box<[OnceLock<Arc<ApiMetrics>>]>,
    totals: TopicTotals,
    /// Handles of topics in use; replaced as a whole when one is added.
    topics: ArcSwap<BTreeMap<TopicName, Arc<TopicMetrics>>>,
}

impl GatewayMetrics {
    /// Registers everything with `registry`.
    ///
    /// # Errors
    /// When a name is taken already: one registry serves one gateway.
    pub(crate) fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let histogram = |metric: &highwater_metrics::Metric| register(registry, metric.histogram_vec());
        let counter = |metric: &highwater_metrics::Metric| register(registry, metric.int_counter_vec());
        Ok(Self {
            requests: counter(&requests::REQUESTS)?,
            errors: counter(&requests::ERRORS)?,
            request_bytes: histogram(&requests::REQUEST_BYTES)?,
            response_bytes: histogram(&requests::RESPONSE_BYTES)?,
            queue: histogram(&requests::REQUEST_QUEUE_TIME_MS)?,
            local: histogram(&requests::LOCAL_TIME_MS)?,
            remote: histogram(&requests::REMOTE_TIME_MS)?,
            response_queue: histogram(&requests::RESPONSE_QUEUE_TIME_MS)?,
            send: histogram(&requests::RESPONSE_SEND_TIME_MS)?,
            total: histogram(&requests::TOTAL_TIME_MS)?,
            undecodable: register(registry, requests::UNDECODABLE_REQUESTS.int_counter())?,
            open: register(registry, requests::CONNECTION_COUNT.int_gauge_vec())?,
            accepted: counter(&requests::CONNECTION_CREATIONS)?,
            refused: counter(&requests::CONNECTIONS_REFUSED)?,
            faults: counter(&requests::CONNECTION_FAULTS)?,
            fetch_sessions: FetchSessionMetrics {
                sessions: register(registry, requests::FETCH_SESSIONS.int_gauge())?,
                partitions: register(registry, requests::FETCH_SESSION_PARTITIONS.int_gauge())?,
                evictions: register(registry, requests::FETCH_SESSION_EVICTIONS.int_counter())?,
            },
            fetch_redirects: register(registry, requests::FETCH_REDIRECTS.int_counter())?,
            apis: (0..API_KEYS).map(|_| OnceLock::new()).collect(),
            totals: register(registry, TopicTotals::new(topics::SECTION.metrics))?,
            topics: ArcSwap::from_pointee(BTreeMap::new()),
        })
    }

    /// Figures of a listener.
    pub(crate) fn listener(&self, name: &str) -> ListenerMetrics {
        ListenerMetrics {
            open: self.open.with_label_values(&[name]),
            accepted: self.accepted.with_label_values(&[name]),
            refused: self.refused.with_label_values(&[name]),
            faults: self.faults.with_label_values(&[name]),
        }
    }

    /// Figures of the API with that key and name, which is served.
    pub(crate) fn api(&self, key: i16, name: &'static str) -> &Arc<ApiMetrics> {
        let slot = usize::try_from(key).ok().and_then(|index| self.apis.get(index));
        slot.expect("keys of served APIs are small").get_or_init(|| {
            let label = [name];
            Arc::new(ApiMetrics {
                name,
                requests: self.requests.with_label_values(&label),
                request_bytes: self.request_bytes.with_label_values(&label),
                response_bytes: self.response_bytes.with_label_values(&label),
                queue: self.queue.with_label_values(&label),
                local: self.local.with_label_values(&label),
                remote: self.remote.with_label_values(&label),
                response_queue: self.response_queue.with_label_values(&label),
                send: self.send.with_label_values(&label),
                total: self.total.with_label_values(&label),
                errors: self.errors.clone(),
            })
        })
    }

    /// Figures of a topic that exists. Names that no topic has must not come here: they would stay for ever.
    pub(crate) fn topic(&self, name: &TopicName) -> Arc<TopicMetrics> {
        if let Some(metrics) = self.topics.load().get(name) {
            return Arc::clone(metrics);
        }
        let metrics = self.totals.topic(name);
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
        self.totals.forget(name);
    }
}

fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
