//! Making, looking at and deleting rules.

use time::OffsetDateTime;

use super::{Hold, HoldPatch, NewHold, store};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{self, Account, Id},
    idempotency::{self, Begin, Created},
    page::{Keyset, Page, PageRequest},
    queue::{QueueScope, wishes},
    scope::Scope,
    text,
};

/// Makes a rule. From its commit on no matching delivery is taken without being held; those that
/// wait are held soon after.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn create_hold(cx: &Cx, new: NewHold) -> Result<Created<Hold>> {
    let account = owner(cx, new.scope, Scope::QueueWrite, Scope::AdminWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(hold_faults(cx, &new))?;
    let now = cx.now();
    let hold = Hold {
        id: Id::new(now),
        account_id: account,
        matches: new.matches,
        reason: new.reason,
        expires_at: new.expires_at,
        created_at: now,
    };
    let mut tx = cx.begin("queue.create_hold").await?;
    // Messages that are being taken without looking at the new rule are committed before it is.
    store::lock_against_new(tx.conn()).await?;
    store::insert(tx.conn(), &hold).await?;
    audit::record(&mut tx, cx, "create_hold", account, &hold.id.to_string()).await?;
    slot.keep(&mut tx, cx, &hold).await?;
    wishes::tell(tx.conn()).await?;
    tx.commit().await?;
    cx.platform().queue().holds.kick();
    Ok(Created::fresh(hold))
}

/// Every fault that [`create_hold`] will find.
pub fn hold_faults(cx: &Cx, new: &NewHold) -> Vec<FieldError> {
    faults_of(cx, Some(&new.reason), new.expires_at)
}

fn faults_of(cx: &Cx, reason: Option<&str>, end: Option<OffsetDateTime>) -> Vec<FieldError> {
    let mut faults = Vec::new();
    faults.extend(reason.and_then(|reason| text::fault("/reason", "invalid_reason", reason)));
    if end.is_some_and(|at| at <= cx.now()) {
        faults.push(FieldError::new("/expires_at", "in_the_past", "the time has passed"));
    }
    faults
}

/// Rules of the account, or for administrators all rules; newest first, also expired ones.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list_holds(cx: &Cx, scope: QueueScope, request: &PageRequest) -> Result<Page<Hold>> {
    let account = owner(cx, scope, Scope::QueueRead, Scope::AdminRead)?;
    let list = if account.is_some() { "holds" } else { "all_holds" };
    let keyset = Keyset::new(cx, list, request)?;
    let mut conn = cx.platform().acquire().await?;
    let rows = store::list(&mut conn, account, &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.id.uuid()))
}

/// One rule of the account, or for administrators any.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find_hold(cx: &Cx, hold: Id<id::Hold>) -> Result<Hold> {
    cx.require(Scope::QueueRead)?;
    let account = cx.require(Scope::AdminRead).is_err().then(|| cx.account());
    let mut conn = cx.platform().acquire().await?;
    store::find(&mut conn, account, hold).await?.ok_or(Error::NotFound("hold"))
}

/// Changes reason and end of a rule. One that had expired and is in force again holds also what waits
/// now, as a new one does.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `PreconditionFailed`.
pub async fn change_hold(cx: &Cx, hold: Id<id::Hold>, patch: HoldPatch) -> Result<Hold> {
    cx.require(Scope::QueueWrite)?;
    Error::unless_empty(hold_change_faults(cx, &patch))?;
    let account = cx.require(Scope::AdminWrite).is_err().then(|| cx.account());
    let mut tx = cx.begin("queue.change_hold").await?;
    // As with a new rule. It also makes changes of rules follow one another.
    store::lock_against_new(tx.conn()).await?;
    let found = store::find(tx.conn(), account, hold).await?.ok_or(Error::NotFound("hold"))?;
    cx.require_version(&found)?;
    let mut changed = found.clone();
    changed.reason = patch.reason.unwrap_or(changed.reason);
    changed.expires_at = patch.expires_at.unwrap_or(changed.expires_at);
    let revived = !found.is_in_force(cx.now()) && changed.is_in_force(cx.now());
    store::update(tx.conn(), &changed, revived).await?;
    audit::record(&mut tx, cx, "change_hold", found.account_id, &hold.to_string()).await?;
    wishes::tell(tx.conn()).await?;
    tx.commit().await?;
    cx.platform().queue().holds.kick();
    Ok(changed)
}

/// Every fault that [`change_hold`] will find in the patch itself.
pub fn hold_change_faults(cx: &Cx, patch: &HoldPatch) -> Vec<FieldError> {
    faults_of(cx, patch.reason.as_deref(), patch.expires_at.flatten())
}

/// Deletes a rule. What it holds stays on hold.
///
/// # Errors
/// `Forbidden`, `NotFound`, `PreconditionFailed`.
pub async fn delete_hold(cx: &Cx, hold: Id<id::Hold>) -> Result<()> {
    cx.require(Scope::QueueWrite)?;
    let account = cx.require(Scope::AdminWrite).is_err().then(|| cx.account());
    let mut tx = cx.begin("queue.delete_hold").await?;
    if cx.is_conditional() {
        store::lock_against_new(tx.conn()).await?;
        let found = store::find(tx.conn(), account, hold).await?.ok_or(Error::NotFound("hold"))?;
        cx.require_version(&found)?;
    }
    if !store::delete(tx.conn(), account, hold).await? {
        return Err(Error::NotFound("hold"));
    }
    audit::record(&mut tx, cx, "delete_hold", account, &hold.to_string()).await?;
    tx.commit().await
}

/// The account that is meant; none: all, for those who may.
fn owner(cx: &Cx, scope: QueueScope, own: Scope, all: Scope) -> Result<Option<Id<Account>>> {
    cx.require(own)?;
    match scope {
        QueueScope::Account => Ok(Some(cx.account())),
        QueueScope::All => cx.require(all).map(|()| None),
    }
}
