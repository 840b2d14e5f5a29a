//! `/v1/mail`: mail in mailboxes.

use axum::{
    Json,
    http::HeaderMap,
    response::{IntoResponse as _, Response},
};
use posthouse_core::{
    id,
    mails::{self, MailFilter},
    page::PageRequest,
};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    fields::PageParams,
    mail_changes::etag,
    mail_shapes::{Mail, MailDetail},
};
use crate::{
    answer::List,
    binary::Binary,
    extract::{Caller, FromParams, Params, PathId, PathText, Reader},
    problem::ApiResult,
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_mail))
        .routes(routes!(get_mail))
        .routes(routes!(download_mail))
        .routes(routes!(download_mail_part))
}

/// Which mails are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what ListRequest reads")]
pub(super) struct MailParams {
    /// In this mailbox, `mbx_…`.
    mailbox_id: Option<String>,
    /// In this conversation, `thr_…`.
    thread_id: Option<String>,
    /// With this Message-ID, with or without angle brackets.
    message_id: Option<String>,
    /// The subject contains this; upper and lower case are the same.
    subject: Option<String>,
    /// An address in From contains this.
    from: Option<String>,
    /// The recipient of the envelope, or an address in To or Cc, contains this.
    to: Option<String>,
    /// Only mail without `\Seen`.
    unseen: Option<bool>,
    /// Came in at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
}

struct ListRequest {
    filter: MailFilter,
    page: PageRequest,
}

/// The filter that query parameters name.
pub(super) fn filter(reader: &mut Reader) -> MailFilter {
    MailFilter {
        mailbox: reader.parsed("mailbox_id", "the id of a mailbox, mbx_…"),
        thread: reader.parsed("thread_id", "the id of a thread, thr_…"),
        internet_message_id: reader.text("message_id"),
        subject: reader.text("subject"),
        from: reader.text("from"),
        to: reader.text("to"),
        unseen: reader.parsed("unseen", "true or false").unwrap_or_default(),
        since: reader.time("since"),
    }
}

impl FromParams for ListRequest {
    fn from_params(reader: &mut Reader) -> Self {
        Self { filter: filter(reader), page: reader.page() }
    }
}

/// List mail
///
/// Mail of the account in all mailboxes, newest first.
#[utoipa::path(get, path = "/mail", tag = "mail", params(MailParams, PageParams),
    security(("api_key" = ["mail:read"])),
    responses((status = 200, description = "A page of mail", body = List<Mail>)))]
async fn list_mail(
    Caller(cx): Caller,
    Params(request): Params<ListRequest>,
) -> ApiResult<Json<List<Mail>>> {
    Ok(List::page(mails::list(&cx, &request.filter, &request.page).await?))
}

/// Get a mail
///
/// With its text. The HTML is as it came, not sanitised: do not show it as it is.
#[utoipa::path(get, path = "/mail/{id}", tag = "mail", security(("api_key" = ["mail:read"])),
    params(("id" = String, Path, description = "Mail", example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The mail", body = MailDetail,
        headers(("ETag" = String, description = "For If-Match")))))]
async fn get_mail(Caller(cx): Caller, PathId(mail): PathId<id::Mail>) -> ApiResult<Response> {
    let found = mails::find(&cx, mail).await?;
    Ok((etag(found.mail.modseq), Json(MailDetail::from(found))).into_response())
}

/// Download a mail
///
/// The octets as they came, as RFC 5322 message.
#[utoipa::path(get, path = "/mail/{id}/raw", tag = "mail", security(("api_key" = ["mail:read"])),
    params(("id" = String, Path, description = "Mail", example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The message", body = String,
        content_type = "message/rfc822", headers(("ETag" = String, description = "For If-None-Match")))))]
async fn download_mail(
    Caller(cx): Caller,
    PathId(mail): PathId<id::Mail>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let content = mails::raw(&cx, mail).await?;
    let binary = Binary {
        tag: mail.to_string(),
        content_type: "message/rfc822".to_owned(),
        filename: format!("{mail}.eml"),
        content,
    };
    binary.answer(&headers)
}

/// Download a part of a mail
///
/// An attachment or another MIME part, decoded. Always as a download, never to be shown by a
/// browser.
#[utoipa::path(get, path = "/mail/{id}/parts/{path}", tag = "mail",
    security(("api_key" = ["mail:read"])),
    params(("id" = String, Path, description = "Mail", example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        ("path" = String, Path, description = "Place in the structure", example = "1.2")),
    responses((status = 200, description = "The part", body = Vec<u8>,
        content_type = "application/octet-stream",
        headers(("ETag" = String, description = "For If-None-Match")))))]
async fn download_mail_part(
    Caller(cx): Caller,
    PathId(mail): PathId<id::Mail>,
    PathText(path): PathText,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let part = mails::part(&cx, mail, &path).await?;
    let binary = Binary {
        // Found parts have paths of digits and dots.
        tag: format!("{mail}/{path}"),
        content_type: part.content_type,
        filename: part.filename.unwrap_or_else(|| format!("part-{path}")),
        content: part.content,
    };
    binary.answer(&headers)
}
