//! Changing messages that wait: cancel, hold, release, retry, another time.

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Scope, id, messages,
    queue::{self, Action},
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::output::{Delivery, Message};
use crate::{
    answer::List,
    extract::{Caller, Change, Input, PathId},
    problem::ApiResult,
    v1::fields::{Time, removable},
};

/// Cancel a message
///
/// Deliveries that wait end as `canceled`, without a report to the sender and with the event
/// `delivery.canceled`. Those that have ended stay as they are; 409 if all of them have.
/// A delivery that is being attempted has `pending_action` in the answer: it is done after that,
/// unless the delivery ends with the attempt.
#[utoipa::path(post, path = "/messages/{id}/cancel", tag = "messages",
    security(("api_key" = ["messages:write"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 200, description = "All deliveries, as they are now", body = List<Delivery>)))]
pub(crate) async fn cancel_message(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
) -> ApiResult<Json<List<Delivery>>> {
    Ok(List::whole(queue::change_message(&cx, message, Action::Cancel).await?))
}

/// Hold a message
///
/// Deliveries that wait are not attempted until somebody releases them; event `delivery.held`.
/// A delivery that is being attempted has `pending_action` in the answer: it is done after that,
/// unless the delivery ends with the attempt.
#[utoipa::path(post, path = "/messages/{id}/hold", tag = "messages",
    security(("api_key" = ["messages:write"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 200, description = "All deliveries, as they are now", body = List<Delivery>)))]
pub(crate) async fn hold_message(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
) -> ApiResult<Json<List<Delivery>>> {
    Ok(List::whole(queue::change_message(&cx, message, Action::Hold).await?))
}

/// Release a message
///
/// Deliveries on hold go on when their time has come; event `delivery.released`.
#[utoipa::path(post, path = "/messages/{id}/release", tag = "messages",
    security(("api_key" = ["messages:write"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 200, description = "All deliveries, as they are now", body = List<Delivery>)))]
pub(crate) async fn release_message(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
) -> ApiResult<Json<List<Delivery>>> {
    Ok(List::whole(queue::change_message(&cx, message, Action::Release).await?))
}

/// Retry a message
///
/// The next attempt of deliveries that wait is due now, also the first of scheduled ones. Those on
/// hold stay so. It does not count as an attempt more than would have been made.
#[utoipa::path(post, path = "/messages/{id}/retry", tag = "messages",
    security(("api_key" = ["messages:write"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 200, description = "All deliveries, as they are now", body = List<Delivery>)))]
pub(crate) async fn retry_message(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
) -> ApiResult<Json<List<Delivery>>> {
    Ok(List::whole(queue::change_message(&cx, message, Action::Retry).await?))
}

/// Erase the content of a message
///
/// What the message says is gone for good: `/raw` is 404 from then on. Deliveries, events and
/// subject stay known, and copies in mailboxes stay; 409 while deliveries wait.
#[utoipa::path(delete, path = "/messages/{id}/content", tag = "messages",
    security(("api_key" = ["messages:write"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 204, description = "It is gone")))]
pub(crate) async fn redact_message(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
) -> ApiResult<StatusCode> {
    messages::redact(&cx, message).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A change of a message; what is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MessagePatch, example = json!({"scheduled_at": null}))]
pub(crate) struct MessagePatchBody {
    /// Not before this time, at most 60 days ahead; null: now.
    #[serde(default, deserialize_with = "removable")]
    #[schema(value_type = Option<String>, format = DateTime)]
    #[expect(clippy::option_option, reason = "absent, null and a value are three things")]
    scheduled_at: Option<Option<Time>>,
}

impl Input for MessagePatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::MessagesWrite)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        let at = self.scheduled_at.flatten().map(|time| time.0);
        queue::schedule_faults(cx, at)
    }
}

/// Change a message
///
/// Sets another time for deliveries that were not attempted yet, as `next_attempt_at` of the
/// deliveries tells; 409 if there are none.
#[utoipa::path(patch, path = "/messages/{id}", tag = "messages", request_body = MessagePatchBody,
    security(("api_key" = ["messages:write"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 200, description = "The message", body = Message)))]
pub(crate) async fn update_message(
    Change { cx, id, patch }: Change<id::Message, MessagePatchBody>,
) -> ApiResult<Json<Message>> {
    let message = match patch.scheduled_at {
        Some(at) => queue::schedule_message(&cx, id, at.map(|time| time.0)).await?,
        None => messages::find(&cx, id).await?,
    };
    Ok(Json(message.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_body_is_read_whatever_is_wrong() {
        crate::extract::survives_wrong_types::<MessagePatchBody>();
    }
}
