//! A waiter's hold on the partitions it waits for.

use std::sync::Arc;

use crate::FetchWaiter;
use crate::partition::Partition;

/// Keeps a waiter registered; dropping it removes the waiter from all partitions.
#[must_use = "dropping it ends the registration"]
pub struct WaiterRegistration {
    pub(crate) partitions: Vec<Arc<Partition>>,
    pub(crate) waiter: Arc<FetchWaiter>,
}

impl Drop for WaiterRegistration {
    fn drop(&mut self) {
        for partition in &self.partitions {
            partition.waiters().remove(&self.waiter);
        }
    }
}
