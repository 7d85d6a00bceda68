//! How background work is told to end.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// Ends the tasks that work on the disk. They are not aborted, because what runs on the blocking pool would go on without
/// them, and a shutdown must not overtake it.
pub(crate) type Stop = watch::Receiver<bool>;

/// Waits for `pause`; false once everything is to stop.
pub(crate) async fn pause_or_stop(pause: Duration, stop: &mut Stop) -> bool {
    tokio::select! {
        () = sleep(pause) => true,
        // Also when the one who says it is gone.
        _ = stop.wait_for(|stop| *stop) => false,
    }
}
