//! From an address to a session that takes MAIL: TCP, greeting, EHLO, TLS, AUTH.
//!
//! RFC 5321 §3.1 and §3.2, RFC 3207. Which addresses are tried, and in what order, is not decided
//! here.

use std::{io, net::IpAddr, sync::Arc};

use posthouse_core::ports::transport::{
    Checks, Hop, Host, Job, Offers, Peer, Reply, RequireTls, Security, Session, Tls, TlsFailure,
    TlsInfo,
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::client::TlsStream;

use super::{
    OutboundConfig, Timeouts, auth,
    capabilities::{Capabilities, Extension},
    connection::{Connection, Stream, left},
    dial,
    fault::{Error, Fault, Stage},
    reply::Response,
    tls::{Assurance, TlsClients},
};

/// What every session needs to know.
pub(super) struct Environment {
    pub(super) ehlo_name: Arc<str>,
    pub(super) timeouts: Timeouts,
    pub(super) tls: TlsClients,
}

impl Environment {
    /// Takes from the configuration what sessions need.
    pub(super) fn new(config: &OutboundConfig) -> Result<Self, rustls::Error> {
        let tls = TlsClients::new(config.roots.clone())?;
        Ok(Self { ehlo_name: config.ehlo_name.clone(), timeouts: config.timeouts, tls })
    }
}

/// One address of one host of a hop.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) hop: &'a Hop,
    pub(super) host: &'a Host,
    pub(super) address: IpAddr,
    /// What the host has to prove to the sender of this message.
    pub(super) security: &'a Security,
    /// What the sender wants of TLS.
    require_tls: RequireTls,
}

/// `TLS-Required: No` asks for nothing.
static NOTHING: Security = Security { barred: None, pkix: false, dane: None, dane_unknown: false };

impl<'a> Target<'a> {
    /// For a job.
    pub(super) fn new(job: &'a Job, host: &'a Host, address: IpAddr) -> Self {
        let require_tls = job.require_tls;
        let security = if require_tls == RequireTls::No { &NOTHING } else { &host.security };
        Self { hop: &job.hop, host, address, security, require_tls }
    }

    /// The sender waives what the receiving side publishes (E11).
    fn waives(&self) -> bool {
        let published = &self.host.security;
        self.require_tls == RequireTls::No && (published.barred.is_some() || published.needs_tls())
    }

    /// Something says how the host proves who it is (RFC 8689 §4.2.1): a policy, TLSA records that
    /// can be used, or the transport that it belongs to.
    fn can_vouch(&self) -> bool {
        let Security { dane, pkix, .. } = self.security;
        let usable = dane.as_ref().is_some_and(|dane| !dane.records.is_empty());
        usable || *pkix || matches!(self.hop.tls, Tls::Required | Tls::Implicit)
    }

    /// X.7.30 of RFC 8689 §8.
    fn lacks(&self, what: &str) -> Fault {
        let text = format!("{}: the message requires TLS (REQUIRETLS), but {what}", self.host.name);
        Fault::Lacking(Reply::local("5.7.30", text))
    }

    /// What must be true of the certificate.
    const fn assurance(&self) -> Assurance<'a> {
        let pkix = self.security.pkix || matches!(self.hop.tls, Tls::Required | Tls::Implicit);
        match &self.security.dane {
            Some(dane) => Assurance::Dane { dane, pkix },
            None if pkix => Assurance::Verified,
            None => Assurance::Any,
        }
    }

    const fn start_tls(&self) -> StartTls {
        match self.hop.tls {
            Tls::Required => StartTls::Always,
            Tls::Opportunistic if self.security.needs_tls() => StartTls::Always,
            Tls::Opportunistic => StartTls::WhenOffered,
            Tls::Implicit | Tls::Never => StartTls::Never,
        }
    }

    /// The peer as far as it is known before a connection.
    pub(super) fn peer(&self) -> Peer {
        Peer {
            host: self.host.name.to_string(),
            remote_address: Some(self.address),
            ..Peer::default()
        }
    }

    fn fault(&self, error: Error) -> Fault {
        Fault::Connection(error.into_reply(self.host))
    }

    /// As reports count it.
    fn session(&self, checks: Option<Checks>, seen: Seen) -> Session {
        Session {
            host: Arc::clone(&self.host.name),
            remote_address: self.address,
            local_address: seen.local_address,
            helo: seen.helo,
            checks,
        }
    }
}

