//! `/v1/suppressions`: recipients that the caller's account does not write to.

use axum::{Json, extract::FromRequest, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Scope, id,
    page::PageRequest,
    suppressions::{self, Filter},
};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::PageParams,
    suppression_files,
    suppression_shapes::{
        BulkBody, BulkResult, CheckBody, CheckedAddress, NewSuppressionBody, Suppression, address,
    },
};
use crate::{
    answer::{List, New},
    extract::{Caller, Create, FromParams, Input, Params, PathId, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_suppressions, create_suppression))
        .routes(routes!(get_suppression, delete_suppression))
        .routes(routes!(check_suppressions))
        .routes(routes!(change_suppressions))
        .routes(routes!(suppression_files::import_suppressions))
        .routes(routes!(suppression_files::export_suppressions))
}

/// Which entries are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what FilterParams reads")]
pub(super) struct SuppressionFilter {
    /// Those that suppress this recipient, whatever its spelling.
    #[param(example = "bob@example.net")]
    address: Option<String>,
    /// Those of recipients at this domain.
    #[param(example = "example.net")]
    domain: Option<String>,
    /// `bounce`, `complaint`, `unsubscribe` or `manual`.
    #[param(example = "bounce")]
    reason: Option<String>,
    /// Those of this topic.
    topic: Option<String>,
    /// Made at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
    /// Made before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<String>,
}

impl FromParams for Filter {
    fn from_params(reader: &mut Reader) -> Self {
        let text = reader.text("address");
        let address = text.and_then(|text| {
            let read = address(&text, "/address");
            read.map_err(|fault| reader.fault("address", fault.code, &fault.detail)).ok()
        });
        let domain = reader.text("domain").and_then(|text| {
            let read = posthouse_mail::domain::normalise(&text);
            let fault = |error: posthouse_mail::domain::DomainError| {
                reader.fault("domain", "invalid_domain", &error.to_string());
            };
            read.map_err(fault).ok()
        });
        Self {
            address,
            domain,
            reason: reader.parsed("reason", "bounce, complaint, unsubscribe or manual"),
            topic: reader.text("topic"),
            since: reader.time("since"),
            until: reader.time("until"),
        }
    }
}

/// Filter and page.
struct ListParams {
    filter: Filter,
    page: PageRequest,
}

impl FromParams for ListParams {
    fn from_params(reader: &mut Reader) -> Self {
        Self { filter: Filter::from_params(reader), page: reader.page() }
    }
}

/// List suppressions
///
/// Entries of the account's list, newest first, also those that have expired.
#[utoipa::path(get, path = "/suppressions", tag = "suppressions",
    params(SuppressionFilter, PageParams),
    security(("api_key" = ["suppressions:read"])),
    responses((status = 200, description = "A page of entries", body = List<Suppression>)))]
async fn list_suppressions(
    Caller(cx): Caller,
    Params(params): Params<ListParams>,
) -> ApiResult<Json<List<Suppression>>> {
    Ok(List::page(suppressions::list(&cx, &params.filter, &params.page).await?))
}

/// Create a suppression
///
/// Messages to this recipient are not sent any more, from now on and also those that wait; their
/// delivery ends as `suppressed`. Spellings that the recipient's domain is known to treat alike
/// are one recipient. 409 if there is such an entry already.
#[utoipa::path(post, path = "/suppressions", tag = "suppressions", request_body = NewSuppressionBody,
    security(("api_key" = ["suppressions:write"])),
    responses((status = 201, description = "The entry", body = Suppression,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_suppression(
    Create { cx, body }: Create<NewSuppressionBody>,
) -> ApiResult<New<Suppression>> {
    let (new, faults) = body.read("");
    if !faults.is_empty() {
        let more = suppressions::create_faults(&cx, &new);
        return Err(Error::InvalidInput(faults.into_iter().chain(more).collect()).into());
    }
    let created = suppressions::create(&cx, new).await?;
    Ok(New::created(created, "/v1/suppressions", |made| (made.id.to_string(), made.into())))
}

impl Input for NewSuppressionBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::SuppressionsWrite)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        let (new, mut faults) = self.read("");
        faults.extend(suppressions::create_faults(cx, &new));
        faults
    }
}

