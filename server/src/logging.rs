//! The log: for people or as JSON lines, on standard error. Never secrets, addresses or content.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result, anyhow};
use tracing_subscriber::EnvFilter;

/// How the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Settings of the log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// How it looks.
    pub format: Format,
    /// `error`, `warn`, `info`, `debug` or `trace`, for our own code; others only warn.
    pub level: String,
    /// Directives as in `RUST_LOG`; they win over `level`.
    pub directives: Option<String>,
}

/// Starts the log of this process.
pub fn init(settings: &LogSettings) -> Result<()> {
    let level = &settings.level;
    let ours = || format!("warn,posthouse={level},tower_http={level}");
    let directives = settings.directives.clone().unwrap_or_else(ours);
    let filter = EnvFilter::builder().parse(directives).context("RUST_LOG is not valid")?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let done = match settings.format {
        Format::Human => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        Format::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
    };
    done.map_err(|error| anyhow!(error).context("the log is already running"))
}
