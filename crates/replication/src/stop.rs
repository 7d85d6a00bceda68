//! How background work is told to end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// Ends the tasks that work on the disk, and the streams of followers. Those tasks are not aborted, because what runs on the
/// blocking pool would go on without them, and a shutdown must not overtake it.
pub(crate) type Stop = watch::Receiver<bool>;

/// Waits for `pause`; false once everything is to stop.
pub(crate) async fn pause_or_stop(pause: Duration, stop: &mut Stop) -> bool {
    tokio::select! {
        () = sleep(pause) => true,
        () = until_stopped(stop) => false,
    }
}

/// Waits until everything is to stop.
pub(crate) async fn until_stopped(stop: &mut Stop) {
    // Also when the one who says it is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Whether everything is to stop, or has.
pub(crate) fn is_stopped(stop: &Stop) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}
