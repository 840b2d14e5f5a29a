//! Port: how a message is handed to another mail server.
//!
//! Core decides where a message goes, when, and under which TLS policy; the implementation (the
//! SMTP client of `posthouse-smtp-gateway`) speaks the protocol and reports what happened. It keeps
//! connections for reuse; it never retries on its own and never touches the database.

mod login;
mod origin;

use std::{net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use posthouse_mail::dsn::{RcptDsn, Ret};

pub use self::{
    login::{CertificateFault, ClientCertificate, Credentials, Login, Mechanism},
    origin::{Origin, Proxy},
};
use crate::{blobs::Body, mta_sts::Sts};

/// Delivers messages to one next hop.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Tries once to hand `job` over, host by host in the given order, and reports one result per
    /// recipient (same order and length as `job.recipients`).
    ///
    /// Hosts are tried until one accepts or refuses for good; a temporary failure before any
    /// recipient was decided goes on to the next host (RFC 5321 §5.1). A refusal of a single
    /// recipient is final for this attempt: other hosts are not asked about it.
    async fn deliver(&self, job: Job) -> Report;

    /// Closes idle connections and waits for those in use; called once at shutdown.
    async fn close(&self);
}

/// One SMTP transaction to carry out.
#[derive(Debug, Clone)]
pub struct Job {
    /// Where to connect.
    pub hop: Arc<Hop>,
    /// Reverse-path without angle brackets; empty for the null sender.
    pub mail_from: Arc<str>,
    /// What reports are to name the message by (RFC 3461 §4.4), for servers with DSN; letters and
    /// digits only.
    pub envelope_id: Option<Arc<str>>,
    /// How much of the message reports are to bring back, for servers with DSN.
    pub ret: Ret,
    /// All in one domain (or all for one smart host).
    pub recipients: Vec<Recipient>,
    /// The message, with CRLF line ends, not dot-stuffed.
    pub message: Content,
    /// Attempts already made for these recipients; alternates the address family (C6).
    pub attempt: u16,
    /// What the sender wants of TLS, before what the receiving side publishes.
    pub require_tls: RequireTls,
    /// Address used by the last attempt, tried again when its family comes up again (greylisting).
    pub last_address: Option<IpAddr>,
    /// Messages after which a connection is not used again, if fewer than usual.
    pub per_connection: Option<usize>,
}

/// One recipient of a transaction.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Forward-path without angle brackets.
    pub address: Arc<str>,
    /// What the sender wants to be told, for servers with DSN; none: he has not said.
    pub dsn: Option<Arc<RcptDsn>>,
}

impl From<&str> for Recipient {
    fn from(address: &str) -> Self {
        Self { address: address.into(), dsn: None }
    }
}

/// The octets of a message: header fields added by us, then the stored message.
#[derive(Debug, Clone)]
pub struct Content {
    /// Complete header lines that go before `body` (Received, DKIM-Signature), CRLF-terminated.
    pub prefix: Bytes,
    /// The message as it was submitted or composed.
    pub body: Body,
    /// The message needs SMTPUTF8 (RFC 6531): non-ASCII in a header field.
    pub smtputf8: bool,
    /// The message has octets above 127 and wants 8BITMIME (RFC 6152).
    pub eight_bit: bool,
}

