//! `POST /v1/messages/batch`: many messages in one request.

use axum::Json;
use posthouse_core::{
    Cx, Error, FieldError, Scope,
    messages::{self, Outcome, Refusal},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    draft::{self, Converted, Single},
    input,
    output::Submission,
    send::all_faults,
};
use crate::{
    answer::Replayed,
    extract::{Create, Input, off_reactor, parse_json},
    problem::{ApiResult, Problem, ProblemBody},
};

/// Messages to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MessageBatch, example = json!({"messages": [
    {"from": "Alice <alice@example.test>", "to": ["bob@example.net"], "subject": "Hello Bob",
     "text": "Your number is 1."},
    {"from": "Alice <alice@example.test>", "to": ["carol@example.net"], "subject": "Hello Carol",
     "text": "Your number is 2."},
]}))]
pub(crate) struct MessageBatch {
    /// Each as for `POST /v1/messages`. They are read one by one: what is wrong with one does not
    /// touch the others.
    #[schema(value_type = Vec<input::NewMessage>, min_items = 1, max_items = 500)]
    messages: Vec<Box<RawValue>>,
}

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchResults {
    /// How many were taken for delivery, or could be (`dry_run`).
    #[schema(example = 1)]
    accepted_count: usize,
    /// How many were refused.
    #[schema(example = 1)]
    refused_count: usize,
    /// One for each message, in order.
    data: Vec<BatchResult>,
}

/// What became of one message of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchResult {
    /// The status that `POST /v1/messages` would have had.
    #[schema(example = 202)]
    status: u16,
    /// The message, if it was taken.
    message: Option<Submission>,
    /// Why not, otherwise. Pointers are within the message.
    problem: Option<ProblemBody>,
}

impl Input for MessageBatch {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::Send)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        messages::batch_faults(self.messages.len())
    }
}

/// Send many messages
///
/// Up to 500 messages, each with recipients and content of its own. Each is taken or refused for
/// itself: see the `status` of its result. Those that are taken are stored in one transaction: a
/// request that fails as a whole has sent nothing, and with an `Idempotency-Key` it can be repeated
/// without sending anything twice; then also the refusals are the same.
#[utoipa::path(post, path = "/messages/batch", tag = "messages", request_body = MessageBatch,
    security(("api_key" = ["send"])),
    responses((status = 200, description = "A result for each message", body = BatchResults)))]
pub(crate) async fn send_message_batch(
    Create { cx, body }: Create<MessageBatch>,
) -> ApiResult<(Replayed, Json<BatchResults>)> {
    Error::unless_empty(messages::batch_faults(body.messages.len()))?;
    let octets = body.messages.iter().map(|message| message.get().len()).sum();
    let asked = cx.clone();
    let read = move || Ok(body.messages.into_iter().map(|text| read(&asked, &text)).unzip());
    let (new, singles): (Vec<_>, Vec<_>) = off_reactor(octets, read).await?;
    let created = messages::submit_batch(&cx, new).await?;
    let results = created.value.into_iter().zip(singles);
    let data: Vec<_> = results.map(|(outcome, single)| result(&cx, outcome, &single)).collect();
    let accepted_count = data.iter().filter(|result| result.message.is_some()).count();
    let refused_count = data.len() - accepted_count;
    Ok((Replayed(created.replayed), Json(BatchResults { accepted_count, refused_count, data })))
}

/// Reads one message, or says why it cannot be sent.
fn read(cx: &Cx, text: &RawValue) -> (Result<messages::NewMessage, Refusal>, Single) {
    let parsed = parse_json::<input::NewMessage>(text.get().as_bytes());
    let body = parsed.and_then(|parsed| parsed.whole(Vec::new(), |body| body.faults(cx)));
    let converted = match body {
        Ok(body) => draft::convert(body, Vec::new()),
        Err(problem) => return (Err(problem.into_refusal()), Single::default()),
    };
    if !converted.faults.is_empty() {
        let problem = Problem::invalid(all_faults(cx, converted));
        return (Err(problem.into_refusal()), Single::default());
    }
    let Converted { new, single, .. } = converted;
    (Ok(new), single)
}

fn result(cx: &Cx, outcome: Outcome, single: &Single) -> BatchResult {
    match outcome {
        Outcome::Accepted(submission) => BatchResult {
            status: if submission.dry_run { 200 } else { 202 },
            message: Some((*submission).into()),
            problem: None,
        },
        Outcome::Refused(mut refusal) => {
            for fault in &mut refusal.faults {
                single.fit_pointer(&mut fault.pointer);
            }
            let problem = ProblemBody::of_refusal(refusal, cx.request_id());
            BatchResult { status: problem.status(), message: None, problem: Some(problem) }
        }
    }
}
