//! Accounts and the addresses that lead to them.

mod create;
mod directory;
mod manage;
pub(crate) mod store;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use create::{create, create_faults};
pub(crate) use directory::{Directory, DomainInfo, KeyInfo};
pub use manage::{delete, find, list, update, update_faults, update_own};

use crate::id::{self, Id};

/// An account: mailboxes, addresses, keys and messages belong to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// Identifier.
    pub id: Id<id::Account>,
    /// Unique name, for administrators.
    pub name: String,
    /// `user` or `admin`.
    pub role: String,
    /// Name of the person or application.
    pub full_name: String,
    /// Addresses that lead here; `@domain` is a catch-all.
    pub addresses: Vec<String>,
    /// Text shown instead of letting the user in; null: login is allowed.
    pub login_disabled: Option<String>,
    /// How long ended messages stay visible, in seconds.
    pub retention_seconds: i64,
    /// Most octets of mail; null: no limit.
    pub quota_bytes: Option<i64>,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
}

/// An account to be made.
#[derive(Debug, Clone, Default)]
pub struct NewAccount {
    /// Unique name.
    pub name: String,
    /// Addresses, or `@domain` for a catch-all, in domains that are served here.
    pub addresses: Vec<String>,
    /// Password for mail programs, at least eight octets; none: only API keys get in.
    pub password: Option<String>,
    /// Name of the person or application.
    pub full_name: String,
    /// `admin` also runs the server.
    pub admin: bool,
    /// How long ended messages stay visible, in seconds; none: 30 days.
    pub retention_seconds: Option<i64>,
    /// Most octets of mail.
    pub quota_bytes: Option<i64>,
}

/// Changes of an account; absent fields stay.
#[derive(Debug, Clone, Default)]
pub struct AccountPatch {
    /// The whole new list of addresses.
    pub addresses: Option<Vec<String>>,
    /// New password.
    pub password: Option<String>,
    /// Name of the person or application.
    pub full_name: Option<String>,
    /// `Some(None)` allows login again.
    pub login_disabled: Option<Option<String>>,
    /// How long ended messages stay visible, in seconds.
    pub retention_seconds: Option<i64>,
    /// `Some(None)` lifts the limit.
    pub quota_bytes: Option<Option<i64>>,
}
