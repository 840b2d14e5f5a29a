//! `posthouse cid`: what the id of a Received field stands for in our log. Asks no database.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use posthouse_core::{
    ports::{Clock as _, SystemClock},
    time::rfc3339,
    trace::{TraceKey, Traced},
    vault::Vault,
};

use crate::{
    config::{Environment, MasterKey, Settings},
    localserve, output,
};

/// Options of `posthouse cid`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Configuration, see `posthouse config --explain`
    #[arg(long, env = "POSTHOUSE_CONFIG", value_name = "FILE", required_unless_present = "data")]
    pub config: Option<PathBuf>,
    /// Data directory of `posthouse localserve`, instead of a configuration
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// What stands after "id" in a Received field of ours, or before "@" in a Message-ID
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
}

/// Prints a line for each id, then fails if some are not ours.
pub fn run(options: &Options) -> Result<()> {
    let vault = Vault::new(options.master_key()?.octets())?;
    let (key, now) = (TraceKey::new(&vault)?, SystemClock.now());
    let mut unknown = Vec::new();
    for id in &options.ids {
        match key.open(id, now) {
            Some(traced) => output::line(line(traced)),
            None => unknown.push(id.as_str()),
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    bail!("no id that was made with this master key: {}", unknown.join(", "))
}

impl Options {
    /// `--data` wins, as a configuration may come from the environment.
    fn master_key(&self) -> Result<MasterKey> {
        if let Some(data) = &self.data {
            let key = localserve::master_key(data)?;
            return key.with_context(|| format!("there is no master key in {}", data.display()));
        }
        let path = self.config.as_ref().context("--config FILE or --data DIR is needed")?;
        Ok(Settings::load(path, Environment::read())?.master_key)
    }
}

fn line(traced: Traced) -> String {
    let time = traced.made_at().map_or_else(String::new, rfc3339);
    match traced {
        Traced::Connection(id) => format!("connection {id} began {time}"),
        Traced::Message(id) => format!("message {id} accepted {time}"),
        Traced::Route(id) => format!("inbound route {id} made {time}"),
    }
}
