//! Installs the client libraries, each through its own language's package manager, into a cache directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::output_of;

/// Where the source programs of the suite are: the suite runs at the root of the repository, which need not be where it was
/// compiled.
pub fn programs() -> PathBuf {
    PathBuf::from("tests/clients/programs")
}

/// Where installed libraries are kept between runs.
fn cache() -> Result<PathBuf> {
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    let cache = Path::new(&home).join(".cache/highwater/clients");
    std::fs::create_dir_all(&cache)?;
    Ok(cache)
}

/// A Python interpreter that has the packages of `requirements.txt`.
pub fn python() -> Result<PathBuf> {
    let venv = cache()?.join("python");
    let python = venv.join("bin/python");
    let requirements = programs().join("python/requirements.txt");
    up_to_date(&venv.join("installed.txt"), &[&requirements], || {
        output_of(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        output_of(Command::new(&python).args(["-m", "pip", "install", "--quiet", "-r"]).arg(&requirements))?;
        Ok(())
    })?;
    Ok(python)
}

/// A directory that holds `node_modules` and a copy of the Node.js programs.
pub fn node() -> Result<PathBuf> {
    let source = programs().join("node");
    let directory = cache()?.join("node");
    std::fs::create_dir_all(&directory)?;
    for file in ["package.json", "kafkajs.js"] {
        std::fs::copy(source.join(file), directory.join(file))?;
    }
    up_to_date(&directory.join("installed.txt"), &[&source.join("package.json")], || {
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--no-package-lock"]).current_dir(&directory);
        output_of(&mut npm)?;
        Ok(())
    })?;
    Ok(directory)
}

/// The franz-go program, compiled.
pub fn go() -> Result<PathBuf> {
    let binary = cache()?.join("franz-go");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&binary).arg(".").current_dir(programs().join("go"));
    output_of(&mut build)?;
    Ok(binary)
}

/// Runs `install` unless the mark holds the same inputs as at its last success.
fn up_to_date(mark: &Path, inputs: &[&Path], install: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut wanted = String::new();
    for input in inputs {
        wanted += &std::fs::read_to_string(input).with_context(|| input.display().to_string())?;
    }
    if std::fs::read_to_string(mark).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    install()?;
    std::fs::write(mark, wanted)?;
    Ok(())
}
