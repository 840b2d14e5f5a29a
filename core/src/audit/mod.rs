//! The audit log: every administrative change and who made it. Entries are never changed, and
//! outlive the accounts that they speak of.

mod store;

use serde::Serialize;
use time::OffsetDateTime;

use crate::{
    cx::{Credential, Cx, Tx},
    error::Result,
    id::{Account, Audit, Id},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

/// An entry of the log.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Identifier.
    pub id: Id<Audit>,
    /// When it was done.
    #[serde(with = "crate::time::millis")]
    pub at: OffsetDateTime,
    /// Account of whoever did it.
    pub actor_account_id: Id<Account>,
    /// What it was done with: id of a key, session or app password, `password`, `oidc` or `system`.
    pub credential: String,
    /// Account that it was done to.
    pub account_id: Option<Id<Account>>,
    /// What was done, such as `create_api_key`.
    pub action: String,
    /// What it was done to: an id or name.
    pub target: String,
    /// The request that did it.
    pub request_id: String,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Done to this account.
    pub account: Option<Id<Account>>,
    /// Done by this account.
    pub actor: Option<Id<Account>>,
    /// This was done.
    pub action: Option<String>,
    /// At or after.
    pub since: Option<OffsetDateTime>,
    /// Before.
    pub until: Option<OffsetDateTime>,
}

/// Entries, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, filter: &Filter, request: &PageRequest) -> Result<Page<Entry>> {
    cx.require(Scope::AdminRead)?;
    let keyset = Keyset::new(cx, "audit_log", request)?;
    let mut conn = cx.platform().acquire().await?;
    let entries = store::list(&mut conn, filter, &keyset).await?;
    Ok(keyset.page(cx, entries, |entry| entry.id.uuid()))
}

/// Writes an entry in the transaction of the change.
pub(crate) async fn record(
    tx: &mut Tx,
    cx: &Cx,
    action: &str,
    account: Option<Id<Account>>,
    target: &str,
) -> Result<()> {
    let credential = match cx.actor().credential {
        Credential::ApiKey(key) => key.to_string(),
        Credential::AppPassword(id) => id.to_string(),
        Credential::Session(id) => id.to_string(),
        Credential::Password => "password".to_owned(),
        Credential::Oidc => "oidc".to_owned(),
        Credential::System => "system".to_owned(),
    };
    let entry = Entry {
        id: Id::new(cx.now()),
        at: cx.now(),
        actor_account_id: cx.actor().owner,
        credential,
        account_id: account,
        action: action.to_owned(),
        target: target.to_owned(),
        request_id: cx.request_id().to_string(),
    };
    store::insert(tx.conn(), &entry).await
}