/// What is seen of a session while it is opened.
#[derive(Default)]
struct Seen {
    local_address: Option<IpAddr>,
    helo: Option<String>,
    /// None: it has not come as far as STARTTLS.
    checks: Option<Checks>,
}

impl Seen {
    fn failed(&mut self, failure: TlsFailure) {
        self.checks = Some(Checks::failed(failure));
    }
}

/// Why there is no session.
enum Refusal {
    /// TLS did not come about; without TLS it might work.
    Tls(Error),
    /// Anything else.
    Fault(Fault),
}

/// Whether STARTTLS is to be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StartTls {
    Never,
    WhenOffered,
    Always,
}

/// Opens a session that is ready for MAIL.
pub(super) async fn open(
    env: &Environment,
    target: Target<'_>,
    deadline: Instant,
    sessions: &mut Vec<Session>,
) -> Result<Connection, Fault> {
    if let Some(reply) = &target.security.barred {
        sessions.push(target.session(None, Seen::default()));
        return Err(Fault::Temporary(Reply::clone(reply)));
    }
    let requires = target.require_tls == RequireTls::Yes;
    if requires && !target.can_vouch() {
        let what = "neither MTA-STS in mode enforce nor DANE says who the server has to be";
        return Err(target.lacks(what));
    }
    if target.waives() {
        metrics::counter!("posthouse_smtp_out_tls_waived_total").increment(1);
    }
    let connection = connect(env, target, deadline, sessions).await?;
    let is_protected = connection.peer.tls.as_ref().is_some_and(TlsInfo::is_verified);
    if !requires || (is_protected && connection.capabilities.offers(Extension::RequireTls)) {
        return Ok(connection);
    }
    connection.quit().await;
    Err(target.lacks("the server does not offer that"))
}

/// The same, whatever the server offers.
async fn connect(
    env: &Environment,
    target: Target<'_>,
    deadline: Instant,
    sessions: &mut Vec<Session>,
) -> Result<Connection, Fault> {
    let wish = target.start_tls();
    let mut seen = Seen::default();
    let opened = Box::pin(attempt(env, target, (deadline, wish), &mut seen)).await;
    if let Some(checks) = seen.checks {
        sessions.push(target.session(Some(checks), seen));
    }
    match opened {
        Ok(connection) => Ok(connection),
        Err(Refusal::Fault(fault)) => Err(fault),
        Err(Refusal::Tls(error)) if wish == StartTls::WhenOffered => {
            count_fallback(&error.to_string());
            let wish = (deadline, StartTls::Never);
            let again = Box::pin(attempt(env, target, wish, &mut Seen::default())).await;
            again.map_err(|refusal| match refusal {
                Refusal::Tls(error) => target.fault(error),
                Refusal::Fault(fault) => fault,
            })
        }
        Err(Refusal::Tls(error)) => Err(target.fault(error)),
    }
}

fn count_fallback(error: &str) {
    metrics::counter!("posthouse_smtp_out_tls_fallback_total").increment(1);
    tracing::debug!(error, "TLS failed, going on in plain text");
}

