//! The two things the gateway wants of the metadata quorum, as traits: the current image, and a way to change it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use highwater_controller::{Command, CommandError, CommandResponse, QuorumDescription, VoterChange};
use highwater_metadata::MetadataImage;
use highwater_types::MetadataOffset;

/// The way to the active controller.
pub trait Controller: Send + Sync {
    /// Sends a command to the active controller, wherever it is, and waits until it is committed. Gives up with a
    /// retriable error, the outcome then being unknown.
    fn submit(&self, command: Command) -> BoxFuture<'static, Result<CommandResponse, CommandError>>;

    /// Asks the active controller for the state of the metadata quorum. Gives up with a retriable error.
    fn describe_quorum(&self) -> BoxFuture<'static, Result<QuorumDescription, CommandError>>;

    /// Changes the voters of the metadata quorum, within `timeout`. After a retriable error the outcome may be unknown.
    fn change_voters(&self, change: VoterChange, timeout: Duration) -> BoxFuture<'static, Result<(), CommandError>>;
}

/// This node's view of the cluster.
pub trait Metadata: Send + Sync {
    /// The newest image this node has published.
    fn image(&self) -> Arc<MetadataImage>;

    /// Resolves once the newest image is beyond `offset`.
    fn beyond(&self, offset: MetadataOffset) -> BoxFuture<'static, ()>;
}

/// Waits until `seen` finds what it looks for in the newest image, at most for `timeout`.
pub(crate) async fn wait_for<T>(
    metadata: &dyn Metadata,
    timeout: Duration,
    mut seen: impl FnMut(&MetadataImage) -> Option<T>,
) -> Option<T> {
    let search = async {
        loop {
            let image = metadata.image();
            if let Some(found) = seen(&image) {
                return found;
            }
            metadata.beyond(image.offset()).await;
        }
    };
    tokio::time::timeout(timeout, search).await.ok()
}
