//! `POST /v1/messages/multipart` (RFC 7578): the JSON of a message in the part `message`, and its
//! files as further parts.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts as _, Multipart, Request, multipart::Field},
    http::request::Parts,
};
use bytes::Bytes;
use posthouse_core::{Cx, FieldError, Scope, idempotency::Fingerprint};
use posthouse_mail::compose::{Disposition, File};
use utoipa::ToSchema;

use super::{
    input::NewMessage,
    output::Submission,
    send::{converted, faults as content_faults, submit},
};
use crate::{
    answer::New,
    extract::{Caller, idempotency_key, media_type, off_reactor, parse_json, read_body},
    problem::{ApiResult, HttpCode, Problem},
    schema,
    state::ApiState,
};

/// Most parts of one request.
const MAX_PARTS: usize = 501;

/// A message and its files.
#[derive(Debug, ToSchema)]
#[schema(as = MultipartMessage)]
#[expect(dead_code, reason = "describes the parts")]
pub(crate) struct MultipartMessage {
    /// The message, as for `POST /v1/messages`.
    message: NewMessage,
    /// Files to attach, after those of the message. The file name and the content type come from
    /// the part; a header field Content-ID puts the file beside the HTML.
    #[schema(value_type = Vec<String>, format = Binary, required = false)]
    files: Option<Vec<Vec<u8>>>,
}

/// The whole request.
pub(crate) struct MultipartRequest {
    cx: Cx,
    message: NewMessage,
    files: Vec<File>,
}

impl FromRequest<ApiState> for MultipartRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> ApiResult<Self> {
        let (mut parts, body) = request.into_parts();
        let Caller(cx) = Caller::from_request_parts(&mut parts, state).await?;
        // Before the upload; the operation asks again.
        cx.require(Scope::Send)?;
        if media_type(&parts.headers).as_deref() != Some("multipart/form-data") {
            let detail = "this operation takes Content-Type: multipart/form-data";
            return Err(Problem::http(HttpCode::UnsupportedMediaType, detail));
        }
        let bytes = read_body(&parts, body, state).await?;
        let Form { message, mut files, fingerprint, mut faults } =
            Form::read(&parts, bytes).await?;
        let key = idempotency_key(&parts, &fingerprint.finish(), &mut faults);
        let Some(message) = message else {
            let detail = "the part message is required";
            faults.push(FieldError::new("/message", "missing_field", detail));
            return Err(Problem::invalid(faults));
        };
        let asked = cx.clone();
        let (message, files) = off_reactor(message.len(), move || {
            let content = |body| content_faults(&asked, body, std::mem::take(&mut files));
            let message = parse_json(&message)?.whole(faults, content)?;
            Ok((message, files))
        })
        .await?;
        Ok(Self { cx: cx.with_idempotency(key), message, files })
    }
}

/// Send a message with files
///
/// Like `POST /v1/messages`, with the files as parts of the form instead of base64: every part
/// with a file name is attached.
#[utoipa::path(post, path = "/messages/multipart", tag = "messages",
    request_body(content = MultipartMessage, content_type = "multipart/form-data"),
    security(("api_key" = ["send"])),
    responses(
        (status = 200, description = "It could be sent; nothing was stored (`dry_run`)",
            body = Submission),
        (status = 202, description = "It was taken for delivery", body = Submission,
            headers(("Location" = String, description = "Where it is")))))]
pub(crate) async fn send_multipart_message(
    request: MultipartRequest,
) -> ApiResult<New<Submission>> {
    let converted = converted(request.message, request.files).await?;
    submit(&request.cx, converted).await
}

#[derive(Default)]
struct Form {
    message: Option<Bytes>,
    files: Vec<File>,
    /// What the request says apart from its boundary, which differs between retries.
    fingerprint: Fingerprint,
    faults: Vec<FieldError>,
}

impl Form {
    async fn read(parts: &Parts, bytes: Bytes) -> ApiResult<Self> {
        let mut request = Request::new(Body::from(bytes));
        request.headers_mut().clone_from(&parts.headers);
        let multipart = Multipart::from_request(request, &()).await;
        let mut multipart = multipart.map_err(|error| unreadable(&error.body_text()))?;
        let mut form = Self::default();
        for _ in 0..MAX_PARTS {
            let next =
                multipart.next_field().await.map_err(|error| unreadable(&error.body_text()))?;
            let Some(field) = next else {
                return Ok(form);
            };
            form.take(field).await?;
        }
        form.faults.push(FieldError::new("", "too_many", "there are too many parts"));
        Ok(form)
    }

    async fn take(&mut self, field: Field<'_>) -> ApiResult<()> {
        let name = field.name().unwrap_or_default().to_owned();
        let filename = field.file_name().map(str::to_owned);
        let content_type = field.content_type().map(str::to_owned);
        let content_id = field.headers().get("content-id");
        let content_id = content_id.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
        let content = field.bytes().await.map_err(|error| unreadable(&error.body_text()))?;
        for text in [Some(&name), filename.as_ref(), content_type.as_ref(), content_id.as_ref()] {
            self.fingerprint.add(text.map(String::as_bytes));
        }
        self.fingerprint.add(Some(&content));
        if name == "message" {
            if self.message.replace(content).is_some() {
                self.fault(&name, "duplicate_field", "the part message stands more than once");
            }
        } else if filename.is_some() {
            let disposition = match content_id {
                Some(_) => Disposition::Inline,
                None => Disposition::Attachment,
            };
            let content = content.into();
            self.files.push(File { filename, content_type, content, content_id, disposition });
        } else {
            let detail = "a part is called message, or has a file name";
            self.fault(&name, "unknown_field", detail);
        }
        Ok(())
    }

    fn fault(&mut self, name: &str, code: &'static str, detail: &str) {
        self.faults.push(FieldError::new(format!("/{}", schema::escape(name)), code, detail));
    }
}

fn unreadable(detail: &str) -> Problem {
    Problem::unreadable(FieldError::new("", "malformed_multipart", detail))
}
