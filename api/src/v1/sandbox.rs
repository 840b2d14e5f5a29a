//! `/v1/sandbox`: what the sandbox did with outgoing mail, and what it is to do wrong. For
//! development and tests.

use std::time::Duration;

use axum::{Json, http::StatusCode};
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    page::PageRequest,
    sandbox::{self, Fault, SandboxFilter},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::PageParams;
use crate::{
    answer::List,
    extract::{Caller, Create, FromParams, Input, Object, Params, Reader},
    problem::{ApiResult, Problem},
    state::ApiState,
};

/// Longest wait of one request.
const MAX_WAIT: u64 = 60;
/// Wait when the caller does not say.
const DEFAULT_WAIT: u64 = 10;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_sandbox_messages, clear_sandbox))
        .routes(routes!(get_sandbox_faults, set_sandbox_faults))
}

pub(crate) fn patient_router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(wait_for_sandbox_message))
}

/// What the sandbox did with one recipient of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SandboxMessage {
    /// The delivery.
    #[schema(value_type = String, example = "dlv_01k6h3v9x8e7ktq2w5m4n1r001")]
    delivery_id: Id<id::Delivery>,
    /// Its message.
    #[schema(value_type = String, example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")]
    message_id: Id<id::Message>,
    /// Number of the attempt, from 1.
    attempt: i16,
    /// Address of the envelope.
    #[schema(example = "bob@example.net")]
    recipient: String,
    /// Subject.
    #[schema(example = "Welcome")]
    subject: String,
    /// `delivered`, `deferred` or `failed`.
    #[schema(example = "delivered")]
    outcome: String,
    /// Code that the sandbox replied with.
    #[schema(example = 250)]
    smtp_code: i16,
    /// Text that the sandbox replied with.
    reply: String,
    /// The stored mail, when it was delivered: see `GET /v1/mail/{id}`.
    #[schema(value_type = Option<String>)]
    mail_id: Option<Id<id::Mail>>,
    /// When.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    at: OffsetDateTime,
}

impl From<sandbox::SandboxMessage> for SandboxMessage {
    fn from(message: sandbox::SandboxMessage) -> Self {
        Self {
            delivery_id: message.delivery_id,
            message_id: message.message_id,
            attempt: message.attempt,
            recipient: message.recipient,
            subject: message.subject,
            outcome: message.outcome,
            smtp_code: message.smtp_code,
            reply: message.reply,
            mail_id: message.mail_id,
            at: message.at,
        }
    }
}

/// Something that goes wrong in the sandbox.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SandboxFault, example = json!({
    "recipient": "*@example.net", "smtp_code": 451, "enhanced_code": "4.7.1", "attempts": 1,
}))]
pub(crate) struct FaultBody {
    /// Pattern of recipients that it happens to, `*` for any characters, in any case; absent: all.
    recipient: Option<String>,
    /// Code that the recipient is refused with; absent: the server is only slow.
    #[schema(minimum = 400, maximum = 599)]
    smtp_code: Option<u16>,
    /// Enhanced status code, of the class of `smtp_code`.
    enhanced_code: Option<String>,
    /// Text of the reply.
    reply: Option<String>,
    /// How long the server takes; at most an hour.
    #[schema(maximum = 3600)]
    delay_seconds: Option<u32>,
    /// Happens in the first so many attempts of a delivery only, as with greylisting.
    #[schema(minimum = 1)]
    attempts: Option<u16>,
    /// Happens to so many of a hundred; absent: to all.
    #[schema(minimum = 1, maximum = 100)]
    percent: Option<u8>,
}

impl From<FaultBody> for Fault {
    fn from(body: FaultBody) -> Self {
        Self {
            recipient: body.recipient,
            smtp_code: body.smtp_code,
            enhanced_code: body.enhanced_code,
            reply: body.reply,
            delay_seconds: body.delay_seconds,
            attempts: body.attempts,
            percent: body.percent,
        }
    }
}

impl From<Fault> for FaultBody {
    fn from(fault: Fault) -> Self {
        Self {
            recipient: fault.recipient,
            smtp_code: fault.smtp_code,
            enhanced_code: fault.enhanced_code,
            reply: fault.reply,
            delay_seconds: fault.delay_seconds,
            attempts: fault.attempts,
            percent: fault.percent,
        }
    }
}

/// What goes wrong in the sandbox of an account.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SandboxFaults, example = json!({"faults": [
    {"recipient": "*@example.net", "smtp_code": 451, "enhanced_code": "4.7.1", "attempts": 1},
    {"delay_seconds": 30, "percent": 10},
]}))]
pub(crate) struct FaultsBody {
    /// In the order in which they are tried; the first that fits an attempt happens. At most 50.
    #[schema(value_type = Vec<FaultBody>)]
    faults: Vec<Object<FaultBody>>,
}

impl From<FaultsBody> for Vec<Fault> {
    fn from(body: FaultsBody) -> Self {
        body.faults.into_iter().map(|Object(fault)| fault.into()).collect()
    }
}

