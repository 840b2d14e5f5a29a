//! Port: DNS look-ups. Every look-up of the server goes through here.

use std::{net::IpAddr, sync::Arc};

use async_trait::async_trait;

pub use mail_auth::SpfResult;

use super::transport::Tlsa;

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

/// An answer or a denial, and whether DNSSEC proves it (RFC 4035 §4.3).
///
/// What ought to be proven and is not (bogus) is [`DnsError::Temporary`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven<T> {
    /// What the look-up gave.
    pub answer: Result<T, DnsError>,
    /// Signatures prove it, aliases on the way included.
    pub secure: bool,
}

impl<T> Proven<T> {
    /// Without a proof.
    pub const fn insecure(answer: Result<T, DnsError>) -> Self {
        Self { answer, secure: false }
    }

    /// Changes the answer, not its proof.
    pub fn and_then<U>(self, change: impl FnOnce(T) -> Result<U, DnsError>) -> Proven<U> {
        Proven { answer: self.answer.and_then(change), secure: self.secure }
    }
}

/// Where a host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// IPv6 and IPv4 addresses, at least one.
    pub addresses: Vec<IpAddr>,
    /// The name at the end of its aliases; its own when it is none.
    pub name: Arc<str>,
    /// DNSSEC proves that it is an alias; what comes after may have no proof (RFC 7672 §2.2.2).
    pub alias_is_secure: bool,
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

    /// As [`Resolver::mx`], with the proof.
    async fn proven_mx(&self, name: &str) -> Proven<Vec<Mx>> {
        Proven::insecure(self.mx(name).await)
    }
    /// As [`Resolver::cname`], with the proof.
    async fn proven_cname(&self, name: &str) -> Proven<Option<Arc<str>>> {
        Proven::insecure(self.cname(name).await)
    }
    /// As [`Resolver::addresses`], with the proof and the name that the aliases lead to.
    async fn locate(&self, name: &str) -> Proven<Location> {
        let found = self.addresses(name).await;
        Proven::insecure(found.map(|addresses| Location {
            addresses,
            name: name.into(),
            alias_is_secure: false,
        }))
    }
    /// As [`Resolver::txt`], with the proof.
    async fn proven_txt(&self, name: &str) -> Proven<Vec<String>> {
        Proven::insecure(self.txt(name).await)
    }
    /// Whether SPF lets `address` send mail of `domain` (RFC 7208), with `helo` as its name.
    async fn spf(&self, _address: IpAddr, _domain: &str, _helo: &str) -> SpfResult {
        SpfResult::TempError
    }
    /// TLSA records of `name`, aliases followed; only proven ones mean anything.
    async fn tlsa(&self, _name: &str) -> Proven<Vec<Tlsa>> {
        Proven::insecure(Err(DnsError::NoRecord))
    }
}
