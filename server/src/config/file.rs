//! The configuration file as it is written: every key with its meaning and default.
//!
//! Keys that hold addresses, networks or names are text here and read in `check`, so that all
//! faults are told at once. `deploy/posthouse.example.toml` documents the same keys for
//! administrators; a test keeps the two in step.

use std::path::PathBuf;

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_field_names, reason = "keys that name files end in _file")]
pub(crate) struct File {
    /// Name of this server in EHLO, Received and Message-ID. Required.
    pub hostname: Option<String>,
    /// Where people reach the HTTP API: links in mail lead there. Default: the hostname over HTTPS.
    pub public_url: Option<String>,
    /// Name of this process, unique among those that share a database; default: the machine's.
    pub node_name: Option<String>,
    /// Roles of this process; default: all.
    pub roles: Option<Vec<String>>,
    /// File with the base64 of 32 random octets that seal secrets in the database.
    pub master_key_file: Option<PathBuf>,
    /// Postgres.
    pub database: Database,
    /// Addresses to listen on.
    pub listen: Listen,
    /// Certificate of the server.
    pub tls: Tls,
    /// Where messages over 128 KiB are stored.
    pub blobs: Blobs,
    /// Where large contents are while they arrive.
    pub spool: Spool,
    /// Limits.
    pub limits: Limits,
    /// Outgoing mail.
    pub delivery: Delivery,
    /// Reports about TLS that go out.
    pub tls_reports: TlsReports,
    /// Webhooks.
    pub webhooks: Webhooks,
    /// Access tokens.
    pub tokens: Tokens,
    /// An OpenID provider whose tokens let administrators in.
    pub oidc: Option<Oidc>,
    /// The log.
    pub log: Log,
}

/// `[database]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Database {
    /// `postgres://user:password@host/name`; the variable `DATABASE_URL` wins.
    pub url: Option<String>,
    /// Most connections of this process.
    pub connections: u32,
    /// Postgres ends a statement after this time; 0: never.
    pub statement_timeout_seconds: u64,
}

impl Default for Database {
    fn default() -> Self {
        Self { url: None, connections: 20, statement_timeout_seconds: 60 }
    }
}

/// `[listen]`: empty text or no key means that nothing listens.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listen {
    /// HTTP without TLS, for a reverse proxy on the same machine.
    pub http: String,
    /// HTTP with TLS.
    pub https: String,
    /// Mail from other servers.
    pub smtp: String,
    /// Mail from mail programs, STARTTLS.
    pub submission: String,
    /// Mail from mail programs, TLS from the first octet.
    pub submissions: String,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: "127.0.0.1:8080".to_owned(),
            https: String::new(),
            smtp: String::new(),
            submission: String::new(),
            submissions: String::new(),
        }
    }
}

/// `[tls]`
#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    /// PEM file with the certificate and its chain.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with the private key.
    pub key_file: Option<PathBuf>,
}

/// `[blobs]`: a directory or a bucket.
#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Blobs {
    /// Local directory; default: `/var/lib/posthouse/blobs`.
    pub directory: Option<PathBuf>,
    /// S3-compatible bucket, for several nodes.
    pub s3: Option<S3>,
}

/// `[blobs.s3]`; credentials come from the usual AWS variables.
#[derive(Debug, Default, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct S3 {
    /// Name of the bucket.
    pub bucket: String,
    /// Region; default: `us-east-1`.
    pub region: Option<String>,
    /// URL of a store that is not AWS.
    pub endpoint: Option<String>,
}

/// `[spool]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Spool {
    /// Local directory; default: `/var/lib/posthouse/spool`.
    pub directory: Option<PathBuf>,
    /// Most octets there at a time.
    pub size_bytes: u64,
}

impl Default for Spool {
    fn default() -> Self {
        Self { directory: None, size_bytes: posthouse_core::Config::default().spool.bytes }
    }
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Largest message taken at any door, in octets.
    pub message_size_bytes: u64,
    /// Most octets of memory for work on messages over 64 KiB at a time.
    pub memory_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let core = posthouse_core::Config::default();
        Self { message_size_bytes: core.message_size_limit, memory_bytes: core.memory_bytes }
    }
}

