//! `cargo xtask …`: checks and generators of this repository.
//!
//! Whatever the Makefile or CI does that is more than one line of shell lives here.

mod drift;
mod openapi;
mod sqlx_data;
mod tidy;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};

/// Checks and generators of this repository.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Checks dependency rules, file sizes, module docs and use of the clock.
    Tidy,
    /// Writes openapi/posthouse.json from the code.
    Openapi(Mode),
    /// Writes core/.sqlx, the query data for builds without a database.
    Sqlx(Mode),
}

/// Whether a generator writes.
#[derive(Args, Clone, Copy, Debug)]
struct Mode {
    /// Only tell whether the committed files are current.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match run(&Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when this fails.
            writeln!(std::io::stderr(), "xtask: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> Result<()> {
    let root = root()?;
    match task {
        Task::Tidy => tidy::run(&root),
        Task::Openapi(mode) => openapi::run(&root, mode.check),
        Task::Sqlx(mode) => sqlx_data::run(&root, mode.check),
    }
}

/// The directory of the workspace.
fn root() -> Result<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(own.parent().context("xtask is not inside of a workspace")?.to_owned())
}
