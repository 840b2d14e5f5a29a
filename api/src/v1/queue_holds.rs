//! `/v1/queue/holds`: rules that hold deliveries.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    page::PageRequest,
    queue::{self, HoldMatch, HoldPatch, NewHold, QueueScope},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::{PageParams, Time, present, removable},
    queue::{QueueFilter, scope},
    suppression_shapes::address,
};
use crate::{
    answer::{Edited, List, New},
    extract::{Caller, Change, Create, FromParams, Input, Params, PathId, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_holds, create_hold)).routes(routes!(
        get_hold,
        change_hold,
        delete_hold
    ))
}

/// A rule that holds deliveries: those that match everything that is given.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Hold {
    /// Identifier.
    #[schema(value_type = String, example = "hld_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Hold>,
    /// Whose deliveries it holds; null: those of all accounts.
    #[schema(value_type = Option<String>, example = "acc_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    account_id: Option<Id<id::Account>>,
    /// With this reverse-path.
    sender: Option<String>,
    /// To this address.
    recipient: Option<String>,
    /// With a reverse-path in this domain.
    sender_domain: Option<String>,
    /// To an address in this domain.
    #[schema(example = "example.net")]
    recipient_domain: Option<String>,
    /// Why, for people; also in the events.
    #[schema(example = "they move their servers")]
    reason: String,
    /// From then on it holds nothing new; null: until it is deleted.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<OffsetDateTime>,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
}

impl From<queue::Hold> for Hold {
    fn from(hold: queue::Hold) -> Self {
        Self {
            id: hold.id,
            account_id: hold.account_id,
            sender: hold.matches.sender,
            recipient: hold.matches.recipient,
            sender_domain: hold.matches.sender_domain,
            recipient_domain: hold.matches.recipient_domain,
            reason: hold.reason,
            expires_at: hold.expires_at,
            created_at: hold.created_at,
        }
    }
}

/// A rule to be made. Without any address and domain it holds everything.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewHold, example = json!({
    "recipient_domain": "example.net", "reason": "they move their servers",
}))]
pub(crate) struct NewHoldBody {
    /// `account` for deliveries of the caller's account, or `all` for those of all accounts, which
    /// needs `admin:write`; `account` by default.
    scope: Option<String>,
    /// With this reverse-path.
    sender: Option<String>,
    /// To this address.
    recipient: Option<String>,
    /// With a reverse-path in this domain.
    sender_domain: Option<String>,
    /// To an address in this domain.
    recipient_domain: Option<String>,
    /// Why, for people; at most 500 characters.
    reason: Option<String>,
    /// From then on it holds nothing new.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Time>,
}

impl NewHoldBody {
    fn read(self) -> (NewHold, Vec<FieldError>) {
        let mut faults = Vec::new();
        let matches = HoldMatch {
            sender: lower(self.sender.as_deref(), "/sender", &mut faults),
            recipient: lower(self.recipient.as_deref(), "/recipient", &mut faults),
            sender_domain: domain(self.sender_domain.as_deref(), "/sender_domain", &mut faults),
            recipient_domain: domain(
                self.recipient_domain.as_deref(),
                "/recipient_domain",
                &mut faults,
            ),
        };
        let scope = read_scope(self.scope.as_deref(), "/scope", &mut faults);
        let reason = self.reason.unwrap_or_default();
        let expires_at = self.expires_at.map(|time| time.0);
        (NewHold { scope, matches, reason, expires_at }, faults)
    }
}

/// Whose deliveries are meant.
pub(super) fn read_scope(
    text: Option<&str>,
    pointer: &str,
    faults: &mut Vec<FieldError>,
) -> QueueScope {
    match text {
        None | Some("account") => QueueScope::Account,
        Some("all") => QueueScope::All,
        Some(_) => {
            faults.push(FieldError::new(pointer, "invalid_value", "expected account or all"));
            QueueScope::Account
        }
    }
}

/// An address in lower case.
pub(super) fn lower(
    text: Option<&str>,
    pointer: &str,
    faults: &mut Vec<FieldError>,
) -> Option<String> {
    let read = address(text?, pointer).map_err(|fault| faults.push(fault)).ok()?;
    Some(read.to_string().to_lowercase())
}

/// A domain in A-label form.
pub(super) fn domain(
    text: Option<&str>,
    pointer: &str,
    faults: &mut Vec<FieldError>,
) -> Option<String> {
    let read = posthouse_mail::domain::normalise(text?);
    let fault = |error: posthouse_mail::domain::DomainError| {
        faults.push(FieldError::new(pointer, "invalid_domain", error.to_string()));
    };
    read.map_err(fault).ok()
}

