//! `/v1/mail/{id}/redeliver` and `/v1/inbound/parse`: mail that came in, told once more or looked at.

use axum::{
    extract::{FromRequest, FromRequestParts as _, Request},
    http::header,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id, inbound,
    mails::{self, Redelivered, Redelivery},
};
use posthouse_mail::message::normalise_line_ends;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::webhook_shapes::MailDroppedEventData;
use crate::{
    answer::New,
    extract::{Caller, CreateAt, Input, media_type, read_body},
    problem::{ApiResult, HttpCode, Problem},
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(redeliver_mail)).routes(routes!(parse_inbound_message))
}

/// What is to be done once more.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailRedelivery, example = json!({"routes": true}))]
pub(crate) struct RedeliveryBody {
    /// Only this endpoint is told, which must want `mail.received`; by default all that want it.
    #[schema(value_type = Option<String>)]
    webhook_id: Option<Id<id::Webhook>>,
    /// The inbound routes are asked again, and send it on and post it again; false by default. The
    /// mail stays where it is. Needs the scope `send`, too, as far as routes send mail on.
    routes: Option<bool>,
}

impl Input for RedeliveryBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::MailWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        Vec::new()
    }
}

/// A mail that is told of again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RedeliveredMail {
    /// The event `mail.received`.
    #[schema(value_type = String, example = "evt_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    event_id: Id<id::Event>,
    /// The message as which routes send it on.
    #[schema(value_type = Option<String>, example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")]
    forwarded_message_id: Option<Id<id::Message>>,
}

impl From<Redelivered> for RedeliveredMail {
    fn from(done: Redelivered) -> Self {
        Self { event_id: done.event_id, forwarded_message_id: done.forwarded_message_id }
    }
}

/// Deliver a mail again
///
/// Tells of a mail that came in with another event `mail.received`, which has `redelivered: true`:
/// for a receiver that has lost it, or for routes that have changed. With `routes`, the routes of now
/// are asked; what they would refuse or drop stays.
#[utoipa::path(post, path = "/mail/{id}/redeliver", tag = "mail", request_body = RedeliveryBody,
    security(("api_key" = ["mail:write"])),
    params(("id" = String, Path, description = "Mail", example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 202, description = "It is told of again", body = RedeliveredMail,
        headers(("Location" = String, description = "The mail")))))]
async fn redeliver_mail(
    CreateAt { cx, id, body }: CreateAt<id::Mail, RedeliveryBody>,
) -> ApiResult<New<RedeliveredMail>> {
    let wish = Redelivery { webhook: body.webhook_id, routes: body.routes.unwrap_or_default() };
    let done = mails::redeliver(&cx, id, wish).await?;
    Ok(New::created(done, "/v1/mail", |done| (id.to_string(), done.into())).accepted())
}

/// A message to look at.
pub(crate) struct ParseRequest {
    cx: Cx,
    message: Bytes,
}

impl FromRequest<ApiState> for ParseRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> ApiResult<Self> {
        let (mut parts, body) = request.into_parts();
        let Caller(cx) = Caller::from_request_parts(&mut parts, state).await?;
        cx.require(Scope::MailRead)?;
        if media_type(&parts.headers).as_deref() != Some("message/rfc822") {
            let detail = "this operation takes Content-Type: message/rfc822";
            return Err(Problem::http(HttpCode::UnsupportedMediaType, detail));
        }
        let message = read_body(&parts, body, state).await?;
        let message = normalise_line_ends(message.into()).map_err(|error| {
            Problem::invalid(vec![FieldError::new("", "bare_line_end", error.to_string())])
        })?;
        Ok(Self { cx, message: message.into() })
    }
}

/// Parse a message
///
/// What `mail.received` would say of a message (RFC 5322): addresses, text, HTML as it is, header,
/// attachments with their paths. By the same code, and nothing is stored; what only a delivery knows
/// (`envelope`, `tls`, `routing`) is null. A malformed message is no fault: it has what could be
/// understood. Line ends become CR LF first.
#[utoipa::path(post, path = "/inbound/parse", tag = "mail", security(("api_key" = ["mail:read"])),
    request_body(content = String, content_type = "message/rfc822",
        example = "From: bob@example.net\r\nTo: alice@example.test\r\nSubject: Hi\r\n\r\nHello\r\n"),
    responses((status = 200, description = "What it says", body = MailDroppedEventData)))]
async fn parse_inbound_message(request: ParseRequest) -> ApiResult<Response> {
    let told = inbound::parse(&request.cx, request.message).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], told).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_body_is_read_whatever_is_wrong() {
        crate::extract::survives_wrong_types::<RedeliveryBody>();
    }
}
