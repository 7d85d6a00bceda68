//! Producer ids for idempotent producers (KIP-98, KIP-730): handed out from blocks that the controller gives this node.

use std::sync::Arc;

use highwater_controller::{AllocateProducerIds, BrokerSession, Command, CommandResponse, ProducerIdBlock};
use highwater_types::{BrokerId, ErrorCode, ProducerId};
use tokio::sync::Mutex;

use crate::controller::{Controller, Metadata};

/// The next block is fetched when one part in so many is left of the current one, so that nobody waits for it.
const PREFETCH_AT_REMAINING: i64 = 10;

/// This node's stock of producer ids. Ids of an abandoned block are never used: the controller counts on.
pub(crate) struct ProducerIds {
    node_id: BrokerId,
    metadata: Arc<dyn Metadata>,
    controller: Arc<dyn Controller>,
    stock: Arc<Mutex<Stock>>,
}

#[derive(Default)]
struct Stock {
    /// Next id to hand out and the end of the block in use.
    current: std::ops::Range<i64>,
    /// Length of the block in use.
    current_length: i64,
    /// The block after it.
    next: Option<ProducerIdBlock>,
    /// A task is fetching `next`.
    fetching: bool,
}

impl ProducerIds {
    /// An empty stock.
    pub(crate) fn new(node_id: BrokerId, metadata: Arc<dyn Metadata>, controller: Arc<dyn Controller>) -> Self {
        Self { node_id, metadata, controller, stock: Arc::default() }
    }

    /// An id nobody else ever gets.
    ///
    /// # Errors
    /// COORDINATOR_LOAD_IN_PROGRESS when no block can be had now: clients retry.
    pub(crate) async fn next(&self) -> Result<ProducerId, ErrorCode> {
        let mut stock = self.stock.lock().await;
        if stock.current.is_empty() {
            let block = match stock.next.take() {
                Some(block) => block,
                // Callers queue on the lock: one request to the controller serves them all.
                None => allocate(self.node_id, &*self.metadata, &*self.controller).await?,
            };
            stock.start(block);
        }
        let id = stock.current.start;
        stock.current.start += 1;
        if stock.is_low() && !stock.fetching && stock.next.is_none() {
            stock.fetching = true;
            self.prefetch();
        }
        Ok(ProducerId(id))
    }

    fn prefetch(&self) {
        let (stock, metadata, controller) =
            (Arc::clone(&self.stock), Arc::clone(&self.metadata), Arc::clone(&self.controller));
        let node_id = self.node_id;
        tokio::spawn(async move {
            let block = allocate(node_id, &*metadata, &*controller).await;
            let mut stock = stock.lock().await;
            stock.fetching = false;
            stock.next = block.ok();
        });
    }
}

impl Stock {
    fn start(&mut self, block: ProducerIdBlock) {
        let first = block.first.get();
        self.current_length = i64::from(block.length);
        self.current = first..first + self.current_length;
    }

    fn is_low(&self) -> bool {
        (self.current.end - self.current.start) * PREFETCH_AT_REMAINING <= self.current_length
    }
}

async fn allocate(
    node_id: BrokerId,
    metadata: &dyn Metadata,
    controller: &dyn Controller,
) -> Result<ProducerIdBlock, ErrorCode> {
    let session = BrokerSession { id: node_id, epoch: metadata.image().broker_epoch(node_id) };
    match controller.submit(Command::AllocateProducerIds(AllocateProducerIds { session })).await {
        Ok(CommandResponse::AllocateProducerIds(block)) => Ok(block),
        Ok(other) => unreachable!("AllocateProducerIds was answered with {other:?}"),
        Err(error) => {
            tracing::warn!(%error, "cannot allocate producer ids");
            Err(ErrorCode::CoordinatorLoadInProgress)
        }
    }
}
