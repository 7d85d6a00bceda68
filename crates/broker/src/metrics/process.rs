//! Figures of this process, under the names that Prometheus' own client libraries use.

use std::path::Path;

use highwater_env::{Fs, clock};
use highwater_metrics::table::process;
use highwater_types::BrokerId;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, IntGaugeVec};

/// Clock ticks per second in `/proc`: fixed for user space on Linux (`sysconf(_SC_CLK_TCK)`).
const TICKS_PER_SECOND: f64 = 100.0;
/// Page size of `/proc/self/stat`'s resident size: fixed on the platforms this runs on.
const PAGE_BYTES: f64 = 4096.0;
/// Fields of `/proc/self/stat` after the command name, counted from 0 (proc_pid_stat(5) counts from 3).
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const THREADS: usize = 17;
const VIRTUAL_BYTES: usize = 20;
const RESIDENT_PAGES: usize = 21;

/// Read from `/proc` when asked for; a figure that cannot be read keeps its last value.
pub(crate) struct ProcessFigures {
    fs: Fs,
    cpu_seconds: Counter,
    resident_bytes: Gauge,
    virtual_bytes: Gauge,
    threads: Gauge,
    open_files: Gauge,
    max_files: Gauge,
    start_time: Gauge,
    build: IntGaugeVec,
}

impl ProcessFigures {
    /// `roles` is `process.roles`.
    pub(crate) fn new(fs: Fs, node_id: BrokerId, roles: &str) -> Self {
        let start_time = process::START_TIME.float_gauge();
        start_time.set(clock::wall_ms().0 as f64 / 1000.0);
        let build = process::BUILD_INFO.int_gauge_vec();
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), &node_id.to_string(), roles]).set(1);
        Self {
            fs,
            cpu_seconds: process::CPU_SECONDS.float_counter(),
            resident_bytes: process::RESIDENT_BYTES.float_gauge(),
            virtual_bytes: process::VIRTUAL_BYTES.float_gauge(),
            threads: process::THREADS.float_gauge(),
            open_files: process::OPEN_FDS.float_gauge(),
            max_files: process::MAX_FDS.float_gauge(),
            start_time,
            build,
        }
    }

    fn all(&self) -> [&dyn Collector; 8] {
        let Self {
            cpu_seconds, resident_bytes, virtual_bytes, threads, open_files, max_files, start_time, build, ..
        } = self;
        [cpu_seconds, resident_bytes, virtual_bytes, threads, open_files, max_files, start_time, build]
    }

    fn read(&self) {
        if let Ok(stat) = self.fs.read(Path::new("/proc/self/stat"))
            && let Some(fields) = parse_stat(&stat)
        {
            let field = |index: usize| fields.get(index).copied().unwrap_or(0.0);
            let cpu_seconds = (field(USER_TICKS) + field(SYSTEM_TICKS)) / TICKS_PER_SECOND;
            self.cpu_seconds.inc_by((cpu_seconds - self.cpu_seconds.get()).max(0.0));
            self.resident_bytes.set(field(RESIDENT_PAGES) * PAGE_BYTES);
            self.virtual_bytes.set(field(VIRTUAL_BYTES));
            self.threads.set(field(THREADS));
        }
        if let Ok(files) = self.fs.read_dir(Path::new("/proc/self/fd")) {
            self.open_files.set(files.len() as f64);
        }
        if let Ok(limits) = self.fs.read(Path::new("/proc/self/limits"))
            && let Some(files) = parse_max_files(&limits)
        {
            self.max_files.set(files);
        }
    }
}

/// The soft limit in the line `Max open files`.
fn parse_max_files(limits: &[u8]) -> Option<f64> {
    let line = std::str::from_utf8(limits).ok()?.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The fields after the command name, which is in parentheses and may hold anything.
fn parse_stat(stat: &[u8]) -> Option<Vec<f64>> {
    let text = std::str::from_utf8(stat).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_whitespace().map(|field| field.parse().unwrap_or(0.0)).collect())
}

impl Collector for ProcessFigures {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_name_may_hold_anything() {
        let stat = b"42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 7 0 100 4096000 512 1";
        let fields = parse_stat(stat).unwrap();
        assert_eq!((fields[USER_TICKS], fields[SYSTEM_TICKS], fields[THREADS]), (250.0, 50.0, 7.0));
        assert_eq!((fields[VIRTUAL_BYTES], fields[RESIDENT_PAGES]), (4_096_000.0, 512.0));
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let figures = ProcessFigures::new(Fs::Real, BrokerId(1), "broker");
        assert_eq!(figures.collect().len(), figures.desc().len());
        assert!(figures.resident_bytes.get() > 1e6 && figures.open_files.get() >= 3.0 && figures.threads.get() >= 1.0);
        assert!(figures.max_files.get() >= figures.open_files.get());
    }
}
