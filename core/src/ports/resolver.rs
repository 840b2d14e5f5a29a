//! Port: DNS look-ups. Every look-up of the server goes through here.

use std::{net::IpAddr, sync::Arc};

use async_trait::async_trait;

/// Why a look-up gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist (NXDOMAIN).
    #[error("the domain name does not exist")]
    NoName,
    /// The name exists but has no such record.
    #[error("there is no such record")]
    NoRecord,
    /// No usable answer now: time-out, SERVFAIL, network.
    #[error("DNS look-up failed for now: {0}")]
    Temporary(String),
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mx {
    /// Lower is tried first.
    pub preference: u16,
    /// Host name without trailing dot, lower case; empty for the null MX (RFC 7505).
    pub exchange: Arc<str>,
}

/// Looks up DNS records. Names are in A-label form without a trailing dot.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// MX records of `name` itself, aliases not followed, in any order.
    async fn mx(&self, name: &str) -> Result<Vec<Mx>, DnsError>;
    /// The target of the alias `name`, if it is one.
    async fn cname(&self, name: &str) -> Result<Option<Arc<str>>, DnsError>;
    /// IPv4 and IPv6 addresses of `name`, aliases followed.
    async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, DnsError>;
    /// TXT records of `name`, each joined to one string.
    async fn txt(&self, name: &str) -> Result<Vec<String>, DnsError>;
    /// Host names of an address (PTR), unconfirmed.
    async fn reverse(&self, address: IpAddr) -> Result<Vec<Arc<str>>, DnsError>;
}
