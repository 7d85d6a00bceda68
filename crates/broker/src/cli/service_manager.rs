//! What a service manager is told of a node: the protocol of sd_notify(3), which systemd speaks with units of `Type=notify`.
//! Without a service manager (`NOTIFY_SOCKET` is not set) nothing happens.

use std::convert::Infallible;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::RunningBroker;

/// How often the node's state is looked at for the line that `systemctl status` shows.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// Says that the node has started, and from then on whether it does its work, for as long as it is polled.
///
/// Started means: the configuration is sound, directories are open and sockets are bound. It does not mean that the node serves
/// clients, for which it needs the others: the first of three nodes would wait for the second, whose start waits for the first.
pub(super) async fn report(node: &RunningBroker) -> Infallible {
    tell(&[NotifyState::Ready]);
    let mut told = None;
    let mut ticks = tokio::time::interval(STATUS_EVERY);
    loop {
        ticks.tick().await;
        let status = node.problem().map_or_else(|| "ready".to_owned(), |problem| format!("not ready: {problem}"));
        if told.as_ref() != Some(&status) {
            tell(&[NotifyState::Status(&status)]);
            told = Some(status);
        }
    }
}

/// Says that the node has begun to stop.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: other brokers take over, logs are closed")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}
