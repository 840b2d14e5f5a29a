//! `/v1/queue/lane-rules`: how fast the mail exchangers of some providers are used.

use axum::Json;
use posthouse_core::{
    Cx, Error, FieldError, Scope,
    queue::{self, LaneRule, LaneRuleList},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Caller, Create, Input, Object},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(get_lane_rules, set_lane_rules, reset_lane_rules))
}

/// How fast some mail exchangers are used. All domains behind them share what it gives, and so do all
/// nodes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LaneRule, example = json!({
    "name": "example", "mx": ["*.mx.example.net"], "connections": 10, "messages_per_second": 5,
    "messages_per_connection": 20,
}))]
pub(crate) struct LaneRuleBody {
    /// For people; no two rules have the same.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// Names of mail exchangers, the most preferred ones of a domain; `*.` in front stands for one
    /// label or more.
    #[schema(min_items = 1, max_items = 50)]
    mx: Vec<String>,
    /// Connections at a time; absent: as the configuration of the server says.
    #[schema(minimum = 1, maximum = 10_000)]
    connections: Option<u32>,
    /// Attempts begun in a second; absent: no limit.
    #[schema(minimum = 1, maximum = 10_000)]
    messages_per_second: Option<u32>,
    /// Messages after which a connection is not used again; absent: 100.
    #[schema(minimum = 1, maximum = 10_000)]
    messages_per_connection: Option<u32>,
}

impl From<LaneRuleBody> for LaneRule {
    fn from(body: LaneRuleBody) -> Self {
        Self {
            name: body.name,
            mx: body.mx,
            connections: body.connections,
            messages_per_second: body.messages_per_second,
            messages_per_connection: body.messages_per_connection,
        }
    }
}

impl From<LaneRule> for LaneRuleBody {
    fn from(rule: LaneRule) -> Self {
        Self {
            name: rule.name,
            mx: rule.mx,
            connections: rule.connections,
            messages_per_second: rule.messages_per_second,
            messages_per_connection: rule.messages_per_connection,
        }
    }
}

/// Rules to be put in the place of all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLaneRules, example = json!({"rules": [
    {"name": "example", "mx": ["*.mx.example.net"], "connections": 10},
]}))]
pub(crate) struct NewLaneRules {
    /// In the order in which they are tried; at most 200.
    #[schema(value_type = Vec<LaneRuleBody>, max_items = 200)]
    rules: Vec<Object<LaneRuleBody>>,
}

impl From<NewLaneRules> for Vec<LaneRule> {
    fn from(body: NewLaneRules) -> Self {
        body.rules.into_iter().map(|Object(rule)| rule.into()).collect()
    }
}

impl Input for NewLaneRules {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        queue::lane_rule_faults(&Vec::from(self))
    }
}

/// The rules that hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LaneRules {
    /// In the order in which they are tried.
    rules: Vec<LaneRuleBody>,
    /// They came with the server: nobody has changed them.
    #[schema(example = true)]
    is_default: bool,
}

impl From<LaneRuleList> for LaneRules {
    fn from(list: LaneRuleList) -> Self {
        Self {
            rules: list.rules.into_iter().map(Into::into).collect(),
            is_default: list.is_default,
        }
    }
}

/// Get the lane rules
///
/// How fast the mail exchangers of some providers are used. What no rule covers has the limit of the
/// configuration, by the set of its exchangers.
#[utoipa::path(get, path = "/queue/lane-rules", tag = "queue",
    security(("api_key" = ["admin:read"])),
    responses((status = 200, description = "The rules that hold", body = LaneRules)))]
async fn get_lane_rules(Caller(cx): Caller) -> ApiResult<Json<LaneRules>> {
    Ok(Json(queue::lane_rules(&cx).await?.into()))
}

/// Set the lane rules
///
/// Puts them in the place of all, those that came with the server included; an empty list leaves
/// none. All nodes follow within a second, also for what waits.
#[utoipa::path(put, path = "/queue/lane-rules", tag = "queue", request_body = NewLaneRules,
    security(("api_key" = ["admin:write"])),
    responses((status = 200, description = "The rules that hold", body = LaneRules)))]
async fn set_lane_rules(Create { cx, body }: Create<NewLaneRules>) -> ApiResult<Json<LaneRules>> {
    Ok(Json(queue::set_lane_rules(&cx, Some(body.into())).await?.into()))
}

/// Reset the lane rules
///
/// The rules that came with the server hold again.
#[utoipa::path(delete, path = "/queue/lane-rules", tag = "queue",
    security(("api_key" = ["admin:write"])),
    responses((status = 200, description = "The rules that hold", body = LaneRules)))]
async fn reset_lane_rules(Caller(cx): Caller) -> ApiResult<Json<LaneRules>> {
    Ok(Json(queue::set_lane_rules(&cx, None).await?.into()))
}
