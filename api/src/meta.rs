//! About the server itself: health, metrics, version, the OpenAPI document.

use std::{net::SocketAddr, sync::LazyLock};

use axum::{
    Json,
    extract::{ConnectInfo, FromRequestParts, State},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use posthouse_core::Scope;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::Caller,
    problem::{self, ApiResult, Problem},
    state::ApiState,
};

/// Media type of the text format that Prometheus reads.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(crate::openapi_json()));

/// State of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// Always `ok`: otherwise the answer is a problem.
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
}

/// Version of the server.
#[expect(clippy::struct_field_names, reason = "names on the wire")]
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Version {
    /// Name of the program.
    #[schema(value_type = String, example = "posthouse")]
    name: &'static str,
    /// Its version.
    #[schema(value_type = String, example = "0.1.0")]
    version: &'static str,
    /// Version of the API and of event payloads.
    #[schema(value_type = String, example = "1")]
    api_version: &'static str,
}

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(check_health))
        .routes(routes!(check_ready))
        .routes(routes!(show_version))
        .routes(routes!(show_metrics))
        .routes(routes!(show_openapi))
        .routes(routes!(problem::describe_problem))
}

/// Check that the server runs
///
/// For liveness probes: says nothing about the database.
#[utoipa::path(get, path = "/healthz", tag = "meta", security(()),
    responses((status = 200, description = "It runs", body = Health)))]
async fn check_health() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Check that the server can work
///
/// For readiness probes: 503 while the database is away or this node owns no part of the queue.
#[utoipa::path(get, path = "/readyz", tag = "meta", security(()),
    responses((status = 200, description = "It can work", body = Health)))]
async fn check_ready(State(state): State<ApiState>) -> ApiResult<Json<Health>> {
    if state.shutdown.is_cancelled() {
        return Err(posthouse_core::Error::unavailable("the server is stopping").into());
    }
    state.platform.check_ready().await?;
    Ok(Json(Health { status: "ok" }))
}

/// Show the version
///
/// Name and version of the server, and the version of this API.
#[utoipa::path(get, path = "/version", tag = "meta", security(()),
    responses((status = 200, description = "The version", body = Version)))]
async fn show_version() -> Json<Version> {
    Json(Version {
        name: "posthouse",
        version: env!("CARGO_PKG_VERSION"),
        api_version: posthouse_core::events::API_VERSION,
    })
}

/// Who may see the metrics: a program on this machine that no proxy speaks for, or a caller with
/// `admin:read`.
struct MetricsReader;

impl FromRequestParts<ApiState> for MetricsReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let is_local = peer.is_some_and(|peer| peer.0.ip().to_canonical().is_loopback());
        if is_local && !is_proxied(&parts.headers) {
            return Ok(Self);
        }
        let Caller(cx) = Caller::from_request_parts(parts, state).await?;
        cx.require(Scope::AdminRead)?;
        Ok(Self)
    }
}

fn is_proxied(headers: &HeaderMap) -> bool {
    ["forwarded", "x-forwarded-for", "via"].iter().any(|name| headers.contains_key(*name))
}

/// Show metrics
///
/// In the Prometheus text format. Open to programs on the same machine that are not proxies;
/// others need the scope.
#[utoipa::path(get, path = "/metrics", tag = "meta", security((), ("api_key" = ["admin:read"])),
    responses((status = 200, description = "Metrics", body = String,
        content_type = "text/plain; version=0.0.4")))]
async fn show_metrics(_: MetricsReader, State(state): State<ApiState>) -> Response {
    ([(header::CONTENT_TYPE, PROMETHEUS)], state.metrics.render()).into_response()
}

/// Show this document
///
/// The OpenAPI 3.1 description of the API.
#[utoipa::path(get, path = "/openapi.json", tag = "meta", security(()),
    responses((status = 200, description = "OpenAPI document", body = serde_json::Value)))]
async fn show_openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.clone()).into_response()
}
