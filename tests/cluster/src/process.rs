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
    /// Resident memory that no file stands behind: heap and stacks, in bytes.
    pub private_bytes: u64,
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
            private_bytes: self.private_bytes + other.private_bytes,
            written_bytes: self.written_bytes + other.written_bytes,
        }
    }
}

/// The figures of a running process, or none if it is gone.
pub fn figures(pid: u32) -> Option<ProcessFigures> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
    let status = read("status").ok()?;
    Some(ProcessFigures {
        cpu_seconds: cpu_ticks(&read("stat").ok()?)? as f64 / ticks_per_second(),
        resident_bytes: number(&status, "VmRSS:") * 1024,
        peak_resident_bytes: number(&status, "VmHWM:") * 1024,
        private_bytes: number(&status, "RssAnon:") * 1024,
        written_bytes: number(&read("io").unwrap_or_default(), "write_bytes:"),
    })
}

/// Whether a signal has stopped that process; none if it is gone.
pub fn is_stopped(pid: u32) -> Option<bool> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(state(&stat)? == "T")
}

/// How many ticks `/proc` counts a second.
pub fn ticks_per_second() -> f64 {
    // SAFETY: sysconf has no preconditions.
    unsafe { libc::sysconf(libc::_SC_CLK_TCK) as f64 }
}

/// User plus system time of `/proc/PID/stat`. The command's name stands in parentheses and may hold blanks and parentheses:
/// fields are counted after it.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// The state of `/proc/PID/stat`, which follows the command's name.
fn state(stat: &str) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_whitespace().next()
}

/// The number behind a key at the start of a line, or 0.
fn number(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_and_times_are_found_whatever_the_command_is_called() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 7 9 20 0 1 0 1000 0 0";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("42 (short) S 1"), None);
        assert_eq!(state(stat), Some("S"));
    }

    #[test]
    fn keys_are_found_at_the_start_of_a_line_only() {
        let io = "rchar: 7\ncancelled_write_bytes: 5\nwrite_bytes: 4096\n";
        assert_eq!(number(io, "write_bytes:"), 4096);
        assert_eq!(number("VmHWM:\t  1234 kB\n", "VmHWM:"), 1234);
        assert_eq!(number("", "VmHWM:"), 0);
    }

    #[test]
    fn this_process_has_memory_of_its_own() {
        let figures = figures(std::process::id()).unwrap();
        assert!(figures.private_bytes > 0 && figures.private_bytes <= figures.resident_bytes);
        assert!(figures.resident_bytes <= figures.peak_resident_bytes);
    }
}
