//! API keys: `phk_` and 32 random bytes, shown once, stored as SHA-256.

pub(crate) mod bounds;
mod create;
mod manage;
pub(crate) mod store;
mod update;

use std::{net::IpAddr, sync::atomic::Ordering};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub(crate) use create::form_faults;
pub use create::{create, create_faults, require_create};
pub use manage::{delete, find, list};
pub use update::{update, update_faults};

use crate::{
    accounts::KeyInfo,
    error::Result,
    id::{self, Account, Id},
    platform::Platform,
};

/// What every key begins with.
pub const PREFIX: &str = "phk_";

/// An API key, without its secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiKey {
    /// Identifier.
    pub id: Id<id::ApiKey>,
    /// Whose key it is.
    pub account_id: Id<Account>,
    /// For people.
    pub name: String,
    /// First characters of the key.
    pub hint: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Networks it may be used from; empty: all.
    pub allowed_cidrs: Vec<String>,
    /// Addresses and `@domains` it may send as; empty: all of the account's.
    pub allowed_senders: Vec<String>,
    /// Its messages go to the sandbox.
    pub sandbox: bool,
    /// Most requests with it in a minute, beside the limit of its account.
    pub requests_per_minute: Option<i32>,
    /// Most recipients of messages with it in 24 hours, beside the limit of its account.
    #[serde(default)]
    pub recipients_per_day: Option<i64>,
    /// End of its life.
    #[serde(with = "crate::time::millis::option")]
    pub expires_at: Option<OffsetDateTime>,
    /// Last use, to the minute.
    #[serde(with = "crate::time::millis::option")]
    pub last_used_at: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
}

/// A new key with its secret, which is never shown again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ApiKeyWithSecret {
    /// The key.
    pub api_key: ApiKey,
    /// The secret.
    pub secret: String,
}

/// A key to be made.
#[derive(Debug, Clone, Default)]
pub struct NewApiKey {
    /// For people.
    pub name: String,
    /// Whose key; none: the caller's.
    pub account: Option<Id<Account>>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Networks it may be used from.
    pub allowed_cidrs: Vec<String>,
    /// Addresses and `@domains` it may send as.
    pub allowed_senders: Vec<String>,
    /// Its messages go to the sandbox.
    pub sandbox: bool,
    /// Most requests with it in a minute.
    pub requests_per_minute: Option<i32>,
    /// Most recipients of messages with it in 24 hours.
    pub recipients_per_day: Option<i64>,
    /// End of its life.
    pub expires_at: Option<OffsetDateTime>,
}

/// Changes of a key; absent fields stay.
#[derive(Debug, Clone, Default)]
pub struct ApiKeyPatch {
    /// For people.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Option<Vec<String>>,
    /// Networks it may be used from.
    pub allowed_cidrs: Option<Vec<String>>,
    /// Addresses and `@domains` it may send as.
    pub allowed_senders: Option<Vec<String>>,
    /// Its messages go to the sandbox.
    pub sandbox: Option<bool>,
    /// `Some(None)`: no limit of its own.
    pub requests_per_minute: Option<Option<i32>>,
    /// `Some(None)`: no limit of its own.
    pub recipients_per_day: Option<Option<i64>>,
    /// `Some(None)`: it has no end.
    pub expires_at: Option<Option<OffsetDateTime>>,
}

/// Notes that a key has let somebody in, once a minute at most.
pub(crate) async fn note_use(platform: &Platform, key: &KeyInfo) -> Result<()> {
    let now = platform.now();
    let since = now - ::time::Duration::minutes(1);
    let is_old = key.last_used_at.is_none_or(|at| at < since);
    if !is_old || key.noted.swap(true, Ordering::Relaxed) {
        return Ok(());
    }
    let mut conn = platform.acquire().await?;
    store::note_use(&mut conn, key.id, since, now).await
}

/// Whether `remote` is in one of the networks, or there are none.
pub(crate) fn allowed_from(cidrs: &[String], remote: Option<IpAddr>) -> bool {
    if cidrs.is_empty() {
        return true;
    }
    let Some(remote) = remote else { return false };
    cidrs
        .iter()
        .filter_map(|cidr| cidr.parse().ok())
        .any(|net: crate::net::Network| net.has(remote))
}
