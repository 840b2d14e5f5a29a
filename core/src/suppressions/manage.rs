//! Looking at the list, and taking recipients off it.

use super::{
    Filter, Suppression,
    create::{base_of, deleted_event},
    store::{self, entries},
};
use crate::{
    audit,
    cx::{Cx, Tx},
    error::{Error, Result},
    id::{self, Id},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

const NOT_FOUND: Error = Error::NotFound("suppression");

/// Entries of the account, newest first; also those that have expired.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, filter: &Filter, request: &PageRequest) -> Result<Page<Suppression>> {
    cx.require(Scope::SuppressionsRead)?;
    let keyset = Keyset::new(cx, "suppressions", request)?;
    let mut conn = cx.platform().acquire().await?;
    let base = match &filter.address {
        Some(address) => Some(base_of(&mut conn, address).await?),
        None => None,
    };
    let range = (&keyset).into();
    let rows = entries::list(&mut conn, cx.account(), filter, base.as_deref(), &range).await?;
    Ok(keyset.page(cx, rows, |row| row.id.uuid()))
}

/// One entry.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, suppression: Id<id::Suppression>) -> Result<Suppression> {
    cx.require(Scope::SuppressionsRead)?;
    let mut conn = cx.platform().acquire().await?;
    entries::find(&mut conn, cx.account(), suppression).await?.ok_or(NOT_FOUND)
}

/// Takes a recipient off the list. It takes effect at once.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn delete(cx: &Cx, suppression: Id<id::Suppression>) -> Result<()> {
    cx.require(Scope::SuppressionsWrite)?;
    let mut tx = cx.begin("suppressions.delete").await?;
    let deleted = entries::delete(tx.conn(), cx.account(), suppression).await?;
    let deleted = deleted.ok_or(NOT_FOUND)?;
    follow_up(&mut tx, cx, std::slice::from_ref(&deleted)).await?;
    let target = suppression.to_string();
    audit::record(&mut tx, cx, "delete_suppression", Some(cx.account()), &target).await?;
    tx.commit().await?;
    cx.platform().queue().suppressions.changed(cx.account());
    Ok(())
}

/// What the deletion of entries brings with it.
pub(super) async fn follow_up(tx: &mut Tx, cx: &Cx, deleted: &[Suppression]) -> Result<()> {
    if deleted.is_empty() {
        return Ok(());
    }
    for one in deleted {
        tx.emit(deleted_event(one, cx.now()));
    }
    // Else the next unclear failure would be the third in a row.
    let addresses: Vec<&str> = deleted.iter().map(|one| one.address.as_str()).collect();
    entries::forget_failures(tx.conn(), cx.account(), &addresses).await?;
    store::tell(tx.conn(), std::iter::once(cx.account())).await
}
