//! Putting a recipient on the list.

use posthouse_mail::address::Address;
use time::OffsetDateTime;

use super::{
    NewSuppression, Suppression,
    check::entry_faults,
    store::{self, Existing, NewEntry, Written},
};
use crate::{
    audit,
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    events::{EventKind, NewEvent, SuppressionEvent},
    id::Id,
    idempotency::{self, Begin, Created},
    scope::Scope,
};

/// Puts a recipient on the list. It takes effect at once, also for messages that wait.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `AlreadyExists`.
pub async fn create(cx: &Cx, new: NewSuppression) -> Result<Created<Suppression>> {
    cx.require(Scope::SuppressionsWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(create_faults(cx, &new))?;
    let now = cx.now();
    let mut tx = cx.begin("suppressions.create").await?;
    let made = make(&mut tx, cx, vec![new], now).await?;
    let written = write(&mut tx, &made, Existing::Keep, now).await?;
    let Some(suppression) = made.into_iter().next().filter(|_| written.contains(&Written::Created))
    else {
        return Err(Error::AlreadyExists("suppression"));
    };
    let target = suppression.id.to_string();
    audit::record(&mut tx, cx, "create_suppression", Some(cx.account()), &target).await?;
    slot.keep(&mut tx, cx, &suppression).await?;
    tx.commit().await?;
    cx.platform().queue().suppressions.changed(cx.account());
    Ok(Created::fresh(suppression))
}

/// Every fault that [`create`] will find.
pub fn create_faults(cx: &Cx, new: &NewSuppression) -> Vec<FieldError> {
    let mut faults = Vec::new();
    entry_faults(cx, new, "", &mut faults);
    faults
}

/// Entries as they will be on the list.
pub(super) async fn make(
    tx: &mut Tx,
    cx: &Cx,
    new: Vec<NewSuppression>,
    now: OffsetDateTime,
) -> Result<Vec<Suppression>> {
    let addresses: Vec<String> = new.iter().map(|new| new.address.to_string()).collect();
    let recipients: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let bases = store::bases(tx.conn(), &recipients).await?;
    let made = new.into_iter().zip(bases).map(|(new, base)| Suppression {
        id: Id::new(now),
        account_id: cx.account(),
        address: new.address.to_string(),
        base_address: base.address,
        topic: new.topic,
        reason: new.reason,
        detail: new.detail,
        delivery_id: None,
        expires_at: new.expires_at,
        created_at: now,
    });
    Ok(made.collect())
}

/// Writes entries, with an event for each that is new on the list.
pub(super) async fn write(
    tx: &mut Tx,
    made: &[Suppression],
    existing: Existing,
    now: OffsetDateTime,
) -> Result<Vec<Written>> {
    let entries: Vec<NewEntry<'_>> = made.iter().map(entry).collect();
    let written = store::write(tx.conn(), &entries, existing, now).await?;
    for (entry, written) in entries.iter().zip(&written) {
        if *written == Written::Created {
            tx.emit(created_event(entry, now));
        }
    }
    Ok(written)
}

fn entry(made: &Suppression) -> NewEntry<'_> {
    NewEntry {
        id: made.id,
        account: made.account_id,
        address: &made.address,
        base: &made.base_address,
        topic: made.topic.as_deref().unwrap_or_default(),
        reason: made.reason,
        detail: &made.detail,
        delivery: made.delivery_id,
        expires_at: made.expires_at,
    }
}

/// `suppression.created`
pub(super) fn created_event(entry: &NewEntry<'_>, now: OffsetDateTime) -> NewEvent {
    event(EventKind::SuppressionCreated, entry, now)
}

/// `suppression.deleted`
pub(super) fn deleted_event(deleted: &Suppression, now: OffsetDateTime) -> NewEvent {
    event(EventKind::SuppressionDeleted, &entry(deleted), now)
}

fn event(kind: EventKind, entry: &NewEntry<'_>, now: OffsetDateTime) -> NewEvent {
    let payload = SuppressionEvent {
        suppression_id: entry.id,
        address: entry.address,
        base_address: entry.base,
        topic: Some(entry.topic).filter(|topic| !topic.is_empty()),
        reason: entry.reason.as_str(),
        delivery_id: entry.delivery,
        expires_at: entry.expires_at,
    };
    let event = NewEvent::new(entry.account, kind, now, &payload);
    match entry.delivery {
        Some(delivery) => event.about(delivery.message()),
        None => event,
    }
}

/// The base address of one recipient.
pub(super) async fn base_of(conn: &mut sqlx::PgConnection, address: &Address) -> Result<String> {
    let bases = store::bases(conn, &[&address.to_string()]).await?;
    Ok(bases.into_iter().next().map_or_else(|| address.to_string(), |base| base.address))
}
