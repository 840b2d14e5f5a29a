//! Parts of the path. What is not an id of the right kind does not exist: 404.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use posthouse_core::{Id, id::Kind};

use crate::{
    problem::{ApiResult, Problem},
    state::ApiState,
};

/// `{id}` in the path.
pub(crate) struct PathId<K>(pub Id<K>);

/// The last parameter of the path, whatever its name.
pub(crate) struct PathText(pub String);

async fn params(parts: &mut Parts, state: &ApiState) -> ApiResult<RawPathParams> {
    let params = RawPathParams::from_request_parts(parts, state).await;
    params.map_err(|_| Problem::not_found("path"))
}

impl<K: Kind> FromRequestParts<ApiState> for PathId<K> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let params = params(parts, state).await?;
        let text = params.iter().find(|(name, _)| *name == "id").map(|(_, value)| value);
        let id = text.and_then(|text| text.parse().ok());
        id.map(Self).ok_or_else(|| Problem::not_found("resource"))
    }
}

impl FromRequestParts<ApiState> for PathText {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> ApiResult<Self> {
        let params = params(parts, state).await?;
        let last = params.iter().last().map(|(_, value)| value.to_owned());
        last.map(Self).ok_or_else(|| Problem::not_found("path"))
    }
}
