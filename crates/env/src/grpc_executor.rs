//! Where tonic's connections and streams run: as tasks of tokio that take wake-ups by themselves at once.
//!
//! h2 wakes the task that sends a stream's body during each of its own polls: the window that it reserves for the next piece
//! counts as news. tokio takes such a task for one that yields, puts it behind all others, and wakes another worker to look for
//! work: a system call and two switches of threads for each message, to find that nothing is to be done.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// Polls in a row before other tasks have their turn.
const POLLS_AT_ONCE: usize = 4;

/// Spawns futures on tokio's runtime as [`TakesOwnWakes`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct GrpcExecutor;

impl<F> hyper::rt::Executor<F> for GrpcExecutor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, future: F) {
        tokio::spawn(TakesOwnWakes::new(Box::pin(future)));
    }
}

/// A future that is polled again at once when it is woken while it is polled, instead of being scheduled anew.
struct TakesOwnWakes<F> {
    inner: Pin<Box<F>>,
    wakes: Arc<Wakes>,
    /// What the inner future wakes.
    waker: Waker,
}

impl<F> TakesOwnWakes<F> {
    fn new(inner: Pin<Box<F>>) -> Self {
        let wakes = Arc::new(Wakes::default());
        Self { inner, waker: Waker::from(wakes.clone()), wakes }
    }
}

impl<F: Future> Future for TakesOwnWakes<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { inner, wakes, waker } = &mut *self;
        wakes.task.register(context.waker());
        for _ in 0..POLLS_AT_ONCE {
            wakes.state.store(POLLED, Ordering::Release);
            if let Poll::Ready(output) = inner.as_mut().poll(&mut Context::from_waker(waker)) {
                return Poll::Ready(output);
            }
            if wakes.state.compare_exchange(POLLED, WAITS, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Poll::Pending;
            }
        }
        wakes.state.store(WAITS, Ordering::Release);
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Wakes the task, or has the poll under way repeated.
#[derive(Default)]
struct Wakes {
    state: AtomicU8,
    task: AtomicWaker,
}

/// Nothing is under way: a wake-up goes to the task.
const WAITS: u8 = 0;
/// A poll is under way.
const POLLED: u8 = 1;
/// The poll under way is to be repeated.
const AGAIN: u8 = 2;

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        match self.state.compare_exchange(POLLED, AGAIN, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(AGAIN) => {}
            Err(_) => self.task.wake(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Counts how often the task is woken.
    #[derive(Default)]
    struct Scheduler(AtomicUsize);

    impl Wake for Scheduler {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Scheduler {
        fn woken(&self) -> usize {
            self.0.load(Ordering::Relaxed)
        }
    }

    /// A future that wakes itself in its first `wakes` polls, and is ready after `polls`. Gives how often it was polled.
    fn restless(wakes: usize, polls: usize) -> impl Future<Output = usize> {
        let mut polled = 0;
        poll_fn(move |context| {
            polled += 1;
            if polled <= wakes {
                context.waker().wake_by_ref();
            }
            if polled == polls { Poll::Ready(polled) } else { Poll::Pending }
        })
    }

    fn poll_once<F: Future>(task: &mut TakesOwnWakes<F>, scheduler: &Arc<Scheduler>) -> Poll<F::Output> {
        Pin::new(task).poll(&mut Context::from_waker(&Waker::from(scheduler.clone())))
    }

    #[test]
    fn a_wake_up_during_a_poll_repeats_it_and_wakes_nobody() {
        let scheduler = Arc::new(Scheduler::default());
        let mut task = TakesOwnWakes::new(Box::pin(restless(2, 3)));
        assert_eq!(poll_once(&mut task, &scheduler), Poll::Ready(3));
        assert_eq!(scheduler.woken(), 0);
    }

    #[test]
    fn a_wake_up_between_polls_goes_to_the_task() {
        let scheduler = Arc::new(Scheduler::default());
        let mut task = TakesOwnWakes::new(Box::pin(restless(1, 3)));
        assert_eq!(poll_once(&mut task, &scheduler), Poll::Pending);
        task.waker.wake_by_ref();
        assert_eq!(scheduler.woken(), 1);
        assert_eq!(poll_once(&mut task, &scheduler), Poll::Ready(3));
    }

    #[test]
    fn one_that_never_rests_lets_others_run() {
        let scheduler = Arc::new(Scheduler::default());
        let mut task = TakesOwnWakes::new(Box::pin(restless(usize::MAX, POLLS_AT_ONCE + 1)));
        assert_eq!(poll_once(&mut task, &scheduler), Poll::Pending);
        assert_eq!(scheduler.woken(), 1);
        assert_eq!(poll_once(&mut task, &scheduler), Poll::Ready(POLLS_AT_ONCE + 1));
    }
}
