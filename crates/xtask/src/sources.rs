//! Checks on source files by themselves: length, names, leftovers, and the repository's top level.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Longest file that is still "one main type" with its leaves; tests do not count.
const MAX_LINES: usize = 700;

/// Module names that say nothing about what is inside.
const DUMPING_GROUNDS: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "shared", "stuff"];

/// Files that are data, not code: tables generated from Kafka's own facts.
const GENERATED_MARK: &str = "// @generated";

/// What may stand at the top of the repository, beside dotfiles and lock files.
const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "Makefile",
    "README.md",
    "clippy.toml",
    "crates",
    "deny.toml",
    "deploy",
    "docs",
    "proto",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "tests",
    "target",
    "data",
    "LICENSE",
];

/// One Rust source file.
#[derive(Debug, Clone)]
pub struct SourceFile {
    pub path: PathBuf,
    pub text: String,
}

/// Every `.rs` file below `directory`.
pub fn read_rust_files(directory: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                files.push(SourceFile { path, text });
            }
        }
    }
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(files)
}

/// Entries at the top of the repository that do not belong there.
pub fn check_top_level(root: &Path) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for entry in fs::read_dir(root)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && !TOP_LEVEL.contains(&name.as_str()) {
            findings.push(format!("{name}: not a place of the top level; see docs/ARCHITECTURE.md"));
        }
    }
    Ok(findings)
}

/// Every breach of the rules for single files.
pub fn check(files: &[SourceFile]) -> Vec<String> {
    files.iter().flat_map(check_file).collect()
}

fn check_file(file: &SourceFile) -> Vec<String> {
    let mut findings = Vec::new();
    let shown = file.path.display();
    let stem = file.path.file_stem().unwrap_or_default().to_string_lossy();
    let named_for_folder = if stem == "mod" { file.path.parent().and_then(Path::file_name) } else { None };
    let name = named_for_folder.map_or(stem.clone(), |folder| folder.to_string_lossy());
    if DUMPING_GROUNDS.contains(&name.as_ref()) {
        findings.push(format!("{shown}: '{name}' says nothing about what is inside"));
    }
    let length = code_lines(&file.text);
    if length > MAX_LINES && !is_test(&file.path) && !file.text.starts_with(GENERATED_MARK) {
        findings.push(format!("{shown}: {length} lines without tests; {MAX_LINES} at most"));
    }
    if (stem == "lib" || stem == "main") && !file.text.trim_start().starts_with("//!") && !is_test(&file.path) {
        findings.push(format!("{shown}: a crate starts with its role, inputs, outputs and what it does not know"));
    }
    for leftover in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")] {
        if let Some(line) = file.text.lines().position(|line| line.contains(leftover)) {
            findings.push(format!("{shown}:{}: {leftover} left in the code", line + 1));
        }
    }
    findings
}

fn is_test(path: &Path) -> bool {
    let in_tests = path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "benches");
    in_tests || path.file_stem().is_some_and(|stem| stem == "tests" || stem.to_string_lossy().ends_with("_tests"))
}

/// Lines before the first in-file test module.
fn code_lines(text: &str) -> usize {
    text.lines().take_while(|line| line.trim_end() != "mod tests {").count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: PathBuf::from(path), text: text.to_owned() }
    }

    #[test]
    fn a_long_file_fails_and_its_tests_do_not_count() {
        let long = "let x = 1;\n".repeat(701);
        assert_eq!(check(&[file("crates/log/src/segment.rs", &long)]).len(), 1);
        let tested = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "let x = 1;\n".repeat(600), "//\n".repeat(600));
        assert!(check(&[file("crates/log/src/segment.rs", &tested)]).is_empty());
        assert!(check(&[file("crates/log/src/segment/tests.rs", &long)]).is_empty());
    }

    #[test]
    fn dumping_grounds_fail() {
        assert_eq!(check(&[file("crates/log/src/utils.rs", "")]).len(), 1);
        assert_eq!(check(&[file("crates/log/src/common/mod.rs", "")]).len(), 1);
        assert!(check(&[file("crates/log/src/segment.rs", "")]).is_empty());
    }

    #[test]
    fn a_crate_without_its_role_fails() {
        assert_eq!(check(&[file("crates/log/src/lib.rs", "mod segment;\n")]).len(), 1);
        assert!(check(&[file("crates/log/src/lib.rs", "//! Role.\n")]).is_empty());
    }

    #[test]
    fn leftovers_fail() {
        let text = format!("// {}: later\n", concat!("TO", "DO"));
        assert_eq!(check(&[file("crates/log/src/segment.rs", &text)]).len(), 1);
    }
}
