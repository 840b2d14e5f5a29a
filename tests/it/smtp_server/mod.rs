//! The SMTP server over TCP without a database: limits, deadlines, TLS, and what it says when
//! Postgres is away. What it does with one is tested with the whole server.

#![cfg(test)]

mod data;
mod limits;
mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use posthouse_core::{
    Config, Parts, Platform,
    ports::{
        DnsError, Mx, Resolver, TestClock,
        transport::{Job, Report, Transport},
    },
    vault::Vault,
};
use posthouse_smtp_gateway::{ListenerKind, SmtpConfig, SmtpServer};
use posthouse_tests::{certificates, logs, smtp_client::SmtpClient};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Knows nothing.
struct NoDns;

#[async_trait]
impl Resolver for NoDns {
    async fn mx(&self, _: &str) -> Result<Vec<Mx>, DnsError> {
        Err(DnsError::NoName)
    }
    async fn cname(&self, _: &str) -> Result<Option<Arc<str>>, DnsError> {
        Err(DnsError::NoName)
    }
    async fn addresses(&self, _: &str) -> Result<Vec<std::net::IpAddr>, DnsError> {
        Err(DnsError::NoName)
    }
    async fn txt(&self, _: &str) -> Result<Vec<String>, DnsError> {
        Err(DnsError::NoName)
    }
    async fn reverse(&self, _: std::net::IpAddr) -> Result<Vec<Arc<str>>, DnsError> {
        Err(DnsError::NoName)
    }
}

/// Delivers nothing.
struct NoTransport;

#[async_trait]
impl Transport for NoTransport {
    async fn deliver(&self, job: Job) -> Report {
        panic!("nothing is delivered in these tests: {job:?}")
    }
    async fn close(&self) {}
}

/// A server on one listener; ends when dropped.
struct Gateway {
    address: SocketAddr,
    shutdown: CancellationToken,
    connections: TaskTracker,
}

impl Gateway {
    async fn start(kind: ListenerKind, config: SmtpConfig) -> Self {
        Self::start_with(kind, config, |core| core.message_size_limit = 1000).await
    }

    async fn start_with(
        kind: ListenerKind,
        config: SmtpConfig,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut core = Config { hostname: "mx.example.test".to_owned(), ..Config::default() };
        change(&mut core);
        let pool = PgPoolOptions::new()
            .acquire_timeout(Duration::from_millis(200))
            .connect_lazy("postgres://nobody@127.0.0.1:1/nothing")
            .unwrap();
        Self::start_on(pool, kind, config, core).await
    }

    async fn start_on(pool: PgPool, kind: ListenerKind, config: SmtpConfig, core: Config) -> Self {
        logs::start();
        let platform = Platform::new(Parts {
            config: core,
            pool,
            clock: Arc::new(TestClock::default()),
            resolver: Arc::new(NoDns),
            transport: Arc::new(NoTransport),
            vault: Vault::new(&[7; 32]).unwrap(),
        });
        let server =
            SmtpServer::new(platform.unwrap(), config, Some(certificates::untrusted("localhost")))
                .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, connections) = (CancellationToken::new(), TaskTracker::new());
        connections.spawn(server.serve(listener, kind, shutdown.clone(), connections.clone()));
        Self { address, shutdown, connections }
    }

    /// Connects, and says EHLO.
    async fn open(&self) -> SmtpClient {
        SmtpClient::open(self.address).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}
