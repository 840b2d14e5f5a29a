//! `/docs`: the interactive reference, Swagger UI with everything in the binary.
//!
//! Its own page is not used: this one has no inline script, so that a strict policy can forbid them.

use std::{borrow::Cow, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use posthouse_core::Error;
use utoipa_swagger_ui::Config;

use crate::{
    extract::PathText,
    problem::{ApiResult, Problem},
    state::ApiState,
};

const PAGE: &str = include_str!("assets/index.html");
const START: &str = include_str!("assets/start.js");

/// Only what the page needs of what Swagger UI brings along.
const VENDORED: &[&str] = &["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

/// Scripts and styles from here only; the pictures in the style sheet are `data:` addresses.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

pub(crate) fn router() -> Router<ApiState> {
    Router::new()
        .route("/docs", get(page))
        .route("/docs/", get(to_docs))
        .route("/docs/{file}", get(file))
}

/// `/` leads to the reference.
pub(crate) async fn to_docs() -> Redirect {
    Redirect::temporary("/docs")
}

async fn page() -> Response {
    asset("text/html; charset=utf-8", Cow::Borrowed(PAGE.as_bytes()))
}

async fn file(PathText(name): PathText) -> ApiResult<Response> {
    if name == "start.js" {
        return Ok(asset("text/javascript; charset=utf-8", Cow::Borrowed(START.as_bytes())));
    }
    let name = VENDORED.iter().find(|known| **known == name);
    let name = name.ok_or_else(|| Problem::not_found("path"))?;
    let found = utoipa_swagger_ui::serve(name, Arc::new(Config::from("/openapi.json")));
    let found = found.map_err(|error| Error::internal(error.to_string()))?;
    let found = found.ok_or_else(|| Problem::not_found("path"))?;
    Ok(asset(&found.content_type, Cow::Owned(found.bytes.into_owned())))
}

fn asset(content_type: &str, content: Cow<'static, [u8]>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    let body = match content {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    (StatusCode::OK, headers, body).into_response()
}
