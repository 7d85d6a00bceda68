//! The file of results: every run of every workload, with what was measured on which machine.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::findings::Findings;
use crate::machine::Machine;
use crate::system::System;

/// One run of one workload on one system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub workload: String,
    pub system: System,
    /// 0, 1, ...
    pub run: usize,
    /// Whether it ran with the small sizes.
    pub quick: bool,
    /// Milliseconds since 1970.
    pub measured_at_ms: u64,
    pub seconds: f64,
    pub findings: Findings,
    /// Why it ended early, if it did.
    pub failure: Option<String>,
}

/// All results.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    pub machine: Machine,
    pub entries: Vec<Entry>,
}

impl Results {
    /// Reads a file; empty if there is none yet.
    pub fn load(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(path)?;
        serde_json::from_str(&text).with_context(|| format!("{} is not a file of results", path.display()))
    }

    /// Writes the file.
    pub fn save(&self, path: &Path) -> Result<()> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(fs::write(path, serde_json::to_string_pretty(self)? + "\n")?)
    }

    /// Adds a run. The first one of a workload on a system takes the place of all that were measured earlier.
    pub fn add(&mut self, entry: Entry) {
        if entry.run == 0 {
            self.entries.retain(|old| (&old.workload, old.system) != (&entry.workload, entry.system));
        }
        self.entries.push(entry);
        self.entries.sort_by(|one, other| {
            (&one.workload, one.system, one.run).cmp(&(&other.workload, other.system, other.run))
        });
    }

    /// A figure over the runs that found it: the longest of all, if it is the longest of each, else the median.
    pub fn of_all_runs(&self, workload: &str, system: System, figure: &str) -> Option<f64> {
        let of_cell = |entry: &&Entry| entry.workload == workload && entry.system == system;
        let values = self.entries.iter().filter(of_cell).filter_map(|entry| entry.findings.get(figure));
        if figure.ends_with(".longest_ms") { values.reduce(f64::max) } else { median(values.collect()) }
    }
}

/// The middle one, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(system: System, run: usize, figure: f64) -> Entry {
        let mut findings = Findings::default();
        findings.note("a.x", figure);
        let workload = "A".to_owned();
        Entry { workload, system, run, quick: false, measured_at_ms: 0, seconds: 1.0, findings, failure: None }
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_first_run_replaces_what_its_cell_held_and_nothing_else() {
        let mut results = Results::default();
        for (run, figure) in [(0, 10.0), (1, 20.0), (2, 90.0)] {
            results.add(entry(System::Strict, run, figure));
            results.add(entry(System::Kafka, run, figure * 2.0));
        }
        assert_eq!(results.of_all_runs("A", System::Strict, "a.x"), Some(20.0));
        results.add(entry(System::Strict, 0, 5.0));
        assert_eq!(results.of_all_runs("A", System::Strict, "a.x"), Some(5.0));
        assert_eq!(results.of_all_runs("A", System::Kafka, "a.x"), Some(40.0));
        assert_eq!(results.of_all_runs("A", System::Relaxed, "a.x"), None);
    }

    #[test]
    fn the_longest_of_all_runs_is_the_longest() {
        let mut results = Results::default();
        for (run, figure) in [(0, 10.0), (1, 90.0), (2, 20.0)] {
            let mut entry = entry(System::Strict, run, 0.0);
            entry.findings.note("a.longest_ms", figure);
            results.add(entry);
        }
        assert_eq!(results.of_all_runs("A", System::Strict, "a.longest_ms"), Some(90.0));
        assert_eq!(results.of_all_runs("A", System::Kafka, "a.longest_ms"), None);
    }

    #[test]
    fn results_survive_their_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/results.json");
        let mut results = Results::default();
        assert_eq!(Results::load(&path).unwrap(), results);
        results.add(entry(System::Relaxed, 0, 1.5));
        results.save(&path).unwrap();
        assert_eq!(Results::load(&path).unwrap(), results);
    }
}
