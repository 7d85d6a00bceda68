//! One scrape: what the registry has, then groups, then partitions, as a stream of texts.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use futures::{StreamExt, stream};
use highwater_env::run_blocking;
use highwater_replication::Replicas;
use prometheus::{Registry, TextEncoder};

use super::GroupSeries;
use super::partition_series::FAMILIES;

/// What a broker adds to the registry's figures.
#[derive(Clone)]
pub(crate) struct BrokerSeries {
    pub(crate) replicas: Arc<Replicas>,
    pub(crate) groups: Arc<GroupSeries>,
    /// `highwater.metrics.partition.series`.
    pub(crate) partitions: bool,
}

/// Where a scrape's figures come from.
#[derive(Clone)]
pub(crate) struct Scrape {
    pub(crate) registry: Registry,
    pub(crate) broker: Option<BrokerSeries>,
}

impl Scrape {
    /// The body of the answer. All work is done on the blocking pool, piece by piece as the client takes it: collectors may
    /// ask the operating system, and the figures of ten thousand partitions take milliseconds.
    ///
    /// # Errors
    /// When a collector of the registry breaks Prometheus' rules.
    pub(crate) async fn body(self) -> Result<Body, prometheus::Error> {
        let registry = self.registry;
        let first = run_blocking(move || TextEncoder::new().encode_to_string(&registry.gather())).await?;
        let Some(BrokerSeries { replicas, groups, partitions }) = self.broker else { return Ok(Body::from(first)) };
        let groups = stream::once(run_blocking(move || groups.write()));
        let partitions = stream::iter(partitions.then_some(replicas)).flat_map(|replicas| {
            stream::once(run_blocking(move || Arc::new(replicas.figures()))).flat_map(|all| {
                let write = move |family| {
                    let all = Arc::clone(&all);
                    run_blocking(move || super::partition_series::PartitionFamily::write(family, &all))
                };
                stream::iter(&FAMILIES).then(write)
            })
        });
        let texts = stream::once(async { first }).chain(groups).chain(partitions);
        Ok(Body::from_stream(texts.map(Ok::<String, Infallible>)))
    }
}
