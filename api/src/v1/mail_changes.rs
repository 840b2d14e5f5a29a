//! `/v1/mail`: changing, deleting and adding mail. Many at once are in [`super::mail_bulk`].

use axum::{
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use posthouse_core::{
    Cx, Error, FieldError, Id, Scope, id,
    mails::{self, MailPatch, NewAppend},
};
use posthouse_mail::message::normalise_line_ends;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::fields::present;
use crate::{
    answer::New,
    extract::{
        Caller, Change, FromParams, Input, Params, PathId, Reader, idempotency_key, media_type,
        read_body,
    },
    problem::{ApiResult, HttpCode, Problem, with_content},
    state::ApiState,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(append_mail)).routes(routes!(update_mail, delete_mail))
}

/// Changes of a mail: absent fields stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailPatch, example = json!({"add_flags": ["\\Seen"], "add_keywords": ["todo"]}))]
pub(crate) struct MailPatchBody {
    /// The flags to have, and no others: `\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`,
    /// `$Forwarded`, `$Junk`, `$NotJunk`, `$Phishing`, `$MDNSent`.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    flags: Option<Vec<String>>,
    /// Flags to have in addition.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    add_flags: Option<Vec<String>>,
    /// Flags not to have any more.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    remove_flags: Option<Vec<String>>,
    /// The keywords to have, and no others: 1 to 64 ASCII letters, digits and signs each; upper
    /// and lower case are the same.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    keywords: Option<Vec<String>>,
    /// Keywords to have in addition.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    add_keywords: Option<Vec<String>>,
    /// Keywords not to have any more.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    remove_keywords: Option<Vec<String>>,
    /// The mailbox to be in: moves the mail.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, nullable = false)]
    mailbox_id: Option<Id<id::Mailbox>>,
}

impl From<MailPatchBody> for MailPatch {
    fn from(body: MailPatchBody) -> Self {
        Self {
            flags: body.flags,
            add_flags: body.add_flags.unwrap_or_default(),
            remove_flags: body.remove_flags.unwrap_or_default(),
            keywords: body.keywords,
            add_keywords: body.add_keywords.unwrap_or_default(),
            remove_keywords: body.remove_keywords.unwrap_or_default(),
            mailbox: body.mailbox_id,
        }
    }
}

impl Input for MailPatchBody {
    fn require(cx: &Cx) -> Result<(), Error> {
        cx.require(Scope::MailWrite)
    }

    fn faults(self, _: &Cx) -> Vec<FieldError> {
        MailPatch::from(self).faults()
    }
}

/// What can change of a mail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailState {
    /// Identifier; a move does not change it.
    #[schema(value_type = String, example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Mail>,
    /// Where it is.
    #[schema(value_type = String, example = "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    mailbox_id: Id<id::Mailbox>,
    /// Number within the mailbox; another one after a move.
    uid: i64,
    /// Of the last change; also the `ETag`.
    modseq: i64,
    /// Its conversation.
    #[schema(value_type = String, example = "thr_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    thread_id: Id<id::Thread>,
    /// System flags.
    #[schema(value_type = Vec<String>, example = json!(["\\Seen"]))]
    flags: Vec<&'static str>,
    /// Keywords of the user.
    keywords: Vec<String>,
}

impl From<mails::MailState> for MailState {
    fn from(state: mails::MailState) -> Self {
        Self {
            id: state.id,
            mailbox_id: state.mailbox_id,
            uid: state.uid,
            modseq: state.modseq,
            thread_id: state.thread_id,
            flags: state.flags,
            keywords: state.keywords,
        }
    }
}

/// Header field `If-Match` (RFC 9110 §13.1.1): the states that the caller knows; none: any.
pub(crate) struct IfMatch(Option<Vec<i64>>);

impl FromRequestParts<ApiState> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> ApiResult<Self> {
        Ok(Self(if_match(&parts.headers)))
    }
}

/// Modseqs in the tags; what is none of ours never matches.
fn if_match(headers: &HeaderMap) -> Option<Vec<i64>> {
    let mut fields = headers.get_all(header::IF_MATCH).iter().peekable();
    fields.peek()?;
    let texts = fields.filter_map(|field| field.to_str().ok());
    let tags: Vec<&str> = texts.flat_map(|text| text.split(',')).map(str::trim).collect();
    if tags.contains(&"*") {
        return None;
    }
    let modseq = |tag: &&str| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    Some(tags.iter().filter_map(modseq).collect())
}

