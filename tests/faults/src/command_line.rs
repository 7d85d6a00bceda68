//! Our own command line, as an operator uses it while something goes wrong.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Result;
use highwater_test_cluster::Cluster;

/// Runs a command; what it printed, or, as the inner error, why it was refused.
pub fn highwater(binary: &Path, cluster: &Cluster, words: &[&str]) -> Result<Result<String, String>> {
    let output = command(binary, cluster, words).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
}

/// Starts a command of which only the effect matters.
pub fn start_highwater(binary: &Path, cluster: &Cluster, words: &[&str]) -> Result<Child> {
    Ok(command(binary, cluster, words).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

fn command(binary: &Path, cluster: &Cluster, words: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.args(words).env("HIGHWATER_BOOTSTRAP", cluster.bootstrap()).stdin(Stdio::null());
    command
}
