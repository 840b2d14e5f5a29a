//! `/v1/routes`: which transport a delivery takes. For administrators.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    page::PageRequest,
    routing::{self, NewRoute, RouteFilter, RoutePatch},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{PageParams, present};
use crate::{
    answer::{Edited, List, New},
    extract::{Caller, Change, Create, FromParams, Input, Params, PathId, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_routes, create_route)).routes(routes!(
        get_route,
        update_route,
        delete_route
    ))
}

/// A rule that chooses a transport for deliveries that match everything it says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Route {
    /// Identifier.
    #[schema(value_type = String, example = "rte_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Route>,
    /// It is in the list of this account.
    #[schema(value_type = Option<String>)]
    account_id: Option<Id<id::Account>>,
    /// It is in the list of this domain of senders. Null, as `account_id`: in the list of all.
    #[schema(value_type = Option<String>)]
    domain_id: Option<Id<id::Domain>>,
    /// Its place in the list: lower ones are asked first, of equal ones the older.
    #[schema(example = 10)]
    position: i32,
    /// Domains of the reverse-path; empty: any.
    from_domains: Vec<String>,
    /// Domains of the recipient, with a dot in front also sub-domains; empty: any.
    #[schema(example = json!([".example.net"]))]
    to_domains: Vec<String>,
    /// Attempts already made, at least.
    #[schema(example = 0)]
    minimum_attempts: i16,
    /// The transport that they take.
    #[schema(value_type = String, example = "trn_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    transport_id: Id<id::Transport>,
    /// For people.
    description: String,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
}

impl From<routing::Route> for Route {
    fn from(route: routing::Route) -> Self {
        Self {
            id: route.id,
            account_id: route.account_id,
            domain_id: route.domain_id,
            position: route.position,
            from_domains: route.from_domains,
            to_domains: route.to_domains,
            minimum_attempts: route.minimum_attempts,
            transport_id: route.transport_id,
            description: route.description,
            created_at: route.created_at,
        }
    }
}

/// A route to be made; without `account_id` and `domain_id` for all.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRoute, example = json!({
    "to_domains": [".example.net"], "transport_id": "trn_01k6h3v9x8e7ktq2w5m4n1r0sa",
}))]
pub(crate) struct NewRouteBody {
    /// For deliveries of this account.
    #[schema(value_type = Option<String>)]
    account_id: Option<Id<id::Account>>,
    /// For deliveries with a reverse-path in this domain of ours.
    #[schema(value_type = Option<String>)]
    domain_id: Option<Id<id::Domain>>,
    /// Its place in the list; behind all others by default.
    #[schema(minimum = 0, maximum = 1_000_000)]
    position: Option<i32>,
    /// Domains of the reverse-path, with a dot in front also sub-domains; any by default.
    from_domains: Option<Vec<String>>,
    /// Domains of the recipient, in the same way; any by default.
    to_domains: Option<Vec<String>>,
    /// Attempts already made, at least; 0 by default.
    #[schema(minimum = 0, maximum = 1000)]
    minimum_attempts: Option<i16>,
    /// The transport that they take.
    #[schema(value_type = String)]
    transport_id: Id<id::Transport>,
    /// For people, at most 500 characters.
    description: Option<String>,
}

impl From<NewRouteBody> for NewRoute {
    fn from(body: NewRouteBody) -> Self {
        Self {
            account_id: body.account_id,
            domain_id: body.domain_id,
            position: body.position,
            from_domains: body.from_domains.unwrap_or_default(),
            to_domains: body.to_domains.unwrap_or_default(),
            minimum_attempts: body.minimum_attempts.unwrap_or_default(),
            transport_id: body.transport_id,
            description: body.description.unwrap_or_default(),
        }
    }
}

impl Input for NewRouteBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        routing::route_faults(&self.into())
    }
}

/// Changes of a route (RFC 7396): absent fields stay. It stays in its list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RoutePatch, example = json!({"position": 5}))]
pub(crate) struct RoutePatchBody {
    /// Its place in the list.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 0, maximum = 1_000_000)]
    position: Option<i32>,
    /// Domains of the reverse-path; empty: any.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    from_domains: Option<Vec<String>>,
    /// Domains of the recipient; empty: any.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    to_domains: Option<Vec<String>>,
    /// Attempts already made, at least.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, minimum = 0, maximum = 1000)]
    minimum_attempts: Option<i16>,
    /// The transport that they take.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false, value_type = Option<String>)]
    transport_id: Option<Id<id::Transport>>,
    /// For people, at most 500 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    description: Option<String>,
}

