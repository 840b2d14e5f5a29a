//! What a process needs to know before it has a database: a TOML file and the environment.
//!
//! Everything else is data in Postgres behind the API. `localserve` needs neither.

mod check;
mod environment;
mod file;
mod master_key;
#[cfg(test)]
mod tests;

use std::{
    ffi::OsString,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use posthouse_core::ports::hickory::Dnssec;

pub use environment::Environment;
pub use master_key::MasterKey;

use crate::{database::DatabaseSettings, logging::LogSettings, roles::Roles};

/// The documented defaults, as `posthouse config --explain` prints them.
pub const EXAMPLE: &str = include_str!("../../../deploy/posthouse.example.toml");

/// The configuration, checked.
pub struct Settings {
    /// Settings of the core.
    pub core: posthouse_core::Config,
    /// Name of this process, unique among those that share the database.
    pub node_name: String,
    /// Seals secrets in the database.
    pub master_key: MasterKey,
    /// What this process does.
    pub roles: Roles,
    /// Postgres.
    pub database: DatabaseSettings,
    /// Addresses to listen on.
    pub listen: Listen,
    /// Certificate of the server.
    pub tls: Option<TlsFiles>,
    /// DNS servers to ask; empty: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// Where proofs of their answers come from.
    pub dnssec: Dnssec,
    /// The log.
    pub log: LogSettings,
    /// Where systemd wants to hear that we are ready.
    pub notify_socket: Option<OsString>,
}

/// Addresses to listen on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listen {
    /// HTTP without TLS.
    pub http: Option<SocketAddr>,
    /// HTTP with TLS.
    pub https: Option<SocketAddr>,
    /// Mail from other servers.
    pub smtp: Option<SocketAddr>,
    /// Mail from mail programs, STARTTLS.
    pub submission: Option<SocketAddr>,
    /// Mail from mail programs, TLS from the first octet.
    pub submissions: Option<SocketAddr>,
}

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate and its chain.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigFaults(pub Vec<String>);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not valid")?;
        for fault in &self.0 {
            write!(f, "\n  {fault}")?;
        }
        Ok(())
    }
}

impl Settings {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// [`ConfigFaults`] with all faults at once, or the file cannot be read.
    pub fn load(path: &Path, environment: Environment) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the configuration {}", path.display()))?;
        let settings = Self::from_text(&text, environment);
        settings.with_context(|| path.display().to_string())
    }

    fn from_text(text: &str, environment: Environment) -> Result<Self, ConfigFaults> {
        let file: file::File =
            toml::from_str(text).map_err(|error| ConfigFaults(vec![error.to_string()]))?;
        check::check(file, environment)
    }
}