impl Content {
    /// Octets of all together.
    pub fn len(&self) -> u64 {
        let prefix = u64::try_from(self.prefix.len()).unwrap_or(u64::MAX);
        self.body.len().saturating_add(prefix)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the sender of a message wants of TLS (RFC 8689, E10, E11).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum RequireTls {
    /// As the receiving side publishes.
    #[default]
    Default,
    /// REQUIRETLS: only to hosts that prove who they are and pass the wish on.
    Yes,
    /// `TLS-Required: No`: rather delivered without protection than not at all.
    No,
}

impl From<Option<bool>> for RequireTls {
    fn from(wish: Option<bool>) -> Self {
        match wish {
            None => Self::Default,
            Some(true) => Self::Yes,
            Some(false) => Self::No,
        }
    }
}

impl From<RequireTls> for Option<bool> {
    fn from(wish: RequireTls) -> Self {
        match wish {
            RequireTls::Default => None,
            RequireTls::Yes => Some(true),
            RequireTls::No => Some(false),
        }
    }
}

/// Where to connect and how to protect it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hop {
    /// Hosts in the order in which they are to be tried; never empty.
    pub hosts: Vec<Host>,
    /// TCP port of every host.
    pub port: u16,
    /// TLS policy.
    pub tls: Tls,
    /// How to log in (smart host only).
    pub login: Login,
    /// How connections leave us.
    pub origin: Origin,
    /// All addresses are of this version, and so are connections that are used again.
    pub ip: Option<IpVersion>,
    /// The MTA-STS policy that the hosts were held against.
    pub sts: Sts,
}

/// A version of the Internet protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IpVersion {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl IpVersion {
    /// Whether `address` is of this version.
    pub const fn is_of(self, address: IpAddr) -> bool {
        address.is_ipv4() == matches!(self, Self::V4)
    }
}

/// A host name with its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host {
    /// Name from the MX record, in A-label form, no trailing dot.
    pub name: Arc<str>,
    /// Of its MX record, if there is one.
    pub preference: Option<u16>,
    /// IPv4 and IPv6 addresses, at least one.
    pub addresses: Vec<IpAddr>,
    /// What the receiving side publishes about it.
    pub security: Security,
}

/// What a host has to prove because the receiving side says so in DNS or in a policy, more than
/// [`Hop::tls`] asks for. All of it holds at once; a message with [`RequireTls::No`] passes over it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Security {
    /// Not to be used at all, and why: not in the MTA-STS policy (RFC 8461 §4.1), or its TLSA
    /// records could not be looked up (RFC 7672 §2.1.2).
    pub barred: Option<Arc<Reply>>,
    /// A certificate that verifies for the host name (MTA-STS, mode `enforce`).
    pub pkix: bool,
    /// TLS as its TLSA records say (RFC 7672).
    pub dane: Option<Arc<Dane>>,
    /// Whether it has TLSA records could not be found out; so it is barred.
    pub dane_unknown: bool,
}

impl Security {
    /// Whether plain text will not do.
    pub const fn needs_tls(&self) -> bool {
        self.pkix || self.dane.is_some()
    }
}

/// The TLSA records of a host, found with DNSSEC.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Dane {
    /// Those that can be used (RFC 7672 §3.1.3). None: TLS is a must, its certificate any.
    pub records: Vec<Tlsa>,
    /// Names, one of which the certificate has to be for with DANE-TA(2) (RFC 7672 §3.2.2).
    pub names: Vec<Arc<str>>,
}

/// A TLSA record (RFC 6698 §2.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tlsa {
    /// Certificate usage: 2 is DANE-TA, 3 is DANE-EE.
    pub usage: u8,
    /// 0: the whole certificate, 1: its public key.
    pub selector: u8,
    /// 0: the octets themselves, 1: their SHA-256, 2: their SHA-512.
    pub matching: u8,
    /// Certificate association data.
    pub data: Vec<u8>,
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tls {
    /// STARTTLS when offered, any certificate; plain text when it fails (RFC 7435, C8).
    Opportunistic,
    /// STARTTLS with a certificate that verifies for the host name, else a temporary failure.
    Required,
    /// TLS from the first octet (RFC 8314) with a verified certificate.
    Implicit,
    /// No TLS at all.
    Never,
}

/// What came of one try.
#[derive(Debug, Clone)]
pub struct Report {
    /// One result per recipient of the job, in order.
    pub outcomes: Vec<Outcome>,
    /// The host that gave the results, or the last one tried.
    pub peer: Option<Peer>,
    /// Time from the start of the try to its end.
    pub duration: Duration,
    /// Sessions that were begun, as reports about TLS count them.
    pub sessions: Vec<Session>,
}

