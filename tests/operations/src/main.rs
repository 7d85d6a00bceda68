//! `make operations`: runs the commands of the pages under `docs/operations/` against real nodes.
//!
//! In: the broker's binary and, optionally, names of pages. Out: a line per page. It knows the pages only as text: the blocks
//! marked `sh` run in order in one shell, and each command must succeed. What stands for the outside world, `ssh`,
//! `systemctl` and Kafka's scripts, is in [`site`].

mod page;
mod site;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use highwater_test_cluster::binary_argument;

use crate::site::Site;

/// What has to be there before a page's own commands run; pages of one group run one after the other on the same nodes.
const GROUPS: &[&[&str]] = &[
    &["rolling-restart", "rolling-upgrade"],
    &["adding-a-broker", "removing-a-broker"],
    &["replacing-a-controller"],
    &["changing-configs", "enlarging-partitions", "full-log-directory", "restoring-a-node"],
];

/// Pages during which a producer writes, of which each record must be acknowledged and be there afterwards.
const UNDER_LOAD: &[&str] = &["replacing-a-controller"];

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("operations: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let (binary, only) = binary_argument()?;
    let pages = PathBuf::from("docs/operations");
    every_page_is_run(&pages)?;
    let mut passed = true;
    for group in GROUPS {
        if !only.is_empty() && !group.iter().any(|page| only.iter().any(|word| page.contains(word.as_str()))) {
            continue;
        }
        let mut site = Site::start(&binary)?;
        for page in *group {
            let started = Instant::now();
            let text = std::fs::read_to_string(pages.join(format!("{page}.md")))?;
            let script = page::script(&text);
            let outcome = if UNDER_LOAD.contains(page) { site.run_under_load(&script) } else { site.run(&script) };
            let seconds = started.elapsed().as_secs_f64();
            match outcome {
                Ok(()) => println!("ok      {page:<24} {seconds:6.1} s"),
                Err(error) => {
                    println!("FAILED  {page:<24} {seconds:6.1} s\n{error:#}");
                    site.keep();
                    passed = false;
                    break;
                }
            }
        }
    }
    Ok(passed)
}

/// A page with commands that no group names would never be tried.
fn every_page_is_run(pages: &Path) -> Result<()> {
    for entry in std::fs::read_dir(pages)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let page = name.strip_suffix(".md").unwrap_or_default();
        let has_commands = !page::script(&std::fs::read_to_string(entry.path())?).is_empty();
        let known = !has_commands || GROUPS.iter().any(|group| group.contains(&page));
        known.then_some(()).with_context(|| format!("{name} is in no group of tests/operations/src/main.rs"))?;
    }
    Ok(())
}
