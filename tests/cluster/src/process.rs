//! CPU time and memory of a process, from `/proc`.

use std::fs;

/// What a process has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessFigures {
    /// User plus system time, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory now, in bytes.
    pub resident_bytes: u64,
    /// Highest resident memory so far, in bytes.
    pub peak_resident_bytes: u64,
    /// Bytes handed to the block layer for writing.
    pub written_bytes: u64,
}

impl ProcessFigures {
    /// Sums two processes.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            cpu_seconds: self.cpu_seconds + other.cpu_seconds,
            resident_bytes: self.resident_bytes + other.resident_bytes,
            peak_resident_bytes: self.peak_resident_bytes + other.peak_resident_bytes,
            written_bytes: self.written_bytes + other.written_bytes,
        }
    }
}

/// The figures of a running process, or none if it is gone.
pub fn figures(pid: u32) -> Option<ProcessFigures> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name stands in parentheses and may hold blanks: count fields after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    // SAFETY: sysconf has no preconditions.
    let ticks_per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    Some(ProcessFigures {
        cpu_seconds: ticks / ticks_per_second,
        resident_bytes: number(&status, "VmRSS:") * 1024,
        peak_resident_bytes: number(&status, "VmHWM:") * 1024,
        written_bytes: number(&io, "write_bytes:"),
    })
}

fn number(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
