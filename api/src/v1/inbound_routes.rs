//! `/v1/inbound-routes`: what becomes of mail that comes in.

use std::collections::BTreeMap;

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    inbound_routes::{self, Trial, TrialResult},
};
use posthouse_mail::address::Address;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    inbound_route_shapes::{InboundRoute, NewRouteBody, RoutePatchBody},
    suppression_shapes::address,
    webhook_shapes::MailEventRouting,
};
use crate::{
    answer::{Edited, List, New},
    extract::{Caller, Change, Create, Input, PathId},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_inbound_routes, create_inbound_route))
        .routes(routes!(get_inbound_route, update_inbound_route, delete_inbound_route))
        .routes(routes!(test_inbound_routes))
}

/// List inbound routes
///
/// All routes of the account, at most 100, in the order in which they are asked.
#[utoipa::path(get, path = "/inbound-routes", tag = "mail", security(("api_key" = ["mail:read"])),
    responses((status = 200, description = "All routes", body = List<InboundRoute>)))]
async fn list_inbound_routes(Caller(cx): Caller) -> ApiResult<Json<List<InboundRoute>>> {
    Ok(List::whole(inbound_routes::list(&cx).await?))
}

/// Create an inbound route
///
/// Mail that comes in for the account, from other servers or from here, is held against its routes
/// in the order of their priority. The first that matches decides what becomes of it; without any
/// it goes to the Inbox. Decided and written in the transaction that takes the mail; event
/// `mail.received`, `mail.dropped` or `message.rejected` names the routes. What cannot be done is
/// told there, and the mail is in the Inbox: nothing is lost. Mail for `postmaster`, and reports
/// about deliveries of the account, are neither refused nor dropped nor sent on. `forward` needs the
/// scope `send`, too. Changes take effect within a second.
#[utoipa::path(post, path = "/inbound-routes", tag = "mail", request_body = NewRouteBody,
    security(("api_key" = ["mail:write"])),
    responses((status = 201, description = "The route", body = InboundRoute,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_inbound_route(
    Create { cx, body }: Create<NewRouteBody>,
) -> ApiResult<New<InboundRoute>> {
    let (new, faults) = body.read();
    Error::unless_empty(faults)?;
    let created = inbound_routes::create(&cx, new).await?;
    Ok(New::created(created, "/v1/inbound-routes", |route| (route.id.to_string(), route.into())))
}

/// Get an inbound route
///
/// One route of the account.
#[utoipa::path(get, path = "/inbound-routes/{id}", tag = "mail",
    security(("api_key" = ["mail:read"])),
    params(("id" = String, Path, description = "Route", example = "irt_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The route", body = InboundRoute)))]
async fn get_inbound_route(
    Caller(cx): Caller,
    PathId(route): PathId<id::InboundRoute>,
) -> ApiResult<Edited<InboundRoute>> {
    Ok(Edited::of(inbound_routes::find(&cx, route).await?))
}

/// Change an inbound route
///
/// A JSON merge patch: absent fields stay as they are; `match` and `actions` are replaced as a
/// whole. Takes effect within a second.
#[utoipa::path(patch, path = "/inbound-routes/{id}", tag = "mail", request_body = RoutePatchBody,
    security(("api_key" = ["mail:write"])),
    params(("id" = String, Path, description = "Route", example = "irt_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The route as it is now", body = InboundRoute)))]
async fn update_inbound_route(
    Change { cx, id, patch }: Change<id::InboundRoute, RoutePatchBody>,
) -> ApiResult<Edited<InboundRoute>> {
    let (patch, faults) = patch.read();
    if !faults.is_empty() {
        // What does not exist has no faults.
        inbound_routes::find(&cx, id).await?;
        return Err(Error::InvalidInput(faults).into());
    }
    Ok(Edited::of(inbound_routes::update(&cx, id, patch).await?))
}

/// Delete an inbound route
///
/// Takes effect within a second.
#[utoipa::path(delete, path = "/inbound-routes/{id}", tag = "mail",
    security(("api_key" = ["mail:write"])),
    params(("id" = String, Path, description = "Route", example = "irt_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_inbound_route(
    Caller(cx): Caller,
    PathId(route): PathId<id::InboundRoute>,
) -> ApiResult<StatusCode> {
    inbound_routes::delete(&cx, route).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A mail that might come in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InboundRouteTest, example = json!({
    "recipient": "support@example.test", "sender": "bob@example.net",
    "headers": {"From": "Bob <bob@example.net>", "Subject": "Help"},
}))]
pub(crate) struct TrialBody {
    /// Recipient of the envelope.
    recipient: String,
    /// Reverse-path; the empty one by default.
    sender: Option<String>,
    /// The whole message (RFC 5322).
    raw: Option<String>,
    /// In its place, some header fields by name.
    headers: Option<BTreeMap<String, String>>,
}

impl TrialBody {
    fn read(self) -> Result<Trial, Vec<FieldError>> {
        let mut faults = Vec::new();
        let mut read = |text: &str, pointer: &str| -> Option<Address> {
            address(text, pointer).map_err(|fault| faults.push(fault)).ok()
        };
        let recipient = read(&self.recipient, "/recipient");
        let sender = self.sender.as_deref().filter(|text| !text.is_empty());
        let sender = sender.and_then(|text| read(text, "/sender"));
        let headers = self.headers.unwrap_or_default().into_iter().collect();
        let stand_in = || Address::new("nobody", "invalid").ok();
        let Some(known) = recipient.or_else(stand_in) else { return Err(faults) };
        let trial = Trial { recipient: known, sender, raw: self.raw, headers };
        faults.extend(inbound_routes::trial_faults(&trial));
        if faults.is_empty() { Ok(trial) } else { Err(faults) }
    }
}

impl Input for TrialBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::MailRead)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        self.read().err().unwrap_or_default()
    }
}

/// What would become of a mail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InboundRouteTestResult {
    /// `inbox`, `mailbox`, `forwarded`, `dropped` or `rejected`.
    #[schema(example = "mailbox")]
    outcome: &'static str,
    /// With `mailbox`: which.
    #[schema(value_type = Option<String>, example = "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    mailbox_id: Option<Id<id::Mailbox>>,
    /// With `rejected`: what the sending server would be told.
    reject_text: Option<String>,
    /// To whom it would be sent on.
    forward_to: Vec<String>,
    /// The routes that match, and what they would do, as the event would tell it.
    #[schema(value_type = MailEventRouting)]
    routing: posthouse_core::events::Routing,
}

impl From<TrialResult> for InboundRouteTestResult {
    fn from(result: TrialResult) -> Self {
        Self {
            outcome: result.outcome,
            mailbox_id: result.mailbox_id,
            reject_text: result.reject_text,
            forward_to: result.forward_to.iter().map(ToString::to_string).collect(),
            routing: result.routing,
        }
    }
}

/// Test inbound routes
///
/// Which routes match a mail, and what would become of it. Nothing is stored, told or changed.
#[utoipa::path(post, path = "/inbound-routes/test", tag = "mail", request_body = TrialBody,
    security(("api_key" = ["mail:read"])),
    responses((status = 200, description = "What would become of it",
        body = InboundRouteTestResult)))]
async fn test_inbound_routes(
    Create { cx, body }: Create<TrialBody>,
) -> ApiResult<Json<InboundRouteTestResult>> {
    let trial = body.read().map_err(Error::InvalidInput)?;
    Ok(Json(inbound_routes::trial(&cx, trial).await?.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_body_is_read_whatever_is_wrong() {
        crate::extract::survives_wrong_types::<TrialBody>();
    }
}
