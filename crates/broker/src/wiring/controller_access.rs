//! The gateway's way to the active controller.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use highwater_gateway::Controller;
use highwater_quorum::{Command, CommandError, CommandResponse, ControllerClient, QuorumDescription, VoterChange};

/// [`Controller`] over the quorum's client.
pub(crate) struct ControllerAccess(pub(crate) ControllerClient);

impl Controller for ControllerAccess {
    fn submit(&self, command: Command) -> BoxFuture<'static, Result<CommandResponse, CommandError>> {
        let client = self.0.clone();
        async move { client.submit(command).await }.boxed()
    }

    fn describe_quorum(&self) -> BoxFuture<'static, Result<QuorumDescription, CommandError>> {
        let client = self.0.clone();
        async move { client.describe_quorum().await }.boxed()
    }

    fn change_voters(&self, change: VoterChange, timeout: Duration) -> BoxFuture<'static, Result<(), CommandError>> {
        let client = self.0.clone();
        async move { client.change_voters(change, timeout).await }.boxed()
    }
}
