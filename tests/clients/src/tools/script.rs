//! The scripts: which commands run, in which order.
//!
//! A script is a text file. `name: tool argument ...` is a step. Lines after it belong to it: `| text` is a line of its
//! standard input, `~ regex` hides what matches (it differs from run to run), `? regex` says that the step is repeated until
//! its output matches, `= sorted` that the order of its lines means nothing, `! seconds` that it is to run in a process of its
//! own that is killed after so long. `@start name: class argument ...` and `@stop name` run a program beside the following steps.

use anyhow::{Context as _, Result, bail};
use regex::Regex;

/// One thing that a script does.
#[derive(Debug)]
pub enum Action {
    Step(Step),
    /// Starts a program of that name: the class, and its arguments.
    Start(String, Vec<String>),
    /// Ends it.
    Stop(String),
}

/// One command whose output is compared.
#[derive(Debug)]
pub struct Step {
    /// Unique within the script.
    pub name: String,
    /// Tool and arguments, with placeholders.
    pub command: Vec<String>,
    /// Standard input.
    pub input: String,
    /// What is hidden.
    pub hidden: Vec<Regex>,
    /// What the output must contain in the end.
    pub until: Option<Regex>,
    /// The order of the lines differs from run to run.
    pub sorted: bool,
    /// It does not end by itself.
    pub seconds: Option<u32>,
}

/// Reads a script.
pub fn parse(text: &str) -> Result<Vec<Action>> {
    let mut actions: Vec<Action> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(word) = line.strip_prefix("@stop ") {
            actions.push(Action::Stop(word.to_owned()));
            continue;
        }
        let of_step = line.split_at_checked(2).filter(|(mark, _)| matches!(*mark, "| " | "~ " | "? " | "= " | "! "));
        if let Some((mark, rest)) = of_step {
            let Some(Action::Step(step)) = actions.last_mut() else { bail!("no step before {line:?}") };
            match mark {
                "| " => step.input += &format!("{rest}\n"),
                "~ " => step.hidden.push(Regex::new(rest)?),
                "= " => step.sorted = true,
                "! " => step.seconds = Some(rest.parse()?),
                _ => step.until = Some(Regex::new(&format!("(?m){rest}"))?),
            }
            continue;
        }
        let (name, command) = line.split_once(": ").with_context(|| format!("no step: {line:?}"))?;
        let command = command.split_whitespace().map(str::to_owned).collect();
        actions.push(match name.strip_prefix("@start ") {
            Some(name) => Action::Start(name.to_owned(), command),
            None => Action::Step(Step {
                name: name.to_owned(),
                command,
                input: String::new(),
                hidden: Vec::new(),
                until: None,
                sorted: false,
                seconds: None,
            }),
        });
    }
    Ok(actions)
}
