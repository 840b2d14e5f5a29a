//! Looking at, changing and deleting accounts.

use super::{
    Account, AccountPatch,
    create::{address_faults, parse_addresses, require_password},
    store,
};
use crate::{
    audit, credentials,
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::{self, Id},
    mails,
    page::{Keyset, Page, PageRequest},
    scope::{Scope, Scopes},
    text, tokens,
};

/// All accounts, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, request: &PageRequest) -> Result<Page<Account>> {
    cx.require(Scope::AdminRead)?;
    let keyset = Keyset::new(cx, "accounts", request)?;
    let mut conn = cx.platform().acquire().await?;
    let rows = store::list(&mut conn, &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.account_id).map(Account::from))
}

/// One account: any for an administrator, else the caller's own.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, account: Id<id::Account>) -> Result<Account> {
    if account == cx.account() && cx.actor().scopes.has(Scope::AccountRead) {
        // One's own.
    } else {
        cx.require(Scope::AdminRead)?;
    }
    let mut conn = cx.platform().acquire().await?;
    store::find(&mut conn, account).await?.ok_or(Error::NotFound("account"))
}

/// Changes an account.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `AlreadyExists`.
pub async fn update(cx: &Cx, account: Id<id::Account>, patch: AccountPatch) -> Result<Account> {
    cx.require(Scope::AdminWrite)?;
    Error::unless_empty(update_faults(&patch))?;
    let now = cx.now();
    let secrets = derive(cx, account, patch.password.as_deref()).await?;
    let mut tx = cx.begin("accounts.update").await?;
    require_version(&mut tx, cx, account).await?;
    let before = mails::store::used(tx.conn(), account).await?;
    if !store::update(tx.conn(), account, &patch, now).await? {
        return Err(Error::NotFound("account"));
    }
    if let Some(texts) = &patch.addresses {
        let addresses = parse_addresses(&mut tx, texts).await?;
        store::set_addresses(tx.conn(), account, &addresses, now).await?;
    }
    if let Some(secrets) = secrets {
        let found = store::find(tx.conn(), account).await?.ok_or(Error::NotFound("account"))?;
        let scopes = Scopes::of_role(&found.role);
        if scopes == Scopes::all() || account == cx.actor().owner {
            require_password(cx, scopes)?;
        }
        credentials::store::set(tx.conn(), account, &secrets, now).await?;
    }
    if patch.password.is_some() || patch.login_disabled.as_ref().is_some_and(Option::is_some) {
        tokens::store::delete_all(tx.conn(), account).await?;
    }
    if let (Some(before), Some(now)) = (before, mails::store::used(tx.conn(), account).await?) {
        mails::quota::tell(&mut tx, account, before, now);
    }
    audit::record(&mut tx, cx, "update_account", Some(account), "").await?;
    let updated = store::find(tx.conn(), account).await?.ok_or(Error::NotFound("account"))?;
    tx.commit().await?;
    cx.platform().directory().forget();
    Ok(updated)
}

/// Refuses to change an account that has changed since the caller saw it.
async fn require_version(tx: &mut Tx, cx: &Cx, account: Id<id::Account>) -> Result<()> {
    if !cx.is_conditional() {
        return Ok(());
    }
    store::lock(tx.conn(), account).await?;
    let found = store::find(tx.conn(), account).await?.ok_or(Error::NotFound("account"))?;
    cx.require_version(&found)
}

/// What is kept of a new password.
async fn derive(
    cx: &Cx,
    account: Id<id::Account>,
    password: Option<&str>,
) -> Result<Option<credentials::Secrets>> {
    if password.is_none() {
        return Ok(None);
    }
    let mut conn = cx.platform().acquire().await?;
    let salt = credentials::salt(&mut conn, account).await?.ok_or(Error::NotFound("account"))?;
    drop(conn);
    credentials::derive(password, salt).await
}

/// Changes the caller's own account: what its owner may change.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn update_own(cx: &Cx, full_name: Option<String>) -> Result<Account> {
    cx.require(Scope::AccountWrite)?;
    let patch = AccountPatch { full_name, ..AccountPatch::default() };
    Error::unless_empty(update_faults(&patch))?;
    let mut tx = cx.begin("accounts.update_own").await?;
    require_version(&mut tx, cx, cx.account()).await?;
    store::update(tx.conn(), cx.account(), &patch, cx.now()).await?;
    audit::record(&mut tx, cx, "update_own_account", Some(cx.account()), "").await?;
    let updated = store::find(tx.conn(), cx.account()).await?;
    tx.commit().await?;
    updated.ok_or(Error::NotFound("account"))
}

/// Every fault that [`update`] will find without the database. Whether the domain of an address is
/// served here, and whether an address stands twice by the rules of its domain, it asks later.
pub fn update_faults(patch: &AccountPatch) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if let Some(detail) = patch.password.as_deref().and_then(credentials::password_fault) {
        faults.push(FieldError::new("/password", "invalid_password", detail));
    }
    if patch.retention_seconds.is_some_and(|seconds| seconds < 0) {
        faults.push(FieldError::new("/retention_seconds", "out_of_range", "must not be negative"));
    }
    if patch.quota_bytes.flatten().is_some_and(|bytes| bytes <= 0) {
        faults.push(FieldError::new("/quota_bytes", "out_of_range", "must be positive, or null"));
    }
    let reason = patch.login_disabled.as_ref().and_then(Option::as_ref);
    if reason.is_some_and(|text| text.is_empty() || text.len() > 256 || !is_printable_ascii(text)) {
        let detail = "the text has 1 to 256 printable ASCII characters (I7)";
        faults.push(FieldError::new("/login_disabled", "invalid_text", detail));
    }
    let full_name = patch.full_name.as_deref();
    faults.extend(full_name.and_then(|name| text::fault("/full_name", "invalid_text", name)));
    faults.extend(address_faults(patch.addresses.as_deref().unwrap_or_default()));
    faults
}

fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

/// Deletes an account with its addresses and credentials; no message of it may still wait.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InUse`.
pub async fn delete(cx: &Cx, account: Id<id::Account>) -> Result<()> {
    cx.require(Scope::AdminWrite)?;
    if account == cx.account() {
        return Err(Error::InUse("an administrator cannot delete the own account".to_owned()));
    }
    let mut tx = cx.begin("accounts.delete").await?;
    require_version(&mut tx, cx, account).await?;
    if store::waiting(tx.conn(), account).await? {
        let detail = "messages of this account still wait for delivery: cancel them or wait";
        return Err(Error::InUse(detail.to_owned()));
    }
    if !store::delete(tx.conn(), account).await? {
        return Err(Error::NotFound("account"));
    }
    audit::record(&mut tx, cx, "delete_account", Some(account), "").await?;
    tx.commit().await?;
    cx.platform().directory().forget();
    Ok(())
}
