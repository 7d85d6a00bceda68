//! Whether a node runs, has stopped, or had to stop.

use tokio::sync::watch;

/// Why a node cannot go on. The message says what to do where something can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NodeFailure(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    Failed(NodeFailure),
}

/// Shared by all parts that can bring the node down. The first failure counts.
#[derive(Debug, Clone)]
pub(crate) struct Lifecycle {
    state: watch::Sender<State>,
}

impl Lifecycle {
    pub(crate) fn new() -> Self {
        Self { state: watch::Sender::new(State::Running) }
    }

    /// The node cannot go on. May be called with locks held: only notes it.
    pub(crate) fn fail(&self, reason: impl Into<String>) {
        let failure = NodeFailure(reason.into());
        self.state.send_if_modified(|state| {
            let first = *state == State::Running;
            if first {
                *state = State::Failed(failure);
            }
            first
        });
    }

    /// The node has stopped in order.
    pub(crate) fn stop(&self) {
        self.state.send_if_modified(|state| {
            let running = *state == State::Running;
            if running {
                *state = State::Stopped;
            }
            running
        });
    }

    /// Whether nothing has failed yet.
    pub(crate) fn failure(&self) -> Option<NodeFailure> {
        match &*self.state.borrow() {
            State::Failed(failure) => Some(failure.clone()),
            State::Running | State::Stopped => None,
        }
    }

    /// Waits for the end, whichever it is.
    pub(crate) async fn closed(&self) -> Result<(), NodeFailure> {
        let mut state = self.state.subscribe();
        // The sender lives in `self`.
        let _ = state.wait_for(|state| *state != State::Running).await;
        self.failure().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn the_first_end_counts() {
        let lifecycle = Lifecycle::new();
        lifecycle.fail("disk");
        lifecycle.fail("other");
        lifecycle.stop();
        assert_eq!(lifecycle.closed().await, Err(NodeFailure("disk".to_owned())));
        let lifecycle = Lifecycle::new();
        lifecycle.stop();
        lifecycle.fail("late");
        assert_eq!(lifecycle.closed().await, Ok(()));
    }
}
