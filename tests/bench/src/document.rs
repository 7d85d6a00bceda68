//! The documents: the part of `PERFORMANCE.md` between two marks, and the plots beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::plot;
use crate::report;
use crate::results::Results;

const BEGIN: &str = "<!-- bench-vs-kafka: begin, written by `make bench-vs-kafka` -->";
const END: &str = "<!-- bench-vs-kafka: end -->";

/// Rewrites the marked part of `PERFORMANCE.md` in that directory, and the plots in `performance/`.
pub fn write(directory: &Path, results: &Results) -> Result<()> {
    let path = directory.join("PERFORMANCE.md");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let rewritten = replace(&text, &section(results)).with_context(|| format!("{} lacks the marks", path.display()))?;
    fs::write(&path, rewritten)?;
    let plots = directory.join("performance");
    fs::create_dir_all(&plots)?;
    for (name, svg) in plot::plots(results) {
        fs::write(plots.join(name), svg)?;
    }
    Ok(())
}

/// The text with another part between the marks, or none if a mark is missing.
fn replace(text: &str, part: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{part}\n{END}{after}"))
}

fn section(results: &Results) -> String {
    let machine = &results.machine;
    let mut lines = vec![
        format!(
            "{} cores of {}, {} GB of memory, Linux {}; {} and Apache Kafka {}.",
            machine.cores, machine.cpu, machine.memory_gb, machine.kernel, machine.highwater, machine.kafka
        ),
        "Medians over the runs of each workload, and of what is called longest the longest; ratios are how many times better ours \
         is. Where goals differ, the one for \
         strict durability comes first; so in the last column."
            .to_owned(),
    ];
    lines.push(runs(results));
    lines.push(String::new());
    lines.push(report::table(results));
    for failure in report::failures(results) {
        lines.push(format!("\nA run ended early: {failure}."));
    }
    lines.push(String::new());
    lines.extend(plot::plots(results).iter().map(|(name, _)| format!("![{name}](performance/{name})")));
    lines.join("\n")
}

/// How often each workload ran on each system, and whether its sizes were the full ones.
fn runs(results: &Results) -> String {
    let mut workloads = BTreeMap::new();
    for entry in &results.entries {
        let (runs, quick) = workloads.entry(&*entry.workload).or_insert((0, false));
        *runs = (*runs).max(entry.run + 1);
        *quick |= entry.quick;
    }
    let mut kinds: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    for (workload, kind) in workloads {
        kinds.entry(kind).or_default().push(workload);
    }
    let words = kinds.into_iter().rev().map(|((runs, quick), workloads)| {
        let sizes = if quick { " with the small sizes of `QUICK=1`" } else { "" };
        format!("{runs} on each system{sizes}: {}", workloads.join(", "))
    });
    format!("Runs: {}.", words.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Findings;
    use crate::results::Entry;
    use crate::system::System;

    #[test]
    fn only_the_part_between_the_marks_changes() {
        let text = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nThe rest.\n");
        assert_eq!(replace(&text, "new").unwrap(), format!("# Title\n\n{BEGIN}\nnew\n{END}\n\nThe rest.\n"));
        assert_eq!(replace("no marks", "new"), None);
        assert_eq!(replace(BEGIN, "new"), None);
    }

    #[test]
    fn a_reader_is_told_how_often_and_at_which_sizes_was_measured() {
        let entry = |workload: &str, run, quick| Entry {
            workload: workload.to_owned(),
            system: System::Strict,
            run,
            quick,
            measured_at_ms: 0,
            seconds: 1.0,
            findings: Findings::default(),
            failure: None,
        };
        let entries = vec![entry("A", 0, false), entry("A", 1, false), entry("B", 0, true), entry("C", 0, true)];
        let results = Results { entries, ..Results::default() };
        assert_eq!(
            runs(&results),
            "Runs: 2 on each system: A; 1 on each system with the small sizes of `QUICK=1`: B, C."
        );
    }

    #[test]
    fn writing_twice_changes_nothing_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("PERFORMANCE.md");
        fs::write(&path, format!("before\n{BEGIN}{END}\nafter\n")).unwrap();
        write(directory.path(), &Results::default()).unwrap();
        let once = fs::read_to_string(&path).unwrap();
        write(directory.path(), &Results::default()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), once);
        assert!(once.starts_with("before\n") && once.ends_with("after\n"));
    }
}
