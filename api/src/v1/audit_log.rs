//! `/v1/audit-log`: who changed what, for administrators.

use axum::Json;
use posthouse_core::{
    Id,
    audit::{self, Filter},
    id,
    page::PageRequest,
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::PageParams;
use crate::{
    answer::List,
    extract::{Caller, FromParams, Params, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_audit_log))
}

/// An administrative change, or the use of an administrator's right to act for an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditEntry {
    /// Identifier.
    #[schema(value_type = String, example = "aud_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Audit>,
    /// When it was done.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    at: OffsetDateTime,
    /// Account of whoever did it.
    #[schema(value_type = String, example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    actor_account_id: Id<id::Account>,
    /// What it was done with: id of an API key or app password, `password` or `system`.
    #[schema(example = "key_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    credential: String,
    /// Account that it was done to; null: none.
    #[schema(value_type = Option<String>, example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    account_id: Option<Id<id::Account>>,
    /// What was done.
    #[schema(example = "create_api_key")]
    action: String,
    /// What it was done to: an id or a name; may be empty.
    target: String,
    /// The request that did it: `Request-Id` of its answer.
    #[schema(example = "req_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    request_id: String,
}

impl From<audit::Entry> for AuditEntry {
    fn from(entry: audit::Entry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            actor_account_id: entry.actor_account_id,
            credential: entry.credential,
            account_id: entry.account_id,
            action: entry.action,
            target: entry.target,
            request_id: entry.request_id,
        }
    }
}

/// Which entries are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what ListParams reads")]
struct AuditFilter {
    /// Done to this account.
    #[param(example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    account_id: Option<String>,
    /// Done by this account.
    actor_account_id: Option<String>,
    /// This was done.
    #[param(example = "create_api_key")]
    action: Option<String>,
    /// Done at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
    /// Done before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<String>,
}

/// Filter and page.
struct ListParams {
    filter: Filter,
    page: PageRequest,
}

impl FromParams for ListParams {
    fn from_params(reader: &mut Reader) -> Self {
        let filter = Filter {
            account: reader.parsed("account_id", "the id of an account, acc_…"),
            actor: reader.parsed("actor_account_id", "the id of an account, acc_…"),
            action: reader.text("action"),
            since: reader.time("since"),
            until: reader.time("until"),
        };
        Self { filter, page: reader.page() }
    }
}

/// List the audit log
///
/// Every administrative change, who made it and with what, and every use of `Posthouse-Account`;
/// newest first. Entries are never changed, and stay when the account is deleted.
#[utoipa::path(get, path = "/audit-log", tag = "accounts", params(AuditFilter, PageParams),
    security(("api_key" = ["admin:read"])),
    responses((status = 200, description = "A page of entries", body = List<AuditEntry>)))]
async fn list_audit_log(
    Caller(cx): Caller,
    Params(params): Params<ListParams>,
) -> ApiResult<Json<List<AuditEntry>>> {
    Ok(List::page(audit::list(&cx, &params.filter, &params.page).await?))
}
