//! The committed metadata as this node knows it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use highwater_metadata::{MetadataDelta, MetadataImage};
use highwater_types::MetadataOffset;
use tokio::sync::watch;

/// Told of every change of the metadata, in order.
pub trait MetadataPublisher: Send + Sync {
    /// The metadata is now `image`; `delta` is what changed since the image of the previous call. Must not block for long:
    /// the next change waits.
    fn publish(&self, image: Arc<MetadataImage>, delta: &MetadataDelta);
}

/// Reads the newest image without locks. Cheap to clone.
#[derive(Clone)]
pub struct MetadataHandle {
    shared: Arc<Shared>,
}

struct Shared {
    image: ArcSwap<MetadataImage>,
    offset: watch::Sender<MetadataOffset>,
}

impl MetadataHandle {
    /// A handle to `image`. Only its maker changes it.
    pub fn new(image: Arc<MetadataImage>) -> Self {
        let offset = watch::Sender::new(image.offset());
        Self { shared: Arc::new(Shared { image: ArcSwap::new(image), offset }) }
    }

    /// The newest image.
    pub fn load(&self) -> Arc<MetadataImage> {
        self.shared.image.load_full()
    }

    /// The newest image, for a short look: cheaper than [`Self::load`], not to be held across an await.
    pub fn peek(&self) -> arc_swap::Guard<Arc<MetadataImage>> {
        self.shared.image.load()
    }

    /// Tells when the image changes.
    pub fn subscribe(&self) -> watch::Receiver<MetadataOffset> {
        self.shared.offset.subscribe()
    }

    /// Waits until this node has applied the metadata log up to `offset`. The caller sets the time limit.
    pub async fn reached(&self, offset: MetadataOffset) {
        // The sender lives in `self`: waiting cannot fail.
        let _ = self.subscribe().wait_for(|&reached| reached >= offset).await;
    }

    /// Replaces the image, before those who wait for it are woken.
    pub fn store(&self, image: Arc<MetadataImage>) {
        let offset = image.offset();
        self.shared.image.store(image);
        self.shared.offset.send_replace(offset);
    }
}
