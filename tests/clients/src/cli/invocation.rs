//! One run of `highwater`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The binary, and the cluster that its commands are for.
pub struct Cli<'a> {
    pub binary: &'a Path,
    pub bootstrap: &'a str,
}

/// What a run left.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// Repeats `attempt` until it succeeds: brokers learn of changes one after the other. Its last error after some seconds.
pub fn eventually(mut attempt: impl FnMut() -> Result<()>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match attempt() {
            Err(_) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            result => return result,
        }
    }
}

impl Done {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

impl Cli<'_> {
    /// Runs a command, given as words divided by blanks, with `input` on standard input.
    pub fn run(&self, words: &str, input: &[u8]) -> Result<Done> {
        self.run_words(&words.split_whitespace().collect::<Vec<_>>(), input)
    }

    /// As [`Cli::run`], for words that have blanks in them.
    pub fn run_words(&self, words: &[&str], input: &[u8]) -> Result<Done> {
        let mut command = Command::new(self.binary);
        command.args(words).env("HIGHWATER_BOOTSTRAP", self.bootstrap);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("highwater")?;
        let mut stdin = child.stdin.take().context("stdin")?;
        // A command that fails may end before it has read everything: its own message says why.
        let _ = stdin.write_all(input);
        drop(stdin);
        let output = child.wait_with_output()?;
        Ok(Done {
            code: output.status.code().context("ended by a signal")?,
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// A command that must succeed: its standard output.
    pub fn ok(&self, words: &str) -> Result<String> {
        self.ok_with(words, b"")
    }

    /// As [`Cli::ok`], with standard input.
    pub fn ok_with(&self, words: &str, input: &[u8]) -> Result<String> {
        let done = self.run(words, input)?;
        if done.code != 0 {
            bail!("highwater {words}: exit code {}\n{}{}", done.code, done.text(), done.stderr);
        }
        Ok(done.text())
    }

    /// A command that must succeed, with `--json`: its result.
    pub fn json(&self, words: &str) -> Result<Value> {
        let text = self.ok(&format!("{words} --json"))?;
        serde_json::from_str(&text).with_context(|| format!("highwater {words} --json printed no JSON:\n{text}"))
    }

    /// A command that must fail with `code`: what it says on standard error.
    pub fn fails(&self, code: i32, words: &str) -> Result<String> {
        let done = self.run(words, b"")?;
        if done.code != code {
            bail!("highwater {words}: exit code {}, not {code}\n{}{}", done.code, done.text(), done.stderr);
        }
        Ok(done.stderr)
    }
}
