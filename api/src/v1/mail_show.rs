//! `/v1/mail/{id}/text`, `/html` and `/headers`: what a reader is shown of a mail.

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use posthouse_core::{id, mails};
use posthouse_mail::{header::Field, html::Remote};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    extract::{Caller, FromParams, Params, PathId, Reader},
    problem::ApiResult,
    state::ApiState,
};

/// A page without scripts, plug-ins, forms and frames; links open elsewhere. It keeps its origin, as
/// else its pictures would not be allowed to load: without scripts nothing in it can use that.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'self'; \
     sandbox allow-same-origin allow-popups \
     allow-popups-to-escape-sandbox";
/// The same, with pictures from elsewhere.
const POLICY_REMOTE: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     img-src 'self' data: http: https:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'self'; sandbox allow-same-origin allow-popups \
     allow-popups-to-escape-sandbox";
const REMOTE_IMAGES: &str = "posthouse-remote-images";

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_mail_text))
        .routes(routes!(get_mail_html))
        .routes(routes!(get_mail_headers))
}

/// Get the text of a mail
///
/// The plain text, at most 1 MiB; of a mail without one, what its HTML says.
#[utoipa::path(get, path = "/mail/{id}/text", tag = "mail", security(("api_key" = ["mail:read"])),
    params(("id" = String, Path, description = "Mail", example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The text", body = String,
        content_type = "text/plain; charset=utf-8")))]
async fn get_mail_text(Caller(cx): Caller, PathId(mail): PathId<id::Mail>) -> ApiResult<Response> {
    let text = mails::text(&cx, mail).await?;
    Ok(page("text/plain; charset=utf-8", POLICY, text))
}

/// How the HTML is wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what HtmlRequest reads")]
struct HtmlParams {
    /// Load images from elsewhere, which tells the sender that the mail was read. Not by default.
    remote_images: Option<bool>,
}

struct HtmlRequest(Remote);

impl FromParams for HtmlRequest {
    fn from_params(reader: &mut Reader) -> Self {
        let load = reader.parsed("remote_images", "true or false").unwrap_or(false);
        Self(if load { Remote::Load } else { Remote::Block })
    }
}

/// Get the HTML of a mail
///
/// A whole page that a browser can show, best in an `iframe`: without scripts, style sheets, forms
/// and frames; links open in a new window and tell nothing of this one. Images that came with the
/// mail (`cid:`) are at `parts/{path}` beside this page; images from elsewhere are left out unless
/// asked for. At most 1 MiB, and less if it nests too deeply. A mail without HTML is shown as text.
/// The answer comes with a Content-Security-Policy that forbids all this once more: keep it when
/// passing the page on.
#[utoipa::path(get, path = "/mail/{id}/html", tag = "mail", security(("api_key" = ["mail:read"])),
    params(("id" = String, Path, description = "Mail", example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa"),
        HtmlParams),
    responses((status = 200, description = "A page", body = String,
        content_type = "text/html; charset=utf-8",
        headers(("Posthouse-Remote-Images" = String,
            description = "`blocked`: some were left out; `none`: there are none to leave out")))))]
async fn get_mail_html(
    Caller(cx): Caller,
    PathId(mail): PathId<id::Mail>,
    Params(HtmlRequest(remote)): Params<HtmlRequest>,
) -> ApiResult<Response> {
    let shown = mails::html(&cx, mail, remote).await?;
    let document = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"referrer\" content=\"no-referrer\"></head><body>{}</body></html>",
        shown.body
    );
    let policy = if remote == Remote::Load { POLICY_REMOTE } else { POLICY };
    let mut response = page("text/html; charset=utf-8", policy, document);
    let images = if shown.blocked > 0 { "blocked" } else { "none" };
    response.headers_mut().insert(REMOTE_IMAGES, HeaderValue::from_static(images));
    Ok(response)
}

fn page(content_type: &'static str, policy: &'static str, body: String) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// A header field.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailHeaderField {
    /// As written.
    #[schema(example = "Subject")]
    name: String,
    /// Unfolded and decoded.
    #[schema(example = "Annual report")]
    value: String,
}

impl From<Field> for MailHeaderField {
    fn from(field: Field) -> Self {
        Self { name: field.name, value: field.value }
    }
}

/// The header of a mail.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MailHeaders {
    /// All fields in order, also several of one name; at most 2,000.
    headers: Vec<MailHeaderField>,
    /// As it came, at most 1 MiB; octets that are no UTF-8 are replaced.
    #[schema(example = "Subject: =?utf-8?q?Annual_report?=\r\n\r\n")]
    raw: String,
    /// There is more than is shown.
    truncated: bool,
}

/// Get the header of a mail
///
/// All header fields, also those that were added when it came in.
#[utoipa::path(get, path = "/mail/{id}/headers", tag = "mail", security(("api_key" = ["mail:read"])),
    params(("id" = String, Path, description = "Mail", example = "mail_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The header", body = MailHeaders)))]
async fn get_mail_headers(
    Caller(cx): Caller,
    PathId(mail): PathId<id::Mail>,
) -> ApiResult<Json<MailHeaders>> {
    let shown = mails::headers(&cx, mail).await?;
    Ok(Json(MailHeaders {
        headers: shown.fields.into_iter().map(Into::into).collect(),
        raw: shown.raw,
        truncated: shown.truncated,
    }))
}
