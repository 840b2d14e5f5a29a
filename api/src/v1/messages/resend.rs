//! `POST /v1/messages/{id}/resend`: the same message once more.

use posthouse_core::{Cx, Error, FieldError, Scope, id, messages};
use posthouse_mail::address::Address;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{address::AddressesInput, output::Submission};
use crate::{
    answer::New,
    extract::{Create, Input, PathId},
    problem::{ApiResult, Problem},
};

/// How to send a message again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"to": ["bob@example.net"]}))]
pub(crate) struct Resend {
    /// Recipients of the envelope, instead of those of the message; its header stays as it is.
    to: Option<AddressesInput>,
}

impl Resend {
    fn read(&self) -> (Option<Vec<Address>>, Vec<FieldError>) {
        let mut faults = Vec::new();
        let Some(to) = &self.to else { return (None, faults) };
        let mut recipients = Vec::new();
        for (pointer, address) in to.with_pointers("/to") {
            match address.read(&pointer) {
                Ok(named) => recipients.push(named.address),
                Err(fault) => faults.push(fault),
            }
        }
        (Some(recipients), faults)
    }
}

impl Input for Resend {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::Send)?;
        cx.require(Scope::MessagesRead)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        self.read().1
    }
}

/// Send a message again
///
/// Sends the same content, signed anew, as a message of its own with deliveries of its own: to the
/// recipients of the message, or to others. 404 if the content was erased.
#[utoipa::path(post, path = "/messages/{id}/resend", tag = "messages", request_body = Resend,
    security(("api_key" = ["send", "messages:read"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 202, description = "It was taken for delivery", body = Submission,
        headers(("Location" = String, description = "Where it is")))))]
pub(crate) async fn resend_message(
    PathId(message): PathId<id::Message>,
    Create { cx, body }: Create<Resend>,
) -> ApiResult<New<Submission>> {
    let (recipients, faults) = body.read();
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    let created = messages::resend(&cx, message, recipients).await?;
    let answer = New::created(created, "/v1/messages", |submission| {
        (submission.id.to_string(), submission.into())
    });
    Ok(answer.accepted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_body_is_read_whatever_is_wrong() {
        crate::extract::survives_wrong_types::<Resend>();
    }
}
