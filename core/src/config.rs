//! What the core needs to know before it has a database. Everything else is data in Postgres.

use std::{path::PathBuf, sync::Arc, time::Duration};

use rustls::RootCertStore;

use crate::ports::transport::{Login, Origin, Tls};

const MIB: u64 = 1024 * 1024;

/// Settings of the core.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of this server in EHLO, Received and Message-ID, in A-label form.
    pub hostname: String,
    /// Where people reach the HTTP API, such as `https://mail.example.com`, without a slash at the
    /// end; none: the hostname over HTTPS.
    pub public_url: Option<String>,
    /// Largest message taken at any door, in octets.
    pub message_size_limit: u64,
    /// Where outgoing mail goes.
    pub delivery: Delivery,
    /// Where MTA-STS policies come from.
    pub policy_hosts: PolicyHosts,
    /// Reports about TLS that go out.
    pub tls_reports: TlsReports,
    /// Endpoints of webhooks may also be in these networks, written as CIDR.
    pub webhook_allowed_networks: Vec<String>,
    /// Most connections that deliver mail at a time.
    pub delivery_connections: usize,
    /// Most connections at a time, besides these, to destinations that are not known to answer.
    pub probing_connections: usize,
    /// Most connections at a time to one destination.
    pub connections_per_destination: usize,
    /// Directory or S3 bucket for messages over 128 KiB.
    pub blob_store: BlobStore,
    /// Where large contents are while they arrive and while they are read.
    pub spool: Spool,
    /// Most octets of memory for work on large contents at a time; one alone may take more.
    pub memory_bytes: u64,
    /// Waits after the first, second … failed call of a webhook; after the last one it is given up.
    pub webhook_retry_schedule: Vec<Duration>,
    /// Access tokens.
    pub tokens: Tokens,
    /// Whose tokens let administrators in, beside our own.
    pub oidc: Option<Oidc>,
    /// Local addresses without an account are delivered to the sender's (localserve).
    pub sandbox: bool,
}

/// Reports about TLS (RFC 8460) that go out.
#[derive(Debug, Clone, Default)]
pub struct TlsReports {
    /// Which ones.
    pub send: SendReports,
    /// Who reports; none: the domain that they are sent from.
    pub organization: Option<String>,
}

/// Which reports go out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SendReports {
    /// None, and nothing is counted.
    Off,
    /// Those that tell of a failure.
    #[default]
    Failures,
    /// All.
    All,
}

/// The web servers that give MTA-STS policies: those of the Internet, but for tests.
#[derive(Debug, Clone)]
pub struct PolicyHosts {
    /// Their TCP port.
    pub port: u16,
    /// They may also be in these networks, written as CIDR.
    pub allowed_networks: Vec<String>,
    /// Roots of their certificates; none: those of the system.
    pub roots: Option<Arc<RootCertStore>>,
}

impl PolicyHosts {
    /// Roots of their certificates, when they are not those of the system.
    pub(crate) fn roots(&self) -> Option<RootCertStore> {
        self.roots.as_deref().cloned()
    }
}

impl Default for PolicyHosts {
    fn default() -> Self {
        Self { port: 443, allowed_networks: Vec::new(), roots: None }
    }
}

/// How long things of access tokens last.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// A session ends when it was not refreshed for so long.
    pub session_lifetime: Duration,
    /// Another key signs after so long.
    pub signing_key_period: Duration,
}

/// An OpenID provider whose tokens let administrators in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oidc {
    /// Claim `iss`; `/.well-known/openid-configuration` is below it.
    pub issuer: String,
    /// Claim `aud`, or one of it.
    pub audience: String,
    /// The claim with an address of the administrator's account.
    pub address_claim: String,
    /// A claim that is to have, or to contain, a value, such as the name of a group.
    pub required_claim: Option<(String, String)>,
    /// The provider may also be in these networks, written as CIDR.
    pub allowed_networks: Vec<String>,
}

/// How outgoing mail leaves.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Messages go to the sandbox: queued as usual, then delivered to the sender's own account.
    pub sandbox: bool,
    /// TCP port of mail exchangers.
    pub port: u16,
    /// Waits after the first, second … failed attempt; after the last one the delivery has failed.
    pub retry_schedule: Vec<Duration>,
    /// After this attempt the sender is told about the delay.
    pub delay_notice_after: u16,
    /// What no route sends elsewhere goes through this host (D2: the last route of all).
    pub smart_host: Option<Arc<SmartHost>>,
}

/// A server that takes all our mail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SmartHost {
    /// Name; its addresses are looked up.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS policy.
    pub tls: Tls,
    /// How to log in there.
    pub login: Login,
    /// How connections leave us.
    pub origin: Origin,
}

/// Where large blobs are.
#[derive(Debug, Clone)]
pub enum BlobStore {
    /// A local directory.
    Directory(PathBuf),
    /// An S3-compatible bucket; credentials come from the usual AWS variables.
    S3 {
        /// Bucket name.
        bucket: String,
        /// Endpoint, when it is not AWS.
        endpoint: Option<String>,
        /// Region.
        region: String,
    },
}

/// A place for large contents while they arrive and while they are read. What is in it is never needed after a restart.
#[derive(Debug, Clone)]
pub struct Spool {
    /// Local directory; not one in memory.
    pub directory: PathBuf,
    /// Most octets there at a time.
    pub bytes: u64,
}

/// The waits of C2: 7.5 min, doubled each time, eight attempts in all.
pub fn default_retry_schedule() -> Vec<Duration> {
    (0..7).map(|failures| Duration::from_secs(450 << failures)).collect()
}

/// The waits of API.md "Webhook delivery".
pub fn default_webhook_retry_schedule() -> Vec<Duration> {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 3600;
    [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
        .map(Duration::from_secs)
        .to_vec()
}

impl Config {
    /// Where links in mail lead.
    pub fn public_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("https://{}", self.hostname))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hostname: "localhost".to_owned(),
            public_url: None,
            message_size_limit: 100 * MIB,
            delivery: Delivery {
                sandbox: false,
                port: 25,
                retry_schedule: default_retry_schedule(),
                delay_notice_after: 5,
                smart_host: None,
            },
            policy_hosts: PolicyHosts::default(),
            tls_reports: TlsReports::default(),
            webhook_allowed_networks: Vec::new(),
            delivery_connections: 500,
            probing_connections: 2000,
            connections_per_destination: 20,
            blob_store: BlobStore::Directory(PathBuf::from("blobs")),
            spool: Spool { directory: PathBuf::from("spool"), bytes: 4 * 1024 * MIB },
            memory_bytes: 256 * MIB,
            webhook_retry_schedule: default_webhook_retry_schedule(),
            tokens: Tokens {
                session_lifetime: Duration::from_hours(30 * 24),
                signing_key_period: Duration::from_hours(30 * 24),
            },
            oidc: None,
            sandbox: false,
        }
    }
}
