//! `/v1/queue`: what waits for delivery.

use axum::Json;
use posthouse_core::queue::{self, DestinationView, QueueScope, QueueState, QueueSummary};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    answer::List,
    extract::{Caller, FromParams, Params, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_queue))
        .routes(routes!(list_destinations))
        .routes(routes!(pause_queue))
        .routes(routes!(resume_queue))
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
    /// Deliveries of the account are not attempted.
    #[schema(example = false)]
    paused: bool,
    /// Nobody's deliveries are attempted: an administrator has paused all.
    #[schema(example = false)]
    all_paused: bool,
}

/// Whether attempts are made at the moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Pause {
    /// Deliveries of the account are not attempted.
    #[schema(example = true)]
    paused: bool,
    /// Nobody's deliveries are attempted: an administrator has paused all.
    #[schema(example = false)]
    all_paused: bool,
}

impl From<QueueState> for Pause {
    fn from(state: QueueState) -> Self {
        Self { paused: state.paused, all_paused: state.all_paused }
    }
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
            paused: summary.state.paused,
            all_paused: summary.state.all_paused,
        }
    }
}

/// Whose deliveries.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what QueueParams reads")]
pub(super) struct QueueFilter {
    /// `account` for the caller's own, or `all` for those of all accounts, which needs
    /// `admin:read`; `account` by default.
    scope: Option<String>,
}

struct QueueParams(QueueScope);

impl FromParams for QueueParams {
    fn from_params(reader: &mut Reader) -> Self {
        Self(scope(reader))
    }
}

/// The parameter `scope`.
pub(super) fn scope(reader: &mut Reader) -> QueueScope {
    match reader.text("scope").as_deref() {
        None | Some("account") => QueueScope::Account,
        Some("all") => QueueScope::All,
        Some(_) => {
            reader.fault("scope", "invalid_value", "expected account or all");
            QueueScope::Account
        }
    }
}

/// Get the queue
///
/// How many deliveries wait, by state, and since when; counted two seconds ago at most.
#[utoipa::path(get, path = "/queue", tag = "queue", params(QueueFilter),
    security(("api_key" = ["queue:read"])),
    responses((status = 200, description = "Totals", body = Queue)))]
async fn get_queue(
    Caller(cx): Caller,
    Params(QueueParams(scope)): Params<QueueParams>,
) -> ApiResult<Json<Queue>> {
    Ok(Json(queue::summary(&cx, scope).await?.into()))
}

/// Pause deliveries
///
/// Nothing of the account is attempted until somebody resumes; what is being attempted goes on to
/// its end. Messages are taken, and wait. With `scope=all` for all accounts, which needs
/// `admin:write`.
#[utoipa::path(post, path = "/queue/pause", tag = "queue", params(QueueFilter),
    security(("api_key" = ["queue:write"])),
    responses((status = 200, description = "What is paused now", body = Pause)))]
async fn pause_queue(
    Caller(cx): Caller,
    Params(QueueParams(scope)): Params<QueueParams>,
) -> ApiResult<Json<Pause>> {
    Ok(Json(queue::set_paused(&cx, scope, true).await?.into()))
}

/// Resume deliveries
///
/// What is due is attempted again. With `scope=all` an end to the pause of all accounts, which needs
/// `admin:write`; pauses of single accounts stay.
#[utoipa::path(post, path = "/queue/resume", tag = "queue", params(QueueFilter),
    security(("api_key" = ["queue:write"])),
    responses((status = 200, description = "What is paused now", body = Pause)))]
async fn resume_queue(
    Caller(cx): Caller,
    Params(QueueParams(scope)): Params<QueueParams>,
) -> ApiResult<Json<Pause>> {
    Ok(Json(queue::set_paused(&cx, scope, false).await?.into()))
}

/// What waits for one domain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Destination {
    /// Domain of the recipients.
    #[schema(example = "example.net")]
    domain: String,
    /// Deliveries that wait, in any state.
    #[schema(example = 12)]
    waiting: i64,
    /// Of these: due now, or being attempted.
    #[schema(example = 1)]
    due: i64,
    /// Wait for another attempt.
    #[schema(example = 10)]
    deferred: i64,
    /// Wait for somebody to release them.
    #[schema(example = 1)]
    on_hold: i64,
    /// When the oldest of them was taken.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    oldest_at: Option<OffsetDateTime>,
    /// When the next attempt is due.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_attempt_at: Option<OffsetDateTime>,
    /// What the last attempt of one of the deferred said.
    #[schema(example = "Greylisted")]
    last_error: Option<String>,
}

impl From<DestinationView> for Destination {
    fn from(view: DestinationView) -> Self {
        Self {
            domain: view.domain,
            waiting: view.waiting,
            due: view.due,
            deferred: view.deferred,
            on_hold: view.on_hold,
            oldest_at: view.oldest_at,
            next_attempt_at: view.next_attempt_at,
            last_error: view.last_error,
        }
    }
}

/// How many destinations.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what DestinationRequest reads")]
struct DestinationParams {
    /// 1 to 200; 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<i64>,
}

struct DestinationRequest {
    scope: QueueScope,
    limit: Option<i64>,
}

impl FromParams for DestinationRequest {
    fn from_params(reader: &mut Reader) -> Self {
        Self { scope: scope(reader), limit: reader.parsed("limit", "a number from 1 to 200") }
    }
}

/// List destinations
///
/// The domains that most deliveries wait for, the most first; at most 200.
#[utoipa::path(get, path = "/queue/destinations", tag = "queue",
    params(QueueFilter, DestinationParams),
    security(("api_key" = ["queue:read"])),
    responses((status = 200, description = "Destinations", body = List<Destination>)))]
async fn list_destinations(
    Caller(cx): Caller,
    Params(request): Params<DestinationRequest>,
) -> ApiResult<Json<List<Destination>>> {
    Ok(List::whole(queue::list_destinations(&cx, request.scope, request.limit).await?))
}
