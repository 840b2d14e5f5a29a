//! `/v1/uploads`: files that messages attach by their id.

use axum::{
    Json,
    extract::{FromRequest, FromRequestParts as _, Request},
    http::{StatusCode, header, request::Parts},
};
use posthouse_core::{
    Cx, FieldError, Id, Scope, id,
    idempotency::Fingerprint,
    time::millis,
    uploads::{self, NewUpload},
};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    answer::New,
    extract::{Caller, PathId, Reader, idempotency_key, media_type, read_body},
    problem::{ApiResult, Problem},
    state::ApiState,
};

/// What programs say when they do not know what they send.
const UNKNOWN: [&str; 2] = ["application/octet-stream", "application/x-www-form-urlencoded"];

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(create_upload)).routes(routes!(get_upload, delete_upload))
}

/// A file that messages can attach.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Upload {
    /// Identifier, for `upload_id` of an attachment.
    #[schema(value_type = String, example = "upl_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Upload>,
    /// Name that messages give it unless they say another.
    #[schema(example = "report.pdf")]
    filename: Option<String>,
    /// Its type.
    #[schema(example = "application/pdf")]
    content_type: String,
    /// Octets.
    #[schema(example = 104_857)]
    size_bytes: i64,
    /// SHA-256 of the octets, in hexadecimal.
    #[schema(example = "185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969")]
    sha256: String,
    /// When it came.
    #[serde(with = "millis")]
    #[schema(value_type = String, format = DateTime)]
    created_at: OffsetDateTime,
    /// Messages can attach it until then.
    #[serde(with = "millis")]
    #[schema(value_type = String, format = DateTime)]
    expires_at: OffsetDateTime,
}

impl From<uploads::Upload> for Upload {
    fn from(upload: uploads::Upload) -> Self {
        Self {
            id: upload.id,
            filename: upload.filename,
            content_type: upload.content_type,
            size_bytes: upload.size_bytes,
            sha256: upload.sha256,
            created_at: upload.created_at,
            expires_at: upload.expires_at,
        }
    }
}

/// What is not in the body.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what UploadRequest reads")]
struct UploadQuery {
    /// Name shown to readers.
    #[param(example = "report.pdf")]
    filename: Option<String>,
}

/// The whole request.
pub(crate) struct UploadRequest {
    cx: Cx,
    new: NewUpload,
}

impl FromRequest<ApiState> for UploadRequest {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> ApiResult<Self> {
        let (mut parts, body) = request.into_parts();
        let Caller(cx) = Caller::from_request_parts(&mut parts, state).await?;
        // Before the upload; the operation asks again.
        cx.require(Scope::Send)?;
        let mut reader = Reader::new(parts.uri.query().unwrap_or_default());
        let filename = reader.text("filename");
        let mut faults = reader.into_faults();
        let content_type = content_type(&parts, &mut faults);
        let content = read_body(&parts, body, state).await?;
        let mut said = Fingerprint::default();
        said.add(content_type.as_deref().map(str::as_bytes));
        said.add(Some(&content));
        let key = idempotency_key(&parts, &said.finish(), &mut faults);
        let new = NewUpload { filename, content_type, content };
        if !faults.is_empty() {
            faults.extend(uploads::faults(&new));
            return Err(Problem::invalid(faults));
        }
        Ok(Self { cx: cx.with_idempotency(key), new })
    }
}

/// The type that the client says, if it says one.
fn content_type(parts: &Parts, faults: &mut Vec<FieldError>) -> Option<String> {
    if UNKNOWN.contains(&media_type(&parts.headers)?.as_str()) {
        return None;
    }
    let text = parts.headers.get(header::CONTENT_TYPE)?.to_str().ok();
    if text.is_none() {
        let detail = "the header field Content-Type has printable ASCII characters only";
        faults.push(FieldError::new("/content_type", "invalid_content_type", detail));
    }
    text.map(str::to_owned)
}

/// Upload a file
///
/// Stores a file that messages can attach by its id, as often as they like, for 24 hours:
/// `"attachments": [{"upload_id": "upl_…"}]`. The body is the file as it is, of any `Content-Type`;
/// for `application/octet-stream`, which says nothing, the type is found out. An account has at most
/// 1,000 uploads with 1 GiB together.
#[utoipa::path(post, path = "/uploads", tag = "messages", params(UploadQuery),
    request_body(content = String, content_type = "application/octet-stream",
        example = "What the file holds"),
    security(("api_key" = ["send"])),
    responses((status = 201, description = "It is stored", body = Upload,
        headers(("Location" = String, description = "Where it is")))))]
pub(crate) async fn create_upload(request: UploadRequest) -> ApiResult<New<Upload>> {
    let created = uploads::create(&request.cx, request.new).await?;
    Ok(New::created(created, "/v1/uploads", |upload| (upload.id.to_string(), upload.into())))
}

/// Get an upload
///
/// What is known of a file, until it expires.
#[utoipa::path(get, path = "/uploads/{id}", tag = "messages", security(("api_key" = ["send"])),
    params(("id" = String, Path, description = "Upload", example = "upl_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 200, description = "The upload", body = Upload)))]
async fn get_upload(
    Caller(cx): Caller,
    PathId(upload): PathId<id::Upload>,
) -> ApiResult<Json<Upload>> {
    Ok(Json(uploads::find(&cx, upload).await?.into()))
}

/// Delete an upload
///
/// Before it expires. Messages that attach it have it already.
#[utoipa::path(delete, path = "/uploads/{id}", tag = "messages", security(("api_key" = ["send"])),
    params(("id" = String, Path, description = "Upload", example = "upl_01k6h3v9x8e7ktq2w5m4n1r0sa")),
    responses((status = 204, description = "It is gone")))]
async fn delete_upload(
    Caller(cx): Caller,
    PathId(upload): PathId<id::Upload>,
) -> ApiResult<StatusCode> {
    uploads::delete(&cx, upload).await?;
    Ok(StatusCode::NO_CONTENT)
}
