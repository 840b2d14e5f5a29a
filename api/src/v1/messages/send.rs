//! `POST /v1/messages`: a message as JSON.

use posthouse_core::{Cx, Error, FieldError, Scope, messages};
use posthouse_mail::compose::File;

use super::{
    draft::{self, Converted, Single},
    input,
    output::Submission,
};
use crate::{
    answer::New,
    extract::{Create, Input},
    problem::{ApiResult, Problem, with_content},
};

impl Input for input::NewMessage {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::Send)
    }

    fn faults(self, cx: &Cx) -> Vec<FieldError> {
        faults(cx, self, Vec::new())
    }
}

/// Send a message
///
/// Composes a message from its parts, signs it and queues one delivery for each recipient. When
/// the answer comes, the message is stored safely. With `dry_run` it is checked only.
#[utoipa::path(post, path = "/messages", tag = "messages", request_body = input::NewMessage,
    security(("api_key" = ["send"])),
    responses(
        (status = 200, description = "It could be sent; nothing was stored (`dry_run`)",
            body = Submission),
        (status = 202, description = "It was taken for delivery", body = Submission,
            headers(("Location" = String, description = "Where it is")))))]
pub(crate) async fn send_message(
    Create { cx, body }: Create<input::NewMessage>,
) -> ApiResult<New<Submission>> {
    let converted = converted(body, Vec::new()).await?;
    submit(&cx, converted).await
}

/// Converts off the reactor: attachments may be large.
pub(super) async fn converted(body: input::NewMessage, files: Vec<File>) -> ApiResult<Converted> {
    if body.attachments.is_none() && body.alternatives.is_none() {
        return Ok(draft::convert(body, files));
    }
    let job = tokio::task::spawn_blocking(move || draft::convert(body, files));
    Ok(job.await.map_err(Error::internal)?)
}

/// Every fault in the content of a message.
pub(super) fn faults(cx: &Cx, body: input::NewMessage, files: Vec<File>) -> Vec<FieldError> {
    all_faults(cx, draft::convert(body, files))
}

/// Faults of ours and of the core.
pub(super) fn all_faults(cx: &Cx, converted: Converted) -> Vec<FieldError> {
    let Converted { new, faults, single } = converted;
    let more = messages::faults(cx, &new).into_iter().map(|fault| single.fit(fault));
    with_content(faults, more.collect())
}

/// Hands the message to the core, and spells the answer. Faults of ours and of the core are told
/// together; a request without faults of ours goes to the core at once, which knows replays.
pub(super) async fn submit(cx: &Cx, converted: Converted) -> ApiResult<New<Submission>> {
    cx.require(Scope::Send)?;
    if !converted.faults.is_empty() {
        return Err(Problem::invalid(all_faults(cx, converted)));
    }
    let Converted { new, single, .. } = converted;
    let created = messages::submit(cx, new).await.map_err(|error| fitting(error, &single))?;
    let is_real = !created.value.dry_run;
    let answer = New::created(created, "/v1/messages", |submission| {
        (submission.id.to_string(), submission.into())
    });
    Ok(if is_real { answer.accepted() } else { answer.shown() })
}

/// Faults that the core found, with the pointers that fit the request.
pub(super) fn fitting(error: Error, single: &Single) -> Error {
    match error {
        Error::InvalidInput(faults) => {
            Error::InvalidInput(faults.into_iter().map(|fault| single.fit(fault)).collect())
        }
        other => other,
    }
}
