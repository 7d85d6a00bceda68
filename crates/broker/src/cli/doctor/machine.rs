//! This machine: limits and kernel settings, as far as a broker minds them.

use std::path::Path;

use highwater_env::Fs;

use super::finding::Finding;
use crate::cli::output::bytes;

/// Open files below which a broker with some thousand clients and partitions runs out.
const ENOUGH_FILES: u64 = 65_536;
/// How eager the kernel may be to swap, from 0 to 100.
const HIGH_SWAPPINESS: u64 = 10;
/// Connections that wait to be accepted after a restart.
const ENOUGH_BACKLOG: u64 = 1024;
/// Memory that should be free for page cache.
const LITTLE_MEMORY: u64 = 512 << 20;

/// All checks of the machine. What cannot be read is not judged.
pub(super) fn check() -> Vec<Finding> {
    let read = |path: &str| {
        Fs::Real.read(Path::new(path)).ok().map(|content| String::from_utf8_lossy(&content).trim().to_owned())
    };
    let number = |path: &str| read(path).and_then(|text| text.parse::<u64>().ok());
    let mut findings = Vec::new();
    findings.extend(read("/proc/self/limits").and_then(|limits| open_files(&limits)));
    let swappiness = number("/proc/sys/vm/swappiness");
    findings.extend(read("/proc/swaps").map(|swaps| swap(&swaps, swappiness)));
    findings.extend(read("/proc/meminfo").and_then(|memory| free_memory(&memory)));
    findings.extend(read("/sys/kernel/mm/transparent_hugepage/enabled").map(|setting| huge_pages(&setting)));
    findings.extend(number("/proc/sys/net/core/somaxconn").map(backlog));
    findings.extend(number("/proc/sys/vm/max_map_count").map(|maps| {
        Finding::fine("max-map-count", format!("vm.max_map_count={maps} is enough: logs and indexes are not mapped"))
    }));
    findings
}

fn open_files(limits: &str) -> Option<Finding> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace();
    let (soft, hard) = (words.next()?, words.next()?);
    let is_enough = |limit: &str| limit == "unlimited" || limit.parse::<u64>().is_ok_and(|files| files >= ENOUGH_FILES);
    Some(match is_enough(soft) {
        true => Finding::fine("open-files", format!("{soft} files may be open here")),
        false => Finding::warning(
            "open-files",
            format!(
                "only {soft} files may be open here (at most {hard}); each connection and each busy segment takes one"
            ),
            format!(
                "LimitNOFILE={ENOUGH_FILES} in the systemd unit, or `ulimit -n {ENOUGH_FILES}` before starting by hand"
            ),
        ),
    })
}

fn swap(swaps: &str, swappiness: Option<u64>) -> Finding {
    let areas = swaps.lines().skip(1).filter(|line| !line.trim().is_empty()).count();
    match (areas, swappiness) {
        (0, _) => Finding::fine("swap", "no swap"),
        (_, Some(eager)) if eager <= HIGH_SWAPPINESS => {
            Finding::fine("swap", format!("swap is on, vm.swappiness={eager}"))
        }
        (_, eager) => Finding::warning(
            "swap",
            format!(
                "swap is on and vm.swappiness={}: a node whose memory is swapped out misses its lease",
                eager.unwrap_or(60)
            ),
            "`sysctl vm.swappiness=1`, or switch swap off",
        ),
    }
}

fn free_memory(memory: &str) -> Option<Finding> {
    let line = memory.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let available = line.split_whitespace().next()?.parse::<u64>().ok()? * 1024;
    let shown = bytes(available as f64);
    Some(match available < LITTLE_MEMORY {
        true => Finding::warning(
            "memory",
            format!("{shown} of memory is available: consumers that lag will read from disk"),
            "give the machine more memory, or stop what else runs on it; `highwater size` says how much is of use",
        ),
        false => Finding::fine("memory", format!("{shown} of memory is available")),
    })
}

fn huge_pages(setting: &str) -> Finding {
    match setting.contains("[always]") {
        true => Finding::warning(
            "huge-pages",
            "transparent huge pages are always on: memory is held that is not used, and compaction of it causes pauses",
            "`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled`",
        ),
        false => Finding::fine("huge-pages", format!("transparent huge pages: {setting}")),
    }
}

fn backlog(connections: u64) -> Finding {
    match connections < ENOUGH_BACKLOG {
        true => Finding::warning(
            "somaxconn",
            format!("net.core.somaxconn={connections}: after a restart, clients that come all at once are refused"),
            "`sysctl net.core.somaxconn=4096`",
        ),
        false => Finding::fine("somaxconn", format!("net.core.somaxconn={connections}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;

    fn severity(finding: &Finding) -> Severity {
        finding.severity
    }

    #[test]
    fn limits_of_open_files_are_read() {
        let limits = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units\n\
                 Max open files            {soft}                 1048576              files\n"
            )
        };
        for (soft, expected) in [("1024", Severity::Warning), ("65536", Severity::Fine), ("unlimited", Severity::Fine)]
        {
            assert_eq!(open_files(&limits(soft)).map(|finding| severity(&finding)), Some(expected), "{soft}");
        }
        assert_eq!(open_files("nothing"), None);
    }

    #[test]
    fn swap_matters_when_the_kernel_is_eager() {
        let none = "Filename Type Size Used Priority";
        let one = "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2";
        assert_eq!(severity(&swap(none, Some(60))), Severity::Fine);
        assert_eq!(severity(&swap(one, Some(1))), Severity::Fine);
        assert_eq!(severity(&swap(one, Some(60))), Severity::Warning);
        assert_eq!(severity(&swap(one, None)), Severity::Warning);
    }

    #[test]
    fn kernel_settings_are_judged() {
        assert_eq!(severity(&huge_pages("[always] madvise never")), Severity::Warning);
        assert_eq!(severity(&huge_pages("always [madvise] never")), Severity::Fine);
        assert_eq!((severity(&backlog(128)), severity(&backlog(4096))), (Severity::Warning, Severity::Fine));
        let memory = |kib: u64| free_memory(&format!("MemTotal: 9 kB\nMemAvailable:   {kib} kB\n"));
        assert_eq!(memory(1000).map(|finding| severity(&finding)), Some(Severity::Warning));
        assert_eq!(memory(8 << 20).map(|finding| severity(&finding)), Some(Severity::Fine));
    }

    #[test]
    fn this_machine_can_be_looked_at() {
        assert!(check().iter().any(|finding| finding.check == "open-files"));
    }
}
