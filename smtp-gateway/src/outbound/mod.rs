//! The SMTP client: hands messages to other servers (RFC 5321), as core's `Transport`.
//!
//! Core says where to, with which TLS policy and when; this module speaks SMTP, keeps connections
//! for reuse and reports one result per recipient. It has no queue, no retry and no DNS.

mod attempt;
mod auth;
mod capabilities;
mod connection;
mod dane;
mod data;
mod dial;
mod failure;
mod fault;
mod health;
mod ledger;
mod pool;
mod reply;
mod route;
mod scram;
mod session;
mod tls;
mod transaction;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use posthouse_core::ports::transport::{Job, Outcome, Report, Transport};
use rustls::RootCertStore;
use tokio::time::Instant;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use self::{attempt::Attempt, connection::Connection, fault::Stage, health::Health, pool::Pool};

/// How long each step may take (RFC 5321 §4.5.3.2).
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// TCP connection, and the TLS handshake.
    pub connect: Duration,
    /// The greeting.
    pub greeting: Duration,
    /// The reply to a command such as EHLO, MAIL or RCPT.
    pub command: Duration,
    /// 354 after DATA.
    pub data_start: Duration,
    /// Writing one block of the message.
    pub data_block: Duration,
    /// The reply to the end of the message.
    pub data_end: Duration,
    /// The reply to QUIT.
    pub quit: Duration,
    /// One whole try over all hosts.
    pub session: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            greeting: Duration::from_mins(5),
            command: Duration::from_mins(5),
            data_start: Duration::from_mins(2),
            data_block: Duration::from_mins(3),
            data_end: Duration::from_mins(10),
            quit: Duration::from_secs(5),
            session: Duration::from_mins(30),
        }
    }
}

impl Timeouts {
    const fn of(&self, stage: Stage) -> Duration {
        match stage {
            Stage::Connect | Stage::Handshake => self.connect,
            Stage::Greeting => self.greeting,
            Stage::Data => self.data_start,
            Stage::Message => self.data_block,
            Stage::EndOfData => self.data_end,
            Stage::Quit => self.quit,
            Stage::Hello
            | Stage::StartTls
            | Stage::Auth
            | Stage::Reset
            | Stage::Mail
            | Stage::Recipient => self.command,
        }
    }
}

/// How the client behaves.
#[derive(Debug, Clone)]
pub struct OutboundConfig {
    /// Our name in EHLO: a host name with an address record (RFC 5321 §4.1.4).
    pub ehlo_name: Arc<str>,
    /// Limits on time.
    pub timeouts: Timeouts,
    /// Roots for certificates that are to be verified.
    pub roots: Arc<RootCertStore>,
    /// Transactions after which a connection is not used again.
    pub max_messages_per_connection: usize,
    /// How long a connection waits for another message.
    pub idle_keep: Duration,
    /// Connections that may wait per next hop.
    pub max_idle_per_hop: usize,
    /// Connections that may wait at all.
    pub max_idle: usize,
    /// How long an address that could not be connected to comes after all others.
    pub address_memory: Duration,
}

impl OutboundConfig {
    /// The defaults.
    pub fn new(ehlo_name: impl Into<Arc<str>>, roots: Arc<RootCertStore>) -> Self {
        Self {
            ehlo_name: ehlo_name.into(),
            timeouts: Timeouts::default(),
            roots,
            max_messages_per_connection: 100,
            idle_keep: Duration::from_secs(10),
            max_idle_per_hop: 16,
            max_idle: 1000,
            address_memory: Duration::from_mins(1),
        }
    }
}

/// The SMTP client.
pub struct Outbound {
    shared: Arc<Shared>,
    /// The sweeper and connections being closed.
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What all tries and the sweeper use.
struct Shared {
    env: session::Environment,
    pool: Pool,
    health: Health,
    max_messages: usize,
    idle_keep: Duration,
    sweeper: std::sync::Once,
}

impl Outbound {
    /// Prepares a client; nothing is connected yet.
    ///
    /// # Errors
    /// When TLS cannot be set up with the given roots.
    pub fn new(config: &OutboundConfig) -> Result<Self, rustls::Error> {
        let shared = Shared {
            env: session::Environment::new(config)?,
            pool: Pool::new(config.idle_keep, (config.max_idle_per_hop, config.max_idle)),
            health: Health::new(config.address_memory),
            max_messages: config.max_messages_per_connection,
            idle_keep: config.idle_keep,
            sweeper: std::sync::Once::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Keeps a connection for the next message, or closes it.
    fn give_back(&self, job: &Job, connection: Connection) {
        if connection.broken {
            return;
        }
        let limits = [connection.capabilities.mails_max, job.per_connection];
        let limit = limits.into_iter().flatten().fold(self.shared.max_messages, usize::min);
        let used_up = connection.transactions >= limit;
        if used_up || self.stop.is_cancelled() {
            self.close_later(connection);
            return;
        }
        match self.shared.pool.put(pool::Key::new(job), connection) {
            None => self.start_sweeper(),
            Some(surplus) => self.close_later(surplus),
        }
    }

    fn close_later(&self, connection: Connection) {
        self.tasks.spawn(connection.quit());
    }

    /// Closes connections that have waited too long, until `close`.
    fn start_sweeper(&self) {
        self.shared.sweeper.call_once(|| {
            let (shared, tasks) = (Arc::downgrade(&self.shared), self.tasks.clone());
            let pause = (self.shared.idle_keep / 4)
                .clamp(Duration::from_millis(20), Duration::from_secs(1));
            let sweep = async move {
                loop {
                    tokio::time::sleep(pause).await;
                    let Some(shared) = shared.upgrade() else {
                        return;
                    };
                    for connection in shared.pool.expired() {
                        tasks.spawn(connection.quit());
                    }
                }
            };
            let stop = self.stop.clone();
            self.tasks.spawn(async move { stop.run_until_cancelled_owned(sweep).await });
        });
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[async_trait]
impl Transport for Outbound {
    async fn deliver(&self, job: Job) -> Report {
        // Lets `close` wait for this try.
        let _in_use = self.tasks.token();
        let started = Instant::now();
        let host = job.hop.hosts.first().map_or("", |host| &host.name);
        let span = tracing::debug_span!("smtp.deliver", host, recipients = job.recipients.len());
        let attempt = Attempt::new(self, &job, started + self.shared.env.timeouts.session);
        let (outcomes, peer, sessions) = Box::pin(attempt.run()).instrument(span).await;
        count(&outcomes);
        let duration = started.elapsed();
        metrics::histogram!("posthouse_smtp_out_seconds").record(duration);
        Report { outcomes, peer, duration, sessions }
    }

    async fn close(&self) {
        self.stop.cancel();
        for connection in self.shared.pool.drain() {
            self.close_later(connection);
        }
        self.tasks.close();
        self.tasks.wait().await;
        // What a try put back while we waited.
        for connection in self.shared.pool.drain() {
            connection.quit().await;
        }
    }
}

fn count(outcomes: &[Outcome]) {
    for outcome in outcomes {
        let result = match outcome {
            Outcome::Delivered { .. } => "delivered",
            Outcome::Deferred(_) => "deferred",
            Outcome::Failed(_) => "failed",
        };
        metrics::counter!("posthouse_smtp_out_recipients_total", "result" => result).increment(1);
    }
}
