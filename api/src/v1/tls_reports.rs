//! `/v1/reports/tls/outgoing` and `/v1/reports/tls/suppressions`: reports about TLS (RFC 8460) that go
//! out. For administrators.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    page::PageRequest,
    tls_reports::{self, NewSuppression, Sent, SentFilter},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::{PageParams, Time};
use crate::{
    answer::{List, New},
    extract::{Caller, Create, FromParams, Input, Params, PathId, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_outgoing_tls_reports))
        .routes(routes!(get_outgoing_tls_report))
        .routes(routes!(list_tls_report_suppressions, create_tls_report_suppression))
        .routes(routes!(delete_tls_report_suppression))
}

/// A report about TLS that went out, or will.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutgoingTlsReport {
    /// Identifier, which is also the one in the report.
    #[schema(value_type = String, example = "tlo_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::TlsReportSent>,
    /// The day that it is about, in UTC.
    #[schema(example = "2026-11-21")]
    day: String,
    /// The domain that it is about: of recipients, or the name of a mail exchanger.
    #[schema(example = "example.net")]
    domain: String,
    /// `waiting`, `sent`, `failed`, or `skipped`: nobody asks for it, or there is nothing to tell.
    #[schema(value_type = String, example = "sent")]
    status: &'static str,
    /// When it is tried, or tried again.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime)]
    due_at: OffsetDateTime,
    /// Tries so far; there are five at most.
    #[schema(example = 1)]
    attempts: i16,
    /// Sessions with TLS as the policies of the domain want it.
    #[schema(example = 5326)]
    successful_sessions: i64,
    /// Others.
    #[schema(example = 303)]
    failed_sessions: i64,
    /// Where the domain wants it, and what became of that.
    destinations: Vec<OutgoingTlsReportDestination>,
    /// Why it failed or was skipped.
    error: Option<String>,
    /// When it was sent, failed or was skipped.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<OffsetDateTime>,
    /// The report itself (RFC 8460 §4.4); null in lists, and when there is none.
    #[schema(value_type = Option<Object>)]
    report: Option<Box<RawValue>>,
}

/// An address that a domain wants reports at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OutgoingTlsReportDestination {
    /// As it stands in DNS.
    #[schema(example = "mailto:tls-reports@example.net")]
    uri: String,
    /// `waiting`, `sent` (it is in the queue, or the endpoint has taken it), `failed` or `skipped`.
    #[schema(value_type = String, example = "sent")]
    status: &'static str,
    /// The message that takes it there, of the account that is postmaster.
    #[schema(value_type = Option<String>, example = "msg_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    message_id: Option<Id<id::Message>>,
    /// Why it did not go there.
    error: Option<String>,
}

impl From<Sent> for OutgoingTlsReport {
    fn from(sent: Sent) -> Self {
        let destinations = sent.destinations.into_iter();
        let destinations = destinations.map(|one| OutgoingTlsReportDestination {
            uri: one.uri,
            status: one.status.as_str(),
            message_id: one.message_id,
            error: one.error,
        });
        Self {
            id: sent.id,
            day: sent.day.to_string(),
            domain: sent.domain,
            status: sent.status.as_str(),
            due_at: sent.due_at,
            attempts: sent.attempts,
            successful_sessions: sent.successes,
            failed_sessions: sent.failures,
            destinations: destinations.collect(),
            error: sent.error,
            completed_at: sent.completed_at,
            report: sent.report,
        }
    }
}

/// Which reports are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what ListParams reads")]
struct OutgoingParams {
    /// About this domain.
    #[param(example = "example.net")]
    domain: Option<String>,
    /// `waiting`, `sent`, `failed` or `skipped`.
    #[param(example = "sent")]
    status: Option<String>,
}

/// Filter and page.
struct ListParams {
    filter: SentFilter,
    page: PageRequest,
}

impl FromParams for ListParams {
    fn from_params(reader: &mut Reader) -> Self {
        let domain = reader.text("domain").map(|text| text.to_ascii_lowercase());
        let status = reader.parsed("status", "waiting, sent, failed or skipped");
        Self { filter: SentFilter { domain, status }, page: reader.page() }
    }
}

/// List TLS reports that go out
///
/// One for each day and domain that mail was sent to, or mail exchanger with TLSA records, newest
/// first. They are kept for 90 days, those that were skipped for a week.
#[utoipa::path(get, path = "/reports/tls/outgoing", tag = "reports",
    params(OutgoingParams, PageParams), security(("api_key" = ["admin:read"])),
    responses((status = 200, description = "A page of reports", body = List<OutgoingTlsReport>)))]