/// The `ETag` of a mail in this state.
pub(super) fn etag(modseq: i64) -> [(header::HeaderName, HeaderValue); 1] {
    // Quotes and digits always stand in a header field.
    let tag = HeaderValue::from_str(&format!("\"{modseq}\""));
    [(header::ETAG, tag.unwrap_or_else(|_| HeaderValue::from_static("\"0\"")))]
}

/// Change a mail
///
/// Sets flags and keywords as a whole, or adds and removes single ones, and moves it to another
/// mailbox: all at once. With `If-Match`, only while it still is in the state of that `ETag`, else
/// 412 `precondition_failed`. The event is `mail.updated`; when all is as wanted already, nothing
/// changes and there is none.
#[utoipa::path(patch, path = "/mail/{id}", tag = "mail", request_body = MailPatchBody,
    security(("api_key" = ["mail:write"])),
    params(("id" = String, Path, description = "Mail", example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        ("If-Match" = Option<String>, Header, description = "`ETag` of the state to change")),
    responses((status = 200, description = "The mail as it is now", body = MailState,
        headers(("ETag" = String, description = "For If-Match")))))]
async fn update_mail(
    IfMatch(expected): IfMatch,
    Change { cx, id, patch }: Change<id::Mail, MailPatchBody>,
) -> ApiResult<Response> {
    let state = mails::update(&cx, id, &patch.into(), expected.as_deref()).await?;
    Ok((etag(state.modseq), axum::Json(MailState::from(state))).into_response())
}

/// How to delete.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what DeleteRequest reads")]
struct DeleteParams {
    /// Delete for good, wherever it is; false by default.
    permanent: Option<bool>,
}

struct DeleteRequest {
    permanent: bool,
}

impl FromParams for DeleteRequest {
    fn from_params(reader: &mut Reader) -> Self {
        Self { permanent: reader.parsed("permanent", "true or false").unwrap_or_default() }
    }
}

/// Delete a mail
///
/// Moves it to the mailbox with the role `trash`; what is there already, or with `permanent=true`,
/// is deleted for good. With `If-Match`, only while it still is in the state of that `ETag`.
#[utoipa::path(delete, path = "/mail/{id}", tag = "mail",
    security(("api_key" = ["mail:write"])),
    params(("id" = String, Path, description = "Mail", example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        DeleteParams,
        ("If-Match" = Option<String>, Header, description = "`ETag` of the state to delete")),
    responses((status = 204, description = "It is in the Trash, or gone")))]
