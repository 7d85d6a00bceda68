//! What runs on the nodes: Highwater, or Apache Kafka as the peer that figures are compared with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// A Kafka cluster id (16 bytes in base64), equal for all nodes of a cluster that exists only here.
const KAFKA_CLUSTER_ID: &str = "aGlnaHdhdGVyLWJlbmNoIA";

/// Options of the Java machine as Kafka's own start script sets them, heap included.
const KAFKA_JVM_OPTIONS: &[&str] = &[
    "-Xms1G",
    "-Xmx1G",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
    "-Djava.awt.headless=true",
];

/// Warnings only, so that logging costs the peer nothing.
const KAFKA_LOGGING: &str = "rootLogger.level = WARN
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
";

/// The program of a cluster's nodes.
#[derive(Debug, Clone)]
pub enum Software {
    /// The `highwater` binary.
    Highwater(PathBuf),
    /// A directory with the jars of an Apache Kafka release.
    Kafka(PathBuf),
}

impl Software {
    /// Properties that only this program has, for a cluster of `count` nodes.
    pub(crate) fn properties(&self, count: usize, http: &str) -> Vec<(&'static str, String)> {
        match self {
            Self::Highwater(_) => vec![("highwater.http.listener", http.to_owned())],
            Self::Kafka(_) => {
                let (replicas, min_isr) = (count.min(3).to_string(), if count > 1 { "2" } else { "1" });
                vec![
                    ("transaction.state.log.replication.factor", replicas.clone()),
                    ("transaction.state.log.min.isr", min_isr.to_owned()),
                    ("share.coordinator.state.topic.replication.factor", replicas),
                    ("share.coordinator.state.topic.min.isr", min_isr.to_owned()),
                ]
            }
        }
    }

    /// What must happen to a node's directory before its first start: Kafka formats it.
    pub(crate) fn prepare(&self, configs: &[PathBuf]) -> Result<()> {
        let Self::Kafka(libs) = self else { return Ok(()) };
        let mut formatting = Vec::new();
        for config in configs {
            fs::write(config.with_file_name("log4j2.properties"), KAFKA_LOGGING)?;
            let mut command = java(libs, config)?;
            command.args(["kafka.tools.StorageTool", "format", "-t", KAFKA_CLUSTER_ID, "-c"]).arg(config);
            formatting.push(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("start java")?);
        }
        for mut child in formatting {
            ensure!(child.wait()?.success(), "Kafka's StorageTool could not format a directory");
        }
        Ok(())
    }

    /// The command that runs a node.
    pub(crate) fn command(&self, config: &Path) -> Result<Command> {
        match self {
            Self::Highwater(binary) => {
                let mut command = Command::new(binary);
                command.args(["server", "--config"]).arg(config);
                Ok(command)
            }
            Self::Kafka(libs) => {
                let mut command = java(libs, config)?;
                command.arg("kafka.Kafka").arg(config);
                Ok(command)
            }
        }
    }
}

fn java(libs: &Path, config: &Path) -> Result<Command> {
    let libs = fs::canonicalize(libs).with_context(|| format!("no directory of jars at {}", libs.display()))?;
    let mut command = Command::new("java");
    command.args(KAFKA_JVM_OPTIONS);
    command.arg(format!("-Dlog4j2.configurationFile={}", config.with_file_name("log4j2.properties").display()));
    command.arg("-cp").arg(libs.join("*"));
    Ok(command)
}
