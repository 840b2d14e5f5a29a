//! `GET /v1/messages/{id}/content` and `/attachments`: what a message says.

use std::sync::Arc;

use axum::{Json, http::HeaderMap, response::Response};
use posthouse_core::{id, messages};
use posthouse_mail::parse::ParsedMail;
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::{
    answer::List,
    binary::Binary,
    extract::{Caller, PathId, PathText},
    problem::ApiResult,
    v1::mail_shapes::{MailAddress, MailAttachment, addresses},
};

/// What a message says, as its recipients get it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageContent {
    /// Header field Message-ID, with angle brackets.
    message_id: Option<String>,
    /// Subject, decoded.
    #[schema(example = "Welcome")]
    subject: Option<String>,
    /// Header field From.
    from: Vec<MailAddress>,
    /// Header field Sender.
    sender: Vec<MailAddress>,
    /// Header field Reply-To.
    reply_to: Vec<MailAddress>,
    /// Header field To.
    to: Vec<MailAddress>,
    /// Header field Cc.
    cc: Vec<MailAddress>,
    /// Message-IDs of In-Reply-To.
    in_reply_to: Vec<String>,
    /// Message-IDs of References.
    references: Vec<String>,
    /// Header field Date.
    #[serde(with = "posthouse_core::time::millis::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    sent_at: Option<OffsetDateTime>,
    /// First plain text; the beginning of a very large one.
    text: Option<String>,
    /// First HTML, as it is: do not show it without making it harmless.
    html: Option<String>,
    /// Files.
    attachments: Vec<MailAttachment>,
}

impl From<ParsedMail> for MessageContent {
    fn from(parsed: ParsedMail) -> Self {
        let envelope = parsed.envelope;
        Self {
            message_id: envelope.message_id,
            subject: envelope.subject,
            from: addresses(envelope.from),
            sender: addresses(envelope.sender),
            reply_to: addresses(envelope.reply_to),
            to: addresses(envelope.to),
            cc: addresses(envelope.cc),
            in_reply_to: envelope.in_reply_to,
            references: envelope.references,
            sent_at: envelope.date,
            text: parsed.text,
            html: parsed.html,
            attachments: parsed.attachments.into_iter().map(Into::into).collect(),
        }
    }
}

/// Get the content of a message
///
/// Its fields, text and files, as its recipients get them; 404 once it was erased.
#[utoipa::path(get, path = "/messages/{id}/content", tag = "messages",
    security(("api_key" = ["messages:read"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 200, description = "What it says", body = MessageContent)))]
pub(crate) async fn get_message_content(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
) -> ApiResult<Json<MessageContent>> {
    let parsed = messages::content(&cx, message).await?;
    Ok(Json(Arc::unwrap_or_clone(parsed).into()))
}

/// List attachments of a message
///
/// Its files, in their order; always the whole list.
#[utoipa::path(get, path = "/messages/{id}/attachments", tag = "messages",
    security(("api_key" = ["messages:read"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000")),
    responses((status = 200, description = "All files", body = List<MailAttachment>)))]
pub(crate) async fn list_message_attachments(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
) -> ApiResult<Json<List<MailAttachment>>> {
    let parsed = messages::content(&cx, message).await?;
    Ok(List::whole(parsed.attachments.iter().cloned()))
}

/// Download an attachment of a message
///
/// Decoded. Always as a download, never to be shown by a browser.
#[utoipa::path(get, path = "/messages/{id}/attachments/{path}", tag = "messages",
    security(("api_key" = ["messages:read"])),
    params(("id" = String, Path, description = "Message", example = "msg_01k6h3v9x8e7ktq2w5m4n1r000"),
        ("path" = String, Path, description = "`path` of the attachment", example = "2")),
    responses((status = 200, description = "The file", body = Vec<u8>,
        content_type = "application/octet-stream",
        headers(("ETag" = String, description = "For If-None-Match")))))]
pub(crate) async fn download_message_attachment(
    Caller(cx): Caller,
    PathId(message): PathId<id::Message>,
    PathText(path): PathText,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let part = messages::attachment(&cx, message, &path).await?;
    Binary::part(format!("{message}/{path}"), &path, part).answer(&headers)
}
