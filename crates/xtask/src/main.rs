//! Developer commands: `cargo xtask tidy` checks the shape of the code base, `cargo xtask api-matrix` and
//! `cargo xtask metrics` print `docs/api-matrix.md` and `docs/metrics.md` from the tables in the code.
//!
//! In: the workspace's manifests and sources. Out: findings on standard error and an exit code.
//! It knows nothing of how the broker works and is never part of it.

mod layers;
mod modules;
mod sources;

use std::process::ExitCode;

use anyhow::{Context as _, Result};

fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    let outcome = match command.as_str() {
        "tidy" => tidy(),
        "api-matrix" => {
            print!("{}", highwater_protocol::api_matrix_markdown());
            Ok(Vec::new())
        }
        "metrics" => {
            print!("{}", highwater_metrics::markdown());
            Ok(Vec::new())
        }
        _ => {
            eprintln!("usage: cargo xtask tidy | api-matrix | metrics");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(findings) if findings.is_empty() => ExitCode::SUCCESS,
        Ok(findings) => {
            for finding in &findings {
                eprintln!("tidy: {finding}");
            }
            eprintln!("tidy: {} finding(s)", findings.len());
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn tidy() -> Result<Vec<String>> {
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec().context("cargo metadata")?;
    let packages: Vec<layers::Package> = metadata.packages.iter().map(layers::Package::from_metadata).collect();
    let mut findings = layers::check(&packages);
    let root = metadata.workspace_root.as_std_path();
    findings.extend(sources::check_top_level(root)?);
    for top in ["crates", "tests"] {
        let files = sources::read_rust_files(&root.join(top))?;
        findings.extend(sources::check(&files));
        findings.extend(modules::check(&files));
    }
    Ok(findings)
}
