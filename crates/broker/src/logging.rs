//! Log output: lines for people or JSON for programs, on standard error.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// Filter when neither `HIGHWATER_LOG` nor `RUST_LOG` is set. openraft warns of an unreachable voter many times a second.
const DEFAULT_FILTER: &str = "info,openraft=error,h2=warn,hyper=warn,tonic=warn,tower=warn";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Time, level, text, fields.
    Plain,
    /// One JSON object per line.
    Json,
}

/// Starts logging for the whole process. `HIGHWATER_LOG` (or `RUST_LOG`) filters, for example `debug` or
/// `info,highwater_replication=debug`. Does nothing when logging has been started already.
pub fn start(format: LogFormat) {
    let filter = ["HIGHWATER_LOG", "RUST_LOG"].iter().find_map(|variable| std::env::var(variable).ok());
    let filter = EnvFilter::new(filter.as_deref().unwrap_or(DEFAULT_FILTER));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // An error means that somebody else, such as a test harness, logs already.
    let _ = match format {
        LogFormat::Plain => builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
}
