//! Passwords for single devices and programs: generated, shown once, revoked one by one.
//!
//! They let in wherever the account's own password does, with the bounds of whoever made them.

mod create;
pub(in crate::credentials) mod store;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use create::{create, create_faults};

use crate::{
    audit,
    cx::Cx,
    error::{Error, Result},
    id::{self, Account, Id},
    page::{Keyset, Page, PageRequest},
    scope::{Scope, Scopes},
};

const NOT_FOUND: Error = Error::NotFound("app password");

/// What an app password may do: what a mail program does.
pub const SCOPES: [Scope; 3] = [Scope::Send, Scope::MailRead, Scope::MailWrite];

/// A password for one device, without the secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppPassword {
    /// Identifier.
    pub id: Id<id::AppPassword>,
    /// Whose it is.
    pub account_id: Id<Account>,
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Networks it may be used from; empty: all.
    pub allowed_cidrs: Vec<String>,
    /// Addresses and `@domains` it may send as; empty: all of the account's.
    pub allowed_senders: Vec<String>,
    /// Its messages go to the sandbox.
    pub sandbox: bool,
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

/// A new password, which is never shown again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AppPasswordWithSecret {
    /// What is known of it.
    pub app_password: AppPassword,
    /// The password itself.
    pub password: String,
}

/// Passwords of the caller's account, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, request: &PageRequest) -> Result<Page<AppPassword>> {
    cx.require(Scope::AccountRead)?;
    let keyset = Keyset::new(cx, "app_passwords", request)?;
    let mut conn = cx.platform().acquire().await?;
    let rows = store::list(&mut conn, cx.account(), &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.id.uuid()))
}

/// One password.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, credential: Id<id::AppPassword>) -> Result<AppPassword> {
    cx.require(Scope::AccountRead)?;
    let mut conn = cx.platform().acquire().await?;
    store::find(&mut conn, cx.account(), credential).await?.ok_or(NOT_FOUND)
}

/// Revokes a password: the next login with it fails.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn delete(cx: &Cx, credential: Id<id::AppPassword>) -> Result<()> {
    cx.require(Scope::AccountWrite)?;
    let mut tx = cx.begin("app_passwords.delete").await?;
    if !store::delete(tx.conn(), cx.account(), credential).await? {
        return Err(NOT_FOUND);
    }
    let target = credential.to_string();
    audit::record(&mut tx, cx, "delete_app_password", Some(cx.account()), &target).await?;
    tx.commit().await
}

/// All that an app password may do.
pub(super) fn all_scopes() -> Scopes {
    SCOPES.into_iter().collect()
}
