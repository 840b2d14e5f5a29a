//! `/v1/webhooks`: endpoints of the caller's account.

use std::collections::BTreeMap;

use axum::{Json, http::StatusCode, http::request::Parts};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    page::PageRequest,
    webhooks::{self, NewWebhook, Payload, SignatureScheme, WebhookPatch},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{PageParams, present};
use crate::{
    answer::{Edited, List, New},
    extract::{Caller, Change, Create, Input, Params, PathId, idempotency_key},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_webhooks, create_webhook))
        .routes(routes!(get_webhook, update_webhook, delete_webhook))
        .routes(routes!(enable_webhook))
        .routes(routes!(disable_webhook))
        .routes(routes!(test_webhook))
}

/// A webhook endpoint, without its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct Webhook {
    /// Identifier.
    #[schema(value_type = String, example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Webhook>,
    /// Whose endpoint it is.
    #[schema(value_type = String, example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    account_id: Id<id::Account>,
    /// Where it is, in normal form.
    #[schema(example = "https://example.test/hooks/mail")]
    url: String,
    /// For people.
    description: String,
    /// Names of event types, groups such as `delivery.*`, or `*`.
    #[schema(example = json!(["delivery.*", "mail.received"]))]
    event_types: Vec<String>,
    /// Header fields that go with every request.
    #[schema(example = json!({"Authorization": "Bearer 2f7c"}))]
    headers: BTreeMap<String, String>,
    /// Only events about mail of these domains of ours, sent or received, are told; empty: of all.
    #[schema(example = json!(["example.test"]))]
    domains: Vec<String>,
    /// Only events about messages with one of these tags are told; empty: about all.
    #[schema(example = json!(["welcome"]))]
    tags: Vec<String>,
    /// Of repeated `delivery.deferred` of one delivery, the first is told and one in each such
    /// interval since; 0: all are told.
    #[schema(example = 7200)]
    deferred_interval_seconds: i32,
    /// How calls are signed: `v1` (HMAC-SHA256) or `v1a` (Ed25519).
    #[schema(value_type = Scheme)]
    signature_scheme: SignatureScheme,
    /// What it is sent: `event`, or `message` for the mail that inbound routes post there.
    #[schema(value_type = PayloadBody)]
    payload: Payload,
    /// It is called.
    #[schema(example = true)]
    enabled: bool,
    /// Why it is not called: its owner disabled it, it answered 410, or it did nothing but fail.
    disabled_reason: Option<String>,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    updated_at: OffsetDateTime,
}

impl From<webhooks::Webhook> for Webhook {
    fn from(webhook: webhooks::Webhook) -> Self {
        Self {
            id: webhook.id,
            account_id: webhook.account_id,
            url: webhook.url,
            description: webhook.description,
            event_types: webhook.event_types,
            headers: webhook.headers,
            domains: webhook.domains,
            tags: webhook.tags,
            deferred_interval_seconds: webhook.deferred_interval_seconds,
            signature_scheme: webhook.signature_scheme,
            payload: webhook.payload,
            enabled: webhook.enabled,
            disabled_reason: webhook.disabled_reason,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}

/// How calls are signed.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[schema(as = SignatureScheme)]
pub(crate) enum Scheme {
    /// HMAC-SHA256: the secret verifies and signs.
    #[serde(rename = "v1")]
    Hmac,
    /// Ed25519: a public key verifies.
    #[serde(rename = "v1a")]
    Ed25519,
}

impl From<Scheme> for SignatureScheme {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Hmac => Self::Hmac,
            Scheme::Ed25519 => Self::Ed25519,
        }
    }
}

/// What an endpoint is sent.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WebhookPayload)]
pub(crate) enum PayloadBody {
    /// Events, as JSON.
    Event,
    /// The mail itself (`message/rfc822`) that inbound routes post there with `http_post`, and nothing
    /// else but tests; signed in the same way, with the id of the event as `webhook-id`.
    Message,
}

impl From<PayloadBody> for Payload {
    fn from(body: PayloadBody) -> Self {
        match body {
            PayloadBody::Event => Self::Event,
            PayloadBody::Message => Self::Message,
        }
    }
}

/// A new webhook endpoint with its secret.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedWebhook {
    /// Checks signatures: `whsec_` and 32 octets in base64, or `whpk_` and a public key.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: String,
    /// The endpoint.
    #[serde(flatten)]
    webhook: Webhook,
}

