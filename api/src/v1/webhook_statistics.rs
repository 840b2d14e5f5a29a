//! `/v1/webhooks/{id}/stats`: how an endpoint does.

use axum::Json;
use posthouse_core::{
    id,
    webhooks::{self, Statistics, Totals},
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Caller, PathId},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_webhook_statistics))
}

/// How a webhook endpoint does.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookStatistics {
    /// Calls of the last 24 hours; counted by the hour.
    last_24_hours: WebhookTotals,
    /// Calls of the last seven days; counted by the hour.
    last_7_days: WebhookTotals,
    /// New events that it was not told yet, domains and tags aside; at most 10,000 are counted.
    #[schema(example = 0)]
    waiting_events: i64,
    /// When the oldest of these happened.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_waiting_at: Option<OffsetDateTime>,
    /// Events that are to be tried again; at most 10,000 are counted.
    #[schema(example = 0)]
    waiting_retries: i64,
    /// When the next of these is due.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_retry_at: Option<OffsetDateTime>,
    /// Since when there was nothing but failure; after five days of that it is disabled.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    failing_since: Option<OffsetDateTime>,
}

/// What came of the calls of some time.
#[derive(Serialize, ToSchema)]
pub(crate) struct WebhookTotals {
    /// All calls.
    #[schema(example = 1200)]
    calls: i64,
    /// Answered 2xx.
    #[schema(example = 1190)]
    succeeded: i64,
    /// Answered 3xx, which is a failure.
    #[schema(example = 0)]
    answered_3xx: i64,
    /// Answered 4xx.
    #[schema(example = 2)]
    answered_4xx: i64,
    /// Answered 5xx.
    #[schema(example = 5)]
    answered_5xx: i64,
    /// Not answered in time, or at all.
    #[schema(example = 3)]
    unanswered: i64,
    /// Half of the calls took at most so many milliseconds, within a fifth.
    #[schema(example = 42)]
    p50_ms: Option<i64>,
    /// 95 % of the calls took at most so many milliseconds, within a fifth.
    #[schema(example = 120)]
    p95_ms: Option<i64>,
    /// 99 % of the calls took at most so many milliseconds, within a fifth.
    #[schema(example = 480)]
    p99_ms: Option<i64>,
}

impl From<Totals> for WebhookTotals {
    fn from(totals: Totals) -> Self {
        Self {
            calls: totals.calls,
            succeeded: totals.succeeded,
            answered_3xx: totals.answered_3xx,
            answered_4xx: totals.answered_4xx,
            answered_5xx: totals.answered_5xx,
            unanswered: totals.unanswered,
            p50_ms: totals.p50_ms,
            p95_ms: totals.p95_ms,
            p99_ms: totals.p99_ms,
        }
    }
}

impl From<Statistics> for WebhookStatistics {
    fn from(statistics: Statistics) -> Self {
        Self {
            last_24_hours: statistics.last_24_hours.into(),
            last_7_days: statistics.last_7_days.into(),
            waiting_events: statistics.waiting_events,
            oldest_waiting_at: statistics.oldest_waiting_at,
            waiting_retries: statistics.waiting_retries,
            next_retry_at: statistics.next_retry_at,
            failing_since: statistics.failing_since,
        }
    }
}

/// Get the statistics of a webhook endpoint
///
/// What came of its calls, how long they took, and what waits.
#[utoipa::path(get, path = "/webhooks/{id}/stats", tag = "webhooks",
    security(("api_key" = ["webhooks:read"])),
    params(("id" = String, Path, description = "Endpoint", example = "whk_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "How it does", body = WebhookStatistics)))]
async fn get_webhook_statistics(
    Caller(cx): Caller,
    PathId(webhook): PathId<id::Webhook>,
) -> ApiResult<Json<WebhookStatistics>> {
    Ok(Json(webhooks::statistics(&cx, webhook).await?.into()))
}
