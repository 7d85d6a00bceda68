//! One thing that the doctor looked at.

use serde_json::{Value, json};

use crate::cli::output::Mood;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Fine,
    Warning,
    Error,
}

/// What was looked at, how it is, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// A stable name, for programs.
    pub(super) check: &'static str,
    pub(super) message: String,
    pub(super) advice: Option<String>,
}

impl Finding {
    pub(super) fn fine(check: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Fine, check, message: message.into(), advice: None }
    }

    pub(super) fn warning(check: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, check, message: message.into(), advice: Some(advice.into()) }
    }

    pub(super) fn error(check: &'static str, message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { severity: Severity::Error, ..Self::warning(check, message, advice) }
    }

    pub(super) fn text(&self) -> String {
        let (word, mood) = match self.severity {
            Severity::Fine => ("ok", Mood::Fine),
            Severity::Warning => ("warning", Mood::Attention),
            Severity::Error => ("ERROR", Mood::Alarm),
        };
        let style = mood.style();
        let line = format!("{style}{word:<8}{style:#} {:<18} {}", self.check, self.message);
        match &self.advice {
            Some(advice) => format!("{line}\n{:28}do: {advice}", ""),
            None => line,
        }
    }

    pub(super) fn json(&self) -> Value {
        let severity = match self.severity {
            Severity::Fine => "ok",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        json!({"severity": severity, "check": self.check, "message": self.message, "advice": self.advice})
    }
}

/// `a, b, c and 4 more`.
pub(super) fn some_of(names: &[String]) -> String {
    const SHOWN: usize = 3;
    match names.len() {
        0..=SHOWN => names.join(", "),
        more => format!("{} and {} more", names[..SHOWN].join(", "), more - SHOWN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::plain;

    #[test]
    fn a_finding_says_what_to_do() {
        let finding = Finding::error("partitions", "2 are offline", "start broker 3");
        let expected = "ERROR    partitions         2 are offline\n                            do: start broker 3";
        assert_eq!(plain(&finding.text()), expected);
        assert_eq!(
            finding.json().to_string(),
            r#"{"advice":"start broker 3","check":"partitions","message":"2 are offline","severity":"error"}"#
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        assert_eq!((some_of(&names[..3]).as_str(), some_of(&names).as_str()), ("a, b, c", "a, b, c and 2 more"));
    }
}