async fn attempt(
    env: &Environment,
    target: Target<'_>,
    (deadline, wish): (Instant, StartTls),
    seen: &mut Seen,
) -> Result<Connection, Refusal> {
    let fault = |error| Refusal::Fault(target.fault(error));
    let tcp = dial(env, target, deadline).await.map_err(fault)?;
    let mut peer = target.peer();
    // With a proxy it is the proxy whom the server sees.
    let local = tcp.local_addr().ok().filter(|_| target.hop.origin.proxy.is_none());
    peer.local_address = local.map(|address| address.ip());
    seen.local_address = peer.local_address;
    let stream = if target.hop.tls == Tls::Implicit {
        let (made, _) = handshake(env, target, tcp, deadline).await;
        let (stream, facts) = made.map_err(Refusal::Tls)?;
        peer.tls = Some(facts);
        Stream::Tls(stream)
    } else {
        Stream::Plain(tcp)
    };
    metrics::counter!("posthouse_smtp_out_connections_total", "kind" => "opened").increment(1);
    let mut connection = Connection::new(stream, peer, env.timeouts, deadline);

    if let Err(refusal) = greet(env, target, &mut connection, seen).await {
        return leave(connection, refusal).await;
    }
    let starttls = connection.capabilities.offers(Extension::StartTls);
    if wish != StartTls::Never {
        connection = start_tls(env, target, (connection, deadline), seen).await?;
    }
    let requiretls = connection.capabilities.offers(Extension::RequireTls);
    connection.peer.offers = Some(Offers { starttls, requiretls });
    let login = &target.hop.login;
    match auth::authenticate(&mut connection, login, target.host).await {
        Ok(()) => Ok(connection),
        Err(fault) => leave(connection, Refusal::Fault(fault)).await,
    }
}

/// The greeting, and the first EHLO.
async fn greet(
    env: &Environment,
    target: Target<'_>,
    connection: &mut Connection,
    seen: &mut Seen,
) -> Result<(), Refusal> {
    let fault = |error| Refusal::Fault(target.fault(error));
    let greeting = connection.reply(Stage::Greeting).await.map_err(fault)?;
    seen.helo = name_in(&greeting.text);
    expect_positive(Stage::Greeting, greeting, target.host)?;
    let response = hello(env, target, connection).await.map_err(fault)?;
    expect_positive(Stage::Hello, response, target.host)?;
    if seen.helo.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(&env.ehlo_name)) {
        let text =
            format!("{}: the server is this one, and the mail is not for it", target.host.name);
        return Err(Refusal::Fault(Fault::Permanent(Reply::local("5.4.6", text))));
    }
    Ok(())
}

/// RFC 5321 §4.1.1.10: nobody leaves without QUIT.
async fn leave(connection: Connection, refusal: Refusal) -> Result<Connection, Refusal> {
    connection.quit().await;
    Err(refusal)
}

async fn dial(
    env: &Environment,
    target: Target<'_>,
    deadline: Instant,
) -> Result<TcpStream, Error> {
    let limit = left(Stage::Connect, deadline)?.min(env.timeouts.connect);
    let to = (target.address, target.hop.port).into();
    match timeout(limit, dial::connect(&target.hop.origin, to)).await {
        Ok(connected) => connected.map_err(|error| Error::Io(Stage::Connect, error)),
        Err(_) => Err(Error::TimedOut(Stage::Connect, limit)),
    }
}

async fn handshake(
    env: &Environment,
    target: Target<'_>,
    tcp: TcpStream,
    deadline: Instant,
) -> (Result<(Box<TlsStream<TcpStream>>, TlsInfo), Error>, Checks) {
    let late = Checks::failed(TlsFailure::Validation("tls-timeout"));
    let limit = match left(Stage::Handshake, deadline) {
        Ok(left) => left.min(env.timeouts.connect),
        Err(error) => return (Err(error), late),
    };
    let place = (&*target.host.name, target.address);
    let certificate = target.hop.login.certificate.as_deref();
    let connecting = env.tls.connect(tcp, place, target.assurance(), certificate);
    let Ok((made, checks)) = timeout(limit, Box::pin(connecting)).await else {
        return (Err(Error::TimedOut(Stage::Handshake, limit)), late);
    };
    let result = if made.is_ok() { "ok" } else { "failed" };
    metrics::counter!("posthouse_smtp_out_tls_handshakes_total", "result" => result).increment(1);
    (made.map_err(|error| Error::Io(Stage::Handshake, error)), checks)
}

