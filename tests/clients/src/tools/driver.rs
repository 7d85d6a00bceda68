//! Runs Kafka's tools: one Java process for all of them, `ToolDriver.java`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result};
use highwater_test_cluster::kafka_class_path;
use serde_json::{Value, json};

use crate::{check, install};

/// Longest that one command may take.
const SECONDS: u64 = 60;

/// The running process; it ends with the value.
pub struct Driver {
    process: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What a command did.
pub struct Ran {
    /// Its exit status; -1 when it did not end in time.
    pub exit: i64,
    /// Both output streams, in the order they were written.
    pub output: String,
}

impl Driver {
    /// Starts the process. Java compiles the driver on the way.
    pub fn start() -> Result<Self> {
        let mut java = Command::new("java");
        java.args(["-Xmx256M", "-cp", &kafka_class_path()?]);
        java.arg(install::programs().join("java/ToolDriver.java"));
        let mut process = java.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn()?;
        let commands = process.stdin.take().context("standard input")?;
        let answers = BufReader::new(process.stdout.take().context("standard output")?);
        Ok(Self { process, commands, answers })
    }

    /// Runs the main method of `class`.
    pub fn run(&mut self, class: &str, arguments: &[String], input: &str) -> Result<Ran> {
        let command = json!({ "class": class, "args": arguments, "stdin": input, "seconds": SECONDS });
        writeln!(self.commands, "{command}")?;
        self.commands.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line).with_context(|| format!("the driver answered {line:?}"))?;
        let exit = answer["exit"].as_i64().context("no exit status")?;
        Ok(Ran { exit, output: answer["out"].as_str().context("no output")?.to_owned() })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The class of kafka-reassign-partitions.
pub const REASSIGN: &str = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand";

/// Tools that are run on one cluster, and must succeed.
pub struct ToolsOn {
    driver: Driver,
    bootstrap: String,
}

impl ToolsOn {
    /// For the cluster with that address.
    pub fn start(bootstrap: &str) -> Result<Self> {
        Ok(Self { driver: Driver::start()?, bootstrap: bootstrap.to_owned() })
    }

    /// What the tool of that class prints.
    pub fn run(&mut self, class: &str, arguments: &[&str]) -> Result<String> {
        let all = [&["--bootstrap-server", &self.bootstrap], arguments].concat();
        let all: Vec<String> = all.into_iter().map(str::to_owned).collect();
        let ran = self.driver.run(class, &all, "")?;
        check(ran.exit == 0, || format!("{class} {arguments:?}: {}", ran.output))?;
        Ok(ran.output)
    }
}
