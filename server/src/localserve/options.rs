//! What the user of `posthouse localserve` may choose.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use crate::open_files;

/// Options of `posthouse localserve`.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Directory for everything: database, messages, keys; made when it is missing
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub data: PathBuf,
    /// Address to listen on
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    pub ip: IpAddr,
    /// Ports are this number plus the usual ones: HTTP 80, SMTP 25, submission 587 and 465
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub port_base: u16,
    /// Print one line of JSON instead of the summary, when everything is up
    #[arg(long)]
    pub json: bool,
    /// What happens to outgoing mail
    #[arg(long, value_enum, value_name = "MODE", default_value_t = Deliver::Sandbox)]
    pub deliver: Deliver,
    /// DNS server to ask instead of the system's
    #[arg(long, value_name = "IP:PORT")]
    pub resolver: Option<SocketAddr>,
    /// Port of mail exchangers, for `--deliver real`
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u16).range(1..))]
    pub delivery_port: u16,
    /// Waits between attempts to deliver, in seconds, such as 2,4,8
    #[arg(long, value_name = "SECONDS", value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    pub retry_schedule: Vec<u64>,
}

/// What happens to outgoing mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Deliver {
    /// It is queued as usual, then delivered into the sender's own account
    Sandbox,
    /// It really leaves, over SMTP
    Real,
}

impl Options {
    /// The settings of the core that follow.
    pub(super) fn core(&self, blobs: PathBuf) -> posthouse_core::Config {
        let mut core = posthouse_core::Config {
            webhook_allowed_networks: vec!["127.0.0.0/8".to_owned(), "::1/128".to_owned()],
            blob_store: posthouse_core::config::BlobStore::Directory(blobs),
            sandbox: self.deliver == Deliver::Sandbox,
            ..posthouse_core::Config::default()
        };
        core.delivery.sandbox = self.deliver == Deliver::Sandbox;
        core.delivery.port = self.delivery_port;
        core.probing_connections = open_files::for_probing(core.delivery_connections);
        if !self.retry_schedule.is_empty() {
            let waits = self.retry_schedule.iter().copied();
            core.delivery.retry_schedule = waits.map(Duration::from_secs).collect();
        }
        core
    }
}
