//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::options::Options;

/// A machine and the versions of what ran on it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_gb: f64,
    pub kernel: String,
    pub highwater: String,
    /// From the name of its jar; empty if there was none.
    pub kafka: String,
}

impl Machine {
    /// This one.
    pub fn inspect(options: &Options) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let version = Command::new(&options.binary).arg("--version").output();
        Self {
            cpu: value_of(&cpuinfo, "model name").unwrap_or_default().to_owned(),
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            memory_gb: memory_gb(&meminfo),
            kernel: kernel.trim().to_owned(),
            highwater: version
                .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
                .unwrap_or_default(),
            kafka: options.kafka_libs.as_deref().and_then(kafka_version).unwrap_or_default(),
        }
    }
}

fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim())
}

fn memory_gb(meminfo: &str) -> f64 {
    let kilobytes = value_of(meminfo, "MemTotal").and_then(|value| value.split_whitespace().next()?.parse().ok());
    (kilobytes.unwrap_or(0.0_f64) * 1024.0 / 1e9).round()
}

/// `4.3.1` from `kafka_2.13-4.3.1.jar`.
fn kafka_version(libs: &Path) -> Option<String> {
    let names = fs::read_dir(libs).ok()?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter_map(|name| Some(name.strip_prefix("kafka_")?.strip_suffix(".jar")?.split_once('-')?.1.to_owned()))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_from_proc() {
        assert_eq!(value_of("processor\t: 0\nmodel name\t: AMD EPYC\n", "model name"), Some("AMD EPYC"));
        assert_eq!(memory_gb("MemTotal:       24683520 kB\nMemFree: 1 kB\n"), 25.0);
    }

    #[test]
    fn kafkas_version_is_in_the_name_of_its_jar() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["kafka_2.13-4.3.1.jar", "kafka-clients-4.3.1.jar", "zstd-jni-1.5.6-10.jar"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        assert_eq!(kafka_version(directory.path()).as_deref(), Some("4.3.1"));
    }
}
