//! `/v1/queue`: what waits for delivery.

use axum::Json;
use posthouse_core::queue::{self, QueueScope, QueueSummary};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Caller, FromParams, Params, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_queue))
}

/// What waits for delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queue {
    /// Deliveries that wait, in any state.
    #[schema(example = 12)]
    total: i64,
    /// Wait for the time that the caller gave.
    scheduled: i64,
    /// Wait for their first attempt.
    queued: i64,
    /// Wait for another attempt.
    deferred: i64,
    /// Wait for somebody to release them.
    on_hold: i64,
    /// When the oldest of them was taken.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_at: Option<OffsetDateTime>,
    /// When the next attempt is due.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<OffsetDateTime>,
}

impl From<QueueSummary> for Queue {
    fn from(summary: QueueSummary) -> Self {
        Self {
            total: summary.total,
            scheduled: summary.scheduled,
            queued: summary.queued,
            deferred: summary.deferred,
            on_hold: summary.on_hold,
            oldest_at: summary.oldest_at,
            next_attempt_at: summary.next_attempt_at,
        }
    }
}

/// Whose deliveries.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what QueueParams reads")]
struct QueueFilter {
    /// `account` for the caller's own, or `all` for those of all accounts, which needs
    /// `admin:read`; `account` by default.
    scope: Option<String>,
}

struct QueueParams(QueueScope);

impl FromParams for QueueParams {
    fn from_params(reader: &mut Reader) -> Self {
        match reader.text("scope").as_deref() {
            None | Some("account") => Self(QueueScope::Account),
            Some("all") => Self(QueueScope::All),
            Some(_) => {
                reader.fault("scope", "invalid_value", "expected account or all");
                Self(QueueScope::Account)
            }
        }
    }
}

/// Get the queue
///
/// How many deliveries wait, by state, and since when.
#[utoipa::path(get, path = "/queue", tag = "queue", params(QueueFilter),
    security(("api_key" = ["queue:read"])),
    responses((status = 200, description = "Totals", body = Queue)))]
async fn get_queue(
    Caller(cx): Caller,
    Params(QueueParams(scope)): Params<QueueParams>,
) -> ApiResult<Json<Queue>> {
    Ok(Json(queue::summary(&cx, scope).await?.into()))
}