/// `[delivery]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Delivery {
    /// TCP port of mail exchangers.
    pub port: u16,
    /// Waits after the first, second … failed attempt, in seconds; after the last it has failed.
    pub retry_schedule_seconds: Vec<u64>,
    /// After this attempt the sender is told about the delay.
    pub delay_notice_after_attempts: u16,
    /// Most connections that deliver mail at a time.
    pub connections: usize,
    /// Most connections at a time to one destination.
    pub connections_per_destination: usize,
    /// DNS servers to ask, as `IP:PORT`; empty: those of `/etc/resolv.conf`.
    pub resolvers: Vec<String>,
    /// `validate`, `trust-ad` or `off`.
    pub dnssec: String,
    /// DNSKEY records to trust in place of the keys of the root zone.
    pub trust_anchors_file: Option<PathBuf>,
    /// A server that takes all outgoing mail.
    pub smart_host: Option<SmartHost>,
}

impl Default for Delivery {
    fn default() -> Self {
        let core = posthouse_core::Config::default();
        let seconds = core.delivery.retry_schedule.iter().map(std::time::Duration::as_secs);
        Self {
            port: core.delivery.port,
            retry_schedule_seconds: seconds.collect(),
            delay_notice_after_attempts: core.delivery.delay_notice_after,
            connections: core.delivery_connections,
            connections_per_destination: core.connections_per_destination,
            resolvers: Vec::new(),
            dnssec: "validate".to_owned(),
            trust_anchors_file: None,
            smart_host: None,
        }
    }
}

/// `[delivery.smart_host]`
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SmartHost {
    /// Name of the server.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// `required` (STARTTLS), `implicit`, `opportunistic` or `never`.
    pub tls: String,
    /// Name to log in with.
    pub username: Option<String>,
    /// Password; the variable `POSTHOUSE_SMART_HOST_PASSWORD` wins.
    pub password: Option<String>,
}

impl Default for SmartHost {
    fn default() -> Self {
        Self {
            host: String::new(),
            port: 587,
            tls: "required".to_owned(),
            username: None,
            password: None,
        }
    }
}

impl std::fmt::Debug for SmartHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmartHost").field("host", &self.host).finish_non_exhaustive()
    }
}

/// `[tls_reports]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsReports {
    /// `failures`, `all` or `off`.
    pub send: String,
    /// Who reports; default: the domain that they are sent from.
    pub organization_name: Option<String>,
}

impl Default for TlsReports {
    fn default() -> Self {
        Self { send: "failures".to_owned(), organization_name: None }
    }
}

/// `[webhooks]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Webhooks {
    /// Endpoints may also be in these private networks.
    pub allowed_networks: Vec<String>,
    /// Waits after the first, second … failed call, in seconds.
    pub retry_schedule_seconds: Vec<u64>,
}

impl Default for Webhooks {
    fn default() -> Self {
        let schedule = posthouse_core::Config::default().webhook_retry_schedule;
        Self {
            allowed_networks: Vec::new(),
            retry_schedule_seconds: schedule.iter().map(std::time::Duration::as_secs).collect(),
        }
    }
}

/// `[tokens]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tokens {
    /// A session ends when it was not refreshed for so long.
    pub session_seconds: u64,
    /// Another key signs access tokens after so long.
    pub signing_key_seconds: u64,
}

impl Default for Tokens {
    fn default() -> Self {
        let core = posthouse_core::Config::default().tokens;
        Self {
            session_seconds: core.session_lifetime.as_secs(),
            signing_key_seconds: core.signing_key_period.as_secs(),
        }
    }
}

/// `[oidc]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Oidc {
    /// Claim `iss`; discovery is below it.
    pub issuer: String,
    /// Claim `aud`.
    pub audience: String,
    /// The claim with an address of the administrator's account.
    pub address_claim: String,
    /// A claim that tells administrators, such as `groups`.
    pub admin_claim: Option<String>,
    /// What it is to be, or to contain.
    pub admin_value: Option<String>,
    /// The provider may also be in these private networks.
    pub allowed_networks: Vec<String>,
}

impl Default for Oidc {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            address_claim: "email".to_owned(),
            admin_claim: None,
            admin_value: None,
            allowed_networks: Vec::new(),
        }
    }
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// `human` or `json`.
    pub format: String,
    /// `error`, `warn`, `info`, `debug` or `trace`; the variable `RUST_LOG` wins.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: "human".to_owned(), level: "info".to_owned() }
    }
}
