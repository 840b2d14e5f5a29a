//! Many entries at once, in one transaction.

use std::collections::HashMap;

use super::{
    Bulk, BulkOutcome, BulkResult, MAX_ENTRIES, Suppression, Target,
    check::{entry_faults, topic_fault},
    create, manage,
    store::{self, Existing, Written, entries},
};
use crate::{
    audit,
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    id::{self, Id},
    idempotency::{self, Begin, Created},
    scope::Scope,
};

/// Deletes and makes entries, all or none. Tells what came of each: first of those to be made, then
/// of those to be deleted.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn bulk(cx: &Cx, bulk: Bulk) -> Result<Created<Vec<BulkResult>>> {
    cx.require(Scope::SuppressionsWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(bulk_faults(cx, &bulk))?;
    let mut tx = cx.begin("suppressions.bulk").await?;
    let deleted = delete_all(&mut tx, cx, bulk.delete).await?;
    let now = cx.now();
    let made = create::make(&mut tx, cx, bulk.create, now).await?;
    let written = create::write(&mut tx, &made, Existing::Keep, now).await?;
    let mut results = created(&mut tx, cx, made, &written).await?;
    results.extend(deleted);
    let count = results.len().to_string();
    audit::record(&mut tx, cx, "change_suppressions", Some(cx.account()), &count).await?;
    slot.keep(&mut tx, cx, &results).await?;
    tx.commit().await?;
    cx.platform().queue().suppressions.changed(cx.account());
    Ok(Created::fresh(results))
}

/// Every fault that [`bulk`] will find.
pub fn bulk_faults(cx: &Cx, bulk: &Bulk) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let count = bulk.create.len() + bulk.delete.len();
    if count == 0 || count > MAX_ENTRIES {
        let detail = format!("a request names 1 to {MAX_ENTRIES} addresses in create and delete");
        faults.push(FieldError::new("", "out_of_range", detail));
        return faults;
    }
    for (index, new) in bulk.create.iter().enumerate() {
        entry_faults(cx, new, &format!("/create/{index}"), &mut faults);
    }
    for (index, target) in bulk.delete.iter().enumerate() {
        faults.extend(topic_fault(target.topic.as_deref(), format!("/delete/{index}/topic")));
    }
    faults
}

async fn created(
    tx: &mut Tx,
    cx: &Cx,
    made: Vec<Suppression>,
    written: &[Written],
) -> Result<Vec<BulkResult>> {
    let bases: Vec<&str> = made.iter().map(|one| one.base_address.as_str()).collect();
    let there = entries::of_recipients(tx.conn(), cx.account(), &bases, cx.now()).await?;
    let ids = ids(&there);
    let result = |(one, written): (&Suppression, &Written)| BulkResult {
        address: one.address.clone(),
        topic: one.topic.clone(),
        outcome: match written {
            Written::Created => BulkOutcome::Created,
            Written::Updated | Written::Unchanged => BulkOutcome::Existing,
        },
        id: ids.get(&key(&one.base_address, one.topic.as_deref())).copied(),
    };
    Ok(made.iter().zip(written).map(result).collect())
}

async fn delete_all(tx: &mut Tx, cx: &Cx, targets: Vec<Target>) -> Result<Vec<BulkResult>> {
    if targets.is_empty() {
        return Ok(Vec::new());
    }
    let addresses: Vec<String> = targets.iter().map(|one| one.address.to_string()).collect();
    let recipients: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let bases = store::bases(tx.conn(), &recipients).await?;
    let names: Vec<&str> = bases.iter().map(|base| base.address.as_str()).collect();
    let topics: Vec<&str> =
        targets.iter().map(|one| one.topic.as_deref().unwrap_or_default()).collect();
    let deleted = entries::delete_many(tx.conn(), cx.account(), &names, &topics).await?;
    manage::follow_up(tx, cx, &deleted).await?;
    let ids = ids(&deleted);
    let result = |((address, base), target): ((&String, &&str), &Target)| {
        let id = ids.get(&key(base, target.topic.as_deref())).copied();
        let outcome = if id.is_some() { BulkOutcome::Deleted } else { BulkOutcome::NotFound };
        BulkResult { address: address.clone(), topic: target.topic.clone(), outcome, id }
    };
    Ok(addresses.iter().zip(&names).zip(&targets).map(result).collect())
}

fn ids(list: &[Suppression]) -> HashMap<(&str, &str), Id<id::Suppression>> {
    list.iter().map(|one| (key(&one.base_address, one.topic.as_deref()), one.id)).collect()
}

fn key<'a>(base: &'a str, topic: Option<&'a str>) -> (&'a str, &'a str) {
    (base, topic.unwrap_or_default())
}
