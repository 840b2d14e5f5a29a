//! Entries that reports make: bounces that came later, and complaints.

use std::collections::HashMap;

use time::OffsetDateTime;

use super::{
    Reason,
    create::created_event,
    store::{self, Existing, NewEntry, Written},
};
use crate::{
    cx::Tx,
    error::Result,
    events::NewEvent,
    id::{Account, Delivery, Id},
};

/// A recipient that a report gives a reason for.
pub(crate) struct Reported<'a> {
    pub account: Id<Account>,
    pub delivery: Id<Delivery>,
    pub recipient: &'a str,
    pub reason: Reason,
    /// For people.
    pub detail: &'a str,
}

/// Puts recipients on the list, unless they are there; gives the events of those that are new.
pub(crate) async fn add(
    tx: &mut Tx,
    reported: &[Reported<'_>],
    now: OffsetDateTime,
) -> Result<HashMap<Id<Delivery>, NewEvent>> {
    if reported.is_empty() {
        return Ok(HashMap::new());
    }
    let recipients: Vec<&str> = reported.iter().map(|one| one.recipient).collect();
    let bases = store::bases(tx.conn(), &recipients).await?;
    let new: Vec<NewEntry<'_>> = reported
        .iter()
        .zip(&bases)
        .map(|(one, base)| NewEntry {
            id: Id::new(now),
            account: one.account,
            address: one.recipient,
            base: &base.address,
            topic: "",
            reason: one.reason,
            detail: one.detail,
            delivery: Some(one.delivery),
            expires_at: None,
        })
        .collect();
    let written = store::write(tx.conn(), &new, Existing::Keep, now).await?;
    let created = new.iter().zip(reported).zip(written);
    let created = created.filter(|(_, written)| *written == Written::Created);
    Ok(created.map(|((entry, one), _)| (one.delivery, created_event(entry, now))).collect())
}