/// A session with a host as reports about TLS count it (RFC 8460 §4.3): a new one that has come as
/// far as STARTTLS, or one that was not begun because the host is barred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// MX host name.
    pub host: Arc<str>,
    /// Its address.
    pub remote_address: IpAddr,
    /// Our address.
    pub local_address: Option<IpAddr>,
    /// The name in its greeting.
    pub helo: Option<String>,
    /// What came of TLS; none: the host is barred.
    pub checks: Option<Checks>,
}

/// What came of TLS in a session, by what may be asked of it. Each is found out whatever the others
/// say, as far as the handshake goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checks {
    /// There is TLS, whatever the certificate.
    pub tls: Result<(), TlsFailure>,
    /// The certificate verifies for the host name.
    pub pkix: Result<(), TlsFailure>,
    /// It is one that the TLSA records ask for; none: that was not asked.
    pub dane: Option<Result<(), TlsFailure>>,
}

impl Checks {
    /// Nothing came about.
    pub const fn failed(failure: TlsFailure) -> Self {
        Self { tls: Err(failure), pkix: Err(failure), dane: Some(Err(failure)) }
    }
}

/// Why a negotiation of TLS failed (RFC 8460 §4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFailure {
    /// The host has no STARTTLS, or refused it.
    StartTlsNotSupported,
    /// The certificate is for other names.
    CertificateHostMismatch,
    /// Its time is over, or has not come.
    CertificateExpired,
    /// Nobody who is trusted has issued it.
    CertificateNotTrusted,
    /// Anything else: the reason code.
    Validation(&'static str),
}

/// The other end of the connection that gave the results.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// MX or smart host name.
    pub host: String,
    /// Its address.
    pub remote_address: Option<IpAddr>,
    /// Our address.
    pub local_address: Option<IpAddr>,
    /// TLS protection that was in force, if any.
    pub tls: Option<TlsInfo>,
    /// What it can do of TLS, as far as it was asked.
    pub offers: Option<Offers>,
}

/// Extensions about TLS that a host has offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offers {
    /// STARTTLS (RFC 3207).
    pub starttls: bool,
    /// REQUIRETLS (RFC 8689); only within TLS.
    pub requiretls: bool,
}

/// TLS protection of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: String,
    /// Cipher suite by its IANA name.
    pub cipher: String,
    /// `opportunistic` (not verified), `pkix` or `dane`.
    pub verification: &'static str,
}

impl TlsInfo {
    /// Whether the host has proved who it is.
    pub fn is_verified(&self) -> bool {
        self.verification != "opportunistic"
    }
}

/// The result for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The next hop took responsibility.
    Delivered {
        /// What it said.
        reply: Reply,
        /// Also for the reports that the sender wants (RFC 3461 §5.2.1).
        dsn: bool,
    },
    /// Not now: try again later.
    Deferred(Reply),
    /// Never: 5xx.
    Failed(Reply),
}

impl Outcome {
    /// The reply behind the result.
    pub const fn reply(&self) -> &Reply {
        match self {
            Self::Delivered { reply, .. } | Self::Deferred(reply) | Self::Failed(reply) => reply,
        }
    }
}

/// The reply of the other server, or what stands for it when there was none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reply {
    /// Three-digit code; `None` when no server replied (connection refused, time-out, DNS).
    pub code: Option<u16>,
    /// Enhanced status code such as `5.1.1` (RFC 3463), if there was one.
    pub enhanced: Option<String>,
    /// Text without codes, lines joined by `\n`, printable, at most 2,048 octets; or our own words.
    pub text: String,
}

impl Reply {
    /// A result that no server spoke: `text` says what happened.
    pub fn local(enhanced: &str, text: impl Into<String>) -> Self {
        Self { code: None, enhanced: Some(enhanced.to_owned()), text: text.into() }
    }
}
