//! Access tokens: a login gives a session, a session gives tokens for a quarter of an hour.
//!
//! An access token is a JWT (RFC 9068) that any node checks by itself; that its session holds is
//! looked up as API keys are, so revoking works within a second. Refresh tokens are opaque, hold
//! once, and end the session when they come a second time
//! ([0022](../../../docs/decisions/0022-access-tokens-belong-to-sessions.md)).

mod authenticate;
mod grant;
mod jwt;
mod keys;
mod sessions;
pub(crate) mod store;

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;

pub use authenticate::authenticate_bearer;
pub use grant::{Tokens, by_password, by_refresh_token, scope_faults};
pub use keys::{PublicKey, published};
pub(crate) use keys::{SigningKeys, rotate};
pub use sessions::{delete, list, revoke};
pub(crate) use store::purge;

use crate::{
    id::{self, Account, Id},
    scope::Scopes,
};

/// An access token holds so long.
pub const LIFETIME: Duration = Duration::from_mins(15);

/// What a login gave, until it is revoked or not refreshed for too long.
#[derive(Debug, Clone, Serialize)]
pub struct Session {
    /// Identifier.
    pub id: Id<id::Session>,
    /// Whose it is.
    pub account_id: Id<Account>,
    /// What its tokens may do at most.
    pub scopes: Vec<String>,
    /// What the client said of itself at the login.
    pub user_agent: String,
    /// Where the client was at the login; empty: within the server.
    pub remote_address: String,
    /// The login.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
    /// When it was last refreshed.
    #[serde(with = "crate::time::millis")]
    pub refreshed_at: OffsetDateTime,
    /// It ends then unless it is refreshed.
    #[serde(with = "crate::time::millis")]
    pub expires_at: OffsetDateTime,
}

/// What the hot path knows of a session whose account may log in.
#[derive(Debug)]
pub(crate) struct SessionInfo {
    pub account: Id<Account>,
    /// Of the session, as far as the role of the account still has them.
    pub scopes: Scopes,
    pub expires_at: OffsetDateTime,
    pub requests_per_minute: Option<i32>,
}