impl Input for NewHoldBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::QueueWrite)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        let (new, mut faults) = self.read();
        faults.extend(queue::hold_faults(cx, &new));
        faults
    }
}

/// Changes of a rule (RFC 7396): absent fields stay. What it holds never changes: make another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HoldPatch, example = json!({"reason": "until Monday", "expires_at": null}))]
pub(crate) struct HoldPatchBody {
    /// Why, for people; at most 500 characters.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// From then on it holds nothing new; null: until it is deleted.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>, format = DateTime)]
    #[expect(clippy::option_option, reason = "absent, null and a time are three things")]
    expires_at: Option<Option<Time>>,
}

impl From<HoldPatchBody> for HoldPatch {
    fn from(body: HoldPatchBody) -> Self {
        let expires_at = body.expires_at.map(|end| end.map(|time| time.0));
        Self { reason: body.reason, expires_at }
    }
}

impl Input for HoldPatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::QueueWrite)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        queue::hold_change_faults(cx, &self.into())
    }
}

/// Whose rules, and which of them.
struct ListParams {
    scope: QueueScope,
    page: PageRequest,
}

impl FromParams for ListParams {
    fn from_params(reader: &mut Reader) -> Self {
        Self { scope: scope(reader), page: reader.page() }
    }
}

/// List hold rules
///
/// Rules of the account, newest first, also those that have expired.
#[utoipa::path(get, path = "/queue/holds", tag = "queue", params(QueueFilter, PageParams),
    security(("api_key" = ["queue:read"])),
    responses((status = 200, description = "A page of rules", body = List<Hold>)))]
async fn list_holds(
    Caller(cx): Caller,
    Params(params): Params<ListParams>,
) -> ApiResult<Json<List<Hold>>> {
    Ok(List::page(queue::list_holds(&cx, params.scope, &params.page).await?))
}

/// Create a hold rule
///
/// Deliveries that match everything that is given are on hold until somebody releases them: every
/// new one from now on, and soon also those that wait. Event `delivery.held` for each. Deleting the
/// rule, or its end, releases nothing.
#[utoipa::path(post, path = "/queue/holds", tag = "queue", request_body = NewHoldBody,
    security(("api_key" = ["queue:write"])),
    responses((status = 201, description = "The rule", body = Hold,
        headers(("Location" = String, description = "Where it is")))))]
async fn create_hold(Create { cx, body }: Create<NewHoldBody>) -> ApiResult<New<Hold>> {
    let (new, faults) = body.read();
    if !faults.is_empty() {
        let more = queue::hold_faults(&cx, &new);
        return Err(Error::InvalidInput(faults.into_iter().chain(more).collect()).into());
    }
    let created = queue::create_hold(&cx, new).await?;
    Ok(New::created(created, "/v1/queue/holds", |made| (made.id.to_string(), made.into())))
}

/// Get a hold rule
///
/// One rule of the account; administrators see all.
#[utoipa::path(get, path = "/queue/holds/{id}", tag = "queue",
    security(("api_key" = ["queue:read"])),
    params(("id" = String, Path, description = "Rule", example = "hld_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The rule", body = Hold)))]
async fn get_hold(Caller(cx): Caller, PathId(hold): PathId<id::Hold>) -> ApiResult<Edited<Hold>> {
    Ok(Edited::of(queue::find_hold(&cx, hold).await?))
}

/// Change a hold rule
///
/// A JSON merge patch: absent fields stay as they are. A rule that had expired and gets a later end
/// holds also what waits now, as a new one does.
#[utoipa::path(patch, path = "/queue/holds/{id}", tag = "queue", request_body = HoldPatchBody,
    security(("api_key" = ["queue:write"])),
    params(("id" = String, Path, description = "Rule", example = "hld_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The rule as it is now", body = Hold)))]
async fn change_hold(
    Change { cx, id, patch }: Change<id::Hold, HoldPatchBody>,
) -> ApiResult<Edited<Hold>> {
    Ok(Edited::of(queue::change_hold(&cx, id, patch.into()).await?))
}

/// Delete a hold rule
///
/// It holds nothing new. What it holds stays on hold until it is released.
#[utoipa::path(delete, path = "/queue/holds/{id}", tag = "queue",
    security(("api_key" = ["queue:write"])),
    params(("id" = String, Path, description = "Rule", example = "hld_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_hold(Caller(cx): Caller, PathId(hold): PathId<id::Hold>) -> ApiResult<StatusCode> {
    queue::delete_hold(&cx, hold).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_body_is_read_whatever_is_wrong() {
        crate::extract::survives_wrong_types::<NewHoldBody>();
        crate::extract::survives_wrong_types::<HoldPatchBody>();
    }
}
