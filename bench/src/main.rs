//! `make bench`: how fast a release build accepts and delivers, one JSON line per figure.
//!
//! Everything runs on this machine: client, server, its Postgres, DNS and the sink share the cores.
//! It measures; it does not tune, and it never runs against a server it did not start.

mod api;
mod dns;
mod latency;
mod lists;
mod load;
mod process;
mod queue;
mod receiver;
mod report;
mod scenarios;
mod server;
mod sink;
mod webhooks;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;

use crate::lists::Size;
use crate::queue::Waiting;
use crate::scenarios::{Bench, Plan};

/// What to measure.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Mode {
    /// Accepting and delivering.
    Mail,
    /// Delivering alone, with each kind of signature.
    Deliver,
    /// Telling webhook endpoints.
    Webhooks,
    /// Reading lists, searching and following the events of an account that was used for a month.
    Lists,
    /// A queue of a million recipients, half of them where nobody answers.
    Queue,
}

/// Options of the bench.
#[derive(Debug, Parser)]
#[command(about = "Measures posthouse on this machine")]
struct Options {
    /// What to measure.
    #[arg(value_enum, default_value_t = Mode::Mail)]
    mode: Mode,
    /// The program to measure; a release build.
    #[arg(long, default_value = "target/release/posthouse")]
    server: PathBuf,
    /// Directory for the server's data: on a real disk, or the figures mean nothing.
    #[arg(long, default_value = "target/bench")]
    data: PathBuf,
    /// A few seconds only, to see that everything works.
    #[arg(long)]
    quick: bool,
    /// Retire a million messages instead of 100,000 before measuring again.
    #[arg(long)]
    full: bool,
    /// How many messages to retire before measuring again.
    #[arg(long)]
    retired: Option<u64>,
    /// How many messages wait for a dead host.
    #[arg(long)]
    backlog: Option<u64>,
    /// Seconds of each measurement.
    #[arg(long)]
    seconds: Option<u64>,
    /// Give up after so many seconds altogether.
    #[arg(long)]
    max_seconds: Option<u64>,
}

impl Options {
    fn plan(&self) -> Plan {
        let (seconds, retired, backlog) = match (self.quick, self.full) {
            (true, _) => (1, 300, 300),
            (false, true) => (10, 1_000_000, 100_000),
            (false, false) => (8, 100_000, 100_000),
        };
        Plan {
            each: Duration::from_secs(self.seconds.unwrap_or(seconds)),
            retired: self.retired.unwrap_or(retired),
            backlog: self.backlog.unwrap_or(backlog),
            used: if self.quick { Size::SMALL } else { Size::FULL },
            waiting: if self.quick { Waiting::SMALL } else { Waiting::FULL },
            told: if self.quick { 100 } else { 10_000 },
            rates: if self.quick { [50.0, 100.0] } else { [1500.0, 3500.0] },
            concurrencies: if self.quick { vec![1, 16] } else { vec![1, 16, 64, 256] },
        }
    }

    fn limit(&self) -> Duration {
        let seconds = match (self.quick, self.full) {
            (true, _) => 120,
            (false, true) => 5400,
            (false, false) => 1500,
        };
        Duration::from_secs(self.max_seconds.unwrap_or(seconds))
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run_in_time(&Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when this fails.
            writeln!(std::io::stderr(), "posthouse-bench: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn run_in_time(options: &Options) -> Result<()> {
    let limit = options.limit();
    tokio::time::timeout(limit, run(options))
        .await
        .with_context(|| format!("the bench did not end within {} s", limit.as_secs()))?
}

async fn run(options: &Options) -> Result<()> {
    let mut bench = Box::pin(Bench::start(&options.server, &options.data, options.plan())).await?;
    let measured = async {
        match options.mode {
            Mode::Mail => Box::pin(bench.run()).await,
            Mode::Deliver => Box::pin(bench.run_deliver()).await,
            Mode::Webhooks => Box::pin(bench.run_webhooks()).await,
            Mode::Lists => Box::pin(bench.run_lists()).await,
            Mode::Queue => Box::pin(bench.run_queue()).await,
        }
    };
    let result = tokio::select! {
        result = measured => result,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    bench.stop().await?;
    result
}
