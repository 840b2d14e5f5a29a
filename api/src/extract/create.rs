//! A creating request: caller, JSON body and Idempotency-Key together.

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts as _, Request},
    http::request::Parts,
};
use posthouse_core::{Cx, FieldError, Id, IdempotencyKey, id::Kind};

use super::{Caller, Input, PathId, json};
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

impl<T: Input> FromRequest<ApiState> for Create<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> ApiResult<Self> {
        let (mut parts, body) = request.into_parts();
        let Caller(cx) = Caller::from_request_parts(&mut parts, state).await?;
        read(cx, &parts, body, state).await
    }
}

/// A request to create something that belongs to the thing in the path.
pub(crate) struct CreateAt<K, T> {
    /// Who asks, with the idempotency key.
    pub cx: Cx,
    /// To what it belongs.
    pub id: Id<K>,
    /// What is to be created.
    pub body: T,
}

impl<K: Kind, T: Input> FromRequest<ApiState> for CreateAt<K, T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> ApiResult<Self> {
        let (mut parts, body) = request.into_parts();
        let Caller(cx) = Caller::from_request_parts(&mut parts, state).await?;
        let PathId(id) = PathId::from_request_parts(&mut parts, state).await?;
        let Create { cx, body } = read(cx, &parts, body, state).await?;
        Ok(Self { cx, id, body })
    }
}

async fn read<T: Input>(
    cx: Cx,
    parts: &Parts,
    body: Body,
    state: &ApiState,
) -> ApiResult<Create<T>> {
    T::require(&cx)?;
    let bytes = json::read(parts, body, state).await?;
    let mut faults = Vec::new();
    let key = idempotency_key(parts, &bytes, &mut faults);
    let body = json::parse_input(&cx, bytes, faults).await?;
    Ok(Create { cx: cx.with_idempotency(key), body })
}

/// The caller's idempotency key, bound to method, path, query and `body`; what is wrong with it is
/// added to `faults`.
pub(crate) fn idempotency_key(
    parts: &Parts,
    body: &[u8],
    faults: &mut Vec<FieldError>,
) -> Option<IdempotencyKey> {
    let mut values = parts.headers.get_all(HEADER).iter();
    let value = values.next()?;
    let place = parts.uri.path_and_query().map_or("/", |place| place.as_str());
    let place = format!("{} {place}", parts.method);
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    let key = text.and_then(|text| IdempotencyKey::new(text, &place, body));
    if key.is_none() {
        let detail = "Idempotency-Key stands once and has 1 to 255 printable ASCII characters";
        faults.push(FieldError::new("", "invalid_idempotency_key", detail));
    }
    key
}
