//! Making an endpoint.

use super::{
    MAX_PER_ACCOUNT, NewWebhook, Webhook, WebhookWithSecret,
    check::{Check, domains},
    signature, store,
};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::Id,
    idempotency::{self, Begin, Created},
    scope::Scope,
};

/// Makes an endpoint: it gets the events that happen from now on.
///
/// # Errors
/// `Forbidden`, `InvalidInput`, `PolicyRejected` when the account has too many.
pub async fn create(cx: &Cx, new: NewWebhook) -> Result<Created<WebhookWithSecret>> {
    cx.require(Scope::WebhooksWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    let webhook = prepare(cx, new)?;
    let secret = signature::new_secret(webhook.signature_scheme)?;
    let mut tx = cx.begin("webhooks.create").await?;
    if store::lock_and_count(tx.conn(), cx.account()).await? >= MAX_PER_ACCOUNT {
        let detail = format!("an account has at most {MAX_PER_ACCOUNT} webhook endpoints");
        return Err(Error::PolicyRejected(detail));
    }
    store::insert(tx.conn(), cx.platform().vault(), &webhook, &secret).await?;
    let target = webhook.id.to_string();
    audit::record(&mut tx, cx, "create_webhook", Some(cx.account()), &target).await?;
    let secret = signature::verifier(&secret).unwrap_or_default();
    let created = WebhookWithSecret { webhook, secret };
    slot.keep(&mut tx, cx, &created).await?;
    tx.commit().await?;
    cx.platform().webhooks().changed.notify_one();
    Ok(Created::fresh(created))
}

/// Every fault that [`create`] will find. Where the name in a URL leads is asked when it is called.
pub fn create_faults(cx: &Cx, new: &NewWebhook) -> Vec<FieldError> {
    check(cx, new).1
}

/// The URL in its normal form, and all faults.
fn check(cx: &Cx, new: &NewWebhook) -> (Option<String>, Vec<FieldError>) {
    let mut check = Check::default();
    let url = check.url(&new.url, &cx.platform().webhooks().policy);
    check.description(&new.description);
    check.event_types(&new.event_types);
    check.headers(&new.headers);
    check.domains(&new.domains);
    check.tags(&new.tags);
    check.deferred_interval(new.deferred_interval_seconds);
    (url, check.faults)
}

fn prepare(cx: &Cx, new: NewWebhook) -> Result<Webhook> {
    let (url, faults) = check(cx, &new);
    Error::unless_empty(faults)?;
    let now = cx.now();
    Ok(Webhook {
        id: Id::new(now),
        account_id: cx.account(),
        url: url.unwrap_or_default(),
        description: new.description,
        event_types: new.event_types,
        headers: new.headers,
        domains: domains(&new.domains),
        tags: new.tags,
        deferred_interval_seconds: new.deferred_interval_seconds,
        signature_scheme: new.signature_scheme,
        payload: new.payload,
        enabled: new.enabled,
        disabled_reason: None,
        created_at: now,
        updated_at: now,
    })
}