impl From<Vec<Fault>> for FaultsBody {
    fn from(faults: Vec<Fault>) -> Self {
        Self { faults: faults.into_iter().map(|fault| Object(fault.into())).collect() }
    }
}

impl Input for FaultsBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::MessagesWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        sandbox::fault_faults(&Vec::from(self))
    }
}

/// Which messages are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what the readers read")]
struct SandboxParams {
    /// Address of the recipient.
    recipient: Option<String>,
    /// Subject.
    subject: Option<String>,
    /// `delivered`, `deferred` or `failed`.
    outcome: Option<String>,
    /// Of this message.
    message_id: Option<String>,
}

/// How long to wait.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what WaitRequest reads")]
struct WaitParams {
    /// At most this long, 0 to 60; 10 by default.
    #[param(maximum = 60)]
    timeout_seconds: Option<u64>,
}

fn filter(reader: &mut Reader) -> SandboxFilter {
    let outcome = reader.text("outcome");
    if outcome.as_deref().is_some_and(|name| !["delivered", "deferred", "failed"].contains(&name)) {
        reader.fault("outcome", "invalid_value", "expected delivered, deferred or failed");
    }
    SandboxFilter {
        recipient: reader.text("recipient"),
        subject: reader.text("subject"),
        outcome,
        message: reader.parsed("message_id", "the id of a message, msg_…"),
    }
}

struct ListRequest {
    filter: SandboxFilter,
    page: PageRequest,
}

impl FromParams for ListRequest {
    fn from_params(reader: &mut Reader) -> Self {
        Self { filter: filter(reader), page: reader.page() }
    }
}

struct WaitRequest {
    filter: SandboxFilter,
    timeout: Duration,
}

impl FromParams for WaitRequest {
    fn from_params(reader: &mut Reader) -> Self {
        let filter = filter(reader);
        let seconds = reader.parsed("timeout_seconds", "a number from 0 to 60");
        if seconds.is_some_and(|seconds| seconds > MAX_WAIT) {
            reader.fault("timeout_seconds", "out_of_range", "expected a number from 0 to 60");
        }
        Self { filter, timeout: Duration::from_secs(seconds.unwrap_or(DEFAULT_WAIT)) }
    }
}

/// List sandbox messages
///
/// What the sandbox did with outgoing mail of the account, newest first.
#[utoipa::path(get, path = "/sandbox/messages", tag = "sandbox",
    params(SandboxParams, PageParams), security(("api_key" = ["messages:read"])),
    responses((status = 200, description = "A page of results", body = List<SandboxMessage>)))]
async fn list_sandbox_messages(
    Caller(cx): Caller,
    Params(request): Params<ListRequest>,
) -> ApiResult<Json<List<SandboxMessage>>> {
    Ok(List::page(sandbox::list(&cx, &request.filter, &request.page).await?))
}

/// Wait for a sandbox message
///
/// The newest one that fits, at once if there is one, else as soon as it comes. When the time is
/// over without one, the answer is 404 with the code `not_found`.
#[utoipa::path(get, path = "/v1/sandbox/messages/wait", tag = "sandbox",
    params(SandboxParams, WaitParams), security(("api_key" = ["messages:read"])),
    responses((status = 200, description = "The message", body = SandboxMessage)))]
async fn wait_for_sandbox_message(
    Caller(cx): Caller,
    Params(request): Params<WaitRequest>,
) -> ApiResult<Json<SandboxMessage>> {
    let found = sandbox::wait(&cx, &request.filter, request.timeout).await?;
    let found = found.ok_or_else(|| Problem::not_found("sandbox message yet"))?;
    Ok(Json(found.into()))
}

/// Clear the sandbox
///
/// Forgets what the sandbox did for this account. Stored mail stays.
#[utoipa::path(delete, path = "/sandbox/messages", tag = "sandbox",
    security(("api_key" = ["messages:write"])),
    responses((status = 204, description = "It is empty")))]
async fn clear_sandbox(Caller(cx): Caller) -> ApiResult<StatusCode> {
    sandbox::clear(&cx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Get the faults of the sandbox
///
/// What goes wrong there, beside what the names of recipients ask for.
#[utoipa::path(get, path = "/sandbox/faults", tag = "sandbox",
    security(("api_key" = ["messages:read"])),
    responses((status = 200, description = "The faults", body = FaultsBody)))]
async fn get_sandbox_faults(Caller(cx): Caller) -> ApiResult<Json<FaultsBody>> {
    Ok(Json(sandbox::faults(&cx).await?.into()))
}

/// Set the faults of the sandbox
///
/// Replaces them all; an empty list ends them. They hold for each attempt that begins after the
/// answer, in the sandbox of this account only, and come before what a recipient's name asks for.
#[utoipa::path(put, path = "/sandbox/faults", tag = "sandbox",
    request_body = FaultsBody, security(("api_key" = ["messages:write"])),
    responses((status = 200, description = "The faults", body = FaultsBody)))]
async fn set_sandbox_faults(
    Create { cx, body }: Create<FaultsBody>,
) -> ApiResult<Json<FaultsBody>> {
    Ok(Json(sandbox::set_faults(&cx, body.into()).await?.into()))
}
