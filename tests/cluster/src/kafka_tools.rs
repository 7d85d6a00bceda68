//! Apache Kafka's clients and command-line tools, unmodified, for suites that run them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// Which jars: seen from the root of the repository, where suites run.
const POM: &str = "tests/clients/programs/java/pom.xml";

/// A class path with the jars. Maven fetches them once into the user's cache.
pub fn kafka_class_path() -> Result<String> {
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    let libraries = Path::new(&home).join(".cache/highwater/clients/java");
    std::fs::create_dir_all(&libraries)?;
    let (mark, wanted) = (libraries.join("installed.txt"), std::fs::read_to_string(POM)?);
    if !std::fs::read_to_string(&mark).is_ok_and(|have| have == wanted) {
        let mut maven = Command::new("mvn");
        maven.args(["-q", "-B", "-f", POM, "dependency:copy-dependencies"]);
        maven.arg(format!("-DoutputDirectory={}", libraries.display()));
        ensure!(maven.status()?.success(), "{maven:?} failed");
        std::fs::write(mark, wanted)?;
    }
    let all: PathBuf = libraries.join("*");
    Ok(all.display().to_string())
}
