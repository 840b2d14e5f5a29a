//! `/v1/accounts/{id}/limits`: what an account may send in a day and ask in a minute.

use axum::Json;
use posthouse_core::{
    Cx, Error, FieldError, Scope, id,
    limits::{self, LimitsPatch, Usage},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::removable;
use crate::{
    extract::{Caller, Change, Input, PathId},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_limits, update_limits))
}

/// Limits of an account, and what was used of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Limits {
    /// Recipients of messages in 24 hours, at all doors together; null: no limit.
    #[schema(example = 1000)]
    recipients_per_day: Option<i64>,
    /// Of these, recipients that the account has not written to before; null: no limit.
    #[schema(example = 200)]
    new_recipients_per_day: Option<i64>,
    /// Requests to the API in a minute, with all keys of the account together; null: no limit.
    requests_per_minute: Option<i32>,
    /// Recipients in the last 24 hours, in whole hours. Counted while there is a limit.
    #[schema(example = 17)]
    recipients_used: i64,
    /// New ones among them.
    #[schema(example = 2)]
    new_recipients_used: i64,
}

impl From<Usage> for Limits {
    fn from(usage: Usage) -> Self {
        Self {
            recipients_per_day: usage.limits.recipients_per_day,
            new_recipients_per_day: usage.limits.new_recipients_per_day,
            requests_per_minute: usage.limits.requests_per_minute,
            recipients_used: usage.recipients,
            new_recipients_used: usage.new_recipients,
        }
    }
}

/// Changes of limits (RFC 7396): absent fields stay, null lifts a limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LimitsPatch, example = json!({
    "recipients_per_day": 1000, "new_recipients_per_day": 200,
}))]
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
pub(crate) struct LimitsPatchBody {
    /// Recipients of messages in 24 hours.
    #[serde(default, deserialize_with = "removable")]
    #[schema(minimum = 0)]
    recipients_per_day: Option<Option<i64>>,
    /// Of these, recipients that the account has not written to before.
    #[serde(default, deserialize_with = "removable")]
    #[schema(minimum = 0)]
    new_recipients_per_day: Option<Option<i64>>,
    /// Requests to the API in a minute.
    #[serde(default, deserialize_with = "removable")]
    #[schema(minimum = 1)]
    requests_per_minute: Option<Option<i32>>,
}

impl From<LimitsPatchBody> for LimitsPatch {
    fn from(body: LimitsPatchBody) -> Self {
        Self {
            recipients_per_day: body.recipients_per_day,
            new_recipients_per_day: body.new_recipients_per_day,
            requests_per_minute: body.requests_per_minute,
        }
    }
}

impl Input for LimitsPatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        limits::update_faults(&self.into())
    }
}

/// Get the limits of an account
///
/// Any account for an administrator; else the caller's own.
#[utoipa::path(get, path = "/accounts/{id}/limits", tag = "accounts",
    security(("api_key" = ["admin:read"]), ("api_key" = ["account:read"])),
    params(("id" = String, Path, description = "Account", example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "Limits and use", body = Limits)))]
async fn get_limits(
    Caller(cx): Caller,
    PathId(account): PathId<id::Account>,
) -> ApiResult<Json<Limits>> {
    Ok(Json(limits::find(&cx, account).await?.into()))
}

/// Change the limits of an account
///
/// A JSON merge patch. A new account has no limits. A message over a limit is refused as a whole,
/// with `sending_limit_exceeded` and `Retry-After`, or 451 by SMTP; one that goes to the sandbox
/// does not count. A request over the limit is answered with 429; the answers of an account with
/// such a limit carry `RateLimit-Policy` and `RateLimit`.
#[utoipa::path(patch, path = "/accounts/{id}/limits", tag = "accounts",
    request_body = LimitsPatchBody, security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Account", example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "Limits and use", body = Limits)))]
async fn update_limits(
    Change { cx, id, patch }: Change<id::Account, LimitsPatchBody>,
) -> ApiResult<Json<Limits>> {
    Ok(Json(limits::update(&cx, id, patch.into()).await?.into()))
}
