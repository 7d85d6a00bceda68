//! The alert rules: promtool's opinion, and a copy with shorter times.

use std::process::Command;

use anyhow::{Result, bail};

use crate::repository;

/// promtool checks the syntax, and runs the tests of the rules.
pub fn promtool_accepts_the_rules() -> Result<String> {
    let directory = repository().join("deploy/prometheus");
    let mut said = String::new();
    for arguments in [
        &["check", "rules", "recording.yml", "alerts.yml"][..],
        &["test", "rules", "alerts_test.yml"],
        &["check", "config", "prometheus.yml"],
    ] {
        let output = Command::new("promtool").args(arguments).current_dir(&directory).output()?;
        said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("promtool {}\n{said}", arguments.join(" "));
        }
    }
    debug_assert!(said.contains("SUCCESS"));
    let alerts = rule_names(&std::fs::read_to_string(directory.join("alerts.yml"))?).len();
    Ok(format!("promtool accepts rules and configuration; tests of {alerts} alerts pass"))
}

/// A rule file of `deploy/prometheus` in which an hour takes some seconds: `for` and the ranges of rates are shortened.
pub fn shortened(name: &str) -> Result<String> {
    let text = std::fs::read_to_string(repository().join("deploy/prometheus").join(name))?;
    let mut short = String::new();
    for line in text.lines() {
        match line.trim_start().strip_prefix("for: ") {
            Some(_) => short.push_str("        for: 2s"),
            None => {
                let ranges = ["[1h]", "[15m]", "[10m]", "[5m]"];
                short.push_str(&ranges.iter().fold(line.to_owned(), |line, range| line.replace(range, "[10s]")));
            }
        }
        short.push('\n');
    }
    Ok(short)
}

/// Names of the alerts of a rule file.
pub fn rule_names(rules: &str) -> Vec<&str> {
    rules.lines().filter_map(|line| line.trim_start().strip_prefix("- alert: ")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::promql::unknown_names;

    fn read(path: &str) -> String {
        std::fs::read_to_string(repository().join(path)).unwrap()
    }

    #[test]
    fn each_alert_has_a_chapter_a_runbook_and_a_test() {
        let rules = read("deploy/prometheus/alerts.yml");
        let page = read("docs/operations/alerts.md");
        let names: BTreeSet<&str> = rule_names(&rules).into_iter().collect();
        let chapters: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        assert_eq!(names, chapters);
        let tests = read("deploy/prometheus/alerts_test.yml");
        for name in names {
            assert!(rules.contains(&format!("alerts.md#{}\n", name.to_lowercase())), "{name} has no runbook");
            assert!(tests.contains(&format!("- alertname: {name}\n")), "{name} has no test");
        }
    }

    #[test]
    fn rules_ask_for_figures_that_exist() {
        for file in ["alerts.yml", "recording.yml"] {
            assert_eq!(unknown_names(&read(&format!("deploy/prometheus/{file}"))), [""; 0], "{file}");
        }
    }

    #[test]
    fn a_short_copy_has_no_long_times() {
        let short = shortened("alerts.yml").unwrap();
        assert!(!short.contains("[15m]") && !short.contains("for: 5m") && short.contains("for: 2s"));
    }
}
