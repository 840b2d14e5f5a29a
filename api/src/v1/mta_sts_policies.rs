//! `/v1/mta-sts-policies`: what domains ask of those who send them mail, for administrators.

use axum::Json;
use posthouse_core::{
    Id, id,
    mta_sts::{self, Mode, PolicyFilter, StoredPolicy},
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
    OpenApiRouter::new().routes(routes!(list_mta_sts_policies))
}

/// The MTA-STS policy (RFC 8461) of a domain that mail was sent to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MtaStsPolicy {
    /// Identifier.
    #[schema(value_type = String, example = "sts_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::MtaStsPolicy>,
    /// Domain of recipients.
    #[schema(example = "example.net")]
    domain: String,
    /// The id in the TXT record that the policy was fetched for; null: none could be fetched yet.
    #[schema(example = "20261121100000Z")]
    record_id: Option<String>,
    /// `enforce`: mail goes only to hosts that it names, with a certificate that verifies;
    /// `testing` and `none`: as without a policy.
    #[schema(value_type = Option<String>, example = "enforce")]
    mode: Option<&'static str>,
    /// Names of mail exchangers; `*.` stands for one label.
    #[schema(example = json!(["mx.example.net"]))]
    mx: Vec<String>,
    /// How long it holds after it was fetched, whatever DNS says meanwhile.
    #[schema(example = 604_800)]
    max_age_seconds: Option<i32>,
    /// When it was fetched.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    fetched_at: Option<OffsetDateTime>,
    /// From then on it does not hold any more.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
    /// A delivery used it; written once a day.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime)]
    last_used_at: OffsetDateTime,
    /// When it is fetched again, at the earliest.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime)]
    refresh_at: OffsetDateTime,
    /// When the last fetch failed; null: it did not.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    failed_at: Option<OffsetDateTime>,
    /// Why it failed.
    error: Option<String>,
}

impl From<StoredPolicy> for MtaStsPolicy {
    fn from(stored: StoredPolicy) -> Self {
        Self {
            id: stored.id,
            domain: stored.domain,
            record_id: stored.record_id,
            mode: stored.mode.map(Mode::as_str),
            mx: stored.mx,
            max_age_seconds: stored.max_age_seconds,
            fetched_at: stored.fetched_at,
            expires_at: stored.expires_at,
            last_used_at: stored.last_used_at,
            refresh_at: stored.refresh_at,
            failed_at: stored.failed_at,
            error: stored.error,
        }
    }
}

/// Which policies are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what ListParams reads")]
struct PolicyParams {
    /// Of this domain.
    #[param(example = "example.net")]
    domain: Option<String>,
    /// `enforce`, `testing` or `none`.
    #[param(example = "enforce")]
    mode: Option<String>,
}

/// Filter and page.
struct ListParams {
    filter: PolicyFilter,
    page: PageRequest,
}

impl FromParams for ListParams {
    fn from_params(reader: &mut Reader) -> Self {
        let domain = reader.text("domain").map(|text| text.to_ascii_lowercase());
        let mode = reader.parsed("mode", "enforce, testing or none");
        Self { filter: PolicyFilter { domain, mode }, page: reader.page() }
    }
}

/// List MTA-STS policies
///
/// What is known of the policies of domains that mail was sent to, the one that was met last first.
/// Policies come by themselves with deliveries, are fetched again each day, hold until `expires_at`
/// whatever becomes of DNS and web server, and go when no mail has used them for 180 days.
#[utoipa::path(get, path = "/mta-sts-policies", tag = "queue", params(PolicyParams, PageParams),
    security(("api_key" = ["admin:read"])),
    responses((status = 200, description = "A page of policies", body = List<MtaStsPolicy>)))]
async fn list_mta_sts_policies(
    Caller(cx): Caller,
    Params(params): Params<ListParams>,
) -> ApiResult<Json<List<MtaStsPolicy>>> {
    Ok(List::page(mta_sts::list(&cx, &params.filter, &params.page).await?))
}
