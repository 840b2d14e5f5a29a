//! `POST /v1/messages/validate`: what would go out, without sending it.

use axum::Json;
use posthouse_core::{Cx, messages};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    draft::Converted,
    input,
    output::Submission,
    send::{all_faults, converted, fitting},
};
use crate::{
    extract::Create,
    problem::{ApiResult, Problem},
};

/// A message as it would go out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Validation {
    /// What sending it would answer. Nothing is stored: the ids lead nowhere.
    submission: Submission,
    /// Recipients on the suppression list: they would not be written to.
    #[schema(example = json!(["bob@example.net"]))]
    suppressed: Vec<String>,
    /// It has DKIM signatures, those of this moment: each message gets its own.
    #[schema(example = true)]
    dkim_signed: bool,
    /// The whole message (RFC 5322), with Received, DKIM-Signature and Message-ID as they would be.
    #[schema(
        example = "From: alice@example.test\r\nTo: bob@example.net\r\nSubject: Hi\r\n\r\nHello\r\n"
    )]
    mime: String,
}

/// Check a message
///
/// Does all that sending does: every check, whether the caller may send as the author, rendering of
/// a template, composing and signing. Shows the message that would go out. Nothing is stored,
/// nothing is sent, and there is no event; `Idempotency-Key` has no effect.
#[utoipa::path(post, path = "/messages/validate", tag = "messages",
    request_body = input::NewMessage, security(("api_key" = ["send"])),
    responses((status = 200, description = "It could be sent", body = Validation)))]
pub(crate) async fn validate_message(
    Create { cx, body }: Create<input::NewMessage>,
) -> ApiResult<Json<Validation>> {
    let converted = converted(body, Vec::new()).await?;
    Ok(Json(rehearse(&cx, converted).await?))
}

async fn rehearse(cx: &Cx, converted: Converted) -> ApiResult<Validation> {
    if !converted.faults.is_empty() {
        return Err(Problem::invalid(all_faults(cx, converted)));
    }
    let Converted { new, single, .. } = converted;
    let rehearsal = messages::rehearse(cx, new).await;
    let rehearsal = rehearsal.map_err(|error| fitting(error, &single))?;
    Ok(Validation {
        submission: rehearsal.submission.into(),
        suppressed: rehearsal.suppressed,
        dkim_signed: rehearsal.is_signed,
        mime: String::from_utf8(rehearsal.message)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    })
}