/// A test that was asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookTest {
    /// The event `webhook.test` that is sent.
    #[schema(value_type = String, example = "evt_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    event_id: Id<id::Event>,
}

/// A webhook endpoint to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhook, example = json!({
    "url": "https://example.test/hooks/mail", "event_types": ["delivery.*", "mail.received"],
}))]
pub(crate) struct NewWebhookBody {
    /// `https` or `http`, without user name and fragment, at a public address on port 443 or 80;
    /// the administrator can allow other networks.
    url: String,
    /// For people, at most 500 characters.
    description: Option<String>,
    /// Names of event types, groups such as `delivery.*`, or `*`; all by default.
    event_types: Option<Vec<String>>,
    /// At most 20 header fields that go with every request.
    headers: Option<BTreeMap<String, String>>,
    /// Only events about mail of these domains of ours, sent or received; all by default. Events
    /// that are about no domain, such as `suppression.created`, are told all the same.
    domains: Option<Vec<String>>,
    /// Only events about messages with one of these tags; all by default. Events that have no tags,
    /// such as `mail.received`, are told all the same.
    tags: Option<Vec<String>>,
    /// Of repeated `delivery.deferred` of one delivery, the first is told and one in each such
    /// interval since; 0: all. Two hours by default.
    #[schema(minimum = 0, maximum = 604_800)]
    deferred_interval_seconds: Option<i32>,
    /// How calls are signed; `v1` by default.
    signature_scheme: Option<Scheme>,
    /// What it is sent; `event` by default. With `message`, `event_types`, `domains` and `tags` do
    /// not matter.
    payload: Option<PayloadBody>,
    /// It is called; true by default.
    enabled: Option<bool>,
}

impl From<NewWebhookBody> for NewWebhook {
    fn from(body: NewWebhookBody) -> Self {
        Self {
            url: body.url,
            description: body.description.unwrap_or_default(),
            event_types: body.event_types.unwrap_or_else(|| vec!["*".to_owned()]),
            headers: body.headers.unwrap_or_default(),
            domains: body.domains.unwrap_or_default(),
            tags: body.tags.unwrap_or_default(),
            deferred_interval_seconds: body
                .deferred_interval_seconds
                .unwrap_or(webhooks::DEFERRED_INTERVAL_SECONDS),
            signature_scheme: body.signature_scheme.map(Into::into).unwrap_or_default(),
            payload: body.payload.map(Into::into).unwrap_or_default(),
            enabled: body.enabled.unwrap_or(true),
        }
    }
}

impl Input for NewWebhookBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::WebhooksWrite)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        webhooks::create_faults(cx, &self.into())
    }
}

/// Changes of a webhook endpoint (RFC 7396): absent fields stay.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookPatch, example = json!({"enabled": false}))]
pub(crate) struct WebhookPatchBody {
    /// Where it is.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    url: Option<String>,
    /// For people, at most 500 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    description: Option<String>,
    /// Names of event types, groups such as `delivery.*`, or `*`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    event_types: Option<Vec<String>>,
    /// Header fields to set; null removes one.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    headers: Option<BTreeMap<String, Option<String>>>,
    /// Only events about mail of these domains of ours; an empty list: of all.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    domains: Option<Vec<String>>,
    /// Only events about messages with one of these tags; an empty list: about all.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    tags: Option<Vec<String>>,
    /// Of repeated `delivery.deferred` of one delivery, the first is told and one in each such
    /// interval since; 0: all.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 0, maximum = 604_800)]
    deferred_interval_seconds: Option<i32>,
    /// It is called. An endpoint that is enabled again gets what happened meanwhile, as far as the
    /// event log still has it.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    enabled: Option<bool>,
}

impl From<WebhookPatchBody> for WebhookPatch {
    fn from(body: WebhookPatchBody) -> Self {
        Self {
            url: body.url,
            description: body.description,
            event_types: body.event_types,
            headers: body.headers,
            domains: body.domains,
            tags: body.tags,
            deferred_interval_seconds: body.deferred_interval_seconds,
            enabled: body.enabled,
        }
    }
}

impl Input for WebhookPatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::WebhooksWrite)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        webhooks::update_faults(cx, &self.into())
    }
}

/// List webhook endpoints
///
/// Those of the account, newest first.
#[utoipa::path(get, path = "/webhooks", tag = "webhooks", params(PageParams),
    security(("api_key" = ["webhooks:read"])),
    responses((status = 200, description = "A page of endpoints", body = List<Webhook>)))]
