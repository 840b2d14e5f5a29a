//! A creating request: caller, JSON body and Idempotency-Key together.

use axum::{
    extract::{FromRequest, FromRequestParts as _, Request},
    http::{HeaderMap, request::Parts},
};
use posthouse_core::{Cx, FieldError, IdempotencyKey};
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::{Caller, json};
use crate::{
    problem::{ApiResult, Problem},
    state::ApiState,
};

const HEADER: &str = "idempotency-key";

/// A request to create something.
pub(crate) struct Create<T> {
    /// Who asks, with the idempotency key.
    pub cx: Cx,
    /// What is to be created.
    pub body: T,
}

impl<T: DeserializeOwned + ToSchema + Send + 'static> FromRequest<ApiState> for Create<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> ApiResult<Self> {
        let (mut parts, body) = request.into_parts();
        let Caller(cx) = Caller::from_request_parts(&mut parts, state).await?;
        let bytes = json::read(&parts, body, state).await?;
        let key = idempotency_key(&parts, &bytes)?;
        let body = json::parse_off_reactor(bytes).await?;
        Ok(Self { cx: cx.with_idempotency(key), body })
    }
}

/// The caller's idempotency key, bound to method, path, query and `body`.
pub(crate) fn idempotency_key(parts: &Parts, body: &[u8]) -> ApiResult<Option<IdempotencyKey>> {
    let Some(text) = key_text(&parts.headers)? else {
        return Ok(None);
    };
    let place = parts.uri.path_and_query().map_or("/", |place| place.as_str());
    let place = format!("{} {place}", parts.method);
    Ok(Some(IdempotencyKey::new(text, &place, body)?))
}

fn key_text(headers: &HeaderMap) -> ApiResult<Option<&str>> {
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let fault = || {
        let detail = "Idempotency-Key stands once and has 1 to 255 printable ASCII characters";
        Problem::invalid(vec![FieldError::new("", "invalid_idempotency_key", detail)])
    };
    text.ok_or_else(fault).map(Some)
}
