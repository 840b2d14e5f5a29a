//! `/v1/deliveries`: recipients of messages, each with its attempts.

use axum::Json;
use posthouse_core::{
    id,
    page::PageRequest,
    queue::{self, Action, DeliveryFilter},
};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::PageParams,
    messages::{Delivery, status},
};
use crate::{
    answer::List,
    extract::{Caller, FromParams, Params, PathId, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_deliveries))
        .routes(routes!(get_delivery))
        .routes(routes!(retry_delivery))
        .routes(routes!(cancel_delivery))
        .routes(routes!(fail_delivery))
}

/// Which deliveries are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what ListRequest reads")]
struct DeliveryParams {
    /// `scheduled`, `queued`, `on_hold`, `deferred`, `relayed`, `delivered`, `expanded`,
    /// `suppressed`, `failed`, `canceled` or `expired`.
    #[param(example = "deferred")]
    status: Option<String>,
    /// To this address.
    #[param(example = "bob@example.net")]
    recipient: Option<String>,
    /// To this domain.
    #[param(example = "example.net")]
    domain: Option<String>,
    /// Taken at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
    /// Taken before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<String>,
}

/// Filter and page.
struct ListRequest {
    filter: DeliveryFilter,
    page: PageRequest,
}

impl FromParams for ListRequest {
    fn from_params(reader: &mut Reader) -> Self {
        let filter = DeliveryFilter {
            status: status(reader),
            recipient: reader.text("recipient"),
            domain: domain(reader),
            since: reader.time("since"),
            until: reader.time("until"),
        };
        Self { filter, page: reader.page() }
    }
}

/// The parameter `domain`, in A-label form.
pub(super) fn domain(reader: &mut Reader) -> Option<String> {
    let text = reader.text("domain")?;
    let read = posthouse_mail::domain::normalise(&text);
    read.map_err(|error| reader.fault("domain", "invalid_domain", &error.to_string())).ok()
}

/// List deliveries
///
/// Deliveries of all messages of the account, waiting and ended, newest first, with all attempts.
#[utoipa::path(get, path = "/deliveries", tag = "messages", params(DeliveryParams, PageParams),
    security(("api_key" = ["messages:read"])),
    responses((status = 200, description = "A page of deliveries", body = List<Delivery>)))]
async fn list_deliveries(
    Caller(cx): Caller,
    Params(request): Params<ListRequest>,
) -> ApiResult<Json<List<Delivery>>> {
    Ok(List::page(queue::list_deliveries(&cx, &request.filter, &request.page).await?))
}

/// Get a delivery
///
/// One recipient of a message, with all attempts.
#[utoipa::path(get, path = "/deliveries/{id}", tag = "messages",
    security(("api_key" = ["messages:read"])),
    params(("id" = String, Path, description = "Delivery", example = "dlv_01k6h3v9x8e7ktq2w5m4n1r001")),
    responses((status = 200, description = "The delivery", body = Delivery)))]
async fn get_delivery(
    Caller(cx): Caller,
    PathId(delivery): PathId<id::Delivery>,
) -> ApiResult<Json<Delivery>> {
    Ok(Json(queue::find_delivery(&cx, delivery).await?.into()))
}

/// Retry a delivery
///
/// Its next attempt is due now; 409 if it has ended or is on hold.
#[utoipa::path(post, path = "/deliveries/{id}/retry", tag = "messages",
    security(("api_key" = ["messages:write"])),
    params(("id" = String, Path, description = "Delivery", example = "dlv_01k6h3v9x8e7ktq2w5m4n1r001")),
    responses((status = 200, description = "The delivery, as it is now", body = Delivery)))]
async fn retry_delivery(
    Caller(cx): Caller,
    PathId(delivery): PathId<id::Delivery>,
) -> ApiResult<Json<Delivery>> {
    Ok(Json(queue::change_delivery(&cx, delivery, Action::Retry).await?.into()))
}

/// Cancel a delivery
///
/// It ends as `canceled`, without a report to the sender and with the event `delivery.canceled`;
/// 409 if it has ended otherwise.
/// If it is being attempted, `pending_action` in the answer says so: it is done after that, unless
/// the delivery ends with the attempt.
#[utoipa::path(post, path = "/deliveries/{id}/cancel", tag = "messages",
    security(("api_key" = ["messages:write"])),
    params(("id" = String, Path, description = "Delivery", example = "dlv_01k6h3v9x8e7ktq2w5m4n1r001")),
    responses((status = 200, description = "The delivery, as it is now", body = Delivery)))]
async fn cancel_delivery(
    Caller(cx): Caller,
    PathId(delivery): PathId<id::Delivery>,
) -> ApiResult<Json<Delivery>> {
    Ok(Json(queue::change_delivery(&cx, delivery, Action::Cancel).await?.into()))
}

/// Fail a delivery
///
/// It ends as `failed`, as after a permanent error: with a report to the sender and the event
/// `delivery.failed`; 409 if it has ended otherwise.
/// If it is being attempted, `pending_action` in the answer says so: it is done after that, unless
/// the delivery ends with the attempt.
#[utoipa::path(post, path = "/deliveries/{id}/fail", tag = "messages",
    security(("api_key" = ["messages:write"])),
    params(("id" = String, Path, description = "Delivery", example = "dlv_01k6h3v9x8e7ktq2w5m4n1r001")),
    responses((status = 200, description = "The delivery, as it is now", body = Delivery)))]
async fn fail_delivery(
    Caller(cx): Caller,
    PathId(delivery): PathId<id::Delivery>,
) -> ApiResult<Json<Delivery>> {
    Ok(Json(queue::change_delivery(&cx, delivery, Action::Fail).await?.into()))
}
