//! Domains that are served here: their DKIM keys, the records to publish, and what of them is in DNS.

pub mod checks;
mod create;
pub mod dkim;
mod manage;
pub mod records;
pub(crate) mod store;

use posthouse_mail::address::LocalPartRules;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use create::{create, create_faults};
pub use dkim::DkimKey;
pub use manage::{delete, disable, enable, find, list, update, update_faults};
pub use records::DnsRecord;

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
    /// How its mail is signed.
    pub dkim: dkim::Settings,
    /// Keys of all states, in the order of their selectors.
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
    /// How its mail is signed.
    pub dkim: Option<dkim::SettingsPatch>,
}
