//! The SMTP server: listeners, limits on connections, TLS.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use posthouse_core::{Id, Platform, Result};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{
    config::{ListenerKind, SmtpConfig},
    connection::Connection,
    gate::{Gate, Pass},
    proto::Reply,
};

/// After an error of `accept` the listener rests so long, doubled each time.
const SHORTEST_REST: Duration = Duration::from_millis(20);
const LONGEST_REST: Duration = Duration::from_secs(1);

/// The server's side of SMTP, for all listeners of a process. Cheap to clone.
#[derive(Clone)]
pub struct SmtpServer(Arc<Shared>);

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) platform: Platform,
    pub(crate) config: SmtpConfig,
    pub(crate) tls: Option<TlsAcceptor>,
    /// Makes up secrets for users that do not exist.
    pub(crate) fake: hmac::Key,
    gate: Arc<Gate>,
}

impl SmtpServer {
    /// Nothing runs yet. Without `tls` there is no STARTTLS and no implicit TLS.
    ///
    /// # Errors
    /// `Internal`.
    pub fn new(
        platform: Platform,
        config: SmtpConfig,
        tls: Option<Arc<ServerConfig>>,
    ) -> Result<Self> {
        let fake = platform.vault().mac_key("scram of unknown users")?;
        Ok(Self(Arc::new(Shared {
            platform,
            tls: tls.map(TlsAcceptor::from),
            fake,
            gate: Arc::new(Gate::new(config.connections, config.connections_per_network)),
            config,
        })))
    }

    /// Takes connections until `shutdown`. Connections then end after the command they are at;
    /// they run on `tracker`.
    ///
    /// # Errors
    /// `InvalidInput` for implicit TLS without a certificate.
    pub async fn serve(
        self,
        listener: TcpListener,
        kind: ListenerKind,
        shutdown: CancellationToken,
        tracker: TaskTracker,
    ) -> io::Result<()> {
        if kind == ListenerKind::Submissions && self.0.tls.is_none() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "TLS needs a certificate"));
        }
        let mut rest = SHORTEST_REST;
        while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
            match accepted {
                Ok((tcp, client)) => {
                    rest = SHORTEST_REST;
                    let facts = Facts { id: Id::new(self.0.platform.now()), client, kind };
                    self.welcome(tcp, &facts, &shutdown, &tracker);
                }
                Err(error) => {
                    // No descriptors left, or the client has gone again: trying at once would only
                    // burn time (THREATS 5).
                    tracing::warn!(%error, listener = kind.as_str(), "cannot accept a connection");
                    let _stopped = shutdown.run_until_cancelled(sleep(rest)).await;
                    rest = rest.saturating_mul(2).min(LONGEST_REST);
                }
            }
        }
        Ok(())
    }

    fn welcome(
        &self,
        tcp: TcpStream,
        facts: &Facts,
        shutdown: &CancellationToken,
        tracker: &TaskTracker,
    ) {
        let kind = facts.kind;
        let pass = self.0.gate.enter(facts.client.ip());
        let result = if pass.is_some() { "accepted" } else { "too_many" };
        metrics::counter!(
            "posthouse_smtp_in_connections_total", "listener" => kind.as_str(), "result" => result
        )
        .increment(1);
        let Some(pass) = pass else {
            return send_away(&tcp, kind);
        };
        // A delay here and there is better than a lost connection.
        let _unsupported: io::Result<()> = tcp.set_nodelay(true);
        let listener = kind.as_str();
        let span = tracing::info_span!("smtp", connection.id = %facts.id, listener);
        let connection = Connection::new(self.0.clone(), tcp, facts, shutdown.clone());
        tracker.spawn(count(kind, pass, connection.run()).instrument(span));
    }
}

/// What is known of a connection when it comes.
pub(crate) struct Facts {
    pub(crate) id: Id<posthouse_core::id::Request>,
    pub(crate) client: SocketAddr,
    pub(crate) kind: ListenerKind,
}

/// Counts a connection while it is open.
async fn count(kind: ListenerKind, pass: Pass, connection: impl Future<Output = ()>) {
    struct Open(metrics::Gauge, #[expect(dead_code, reason = "is dropped with it")] Pass);
    impl Drop for Open {
        fn drop(&mut self) {
            self.0.decrement(1.0);
        }
    }
    let gauge = metrics::gauge!("posthouse_smtp_in_connections", "listener" => kind.as_str());
    gauge.increment(1.0);
    let _open = Open(gauge, pass);
    connection.await;
}

/// Tells a client that there are too many, without waiting for it.
fn send_away(tcp: &TcpStream, kind: ListenerKind) {
    if kind != ListenerKind::Submissions {
        let _maybe_sent: io::Result<usize> =
            tcp.try_write(Reply::too_busy().serialise().as_bytes());
    }
}