async fn list_outgoing_tls_reports(
    Caller(cx): Caller,
    Params(params): Params<ListParams>,
) -> ApiResult<Json<List<OutgoingTlsReport>>> {
    Ok(List::page(tls_reports::list(&cx, &params.filter, &params.page).await?))
}

/// Get a TLS report that goes out
///
/// With the report itself.
#[utoipa::path(get, path = "/reports/tls/outgoing/{id}", tag = "reports",
    security(("api_key" = ["admin:read"])),
    params(("id" = String, Path, description = "Report", example = "tlo_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The report", body = OutgoingTlsReport)))]
async fn get_outgoing_tls_report(
    Caller(cx): Caller,
    PathId(report): PathId<id::TlsReportSent>,
) -> ApiResult<Json<OutgoingTlsReport>> {
    Ok(Json(tls_reports::find(&cx, report).await?.into()))
}

/// An address that gets no reports about TLS though a domain asks for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TlsReportSuppression {
    /// Identifier.
    #[schema(value_type = String, example = "tls_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::TlsReportSuppression>,
    /// The address, in lower case.
    #[schema(example = "mailto:tls-reports@example.net")]
    uri: String,
    /// For administrators.
    #[schema(example = "the mailbox is full")]
    comment: String,
    /// Until then; null: for ever.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    until_at: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
}

impl From<tls_reports::Suppression> for TlsReportSuppression {
    fn from(found: tls_reports::Suppression) -> Self {
        Self {
            id: found.id,
            uri: found.uri,
            comment: found.comment,
            until_at: found.until_at,
            created_at: found.created_at,
        }
    }
}

/// An address that is to get no reports.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTlsReportSuppression, example = json!({
    "uri": "mailto:tls-reports@example.net", "comment": "the mailbox is full",
}))]
pub(crate) struct NewSuppressionBody {
    /// As it stands in the record of the domain, `mailto:` or `https://`, in any case.
    uri: String,
    /// For administrators.
    #[serde(default)]
    comment: String,
    /// Until then; for ever by default.
    #[schema(value_type = Option<String>, format = DateTime)]
    until_at: Option<Time>,
}

impl From<NewSuppressionBody> for NewSuppression {
    fn from(body: NewSuppressionBody) -> Self {
        let until_at = body.until_at.map(|Time(time)| time);
        Self { uri: body.uri, comment: body.comment, until_at }
    }
}

impl Input for NewSuppressionBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::AdminWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        tls_reports::suppression_faults(&self.into())
    }
}

/// List addresses that get no TLS reports
///
/// Newest first; those whose time is over go by and by.
#[utoipa::path(get, path = "/reports/tls/suppressions", tag = "reports", params(PageParams),
    security(("api_key" = ["admin:read"])),
    responses((status = 200, description = "A page of addresses",
        body = List<TlsReportSuppression>)))]
async fn list_tls_report_suppressions(
    Caller(cx): Caller,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<TlsReportSuppression>>> {
    Ok(List::page(tls_reports::list_suppressions(&cx, &page).await?))
}

/// Send no more TLS reports to an address
///
/// Whatever domain asks for it. Reports that are on their way get there.
#[utoipa::path(post, path = "/reports/tls/suppressions", tag = "reports",
    request_body = NewSuppressionBody, security(("api_key" = ["admin:write"])),
    responses((status = 201, description = "The entry", body = TlsReportSuppression,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_tls_report_suppression(
    Create { cx, body }: Create<NewSuppressionBody>,
) -> ApiResult<New<TlsReportSuppression>> {
    let created = tls_reports::suppress(&cx, body.into()).await?;
    let place = "/v1/reports/tls/suppressions";
    Ok(New::created(created, place, |made| (made.id.to_string(), made.into())))
}

/// Send TLS reports to an address again
///
/// From the next report on.
#[utoipa::path(delete, path = "/reports/tls/suppressions/{id}", tag = "reports",
    security(("api_key" = ["admin:write"])),
    params(("id" = String, Path, description = "Entry", example = "tls_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_tls_report_suppression(
    Caller(cx): Caller,
    PathId(suppression): PathId<id::TlsReportSuppression>,
) -> ApiResult<StatusCode> {
    tls_reports::unsuppress(&cx, suppression).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_body_is_read_whatever_is_wrong() {
        crate::extract::survives_wrong_types::<NewSuppressionBody>();
    }
}
