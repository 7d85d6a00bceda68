//! Growing pauses with jitter between attempts.

use std::time::Duration;

use highwater_env::rng;
use rand::Rng;

/// First pause after a failure: short, because most failures are a process that restarts or metadata that is on its way.
const FIRST: Duration = Duration::from_millis(50);
/// Longest pause: what a recovered peer may have to wait for us.
const LONGEST: Duration = Duration::from_secs(1);

/// Pauses of 50 ms, doubling up to 1 s, each spread by half so that many do not come at once.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    next: Duration,
}

impl Backoff {
    /// No failure yet.
    pub fn reconnect() -> Self {
        Self { next: FIRST }
    }

    /// The next pause.
    pub fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause.mul_f64(rng::get().random_range(0.5..1.0))
    }

    /// Waits for it.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.next()).await;
    }

    /// Something worked.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}
