//! Looking at, changing, testing and deleting endpoints.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{
    NOT_FOUND, SWITCHED_OFF, Webhook, WebhookPatch,
    check::{self, Check},
    store,
};
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
    find_own(cx, webhook).await
}

/// Changes an endpoint. One that is switched on again goes on where it stopped, as far as the log
/// still has the events.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `PreconditionFailed`.
pub async fn update(cx: &Cx, webhook: Id<id::Webhook>, patch: WebhookPatch) -> Result<Webhook> {
    cx.require(Scope::WebhooksWrite)?;
    let mut tx = cx.begin("webhooks.update").await?;
    let vault = cx.platform().vault();
    store::lock_cursor(tx.conn(), webhook).await?;
    let found = store::find(tx.conn(), vault, cx.account(), webhook).await?;
    let mut changed = found.ok_or(NOT_FOUND)?;
    cx.require_version(&changed)?;
    let was_enabled = changed.enabled;
    apply(cx, &mut changed, patch)?;
    changed.updated_at = time_of_change(cx, &changed);
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

/// Every change has a time of its own: it is how the dispatcher tells that there was one.
pub(super) fn time_of_change(cx: &Cx, webhook: &Webhook) -> OffsetDateTime {
    cx.now().max(webhook.updated_at + time::Duration::milliseconds(1))
}

/// Enables or disables an endpoint; one that is so already stays as it is. One that is enabled
/// again goes on where it stopped, as far as the log still has the events.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn set_enabled(cx: &Cx, webhook: Id<id::Webhook>, enabled: bool) -> Result<Webhook> {
    cx.require(Scope::WebhooksWrite)?;
    let found = find_own(cx, webhook).await?;
    if found.enabled == enabled {
        return Ok(found);
    }
    update(cx, webhook, WebhookPatch { enabled: Some(enabled), ..WebhookPatch::default() }).await
}

async fn find_own(cx: &Cx, webhook: Id<id::Webhook>) -> Result<Webhook> {
    let mut conn = cx.platform().acquire().await?;
    let found = store::find(&mut conn, cx.platform().vault(), cx.account(), webhook).await?;
    found.ok_or(NOT_FOUND)
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
    if let Some(domains) = patch.domains {
        webhook.domains = check::domains(&domains);
    }
    if let Some(tags) = patch.tags {
        webhook.tags = tags;
    }
    if let Some(seconds) = patch.deferred_interval_seconds {
        webhook.deferred_interval_seconds = seconds;
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
    check.domains(patch.domains.as_deref().unwrap_or_default());
    check.tags(patch.tags.as_deref().unwrap_or_default());
    check.deferred_interval(patch.deferred_interval_seconds.unwrap_or_default());
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
/// `Forbidden`, `NotFound`, `PreconditionFailed`.
pub async fn delete(cx: &Cx, webhook: Id<id::Webhook>) -> Result<()> {
    cx.require(Scope::WebhooksWrite)?;
    let mut tx = cx.begin("webhooks.delete").await?;
    store::lock_cursor(tx.conn(), webhook).await?;
    if cx.is_conditional() {
        let vault = cx.platform().vault();
        let found = store::find(tx.conn(), vault, cx.account(), webhook).await?;
        cx.require_version(&found.ok_or(NOT_FOUND)?)?;
    }
    if !store::delete(tx.conn(), cx.account(), webhook).await? {
        return Err(NOT_FOUND);
    }
    let target = webhook.to_string();
    audit::record(&mut tx, cx, "delete_webhook", Some(cx.account()), &target).await?;
    tx.commit().await?;
    cx.platform().webhooks().changed.notify_one();
    Ok(())
}

impl Webhook {
    /// Refuses to do what would have to wait until somebody enables the endpoint.
    pub(super) fn must_be_enabled(&self) -> Result<()> {
        if self.enabled {
            return Ok(());
        }
        let detail = "the endpoint is disabled: enable it first";
        Err(Error::PolicyRejected(detail.to_owned()))
    }
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
    found.must_be_enabled()?;
    let id = emit(&mut tx, cx, &found, EventKind::WebhookTest, "somebody asked for this test");
    slot.keep(&mut tx, cx, &id).await?;
    tx.commit().await?;
    Ok(Created::fresh(id))
}
