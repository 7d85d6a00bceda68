//! The documents: the part of `PERFORMANCE.md` between two marks, and the plots beside it.

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
        "Medians over the runs of each workload; ratios are how many times better ours is. Where goals differ, the one for \
         strict durability comes first; so in the last column."
            .to_owned(),
    ];
    if results.entries.iter().any(|entry| entry.quick) {
        lines.push("Some of these runs had the small sizes of `QUICK=1`.".to_owned());
    }
    lines.push(String::new());
    lines.push(report::table(results));
    for failure in report::failures(results) {
        lines.push(format!("\nA run ended early: {failure}."));
    }
    lines.push(String::new());
    lines.extend(plot::plots(results).iter().map(|(name, _)| format!("![{name}](performance/{name})")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_between_the_marks_changes() {
        let text = format!("# Title\n\n{BEGIN}\nold\n{END}\n\nThe rest.\n");
        assert_eq!(replace(&text, "new").unwrap(), format!("# Title\n\n{BEGIN}\nnew\n{END}\n\nThe rest.\n"));
        assert_eq!(replace("no marks", "new"), None);
        assert_eq!(replace(BEGIN, "new"), None);
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
