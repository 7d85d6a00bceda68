//! The broker as a member of its cluster.

use std::sync::{Arc, OnceLock};

use highwater_env::clock;
use highwater_gateway::Gateway;
use highwater_metrics::table::broker;
use highwater_quorum::BrokerLink;
use prometheus::IntGauge;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

/// Kafka's numbers for the states that exist here.
const STARTING: i64 = 1;
const RUNNING: i64 = 3;

/// Asked of the link when collected.
pub(crate) struct BrokerFigures {
    link: BrokerLink,
    gateway: Arc<OnceLock<Arc<Gateway>>>,
    state: IntGauge,
    fenced: IntGauge,
    metadata_offset: IntGauge,
}

impl BrokerFigures {
    pub(crate) fn new(link: BrokerLink, gateway: Arc<OnceLock<Arc<Gateway>>>) -> Self {
        Self {
            link,
            gateway,
            state: broker::BROKER_STATE.int_gauge(),
            fenced: broker::FENCED.int_gauge(),
            metadata_offset: broker::LAST_APPLIED_RECORD_OFFSET.int_gauge(),
        }
    }

    fn all(&self) -> [&IntGauge; 3] {
        [&self.state, &self.fenced, &self.metadata_offset]
    }
}

impl Collector for BrokerFigures {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.state.set(if self.gateway.get().is_some() { RUNNING } else { STARTING });
        self.fenced.set(i64::from(!self.link.lease_valid(clock::mono_ms())));
        self.metadata_offset.set(self.link.metadata().peek().offset().0);
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
