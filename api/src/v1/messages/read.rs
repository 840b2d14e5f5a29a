//! `GET /v1/messages…`: messages and what became of them.

use std::collections::BTreeMap;

use axum::{Json, http::HeaderMap, response::Response};
use posthouse_core::{
    events, id,
    messages::{self, MessageFilter},
    page::PageRequest,
};
use utoipa::IntoParams;

use super::output::{Delivery, Message};
use crate::{
    answer::List,
    binary::Binary,
    extract::{Caller, FromParams, Params, PathId, Reader},
    problem::ApiResult,
    v1::{deliveries::domain, events::Event, fields::PageParams},
};

/// States of a delivery.
const STATUSES: [&str; 11] = [
    "scheduled",
    "queued",
    "on_hold",
    "deferred",
    "relayed",
    "delivered",
    "expanded",
    "suppressed",
    "failed",
    "canceled",
    "expired",
];

/// Which messages are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what ListRequest reads")]
struct MessageParams {
    /// Header field Message-ID, with or without angle brackets.
    message_id: Option<String>,
    /// Reverse-path.
    from: Option<String>,
    /// Address of a recipient, in any case.
    to: Option<String>,
    /// Domain of a recipient.
    domain: Option<String>,
    /// Stands in the subject, whatever its case.
    subject: Option<String>,
    /// An entry of the metadata, such as `metadata[user]=42`; of several, all must be there.
    #[param(style = DeepObject, explode, value_type = Option<BTreeMap<String, String>>)]
    metadata: Option<BTreeMap<String, String>>,
    /// One of the tags.
    tag: Option<String>,
    /// The stream.
    stream: Option<String>,
    /// Status of one of the deliveries.
    status: Option<String>,
    /// Taken at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
    /// Taken before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<String>,
}

/// Filter and page.
pub(crate) struct ListRequest {
    filter: MessageFilter,
    page: PageRequest,
}

/// The parameter `status`.
pub(in crate::v1) fn status(reader: &mut Reader) -> Option<String> {
    let status = reader.text("status");
    if status.as_deref().is_some_and(|status| !STATUSES.contains(&status)) {
        let detail = format!("expected one of {}", STATUSES.join(", "));
        reader.fault("status", "invalid_value", &detail);
    }
    status
}

impl FromParams for ListRequest {
    fn from_params(reader: &mut Reader) -> Self {
        let status = status(reader);
        let filter = MessageFilter {
            internet_message_id: reader.text("message_id"),
            from: reader.text("from"),
            to: reader.text("to"),
            domain: domain(reader),
            subject: reader.text("subject"),
            metadata: reader.map("metadata"),
            tag: reader.text("tag"),
            stream: reader.text("stream"),
            status,
            since: reader.time("since"),
            until: reader.time("until"),
        };
        Self { filter, page: reader.page() }
    }
}

/// List messages
///
/// Messages of the account, newest first. What is looked up in an index, however many messages there
/// are: `message_id`, `to`, `domain`, `tag`, `metadata`, `stream`, `status`, `since` and `until`. For
/// `from` and `subject` the server goes through the messages: give it a time, too.
#[utoipa::path(get, path = "/messages", tag = "messages", params(MessageParams, PageParams),
    security(("api_key" = ["messages:read"])),
    responses((status = 200, description = "A page of messages", body = List<Message>)))]
pub(crate) async fn list_messages(
    Caller(cx): Caller,
    Params(request): Params<ListRequest>,
) -> ApiResult<Json<List<Message>>> {
    Ok(List::page(messages::list(&cx, &request.filter, &request.page).await?))
}

/// Get a message
///
/// What was sent; the recipients are in `/deliveries`.
#[utoipa::path(get, path = "/messages/{id}", tag = "messages",
    security(("api_key" = ["messages:read"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 200, description = "The message", body = Message)))]
pub(crate) async fn get_message(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
) -> ApiResult<Json<Message>> {
    Ok(Json(messages::find(&cx, message).await?.into()))
}

/// List deliveries of a message
///
/// One for each recipient, in order, with all attempts; always the whole list.
#[utoipa::path(get, path = "/messages/{id}/deliveries", tag = "messages",
    security(("api_key" = ["messages:read"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 200, description = "All deliveries", body = List<Delivery>)))]
pub(crate) async fn list_message_deliveries(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
) -> ApiResult<Json<List<Delivery>>> {
    Ok(List::whole(messages::deliveries(&cx, message).await?))
}

/// List events of a message
///
/// Everything that happened to the message, newest first.
#[utoipa::path(get, path = "/messages/{id}/events", tag = "messages",
    security(("api_key" = ["messages:read"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000"),
        PageParams),
    responses((status = 200, description = "A page of events", body = List<Event>)))]
pub(crate) async fn list_message_events(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
    Params(page): Params<PageRequest>,
) -> ApiResult<Json<List<Event>>> {
    Ok(List::page(events::list_for_message(&cx, message, &page).await?))
}

/// Download a message
///
/// The octets as they go out, as RFC 5322 message.
#[utoipa::path(get, path = "/messages/{id}/raw", tag = "messages",
    security(("api_key" = ["messages:read"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 200, description = "The message", body = String,
        content_type = "message/rfc822",
        headers(("ETag" = String, description = "For If-None-Match")))))]
pub(crate) async fn download_message(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let content = messages::raw(&cx, message).await?;
    let binary = Binary {
        tag: message.to_string(),
        content_type: "message/rfc822".to_owned(),
        filename: format!("{message}.eml"),
        content,
    };
    binary.answer(&headers)
}
