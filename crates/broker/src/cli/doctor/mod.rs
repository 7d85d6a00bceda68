//! `highwater doctor`: looks at this machine, at a configuration file or at the cluster, and says what to do.

mod cluster;
mod finding;
mod groups;
mod machine;
mod nodes;
mod probe;
mod server_config;
mod topics;

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use finding::{Finding, Severity};

use super::output::count;
use super::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater doctor                                          # this machine and the cluster
  highwater doctor --config /etc/highwater/server.properties     # this machine and that file, before the first start
  highwater doctor --json | jq '.findings[] | select(.severity == \"error\")'
  highwater doctor --quiet --max-lag 10000

Exit codes: 0 nothing is broken (warnings are possible), 1 something is, 2 wrong usage, 3 no broker reached.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorArgs {
    /// Check this server.properties and the directories and neighbours it names, instead of the cluster.
    #[arg(long, short = 'c', value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show only what is wrong.
    #[arg(long, short = 'q')]
    quiet: bool,
    /// Lag of a group, in records, from which on it is worth a warning.
    #[arg(long, default_value = "1000000", value_name = "RECORDS", value_parser = clap::value_parser!(i64).range(0..))]
    max_lag: i64,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) async fn run(args: DoctorArgs) -> Result<(), Failure> {
    let mut findings = machine::check();
    let mut unreachable = None;
    match &args.config {
        Some(path) => findings.extend(server_config::check(path).await?),
        None => match args.client.connect().await {
            Ok(mut client) => findings.extend(cluster::check(&mut client, args.max_lag).await),
            Err(failure) => unreachable = Some(failure),
        },
    }
    let number = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    args.client.print(
        || {
            json!({
                "errors": errors,
                "warnings": warnings,
                "findings": findings.iter().map(Finding::json).collect::<Vec<Value>>(),
            })
        },
        || {
            let shown = findings.iter().filter(|finding| !args.quiet || finding.severity != Severity::Fine);
            let mut lines: Vec<String> = shown.map(Finding::text).collect();
            lines.push(format!("\n{}, {}", count(errors, "error"), count(warnings, "warning")));
            lines.join("\n")
        },
    )?;
    match (unreachable, errors) {
        (Some(failure), _) => Err(failure),
        (None, 0) => Ok(()),
        (None, errors) => Err(Failure::new(format!("{} found", count(errors, "error")))
            .hint("what each line above says; `highwater doctor --quiet` shows only those")),
    }
}
