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
    /// A search as in a mail program, as told above.
    #[param(example = "from:bob has:attachment after:2026-01-31")]
    q: Option<String>,
    /// Subject, addresses, names of files or text have these words. Here and in `subject`, `from`
    /// and `to`: all of the words, without regard to case and accents; what is in quotes stands
    /// together; a word that ends in `*` is the beginning of one.
    text: Option<String>,
    /// The subject has these words.
    subject: Option<String>,
    /// A name or address in From or Sender has these words: `bob`, `bob@example.net`,
    /// `@example.net`.
    from: Option<String>,
    /// The recipient of the envelope, or a name or address in To, Cc or Bcc, has these words.
    to: Option<String>,
    /// With or without attachments.
    has_attachment: Option<bool>,
    /// With this system flag, such as `\Flagged`; several are separated by commas.
    flag: Option<Vec<String>>,
    /// Without this system flag.
    not_flag: Option<Vec<String>>,
    /// With this keyword.
    keyword: Option<Vec<String>>,
    /// Without this keyword.
    not_keyword: Option<Vec<String>>,
    /// Only mail without `\Seen`.
    unseen: Option<bool>,
    /// At least so many octets.
    min_size_bytes: Option<u64>,
    /// At most so many octets.
    max_size_bytes: Option<u64>,
    /// Came in at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
    /// Came in before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<String>,
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
        query: reader.text("q"),
        text: reader.text("text"),
        subject: reader.text("subject"),
        from: reader.text("from"),
        to: reader.text("to"),
        has_attachment: reader.parsed("has_attachment", "true or false"),
        flags: reader.list("flag"),
        not_flags: reader.list("not_flag"),
        keywords: reader.list("keyword"),
        not_keywords: reader.list("not_keyword"),
        unseen: reader.parsed("unseen", "true or false").unwrap_or_default(),
        min_size_bytes: reader.parsed("min_size_bytes", "a number of octets"),
        max_size_bytes: reader.parsed("max_size_bytes", "a number of octets"),
        since: reader.time("since"),
        until: reader.time("until"),
    }
}

impl FromParams for ListRequest {
    fn from_params(reader: &mut Reader) -> Self {
        Self { filter: filter(reader), page: reader.page() }
    }
}

/// List mail
///
/// Mail of the account in all mailboxes, newest first. All given filters must fit.
///
/// A search (`q`) has words, which may stand anywhere: in the subject, addresses, names of files or
/// the text. Case and accents do not matter; in scripts without spaces any part of a word is found.
/// `"two words"` stand together, `invoi*` is the beginning of a word, `-word` must not be there,
/// `this OR that`, `(…)`. In one field: `subject:`, `from:`, `to:`, `cc:`, `filename:`. Of a kind:
/// `has:attachment`, `has:pdf` (`image`, `archive`, `spreadsheet`, `document`, `presentation`,
/// `video`, `audio`), `is:list`, `is:automated`, `is:bounce`. Beside these, but not within `OR`:
/// `is:unread` (`read`, `starred`, `answered`, `draft`, `forwarded`, `deleted`, `junk`),
/// `in:` a mailbox or role, `keyword:`, `after:2026-01-31`, `before:`, `newer_than:7d`,
/// `older_than:` (`d`, `w`, `m`, `y`), `larger:5M`, `smaller:`. What is no operator is a word. Of a
/// mail, the first 8,000 words are looked at.
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
    Binary::part(format!("{mail}/{path}"), &path, part).answer(&headers)
}
