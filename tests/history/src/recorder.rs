//! Where clients write down what they do and see.

use std::fmt;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use crate::event::{Event, Operation, Outcome, Process};

/// Time since the history began, in nanoseconds.
pub type Clock = Box<dyn Fn() -> u64 + std::marker::Send + Sync>;

/// The history of one run while it is made. Clones share it. The order of the calls is the order of the history: record an invocation before
/// the request leaves, and its outcome after the answer is there.
#[derive(Clone)]
pub struct Recorder(Arc<Shared>);

struct Shared {
    clock: Clock,
    events: Mutex<Vec<Event>>,
    processes: AtomicU32,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recorder({} events)", self.lock().len())
    }
}

impl Recorder {
    /// An empty history.
    pub fn new(clock: Clock) -> Self {
        Self(Arc::new(Shared { clock, events: Mutex::default(), processes: AtomicU32::new(0) }))
    }

    /// A process that has done nothing yet.
    pub fn process(&self) -> Process {
        Process(self.0.processes.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds an event that needs no explanation.
    pub fn record(&self, process: Process, outcome: Outcome, operation: Operation) {
        self.push(process, outcome, operation, None);
    }

    /// Adds an event with the error that the client saw.
    pub fn record_error(&self, process: Process, outcome: Outcome, operation: Operation, error: impl fmt::Display) {
        self.push(process, outcome, operation, Some(error.to_string()));
    }

    fn push(&self, process: Process, outcome: Outcome, operation: Operation, error: Option<String>) {
        let mut events = self.lock();
        let (index, time_ns) = (events.len() as u64, (self.0.clock)());
        events.push(Event { index, time_ns, process, outcome, operation, error });
    }

    /// The events from index `from` on.
    pub fn since(&self, from: usize) -> Vec<Event> {
        self.lock().get(from..).unwrap_or_default().to_vec()
    }

    /// The whole history so far.
    pub fn events(&self) -> Vec<Event> {
        self.since(0)
    }

    /// One JSON object per line.
    ///
    /// # Errors
    /// When the output takes no more.
    pub fn write_json_lines(&self, mut output: impl Write) -> Result<()> {
        for event in self.lock().iter() {
            serde_json::to_writer(&mut output, event)?;
            output.write_all(b"\n")?;
        }
        Ok(output.flush()?)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
