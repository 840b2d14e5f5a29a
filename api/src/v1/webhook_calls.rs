//! `/v1/webhooks/{id}/deliveries`, `/v1/webhooks/deliveries`: what became of calling endpoints.

use axum::{Json, http::request::Parts};
use posthouse_core::{
    Error, Id, id,
    page::PageRequest,
    webhooks::{self, CallFilter},
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::PageParams;
use crate::{
    answer::{List, New},
    extract::{Caller, FromParams, Params, PathId, Reader, idempotency_key},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_webhook_deliveries))
        .routes(routes!(get_webhook_delivery))
        .routes(routes!(retry_webhook_delivery))
}

/// Which calls are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what CallFilter reads")]
struct CallParams {
    /// Types of events, groups such as `delivery.*`, or `*`, separated by commas; all by default.
    #[param(example = "delivery.*")]
    event_type: Option<String>,
    /// `true`: only calls that were answered 2xx; `false`: only the others.
    succeeded: Option<bool>,
    /// Calls for this event.
    #[param(example = "evt_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    event_id: Option<String>,
    /// Begun at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
    /// Begun before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<String>,
}

impl FromParams for (CallFilter, PageRequest) {
    fn from_params(reader: &mut Reader) -> Self {
        let filter = CallFilter {
            event_types: reader.list("event_type"),
            succeeded: reader.parsed("succeeded", "true or false"),
            event_id: reader.parsed("event_id", "the id of an event"),
            since: reader.time("since"),
            until: reader.time("until"),
        };
        (filter, reader.page())
    }
}

/// One call of a webhook endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookDelivery {
    /// Identifier.
    #[schema(value_type = String, example = "whd_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::WebhookDelivery>,
    /// The endpoint.
    #[schema(value_type = String, example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    webhook_id: Id<id::Webhook>,
    /// The event.
    #[schema(value_type = String, example = "evt_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    event_id: Id<id::Event>,
    /// Its type.
    #[schema(example = "delivery.delivered")]
    event_type: String,
    /// Its position in the account's log.
    #[schema(example = 17)]
    seq: i64,
    /// Number of the attempt, from 1.
    #[schema(example = 1)]
    attempt: i16,
    /// When it began.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    started_at: OffsetDateTime,
    /// How long it took, in milliseconds.
    #[schema(example = 42)]
    duration_ms: i32,
    /// The endpoint answered 2xx.
    #[schema(example = true)]
    succeeded: bool,
    /// First 4 KiB of what was sent.
    request_body: String,
    /// HTTP status of the answer; null when there was none.
    #[schema(example = 200)]
    response_status: Option<i16>,
    /// First 4 KiB of the answer.
    response_body: Option<String>,
    /// What went wrong when there was no answer.
    error: Option<String>,
    /// When the next attempt was to be; null: there is no other.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<OffsetDateTime>,
}

impl From<webhooks::WebhookDelivery> for WebhookDelivery {
    fn from(delivery: webhooks::WebhookDelivery) -> Self {
        Self {
            id: delivery.id,
            webhook_id: delivery.webhook_id,
            event_id: delivery.event_id,
            event_type: delivery.event_type,
            seq: delivery.seq,
            attempt: delivery.attempt,
            started_at: delivery.started_at,
            duration_ms: delivery.duration_ms,
            succeeded: delivery.succeeded,
            request_body: delivery.request_body,
            response_status: delivery.response_status,
            response_body: delivery.response_body,
            error: delivery.error,
            next_attempt_at: delivery.next_attempt_at,
        }
    }
}

/// List calls of a webhook endpoint
///
/// Every attempt of the last 30 days, newest first.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "webhooks",
    security(("api_key" = ["webhooks:read"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        CallParams, PageParams),
    responses((status = 200, description = "A page of calls", body = List<WebhookDelivery>)))]
async fn list_webhook_deliveries(
    Caller(cx): Caller,
    PathId(webhook): PathId<id::Webhook>,
    Params((filter, page)): Params<(CallFilter, PageRequest)>,
) -> ApiResult<Json<List<WebhookDelivery>>> {
    Ok(List::page(webhooks::deliveries(&cx, webhook, &filter, &page).await?))
}

/// Get a call of a webhook endpoint
///
/// With the first 4 KiB of what was sent and of the answer.
#[utoipa::path(get, path = "/webhooks/deliveries/{id}", tag = "webhooks",
    security(("api_key" = ["webhooks:read"])),
    params(("id" = String, Path, description = "Call", example = "whd_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The call", body = WebhookDelivery)))]
async fn get_webhook_delivery(
    Caller(cx): Caller,
    PathId(delivery): PathId<id::WebhookDelivery>,
) -> ApiResult<Json<WebhookDelivery>> {
    Ok(Json(webhooks::find_delivery(&cx, delivery).await?.into()))
}

/// Make a call of a webhook endpoint again
///
/// The same event is sent once more, now, whatever came of it before: with the same `webhook-id` and
/// body, a new timestamp and signature. See the calls of this event for what comes of it. When it
/// fails, the schedule of attempts goes on as far as it has any left. Refused while the endpoint is
/// disabled, and when the event is no longer in the log.
#[utoipa::path(post, path = "/webhooks/deliveries/{id}/retry", tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "Call", example = "whd_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 202, description = "The event is on its way; the call as it was",
        body = WebhookDelivery, headers(("Location" = String, description = "The call")))))]
async fn retry_webhook_delivery(
    Caller(cx): Caller,
    PathId(delivery): PathId<id::WebhookDelivery>,
    parts: Parts,
) -> ApiResult<New<WebhookDelivery>> {
    let mut faults = Vec::new();
    let cx = cx.with_idempotency(idempotency_key(&parts, &[], &mut faults));
    Error::unless_empty(faults)?;
    let created = webhooks::retry(&cx, delivery).await?;
    let answer = |call: webhooks::WebhookDelivery| (call.id.to_string(), call.into());
    Ok(New::created(created, "/v1/webhooks/deliveries", answer).accepted())
}