async fn list_webhooks(
    Caller(cx): Caller,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<Webhook>>> {
    Ok(List::page(webhooks::list(&cx, &page).await?))
}

/// Create a webhook endpoint
///
/// It gets the events that happen from now on, each as a POST that is signed by the Standard
/// Webhooks scheme with the `secret` of the answer. An account has at most 50 endpoints.
#[utoipa::path(post, path = "/webhooks", tag = "webhooks", request_body = NewWebhookBody,
    security(("api_key" = ["webhooks:write"])),
    responses((status = 201, description = "The endpoint and its secret", body = CreatedWebhook,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_webhook(
    Create { cx, body }: Create<NewWebhookBody>,
) -> ApiResult<New<CreatedWebhook>> {
    let created = webhooks::create(&cx, body.into()).await?;
    Ok(New::created(created, "/v1/webhooks", |created| {
        let id = created.webhook.id.to_string();
        (id, CreatedWebhook { secret: created.secret, webhook: created.webhook.into() })
    }))
}

/// Get a webhook endpoint
///
/// Everything but the secret.
#[utoipa::path(get, path = "/webhooks/{id}", tag = "webhooks",
    security(("api_key" = ["webhooks:read"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The endpoint", body = Webhook)))]
async fn get_webhook(
    Caller(cx): Caller,
    PathId(webhook): PathId<id::Webhook>,
) -> ApiResult<Edited<Webhook>> {
    Ok(Edited::of(webhooks::find(&cx, webhook).await?))
}

/// Change a webhook endpoint
///
/// A JSON merge patch: absent fields stay as they are. An endpoint that is enabled again gets what
/// happened meanwhile, as far as the event log still has it.
#[utoipa::path(patch, path = "/webhooks/{id}", tag = "webhooks", request_body = WebhookPatchBody,
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The endpoint as it is now", body = Webhook)))]
async fn update_webhook(
    Change { cx, id, patch }: Change<id::Webhook, WebhookPatchBody>,
) -> ApiResult<Edited<Webhook>> {
    Ok(Edited::of(webhooks::update(&cx, id, patch.into()).await?))
}

/// Delete a webhook endpoint
///
/// With its history. Requests in progress are broken off.
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_webhook(
    Caller(cx): Caller,
    PathId(webhook): PathId<id::Webhook>,
) -> ApiResult<StatusCode> {
    webhooks::delete(&cx, webhook).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Enable a webhook endpoint
///
/// It goes on where it stopped: it gets what happened meanwhile, as far as the event log still has
/// it. One that is enabled stays as it is.
#[utoipa::path(post, path = "/webhooks/{id}/enable", tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The endpoint as it is now", body = Webhook)))]
async fn enable_webhook(
    Caller(cx): Caller,
    PathId(webhook): PathId<id::Webhook>,
) -> ApiResult<Json<Webhook>> {
    Ok(Json(webhooks::set_enabled(&cx, webhook, true).await?.into()))
}

/// Disable a webhook endpoint
///
/// It is not called until somebody enables it. One that is disabled stays as it is, with the reason
/// that it has.
#[utoipa::path(post, path = "/webhooks/{id}/disable", tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The endpoint as it is now", body = Webhook)))]
async fn disable_webhook(
    Caller(cx): Caller,
    PathId(webhook): PathId<id::Webhook>,
) -> ApiResult<Json<Webhook>> {
    Ok(Json(webhooks::set_enabled(&cx, webhook, false).await?.into()))
}

/// Test a webhook endpoint
///
/// Sends an event `webhook.test` to this endpoint alone, whatever types it wants. See its
/// deliveries for what came of it. Refused while the endpoint is disabled.
#[utoipa::path(post, path = "/webhooks/{id}/test", tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 202, description = "The test is on its way", body = WebhookTest,
        headers(("Location" = String, description = "The endpoint")))))]
async fn test_webhook(
    Caller(cx): Caller,
    PathId(webhook): PathId<id::Webhook>,
    parts: Parts,
) -> ApiResult<New<WebhookTest>> {
    let mut faults = Vec::new();
    let cx = cx.with_idempotency(idempotency_key(&parts, &[], &mut faults));
    Error::unless_empty(faults)?;
    let created = webhooks::test(&cx, webhook).await?;
    let answer = |event_id| (webhook.to_string(), WebhookTest { event_id });
    Ok(New::created(created, "/v1/webhooks", answer).accepted())
}
