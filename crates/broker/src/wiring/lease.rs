//! The replicas' view of the broker's lease.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use highwater_env::clock;
use highwater_quorum::BrokerLink;
use highwater_replication::Lease;
use highwater_types::{BrokerEpoch, DirectoryId};

/// [`Lease`] over the broker's link, which starts after the replicas: until then there is no lease.
#[derive(Default)]
pub(crate) struct LinkLease {
    link: ArcSwapOption<BrokerLink>,
}

impl LinkLease {
    /// The link is there.
    pub(crate) fn attach(&self, link: BrokerLink) {
        self.link.store(Some(Arc::new(link)));
    }

    /// A log directory failed.
    pub(crate) fn on_log_dir_failed(&self, directory: DirectoryId) {
        if let Some(link) = self.link.load().as_ref() {
            link.on_log_dir_failed(directory);
        }
    }

    /// The link is gone, and the lease with it. Must be called before a node is dropped: the link's tasks know the replicas,
    /// which know this lease, which knows the link.
    pub(crate) fn detach(&self) {
        self.link.store(None);
    }
}

impl Lease for LinkLease {
    fn is_valid(&self) -> bool {
        self.link.load().as_ref().is_some_and(|link| link.lease_valid(clock::mono_ms()))
    }

    fn broker_epoch(&self) -> BrokerEpoch {
        self.link.load().as_ref().map_or(BrokerEpoch::NONE, |link| link.broker_epoch())
    }
}
