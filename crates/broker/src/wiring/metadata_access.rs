//! The gateway's view of the metadata.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use highwater_gateway::Metadata;
use highwater_metadata::MetadataImage;
use highwater_quorum::MetadataHandle;
use highwater_types::MetadataOffset;

/// [`Metadata`] over the quorum's handle.
pub(crate) struct MetadataAccess(pub(crate) MetadataHandle);

impl Metadata for MetadataAccess {
    fn image(&self) -> Arc<MetadataImage> {
        self.0.load()
    }

    fn beyond(&self, offset: MetadataOffset) -> BoxFuture<'static, ()> {
        let handle = self.0.clone();
        async move { handle.reached(MetadataOffset(offset.0 + 1)).await }.boxed()
    }
}
