//! `/v1/webhooks/{id}/replay`, `/v1/webhooks/replays`: telling an endpoint a part of the log again.

use axum::Json;
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    page::PageRequest,
    webhooks::{self, NewReplay},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{PageParams, Time};
use crate::{
    answer::{List, New},
    extract::{Caller, CreateAt, Input, Params, PathId},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(replay_webhook))
        .routes(routes!(list_webhook_replays))
        .routes(routes!(get_webhook_replay))
        .routes(routes!(cancel_webhook_replay))
}

/// A part of the event log that a webhook endpoint is told again.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookReplay {
    /// Identifier.
    #[schema(value_type = String, example = "whr_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::WebhookReplay>,
    /// The endpoint.
    #[schema(value_type = String, example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    webhook_id: Id<id::Webhook>,
    /// Events from this time on.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    since: OffsetDateTime,
    /// Events before this time.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T12:00:00.000Z")]
    until: OffsetDateTime,
    /// Types of events.
    #[schema(example = json!(["delivery.*"]))]
    event_types: Vec<String>,
    /// `running`, `completed` or `canceled`.
    #[schema(example = "running")]
    status: &'static str,
    /// How much of that part of the log is done.
    #[schema(example = 40, minimum = 0, maximum = 100)]
    percent: i64,
    /// Events that the endpoint took.
    #[schema(example = 120)]
    succeeded: i64,
    /// Events that it did not take at once; they are tried again as usual.
    #[schema(example = 0)]
    failed: i64,
    /// When it was asked for.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T13:00:00.000Z")]
    created_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<OffsetDateTime>,
}

impl From<webhooks::Replay> for WebhookReplay {
    fn from(replay: webhooks::Replay) -> Self {
        Self {
            id: replay.id,
            webhook_id: replay.webhook_id,
            since: replay.since,
            until: replay.until,
            percent: replay.percent(),
            event_types: replay.event_types,
            status: replay.status.as_str(),
            succeeded: replay.succeeded,
            failed: replay.failed,
            created_at: replay.created_at,
            finished_at: replay.finished_at,
        }
    }
}

/// What a webhook endpoint is to be told again.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewWebhookReplay, example = json!({
    "since": "2026-11-21T10:00:00Z", "event_types": ["delivery.*"],
}))]
pub(crate) struct NewReplayBody {
    /// Events from this time on.
    #[schema(value_type = String, format = DateTime)]
    since: Time,
    /// Events before this time; all until now by default.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Time>,
    /// Types of events, groups such as `delivery.*`, or `*`; those that the endpoint wants by
    /// default.
    event_types: Option<Vec<String>>,
}

impl From<NewReplayBody> for NewReplay {
    fn from(body: NewReplayBody) -> Self {
        Self {
            since: body.since.0,
            until: body.until.map(|time| time.0),
            event_types: body.event_types,
        }
    }
}

impl Input for NewReplayBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::WebhooksWrite)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        webhooks::replay_faults(cx, &self.into())
    }
}

/// Replay events to a webhook endpoint
///
/// Events of the log are sent again in their order, with their own ids, besides new events, which go
/// first: at most three calls of a replay are in progress. Domains, tags and the limit on deferred
/// events of the endpoint hold. What the endpoint was not told yet is not part of a replay: that
/// comes anyway. An endpoint has one replay at a time; while it is disabled, the replay waits.
#[utoipa::path(post, path = "/webhooks/{id}/replay", tag = "webhooks",
    request_body = NewReplayBody,
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 202, description = "The replay has begun", body = WebhookReplay,
        headers(("Location" = String, description = "Where its progress is shown")))))]
async fn replay_webhook(
    CreateAt { cx, id, body }: CreateAt<id::Webhook, NewReplayBody>,
) -> ApiResult<New<WebhookReplay>> {
    let created = webhooks::replay(&cx, id, body.into()).await?;
    let answer = |replay: webhooks::Replay| (replay.id.to_string(), replay.into());
    Ok(New::created(created, "/v1/webhooks/replays", answer).accepted())
}

/// List replays of a webhook endpoint
///
/// Those that go on and those that ended in the last 30 days, newest first.
#[utoipa::path(get, path = "/webhooks/{id}/replays", tag = "webhooks",
    security(("api_key" = ["webhooks:read"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        PageParams),
    responses((status = 200, description = "A page of replays", body = List<WebhookReplay>)))]
async fn list_webhook_replays(
    Caller(cx): Caller,
    PathId(webhook): PathId<id::Webhook>,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<WebhookReplay>>> {
    Ok(List::page(webhooks::replays(&cx, webhook, &page).await?))
}

/// Get a replay
///
/// How far it is.
#[utoipa::path(get, path = "/webhooks/replays/{id}", tag = "webhooks",
    security(("api_key" = ["webhooks:read"])),
    params(("id" = String, Path, description = "Replay", example = "whr_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The replay", body = WebhookReplay)))]
async fn get_webhook_replay(
    Caller(cx): Caller,
    PathId(replay): PathId<id::WebhookReplay>,
) -> ApiResult<Json<WebhookReplay>> {
    Ok(Json(webhooks::find_replay(&cx, replay).await?.into()))
}

/// Cancel a replay
///
/// Calls in progress end. One that has ended stays as it is.
#[utoipa::path(post, path = "/webhooks/replays/{id}/cancel", tag = "webhooks",
    security(("api_key" = ["webhooks:write"])),
    params(("id" = String, Path, description = "Replay", example = "whr_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The replay as it is now", body = WebhookReplay)))]
async fn cancel_webhook_replay(
    Caller(cx): Caller,
    PathId(replay): PathId<id::WebhookReplay>,
) -> ApiResult<Json<WebhookReplay>> {
    Ok(Json(webhooks::cancel_replay(&cx, replay).await?.into()))
}
