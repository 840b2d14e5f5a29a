//! The history of calls, and calling once more.

use time::OffsetDateTime;

use super::{NOT_FOUND, WebhookDelivery, check, store};
use crate::{
    audit,
    cx::Cx,
    error::{Error, Result},
    id::{self, Event, Id},
    idempotency::{self, Begin, Created},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

/// Which calls are wanted.
#[derive(Debug, Clone, Default)]
pub struct CallFilter {
    /// Names of event types, `group.*` or `*`; empty: all.
    pub event_types: Vec<String>,
    /// Only those that succeeded, or only those that did not.
    pub succeeded: Option<bool>,
    /// Those of this event.
    pub event_id: Option<Id<Event>>,
    /// Begun at or after this time.
    pub since: Option<OffsetDateTime>,
    /// Begun before this time.
    pub until: Option<OffsetDateTime>,
}

/// Calls of the endpoint, newest first.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`.
pub async fn deliveries(
    cx: &Cx,
    webhook: Id<id::Webhook>,
    filter: &CallFilter,
    request: &PageRequest,
) -> Result<Page<WebhookDelivery>> {
    cx.require(Scope::WebhooksRead)?;
    Error::unless_empty(check::wanted_types(&filter.event_types))?;
    let keyset = Keyset::new(cx, "webhook_deliveries", request)?;
    let mut conn = cx.platform().acquire().await?;
    let vault = cx.platform().vault();
    if store::find(&mut conn, vault, cx.account(), webhook).await?.is_none() {
        return Err(NOT_FOUND);
    }
    let rows = store::calls::list(&mut conn, webhook, filter, &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.id.uuid()))
}

/// One call.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find_delivery(cx: &Cx, delivery: Id<id::WebhookDelivery>) -> Result<WebhookDelivery> {
    cx.require(Scope::WebhooksRead)?;
    let mut conn = cx.platform().acquire().await?;
    let found = store::calls::find(&mut conn, cx.account(), delivery).await?;
    found.ok_or(Error::NotFound("webhook delivery"))
}

/// Tells the event of a call once more, now, whatever came of it before. When that fails, further
/// attempts follow as far as the schedule has any left.
///
/// # Errors
/// `Forbidden`, `NotFound`, `PolicyRejected` when the endpoint is disabled or the log does not have
/// the event any more.
pub async fn retry(cx: &Cx, delivery: Id<id::WebhookDelivery>) -> Result<Created<WebhookDelivery>> {
    cx.require(Scope::WebhooksWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let mut tx = cx.begin("webhooks.retry").await?;
    let call = store::calls::find(tx.conn(), cx.account(), delivery).await?;
    let call = call.ok_or(Error::NotFound("webhook delivery"))?;
    store::lock_cursor(tx.conn(), call.webhook_id).await?;
    let vault = cx.platform().vault();
    let webhook = store::find(tx.conn(), vault, cx.account(), call.webhook_id).await?;
    webhook.ok_or(NOT_FOUND)?.must_be_enabled()?;
    if !store::calls::has_event(tx.conn(), cx.account(), &call).await? {
        let detail = "the event is not in the log any more";
        return Err(Error::PolicyRejected(detail.to_owned()));
    }
    store::calls::retry(tx.conn(), &call, cx.now()).await?;
    store::nudge(tx.conn(), call.webhook_id).await?;
    let target = delivery.to_string();
    audit::record(&mut tx, cx, "retry_webhook_delivery", Some(cx.account()), &target).await?;
    slot.keep(&mut tx, cx, &call).await?;
    tx.commit().await?;
    cx.platform().webhooks().changed.notify_one();
    Ok(Created::fresh(call))
}
