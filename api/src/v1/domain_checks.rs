//! `/v1/domains/{id}`: the records to publish, and what of them is in DNS. For administrators.

use axum::{
    Json,
    http::header,
    response::{IntoResponse, Response},
};
use posthouse_core::{
    Id,
    domains::{checks, records},
    id,
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::domains::DnsRecord;
use crate::{
    extract::{Caller, PathId},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_domain_records))
        .routes(routes!(get_domain_zone))
        .routes(routes!(get_domain_checks))
        .routes(routes!(verify_domain))
}

/// The records of a domain.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainRecords {
    /// Name of the domain.
    #[schema(example = "example.test")]
    domain: String,
    /// What to publish.
    records: Vec<DnsRecord>,
    /// What is not among them, and why.
    omitted: Vec<OmittedRecord>,
}

/// A record that is not to be published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OmittedRecord {
    /// What it would be for.
    #[schema(value_type = String, example = "mta_sts")]
    purpose: &'static str,
    /// Why not, or what to do oneself.
    reason: String,
}

impl From<records::Records> for DomainRecords {
    fn from(found: records::Records) -> Self {
        let omitted =
            |one: records::Omitted| OmittedRecord { purpose: one.purpose, reason: one.reason };
        Self {
            domain: found.domain,
            records: found.records.into_iter().map(Into::into).collect(),
            omitted: found.omitted.into_iter().map(omitted).collect(),
        }
    }
}

/// What the last checks of a domain have found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainChecks {
    /// The domain.
    #[schema(value_type = String, example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    domain_id: Id<id::Domain>,
    /// `unverified`: what the domain needs was never all in DNS; `verified`: it is; `degraded`: it
    /// was.
    #[schema(value_type = String, example = "verified")]
    state: &'static str,
    /// When it was looked at; null: not yet.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    checked_at: Option<OffsetDateTime>,
    /// When it will be looked at again by itself.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    next_check_at: OffsetDateTime,
    /// What was looked at.
    checks: Vec<DomainCheck>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DomainCheck {
    /// `mx`, `spf`, `dkim`, `dmarc`, `mta_sts`, `tls_rpt`, `reverse_dns` or `dnssec`.
    #[schema(example = "mx")]
    name: String,
    /// The domain is not verified while this has errors.
    required: bool,
    /// `ok`, `warning`, `error`, or `unknown` when DNS did not answer.
    #[schema(value_type = String, example = "ok")]
    status: checks::Status,
    /// DNSSEC proves the answer; null: nothing was asked.
    secure: Option<bool>,
    /// Records that were found.
    found: Vec<String>,
    /// What does not work.
    errors: Vec<String>,
    /// What could be better, and what could not be looked up.
    warnings: Vec<String>,
    /// What to do.
    instructions: Vec<String>,
}

impl From<checks::Check> for DomainCheck {
    fn from(check: checks::Check) -> Self {
        Self {
            name: check.name,
            required: check.required,
            status: check.status,
            secure: check.secure,
            found: check.found,
            errors: check.errors,
            warnings: check.warnings,
            instructions: check.instructions,
        }
    }
}

impl From<checks::Checked> for DomainChecks {
    fn from(checked: checks::Checked) -> Self {
        Self {
            domain_id: checked.domain,
            state: checked.state.as_str(),
            checked_at: checked.checked_at,
            next_check_at: checked.next_check_at,
            checks: checked.checks.into_iter().map(Into::into).collect(),
        }
    }
}

/// List the DNS records of a domain
///
/// What to publish and why. Records for services that this server does not have are left out, with
/// the reason.
#[utoipa::path(get, path = "/domains/{id}/records", tag = "domains",
    security(("api_key" = ["admin:read"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The records", body = DomainRecords)))]
async fn list_domain_records(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
) -> ApiResult<Json<DomainRecords>> {
    Ok(Json(records::list(&cx, domain).await?.into()))
}

/// Get the DNS records of a domain as a zone
///
/// The same as the text of a zone file (RFC 1035), to be added to that of the domain. What belongs
/// into another zone is a comment.
#[utoipa::path(get, path = "/domains/{id}/zone", tag = "domains",
    security(("api_key" = ["admin:read"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "Text of a zone", body = String,
        content_type = "text/dns",
        example = "example.test. 3600 IN MX 10 mail.example.test.")))]
async fn get_domain_zone(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
) -> ApiResult<Response> {
    let text = records::zone(&cx, domain).await?;
    Ok(([(header::CONTENT_TYPE, "text/dns")], text).into_response())
}

/// Get the checks of a domain
///
/// What the last look at DNS has found; nothing is looked up now. A domain is checked each day, and
/// more often while it is new or degraded.
#[utoipa::path(get, path = "/domains/{id}/checks", tag = "domains",
    security(("api_key" = ["admin:read"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The last result", body = DomainChecks)))]
async fn get_domain_checks(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
) -> ApiResult<Json<DomainChecks>> {
    Ok(Json(checks::last(&cx, domain).await?.into()))
}

/// Verify a domain
///
/// Looks everything up now, and goes on with a rotation of keys. Takes some seconds. The domain is
/// `verified` when MX, SPF, DKIM and DMARC have no errors; when that changes, administrators get
/// `domain.verified` or `domain.degraded`.
#[utoipa::path(post, path = "/domains/{id}/verify", tag = "domains",
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Domain", example = "dom_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "What was found", body = DomainChecks)))]
async fn verify_domain(
    Caller(cx): Caller,
    PathId(domain): PathId<id::Domain>,
) -> ApiResult<Json<DomainChecks>> {
    Ok(Json(checks::verify(&cx, domain).await?.into()))
}
