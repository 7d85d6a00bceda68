//! Our own command line, as an operator uses it while something goes wrong.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use highwater_test_cluster::Cluster;

/// Runs a command; what it printed, or, as the inner error, why it was refused.
pub fn highwater(binary: &Path, cluster: &Cluster, words: &[&str]) -> Result<Result<String, String>> {
    let output = Command::new(binary).args(words).env("HIGHWATER_BOOTSTRAP", cluster.bootstrap()).output()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
}
