//! Looking at, changing, testing and deleting endpoints.

use std::collections::BTreeMap;

use super::{SWITCHED_OFF, Webhook, WebhookDelivery, WebhookPatch, check::Check, store};
use crate::{
    audit,
    cx::{Cx, Tx},
    error::{Error, FieldError, Result},
    events::{EventKind, NewEvent, WebhookEvent},
    id::{self, Event, Id},
    idempotency::{self, Begin, Created},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

const NOT_FOUND: Error = Error::NotFound("webhook");

/// Endpoints of the account, newest first.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list(cx: &Cx, request: &PageRequest) -> Result<Page<Webhook>> {
    cx.require(Scope::WebhooksRead)?;
    let keyset = Keyset::new(cx, "webhooks", request)?;
    let mut conn = cx.platform().acquire().await?;
    let vault = cx.platform().vault();
    let webhooks = store::list(&mut conn, vault, cx.account(), &keyset).await?;
    Ok(keyset.page(cx, webhooks, |webhook| webhook.id.uuid()))
}

/// One endpoint.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find(cx: &Cx, webhook: Id<id::Webhook>) -> Result<Webhook> {
    cx.require(Scope::WebhooksRead)?;
    let mut conn = cx.platform().acquire().await?;
    let found = store::find(&mut conn, cx.platform().vault(), cx.account(), webhook).await?;
    found.ok_or(NOT_FOUND)
}

/// Changes an endpoint. One that is switched on again goes on where it stopped, as far as the log
/// still has the events.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`.
pub async fn update(cx: &Cx, webhook: Id<id::Webhook>, patch: WebhookPatch) -> Result<Webhook> {
    cx.require(Scope::WebhooksWrite)?;
    let mut tx = cx.begin("webhooks.update").await?;
    let vault = cx.platform().vault();
    store::lock_cursor(tx.conn(), webhook).await?;
    let found = store::find(tx.conn(), vault, cx.account(), webhook).await?;
    let mut changed = found.ok_or(NOT_FOUND)?;
    let was_enabled = changed.enabled;
    apply(cx, &mut changed, patch)?;
    // Every change has a time of its own: it is how the dispatcher tells that there was one.
    let after_last = changed.updated_at + time::Duration::milliseconds(1);
    changed.updated_at = cx.now().max(after_last);
    if was_enabled && !changed.enabled {
        changed.disabled_reason = Some(SWITCHED_OFF.to_owned());
        emit(&mut tx, cx, &changed, EventKind::WebhookDisabled, SWITCHED_OFF);
    }
    if !was_enabled && changed.enabled {
        changed.disabled_reason = None;
        store::forget_failures(tx.conn(), webhook).await?;
    }
    store::update(tx.conn(), vault, &changed).await?;
    let target = webhook.to_string();
    audit::record(&mut tx, cx, "update_webhook", Some(cx.account()), &target).await?;
    tx.commit().await?;
    cx.platform().webhooks().changed.notify_one();
    Ok(changed)
}

fn apply(cx: &Cx, webhook: &mut Webhook, patch: WebhookPatch) -> Result<()> {
    for (name, value) in patch.headers.iter().flatten() {
        match value {
            Some(value) => webhook.headers.insert(name.clone(), value.clone()),
            None => webhook.headers.remove(name),
        };
    }
    let (url, faults) = check(cx, &patch, &webhook.headers);
    Error::unless_empty(faults)?;
    if let Some(url) = url {
        webhook.url = url;
    }
    if let Some(description) = patch.description {
        webhook.description = description;
    }
    if let Some(types) = patch.event_types {
        webhook.event_types = types;
    }
    webhook.enabled = patch.enabled.unwrap_or(webhook.enabled);
    Ok(())
}

/// Every fault that [`update`] will find in the patch itself. Whether its header fields and those
/// that the endpoint has are too many together, or differ by case only, it asks later.
pub fn update_faults(cx: &Cx, patch: &WebhookPatch) -> Vec<FieldError> {
    let set = patch.headers.iter().flatten();
    let set = set.filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
    check(cx, patch, &set).1
}