/// Get a suppression
///
/// One entry, also if it has expired.
#[utoipa::path(get, path = "/suppressions/{id}", tag = "suppressions",
    security(("api_key" = ["suppressions:read"])),
    params(("id" = String, Path, description = "Entry", example = "sup_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The entry", body = Suppression)))]
async fn get_suppression(
    Caller(cx): Caller,
    PathId(suppression): PathId<id::Suppression>,
) -> ApiResult<Json<Suppression>> {
    Ok(Json(suppressions::find(&cx, suppression).await?.into()))
}

/// Delete a suppression
///
/// Messages to this recipient are sent again, unless another entry suppresses it. Deliveries that
/// have ended as `suppressed` stay ended.
#[utoipa::path(delete, path = "/suppressions/{id}", tag = "suppressions",
    security(("api_key" = ["suppressions:write"])),
    params(("id" = String, Path, description = "Entry", example = "sup_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_suppression(
    Caller(cx): Caller,
    PathId(suppression): PathId<id::Suppression>,
) -> ApiResult<StatusCode> {
    suppressions::delete(&cx, suppression).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A request that asks and makes nothing: it takes no idempotency key.
struct Ask {
    cx: Cx,
    body: CheckBody,
}

impl FromRequest<ApiState> for Ask {
    type Rejection = crate::problem::Problem;

    async fn from_request(request: axum::extract::Request, state: &ApiState) -> ApiResult<Self> {
        let Create { cx, body } = Create::from_request(request, state).await?;
        Ok(Self { cx: cx.with_idempotency(None), body })
    }
}

impl Input for CheckBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::SuppressionsRead)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        let (addresses, mut faults) = self.read();
        faults.extend(suppressions::check_faults(&addresses, self.topic.as_deref()));
        faults
    }
}

/// Check recipients
///
/// Tells for each address whether messages to it are suppressed at the moment, and by which
/// entries; in the order of the request.
#[utoipa::path(post, path = "/suppressions/check", tag = "suppressions", request_body = CheckBody,
    security(("api_key" = ["suppressions:read"])),
    responses((status = 200, description = "One item for each address",
        body = List<CheckedAddress>)))]
async fn check_suppressions(Ask { cx, body }: Ask) -> ApiResult<Json<List<CheckedAddress>>> {
    let (addresses, faults) = body.read();
    if !faults.is_empty() {
        let more = suppressions::check_faults(&addresses, body.topic.as_deref());
        return Err(Error::InvalidInput(faults.into_iter().chain(more).collect()).into());
    }
    Ok(List::whole(suppressions::check(&cx, addresses, body.topic.as_deref()).await?))
}

impl Input for BulkBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::SuppressionsWrite)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        let (bulk, mut faults) = self.read();
        faults.extend(suppressions::bulk_faults(cx, &bulk));
        faults
    }
}

/// Change many suppressions
///
/// Deletes and creates up to 1,000 entries, all or none: first everything that is to be deleted.
/// What is there already stays as it is, and what is not there cannot be deleted; both are told.
/// The answer has the items of `create` and then those of `delete`, in their order.
#[utoipa::path(post, path = "/suppressions/bulk", tag = "suppressions", request_body = BulkBody,
    security(("api_key" = ["suppressions:write"])),
    params(("Idempotency-Key" = Option<String>, Header,
        description = "Makes the request safe to repeat: 1 to 255 printable ASCII characters.")),
    responses((status = 200, description = "What came of each", body = List<BulkResult>)))]
async fn change_suppressions(
    Create { cx, body }: Create<BulkBody>,
) -> ApiResult<(crate::answer::Replayed, Json<List<BulkResult>>)> {
    let (bulk, faults) = body.read();
    if !faults.is_empty() {
        let more = suppressions::bulk_faults(&cx, &bulk);
        return Err(Error::InvalidInput(faults.into_iter().chain(more).collect()).into());
    }
    let done = suppressions::bulk(&cx, bulk).await?;
    Ok((crate::answer::Replayed(done.replayed), List::whole(done.value)))
}
