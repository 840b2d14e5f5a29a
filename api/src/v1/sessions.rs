//! `/v1/account/sessions`: who is logged in with access tokens.

use axum::{Json, http::StatusCode};
use posthouse_core::{Credential, Cx, Id, id, page::PageRequest, tokens};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::PageParams;
use crate::{
    answer::List,
    extract::{Caller, Params, PathId},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_sessions)).routes(routes!(revoke_session))
}

/// A login that got access tokens, until it is revoked or not refreshed for too long.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// Identifier; `sid` of its access tokens.
    #[schema(value_type = String, example = "ses_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Session>,
    /// What its tokens may do at most.
    #[schema(example = json!(["send", "messages:read"]))]
    scopes: Vec<String>,
    /// What the client said of itself at the login.
    #[schema(example = "Mozilla/5.0")]
    user_agent: String,
    /// Where the client was at the login.
    #[schema(example = "192.0.2.7")]
    remote_address: String,
    /// The caller's own.
    #[schema(example = false)]
    current: bool,
    /// The login.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
    /// When it was last refreshed.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    refreshed_at: OffsetDateTime,
    /// It ends then unless it is refreshed.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-12-21T10:00:00.000Z")]
    expires_at: OffsetDateTime,
}

impl Session {
    fn seen_by(cx: &Cx, session: tokens::Session) -> Self {
        Self {
            current: cx.actor().credential == Credential::Session(session.id),
            id: session.id,
            scopes: session.scopes,
            user_agent: session.user_agent,
            remote_address: session.remote_address,
            created_at: session.created_at,
            refreshed_at: session.refreshed_at,
            expires_at: session.expires_at,
        }
    }
}

/// List sessions
///
/// Those of the account that hold, newest first.
#[utoipa::path(get, path = "/account/sessions", tag = "account", params(PageParams),
    security(("api_key" = ["account:read"])),
    responses((status = 200, description = "A page of sessions", body = List<Session>)))]
async fn list_sessions(
    Caller(cx): Caller,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<Session>>> {
    let sessions = tokens::list(&cx, &page).await?;
    Ok(List::page(sessions.map(|session| Session::seen_by(&cx, session))))
}

/// Revoke a session
///
/// Its tokens hold no longer, within a second on every node.
#[utoipa::path(delete, path = "/account/sessions/{id}", tag = "account",
    security(("api_key" = ["account:write"])),
    params(("id" = String, Path, description = "Session",
        example = "ses_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is over")))]
async fn revoke_session(
    Caller(cx): Caller,
    PathId(id): PathId<id::Session>,
) -> ApiResult<StatusCode> {
    tokens::delete(&cx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
