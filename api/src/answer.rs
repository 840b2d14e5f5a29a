//! Answers that several operations give.

use std::convert::Infallible;

use axum::{
    Json,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use posthouse_core::{Created, page::Page, version::Versioned};
use serde::Serialize;
use utoipa::ToSchema;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// Always `list`.
    #[schema(value_type = String, example = "list")]
    object: &'static str,
    /// The items, newest first unless the operation says otherwise.
    data: Vec<T>,
    /// There are items after these.
    has_more: bool,
    /// Leads to the items after these: the next request's `cursor`.
    next_cursor: Option<String>,
    /// Leads to the items before these.
    prev_cursor: Option<String>,
}

impl<T> List<T> {
    /// The page as it goes out.
    pub(crate) fn page<U: Into<T>>(page: Page<U>) -> Json<Self> {
        Json(Self {
            object: "list",
            data: page.data.into_iter().map(Into::into).collect(),
            has_more: page.has_more,
            next_cursor: page.next_cursor,
            prev_cursor: page.prev_cursor,
        })
    }

    /// A list that is always given as a whole.
    pub(crate) fn whole<U: Into<T>>(items: impl IntoIterator<Item = U>) -> Json<Self> {
        Json(Self {
            object: "list",
            data: items.into_iter().map(Into::into).collect(),
            has_more: false,
            next_cursor: None,
            prev_cursor: None,
        })
    }
}

/// Whether an earlier request with the same key did it.
pub(crate) struct Replayed(pub bool);

impl IntoResponseParts for Replayed {
    type Error = Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Infallible> {
        if self.0 {
            parts.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        }
        Ok(parts)
    }
}

/// Something that people edit, with its version as `ETag`, for `If-Match`.
pub(crate) struct Edited<T> {
    version: String,
    body: T,
}

impl<T> Edited<T> {
    /// The answer with `found`.
    pub(crate) fn of<U: Versioned + Into<T>>(found: U) -> Self {
        Self { version: found.version(), body: found.into() }
    }
}

impl<T: Serialize> IntoResponse for Edited<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.version)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// Something that was created, or that an earlier request with the same key created.
pub(crate) struct New<T> {
    status: StatusCode,
    location: String,
    replayed: bool,
    body: T,
}

impl<T> New<T> {
    /// 201 with the place where it is now: `collection` and its id.
    pub(crate) fn created<U>(
        created: Created<U>,
        collection: &str,
        convert: impl FnOnce(U) -> (String, T),
    ) -> Self {
        let (id, body) = convert(created.value);
        let location = format!("{collection}/{id}");
        Self { status: StatusCode::CREATED, location, replayed: created.replayed, body }
    }

    /// The same as 202: taken, done later.
    pub(crate) fn accepted(self) -> Self {
        Self { status: StatusCode::ACCEPTED, ..self }
    }

    /// The same as 200 and without a place: shown, not created.
    pub(crate) fn shown(self) -> Self {
        Self { status: StatusCode::OK, location: String::new(), ..self }
    }
}

impl<T: Serialize> IntoResponse for New<T> {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if !self.location.is_empty()
            && let Ok(location) = HeaderValue::from_str(&self.location)
        {
            headers.insert(header::LOCATION, location);
        }
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}
