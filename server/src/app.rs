//! The composition root: puts core, doors and workers together, and takes them apart again.
//!
//! Used by `serve`, `localserve` and the test harness; nothing else builds a [`Platform`].

mod doors;

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use posthouse_api::ApiState;
use posthouse_core::{
    Config, Parts, Platform,
    ports::{Clock, Resolver, SystemClock, Transport, hickory::HickoryResolver},
    vault::Vault,
    workers::{self, Workers},
};
use posthouse_smtp_gateway::{
    SmtpConfig,
    outbound::{Outbound, OutboundConfig},
};
use rustls::{RootCertStore, ServerConfig};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{
    config::Settings,
    metrics,
    roles::{Role, Roles},
};

use doors::Doors;

/// Requests and SMTP transactions that are under way at a stop have this long.
const DOORS_GRACE: Duration = Duration::from_secs(10);
/// Then deliveries and webhook calls that are under way have this long.
const WORKERS_GRACE: Duration = Duration::from_secs(30);
/// Then connections to Postgres are closed.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// What an app is made from.
pub struct AppConfig {
    /// Name of this process, unique among those that share the database: who starts under the
    /// name of another takes that one for dead.
    pub node_name: String,
    /// Settings of the core.
    pub core: Config,
    /// Connections to a migrated database; closed by [`App::stop`].
    pub pool: PgPool,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// DNS.
    pub resolver: Arc<dyn Resolver>,
    /// Seals secrets in the database.
    pub master_key: [u8; 32],
    /// Sockets of the doors.
    pub listeners: Listeners,
    /// Certificate for all doors; ALPN is added for HTTP.
    pub tls: Option<Arc<ServerConfig>>,
    /// What this process does. Listeners of roles that it does not have are closed.
    pub roles: Roles,
    /// How mail leaves.
    pub outbound: Outgoing,
    /// Bounds of HTTP requests.
    pub api: posthouse_api::Limits,
    /// Settings of the SMTP doors, such as passwords without TLS.
    pub smtp: SmtpConfig,
}

/// Sockets of the doors; those that are `None` stay shut.
#[derive(Debug, Default)]
pub struct Listeners {
    /// HTTP without TLS.
    pub http: Option<TcpListener>,
    /// HTTP with TLS.
    pub https: Option<TcpListener>,
    /// Mail from other servers.
    pub smtp: Option<TcpListener>,
    /// Mail from mail programs, STARTTLS.
    pub submission: Option<TcpListener>,
    /// Mail from mail programs, TLS from the first octet.
    pub submissions: Option<TcpListener>,
}

/// Where the doors are.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Addresses {
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

/// How mail leaves.
pub enum Outgoing {
    /// By our SMTP client.
    Smtp(OutboundConfig),
    /// By something else, for tests.
    Given(Arc<dyn Transport>),
}

/// A running server.
pub struct App {
    platform: Platform,
    addresses: Addresses,
    doors: Doors,
    workers: Workers,
    /// Ends the upkeep of the metrics.
    _stopped: DropGuard,
}

impl Listeners {
    /// Closes the sockets of roles that the process does not have.
    fn keep(&mut self, roles: &Roles) {
        if !roles.has(Role::Api) {
            (self.http, self.https) = (None, None);
        }
        if !roles.has(Role::Smtp) {
            (self.smtp, self.submission, self.submissions) = (None, None, None);
        }
    }

    fn addresses(&self) -> std::io::Result<Addresses> {
        let address = |listener: &Option<TcpListener>| {
            listener.as_ref().map(TcpListener::local_addr).transpose()
        };
        Ok(Addresses {
            http: address(&self.http)?,
            https: address(&self.https)?,
            smtp: address(&self.smtp)?,
            submission: address(&self.submission)?,
            submissions: address(&self.submissions)?,
        })
    }
}

impl Outgoing {
    /// Our SMTP client with the machine's certificate authorities.
    pub fn smtp(core: &Config) -> Self {
        let loaded = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (known, _) = roots.add_parsable_certificates(loaded.certs);
        if known == 0 {
            tracing::warn!(
                "this machine has no certificate authorities (package ca-certificates): \
                 no server's certificate can be verified"
            );
        }
        Self::Smtp(OutboundConfig::new(core.hostname.as_str(), Arc::new(roots)))
    }

    fn transport(self) -> Result<Arc<dyn Transport>> {
        match self {
            Self::Smtp(config) => {
                Ok(Arc::new(Outbound::new(&config).context("cannot set up the SMTP client")?))
            }
            Self::Given(transport) => Ok(transport),
        }
    }
}

impl App {
    /// Starts everything. The doors are open when this returns.
    pub async fn start(mut config: AppConfig) -> Result<Self> {
        let metrics = metrics::recorder()?;
        config.listeners.keep(&config.roles);
        let addresses = config.listeners.addresses()?;
        let platform = Platform::new(Parts {
            config: config.core,
            pool: config.pool,
            clock: config.clock,
            resolver: config.resolver,
            transport: config.outbound.transport()?,
            vault: Vault::new(&config.master_key)?,
        })?;
        let workers = config.roles.workers();
        let workers = workers::start(&platform, &config.node_name, &workers).await?;
        let stopped = CancellationToken::new();
        tokio::spawn(metrics::upkeep(metrics.clone(), stopped.clone()));
        let doors = Doors::new(config.tls);
        let state = ApiState {
            platform: platform.clone(),
            metrics,
            limits: config.api,
            shutdown: doors.stopping.clone(),
        };
        doors.open(config.listeners, state, config.smtp)?;
        Ok(Self { platform, addresses, doors, workers, _stopped: stopped.drop_guard() })
    }

    /// The core.
    pub const fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Where the doors are.
    pub const fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Waits until a door shuts by itself, which it should not; tells why.
    pub async fn failed(&self) -> anyhow::Error {
        self.doors.failed().await
    }

    /// Stops: no new requests, then the end of those under way, of deliveries and of webhook
    /// calls, whose results are stored; then the connections are closed.
    pub async fn stop(self) {
        within(DOORS_GRACE, "requests", self.doors.shut()).await;
        within(WORKERS_GRACE, "deliveries or webhook calls", self.workers.stop()).await;
        within(CLOSE_GRACE, "database connections", self.platform.pool().close()).await;
    }
}

async fn within(time: Duration, what: &str, end: impl Future<Output = ()>) {
    if tokio::time::timeout(time, end).await.is_err() {
        tracing::warn!("{what} took longer than {} s and are cut off", time.as_secs());
    }
}

/// The core alone, for commands that change data and end.
pub(crate) fn platform_for_commands(settings: Settings, pool: PgPool) -> Result<Platform> {
    let outbound = Outgoing::smtp(&settings.core);
    let platform = Platform::new(Parts {
        config: settings.core,
        pool,
        clock: Arc::new(SystemClock),
        resolver: Arc::new(HickoryResolver::new(&settings.resolvers, &settings.dnssec)?),
        transport: outbound.transport()?,
        vault: Vault::new(settings.master_key.octets())?,
    })?;
    Ok(platform)
}