async fn delete_mail(
    Caller(cx): Caller,
    PathId(mail): PathId<id::Mail>,
    Params(request): Params<DeleteRequest>,
    IfMatch(expected): IfMatch,
) -> ApiResult<StatusCode> {
    mails::delete(&cx, mail, request.permanent, expected.as_deref()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where and how to put a message.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what AppendParams reads")]
struct AppendQuery {
    /// Where to, `mbx_…`.
    mailbox_id: String,
    /// Flags, separated by commas or each in a parameter of its own.
    #[param(example = "\\Seen,\\Draft")]
    flags: Option<String>,
    /// Keywords, separated by commas or each in a parameter of its own.
    keywords: Option<String>,
    /// When it came in; now by default.
    #[param(value_type = Option<String>, format = DateTime)]
    received_at: Option<String>,
}

struct AppendParams {
    mailbox: Option<Id<id::Mailbox>>,
    flags: Vec<String>,
    keywords: Vec<String>,
    received_at: Option<OffsetDateTime>,
}

impl FromParams for AppendParams {
    fn from_params(reader: &mut Reader) -> Self {
        let mailbox = reader.text("mailbox_id").map(|text| text.parse().ok());
        match mailbox {
            None => reader.fault("mailbox_id", "missing_parameter", "say where to put it"),
            Some(None) => {
                reader.fault("mailbox_id", "invalid_value", "expected the id of a mailbox, mbx_…");
            }
            Some(Some(_)) => {}
        }
        Self {
            mailbox: mailbox.flatten(),
            flags: reader.list("flags"),
            keywords: reader.list("keywords"),
            received_at: reader.time("received_at"),
        }
    }
}

/// The whole request.
pub(crate) struct AppendRequest {
    cx: Cx,
    new: NewAppend,
}

impl FromRequest<ApiState> for AppendRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> ApiResult<Self> {
        let (mut parts, body) = request.into_parts();
        let Caller(cx) = Caller::from_request_parts(&mut parts, state).await?;
        // Before the upload; the operation asks again.
        cx.require(Scope::MailWrite)?;
        let mut reader = Reader::new(parts.uri.query().unwrap_or_default());
        let params = AppendParams::from_params(&mut reader);
        let mut faults = reader.into_faults();
        if media_type(&parts.headers).as_deref() != Some("message/rfc822") {
            let detail = "this operation takes Content-Type: message/rfc822";
            return Err(Problem::http(HttpCode::UnsupportedMediaType, detail));
        }
        let content = read_body(&parts, body, state).await?;
        let key = idempotency_key(&parts, &content, &mut faults);
        let content = match normalise_line_ends(content.into()) {
            Ok(content) => Bytes::from(content),
            Err(error) => {
                faults.push(FieldError::new("", "bare_line_end", error.to_string()));
                Bytes::from_static(b"X: stands in\r\n\r\n")
            }
        };
        let new = NewAppend {
            mailbox: params.mailbox.unwrap_or_else(|| Id::new(state.platform.now())),
            flags: params.flags,
            keywords: params.keywords,
            received_at: params.received_at,
            content,
        };
        if !faults.is_empty() {
            return Err(Problem::invalid(with_content(faults, mails::append_faults(&new))));
        }
        Ok(Self { cx: cx.with_idempotency(key), new })
    }
}

/// A mail that was put into a mailbox.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppendedMail {
    /// Identifier.
    #[schema(value_type = String, example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Mail>,
    /// Where it is.
    #[schema(value_type = String, example = "mbx_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    mailbox_id: Id<id::Mailbox>,
    /// What the uid belongs to.
    uidvalidity: i64,
    /// Number within the mailbox.
    uid: i64,
    /// Of this change.
    modseq: i64,
    /// Its conversation.
    #[schema(value_type = String, example = "thr_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    thread_id: Id<id::Thread>,
    /// Octets.
    size_bytes: i64,
}

impl From<mails::Appended> for AppendedMail {
    fn from(mail: mails::Appended) -> Self {
        Self {
            id: mail.id,
            mailbox_id: mail.mailbox_id,
            uidvalidity: mail.uidvalidity,
            uid: mail.uid,
            modseq: mail.modseq,
            thread_id: mail.thread_id,
            size_bytes: mail.size_bytes,
        }
    }
}

/// Add a mail
///
/// Puts an RFC 5322 message into a mailbox: an import, a draft, a copy from elsewhere. Nothing is
/// sent. Line ends become CR LF, nothing else is touched. The event is `mail.created`. Over the
/// quota of the account it is refused with 507 `quota_exceeded`.
#[utoipa::path(post, path = "/mail", tag = "mail", params(AppendQuery),
    request_body(content = String, content_type = "message/rfc822",
        example = "From: alice@example.test\r\nTo: bob@example.net\r\nSubject: Hi\r\n\r\nHello\r\n"),
    security(("api_key" = ["mail:write"])),
    responses((status = 201, description = "Where it is", body = AppendedMail,
        headers(("Location" = String, description = "Where it is")))))]
async fn append_mail(request: AppendRequest) -> ApiResult<New<AppendedMail>> {
    let created = mails::append(&request.cx, request.new).await?;
    Ok(New::created(created, "/v1/mail", |mail| (mail.id.to_string(), mail.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_name_states() {
        let read = |fields: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(header::IF_MATCH, HeaderValue::from_static(field));
            }
            if_match(&headers)
        };
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["*"]), None);
        assert_eq!(read(&["\"17\""]), Some(vec![17]));
        assert_eq!(read(&["\"17\", \"18\"", "\"19\""]), Some(vec![17, 18, 19]));
        assert_eq!(read(&["W/\"17\""]), Some(vec![]));
        assert_eq!(read(&["17", "\"x\"", ""]), Some(vec![]));
    }
}
