//! Looking at and revoking API keys.

use super::{ApiKey, store};
use crate::{
    audit,
    cx::Cx,
    error::{Error, Result},
    id::{self, Id},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

/// Keys of the caller's account; for an administrator those of all accounts, unless the
/// administrator acts for one. Newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, request: &PageRequest) -> Result<Page<ApiKey>> {
    let all = cx.actor().scopes.has(Scope::AdminRead);
    if !all {
        cx.require(Scope::AccountRead)?;
    }
    let keyset = Keyset::new(cx, "api_keys", request)?;
    let mut conn = cx.platform().acquire().await?;
    let only = (!all || cx.acts_for_another()).then(|| cx.account());
    let keys = store::list(&mut conn, &keyset, only).await?;
    Ok(keyset.page(cx, keys, |key| key.id.uuid()))
}

/// One key.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, key: Id<id::ApiKey>) -> Result<ApiKey> {
    let all = cx.actor().scopes.has(Scope::AdminRead);
    if !all {
        cx.require(Scope::AccountRead)?;
    }
    let mut conn = cx.platform().acquire().await?;
    let found = store::find(&mut conn, key).await?;
    found.filter(|found| all || found.account_id == cx.account()).ok_or(Error::NotFound("API key"))
}

/// Revokes a key: it stops working within a second on every node.
///
/// # Errors
/// `Forbidden`, `NotFound`, `PreconditionFailed`.
pub async fn delete(cx: &Cx, key: Id<id::ApiKey>) -> Result<()> {
    let all = cx.actor().scopes.has(Scope::AdminWrite);
    if !all {
        cx.require(Scope::AccountWrite)?;
    }
    let mut tx = cx.begin("api_keys.delete").await?;
    let found = store::find_to_change(tx.conn(), key).await?;
    let found = found.filter(|found| all || found.account_id == cx.account());
    let found = found.ok_or(Error::NotFound("API key"))?;
    cx.require_version(&found)?;
    store::delete(tx.conn(), key).await?;
    let target = key.to_string();
    audit::record(&mut tx, cx, "delete_api_key", Some(found.account_id), &target).await?;
    tx.commit().await?;
    cx.platform().directory().forget();
    Ok(())
}
