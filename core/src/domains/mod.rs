//! Domains that are served here, and their DKIM keys.

mod create;
mod manage;
pub(crate) mod store;

use posthouse_mail::address::LocalPartRules;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use create::{create, create_faults};
pub use manage::{delete, find, list, update, update_faults};

use crate::id::{self, Id};

/// A domain.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Domain {
    /// Identifier.
    pub id: Id<id::Domain>,
    /// Name in A-label form.
    pub name: String,
    /// For administrators.
    pub description: String,
    /// Takes and sends no mail for now (I5).
    pub disabled: bool,
    /// What follows one of these in a local part is ignored (I2).
    pub separators: Vec<String>,
    /// Local parts differ by case.
    pub case_sensitive: bool,
    /// Reverse-paths carry tokens that reports are matched by (0.5).
    pub bounce_tokens: bool,
    /// Keys that sign its mail.
    pub dkim_keys: Vec<DkimKey>,
    /// DNS records to publish.
    pub records: Vec<DnsRecord>,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
}

impl Domain {
    /// How local parts of this domain are compared.
    pub fn rules(&self) -> LocalPartRules {
        LocalPartRules { separators: self.separators.clone(), case_sensitive: self.case_sensitive }
    }
}

/// A DKIM key, without its secret part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DkimKey {
    /// Selector in DNS.
    pub selector: String,
    /// `rsa-2048` or `ed25519`.
    pub algorithm: String,
    /// Whether it signs.
    pub active: bool,
}

/// A DNS record to publish.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DnsRecord {
    /// Owner name, absolute, without trailing dot.
    pub name: String,
    /// `MX`, `TXT` …
    #[serde(rename = "type")]
    pub kind: String,
    /// Data in zone-file form; TXT without quotes.
    pub value: String,
}

/// A domain to be served.
#[derive(Debug, Clone)]
pub struct NewDomain {
    /// Name; A-labels or Unicode.
    pub name: String,
    /// For administrators.
    pub description: String,
    /// Separators of local parts; none: `+`.
    pub separators: Option<Vec<String>>,
    /// Local parts differ by case.
    pub case_sensitive: bool,
    /// Keys to make; none: RSA-2048 and Ed25519.
    pub dkim_algorithms: Option<Vec<String>>,
}

/// Changes of a domain; absent fields stay.
#[derive(Debug, Clone, Default)]
pub struct DomainPatch {
    /// For administrators.
    pub description: Option<String>,
    /// Takes and sends no mail for now.
    pub disabled: Option<bool>,
    /// Separators of local parts.
    pub separators: Option<Vec<String>>,
    /// Reverse-paths carry tokens.
    pub bounce_tokens: Option<bool>,
}