/// The name that a greeting begins with, if it is one (RFC 5321 §4.2).
fn name_in(greeting: &str) -> Option<String> {
    let name = greeting.split_ascii_whitespace().next()?;
    let is_name = name.len() <= 253
        && name.contains('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
    is_name.then(|| name.to_ascii_lowercase())
}

/// EHLO, or HELO for a server that does not know it (RFC 5321 §3.2); the reply to the last of them.
async fn hello(
    env: &Environment,
    target: Target<'_>,
    connection: &mut Connection,
) -> Result<Response, Error> {
    let name = target.hop.origin.ehlo_name.as_ref().unwrap_or(&env.ehlo_name);
    let response = connection.command(Stage::Hello, &["EHLO ", name]).await?;
    if response.is_permanent() {
        return connection.command(Stage::Hello, &["HELO ", name]).await;
    }
    connection.capabilities = Capabilities::parse(&response.text);
    Ok(response)
}

fn expect_positive(stage: Stage, response: Response, host: &Host) -> Result<(), Refusal> {
    if response.is_positive() {
        return Ok(());
    }
    Err(Refusal::Fault(Fault::from_response(stage, response, host)))
}

/// STARTTLS (RFC 3207 §4) as the policy wants it.
async fn start_tls(
    env: &Environment,
    target: Target<'_>,
    (mut connection, deadline): (Connection, Instant),
    seen: &mut Seen,
) -> Result<Connection, Refusal> {
    seen.failed(TlsFailure::StartTlsNotSupported);
    let required = target.start_tls() == StartTls::Always;
    if !connection.capabilities.offers(Extension::StartTls) {
        if required {
            let text = format!("{}: TLS is required, but the server has none", target.host.name);
            let fault = Fault::Temporary(Reply::local("4.7.4", text));
            return leave(connection, Refusal::Fault(fault)).await;
        }
        return Ok(connection);
    }
    let response = connection.command(Stage::StartTls, &["STARTTLS"]).await;
    let response = response.map_err(|error| {
        seen.failed(TlsFailure::Validation("connection-lost"));
        Refusal::Tls(error)
    })?;
    if response.code != 220 {
        if required {
            let fault = Fault::Temporary(response.into_reply());
            return leave(connection, Refusal::Fault(fault)).await;
        }
        if connection.broken || response.is_positive() {
            return Err(Refusal::Tls(connection.unexpected(Stage::StartTls, &response)));
        }
        // RFC 3207 §4.1: after a refusal the session goes on as it was.
        count_fallback("STARTTLS was refused");
        return Ok(connection);
    }
    // CVE-2011-0411 and its kin: nothing said in plain text may count after the handshake.
    if !connection.replies.is_empty() {
        seen.failed(TlsFailure::Validation("plain-text-injected"));
        return Err(Refusal::Fault(target.fault(Error::Injected)));
    }
    let Connection { stream, mut peer, .. } = connection;
    let Stream::Plain(tcp) = stream else {
        let error = io::Error::other("TLS is in force already");
        return Err(Refusal::Fault(target.fault(Error::Io(Stage::StartTls, error))));
    };
    let (made, checks) = handshake(env, target, tcp, deadline).await;
    seen.checks = Some(checks);
    let (stream, facts) = made.map_err(Refusal::Tls)?;
    peer.tls = Some(facts);
    // A new connection object: buffers and capabilities from before TLS are gone.
    let mut connection = Connection::new(Stream::Tls(stream), peer, env.timeouts, deadline);
    // A server that did not like our side of the handshake says so only now.
    let response = hello(env, target, &mut connection).await.map_err(|error| {
        seen.failed(TlsFailure::Validation("connection-lost"));
        Refusal::Tls(error)
    })?;
    expect_positive(Stage::Hello, response, target.host)?;
    Ok(connection)
}
