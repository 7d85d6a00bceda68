//! What the steps of one script printed, as a text file that people can read and that compares line by line.

use std::collections::BTreeMap;
use std::fmt;

/// The steps in order.
#[derive(Debug, Default)]
pub struct Transcript(pub Vec<Entry>);

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    /// As in the script.
    pub command: String,
    /// Normalised lines, and a last one with the exit status.
    pub lines: Vec<String>,
}

impl Transcript {
    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("## ") {
                entries.push(Entry { name: name.to_owned(), command: String::new(), lines: Vec::new() });
            } else if let Some(entry) = entries.last_mut() {
                match line.strip_prefix("$ ") {
                    Some(command) if entry.command.is_empty() => entry.command = command.to_owned(),
                    _ => entry.lines.push(line.to_owned()),
                }
            }
        }
        Self(entries)
    }

    /// The entries by name.
    pub fn by_name(&self) -> BTreeMap<&str, &Entry> {
        self.0.iter().map(|entry| (entry.name.as_str(), entry)).collect()
    }
}

impl fmt::Display for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.0 {
            writeln!(f, "## {}\n$ {}", entry.name, entry.command)?;
            for line in &entry.lines {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}

/// The lines that differ, marked `-` (only `before` has it) and `+` (only `after`), in order.
pub fn difference(before: &[String], after: &[String]) -> Vec<String> {
    // Longest common subsequence of all pairs of tails.
    let mut common = vec![vec![0_u32; after.len() + 1]; before.len() + 1];
    for old in (0..before.len()).rev() {
        for new in (0..after.len()).rev() {
            common[old][new] = if before[old] == after[new] {
                common[old + 1][new + 1] + 1
            } else {
                common[old + 1][new].max(common[old][new + 1])
            };
        }
    }
    let (mut old, mut new, mut lines) = (0, 0, Vec::new());
    while old < before.len() || new < after.len() {
        if old < before.len() && new < after.len() && before[old] == after[new] {
            (old, new) = (old + 1, new + 1);
        } else if new == after.len() || (old < before.len() && common[old + 1][new] >= common[old][new + 1]) {
            lines.push(format!("-{}", before[old]));
            old += 1;
        } else {
            lines.push(format!("+{}", after[new]));
            new += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transcript_reads_what_it_writes() {
        let lines = vec!["one".to_owned(), "[exit 0]".to_owned()];
        let entry = Entry { name: "list".to_owned(), command: "topic --list".to_owned(), lines };
        let text = Transcript(vec![entry.clone(), entry.clone()]).to_string();
        assert_eq!(Transcript::parse(&text).0, [entry.clone(), entry]);
    }

    #[test]
    fn differences_are_the_lines_that_are_not_common() {
        let lines = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(difference(&lines("a b c d"), &lines("a x c d e")), ["-b", "+x", "+e"]);
        assert!(difference(&lines("a b"), &lines("a b")).is_empty());
    }
}