impl From<RoutePatchBody> for RoutePatch {
    fn from(body: RoutePatchBody) -> Self {
        Self {
            position: body.position,
            from_domains: body.from_domains,
            to_domains: body.to_domains,
            minimum_attempts: body.minimum_attempts,
            transport_id: body.transport_id,
            description: body.description,
        }
    }
}

impl Input for RoutePatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        routing::route_patch_faults(&self.into())
    }
}

/// Which routes are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what ListRequest reads")]
struct RouteParams {
    /// Those in the list of this account.
    account_id: Option<String>,
    /// Those in the list of this domain of senders.
    domain_id: Option<String>,
    /// Those in the list of all.
    global: Option<bool>,
    /// Those that lead to this transport.
    transport_id: Option<String>,
}

/// Filter and page.
struct ListRequest {
    filter: RouteFilter,
    page: PageRequest,
}

impl FromParams for ListRequest {
    fn from_params(reader: &mut Reader) -> Self {
        let filter = RouteFilter {
            account_id: reader.parsed("account_id", "the id of an account"),
            domain_id: reader.parsed("domain_id", "the id of a domain"),
            global: reader.parsed("global", "true or false").unwrap_or(false),
            transport_id: reader.parsed("transport_id", "the id of a transport"),
        };
        Self { filter, page: reader.page() }
    }
}

/// List routes
///
/// All routes, newest first; `position` says in which order those of a list are asked.
#[utoipa::path(get, path = "/routes", tag = "queue", params(RouteParams, PageParams),
    security(("api_key" = ["admin:read"])),
    responses((status = 200, description = "A page of routes", body = List<Route>)))]
async fn list_routes(
    Caller(cx): Caller,
    Params(request): Params<ListRequest>,
) -> ApiResult<Json<List<Route>>> {
    Ok(List::page(routing::list_routes(&cx, &request.filter, &request.page).await?))
}

/// Create a route
///
/// Routes are asked at each attempt: those of the account, then those of the sender's domain, then
/// those of all; the first that matches counts. What no route matches goes through the smart host of
/// the configuration, if there is one, else to the exchangers of the recipient. Recipients who are
/// at home here need no route. A list has at most 200.
#[utoipa::path(post, path = "/routes", tag = "queue", request_body = NewRouteBody,
    security(("api_key" = ["admin:write"])),
    responses((status = 201, description = "The route", body = Route,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_route(Create { cx, body }: Create<NewRouteBody>) -> ApiResult<New<Route>> {
    let created = routing::create_route(&cx, body.into()).await?;
    Ok(New::created(created, "/v1/routes", |made| (made.id.to_string(), made.into())))
}

/// Get a route
///
/// One route, whatever list it is in.
#[utoipa::path(get, path = "/routes/{id}", tag = "queue",
    security(("api_key" = ["admin:read"])),
    params(("id" = String, Path, description = "Route", example = "rte_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The route", body = Route)))]
async fn get_route(
    Caller(cx): Caller,
    PathId(route): PathId<id::Route>,
) -> ApiResult<Edited<Route>> {
    Ok(Edited::of(routing::find_route(&cx, route).await?))
}

/// Change a route
///
/// A JSON merge patch: absent fields stay as they are. For attempts that begin a moment later, on
/// all nodes.
#[utoipa::path(patch, path = "/routes/{id}", tag = "queue", request_body = RoutePatchBody,
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Route", example = "rte_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The route as it is now", body = Route)))]
async fn update_route(
    Change { cx, id, patch }: Change<id::Route, RoutePatchBody>,
) -> ApiResult<Edited<Route>> {
    Ok(Edited::of(routing::update_route(&cx, id, patch.into()).await?))
}

/// Delete a route
///
/// Attempts that begin a moment later ask the next ones.
#[utoipa::path(delete, path = "/routes/{id}", tag = "queue",
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Route", example = "rte_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_route(
    Caller(cx): Caller,
    PathId(route): PathId<id::Route>,
) -> ApiResult<StatusCode> {
    routing::delete_route(&cx, route).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_body_is_read_whatever_is_wrong() {
        // Nothing can stand for the transport of a new route.
        crate::extract::survives_wrong_types::<RoutePatchBody>();
    }
}
