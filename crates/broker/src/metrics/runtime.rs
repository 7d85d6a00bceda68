//! The asynchronous runtime.

use std::collections::VecDeque;
use std::time::Duration;

use highwater_env::clock;
use highwater_env::lock::Mutex;
use highwater_metrics::table::process;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, IntGauge};
use tokio::runtime::RuntimeMetrics;

/// How far back the idle ratio looks.
const IDLE_WINDOW: Duration = Duration::from_secs(60);
/// Shortest time between two samples: more scrapers than one a second share them.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// Worker time at one moment, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    at_us: u64,
    busy_us: u64,
}

/// Samples of the last minute, oldest first; the oldest may be older.
#[derive(Debug)]
struct Samples(VecDeque<Sample>);

impl Samples {
    /// Takes in a new sample and returns the share of `workers` that was idle since the oldest one.
    fn idle_ratio(&mut self, now: Sample, workers: usize) -> f64 {
        let age = |sample: &Sample| Duration::from_micros(now.at_us.saturating_sub(sample.at_us));
        while self.0.len() > 1 && age(&self.0[1]) >= IDLE_WINDOW {
            self.0.pop_front();
        }
        let oldest = self.0.front().copied().unwrap_or(now);
        if self.0.back().is_none_or(|last| age(last) >= SAMPLE_EVERY) {
            self.0.push_back(now);
        }
        let elapsed = now.at_us.saturating_sub(oldest.at_us) as f64 * workers as f64;
        if elapsed > 0.0 {
            (1.0 - now.busy_us.saturating_sub(oldest.busy_us) as f64 / elapsed).clamp(0.0, 1.0)
        } else {
            1.0
        }
    }
}

/// Asked of the runtime when collected.
pub(crate) struct RuntimeFigures {
    runtime: RuntimeMetrics,
    samples: Mutex<Samples>,
    idle: Gauge,
    workers: IntGauge,
    busy_seconds: Counter,
    alive_tasks: IntGauge,
    global_queue: IntGauge,
}

impl RuntimeFigures {
    /// Figures of the runtime that this is called on.
    pub(crate) fn of_current() -> Self {
        let runtime = tokio::runtime::Handle::current().metrics();
        let first = Sample { at_us: clock::mono_us(), busy_us: busy(&runtime).as_micros() as u64 };
        Self {
            runtime,
            samples: Mutex::new(Samples(VecDeque::from([first]))),
            idle: process::REQUEST_HANDLER_AVG_IDLE.float_gauge(),
            workers: process::RUNTIME_WORKERS.int_gauge(),
            busy_seconds: process::RUNTIME_BUSY_SECONDS.float_counter(),
            alive_tasks: process::RUNTIME_ALIVE_TASKS.int_gauge(),
            global_queue: process::RUNTIME_GLOBAL_QUEUE.int_gauge(),
        }
    }

    fn all(&self) -> [&dyn Collector; 5] {
        [&self.idle, &self.workers, &self.busy_seconds, &self.alive_tasks, &self.global_queue]
    }

    fn refresh(&self) {
        let busy = busy(&self.runtime);
        let now = Sample { at_us: clock::mono_us(), busy_us: busy.as_micros() as u64 };
        self.idle.set(self.samples.lock().idle_ratio(now, self.runtime.num_workers()));
        self.busy_seconds.inc_by((busy.as_secs_f64() - self.busy_seconds.get()).max(0.0));
        self.workers.set(self.runtime.num_workers() as i64);
        self.alive_tasks.set(self.runtime.num_alive_tasks() as i64);
        self.global_queue.set(self.runtime.global_queue_depth() as i64);
    }
}

fn busy(runtime: &RuntimeMetrics) -> Duration {
    (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum()
}

impl Collector for RuntimeFigures {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idleness_is_that_of_the_last_minute() {
        let sample = |at_s: u64, busy_s: u64| Sample { at_us: at_s * 1_000_000, busy_us: busy_s * 1_000_000 };
        let mut samples = Samples(VecDeque::from([sample(0, 0)]));
        assert_eq!(samples.idle_ratio(sample(0, 0), 2), 1.0);
        assert_eq!(samples.idle_ratio(sample(30, 30), 2), 0.5);
        assert_eq!(samples.idle_ratio(sample(60, 90), 2), 0.25);
        // The first half minute is over and forgotten: 60 busy seconds of 120 since second 30.
        assert_eq!(samples.idle_ratio(sample(90, 90), 2), 0.5);
        assert_eq!(samples.idle_ratio(sample(300, 90), 2), 1.0);
    }
}
