//! Waiting for a watched value without holding on to it.

use tokio::sync::watch;

/// Waits until `condition` holds. False when the value's owner is gone and it never will.
///
/// `watch::Receiver::wait_for` returns a guard, which would keep the value locked (and the caller's future on its thread)
/// for as long as a branch of `select!` runs.
pub(crate) async fn until<T>(value: &mut watch::Receiver<T>, condition: impl FnMut(&T) -> bool) -> bool {
    value.wait_for(condition).await.is_ok()
}