/// The URL in its normal form if there is a new one, and all faults; `headers` are those to be.
fn check(
    cx: &Cx,
    patch: &WebhookPatch,
    headers: &BTreeMap<String, String>,
) -> (Option<String>, Vec<FieldError>) {
    let mut check = Check::default();
    let url = patch.url.as_deref();
    let url = url.and_then(|url| check.url(url, &cx.platform().webhooks().policy));
    if let Some(description) = &patch.description {
        check.description(description);
    }
    if let Some(types) = &patch.event_types {
        check.event_types(types);
    }
    if patch.headers.is_some() {
        check.headers(headers);
    }
    (url, check.faults)
}

fn emit(tx: &mut Tx, cx: &Cx, webhook: &Webhook, kind: EventKind, reason: &str) -> Id<Event> {
    let data = WebhookEvent {
        webhook_id: webhook.id,
        account_id: webhook.account_id,
        url: &webhook.url,
        reason,
    };
    let event = NewEvent::new(webhook.account_id, kind, cx.now(), &data);
    let id = event.id;
    tx.emit(event);
    id
}

/// Deletes an endpoint with its history. Requests in progress are broken off.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn delete(cx: &Cx, webhook: Id<id::Webhook>) -> Result<()> {
    cx.require(Scope::WebhooksWrite)?;
    let mut tx = cx.begin("webhooks.delete").await?;
    store::lock_cursor(tx.conn(), webhook).await?;
    if !store::delete(tx.conn(), cx.account(), webhook).await? {
        return Err(NOT_FOUND);
    }
    let target = webhook.to_string();
    audit::record(&mut tx, cx, "delete_webhook", Some(cx.account()), &target).await?;
    tx.commit().await?;
    cx.platform().webhooks().changed.notify_one();
    Ok(())
}

/// The secret that signs what the endpoint gets. Whoever has it can forge events.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn secret(cx: &Cx, webhook: Id<id::Webhook>) -> Result<String> {
    cx.require(Scope::WebhooksWrite)?;
    let mut conn = cx.platform().acquire().await?;
    let vault = cx.platform().vault();
    store::secret(&mut conn, vault, cx.account(), webhook).await?.ok_or(NOT_FOUND)
}

/// Sends an event `webhook.test` to this endpoint alone, whatever types it wants.
///
/// # Errors
/// `Forbidden`, `NotFound`, `PolicyRejected` when the endpoint is disabled.
pub async fn test(cx: &Cx, webhook: Id<id::Webhook>) -> Result<Created<Id<Event>>> {
    cx.require(Scope::WebhooksWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let mut tx = cx.begin("webhooks.test").await?;
    let found = store::find(tx.conn(), cx.platform().vault(), cx.account(), webhook).await?;
    let found = found.ok_or(NOT_FOUND)?;
    if !found.enabled {
        let detail = "the endpoint is disabled: enable it first";
        return Err(Error::PolicyRejected(detail.to_owned()));
    }
    let id = emit(&mut tx, cx, &found, EventKind::WebhookTest, "somebody asked for this test");
    slot.keep(&mut tx, cx, &id).await?;
    tx.commit().await?;
    Ok(Created::fresh(id))
}

/// Calls of the endpoint, newest first.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`.
pub async fn deliveries(
    cx: &Cx,
    webhook: Id<id::Webhook>,
    request: &PageRequest,
) -> Result<Page<WebhookDelivery>> {
    cx.require(Scope::WebhooksRead)?;
    let keyset = Keyset::new(cx, "webhook_deliveries", request)?;
    let mut conn = cx.platform().acquire().await?;
    let vault = cx.platform().vault();
    if store::find(&mut conn, vault, cx.account(), webhook).await?.is_none() {
        return Err(NOT_FOUND);
    }
    let rows = store::deliveries(&mut conn, webhook, &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.id.uuid()))
}
