//! A changing request: caller, id in the path and merge patch (RFC 7396) together.

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use posthouse_core::{Cx, Id, id::Kind};

use super::{Caller, Input, PathId, json};
use crate::{
    problem::{ApiResult, Problem},
    state::ApiState,
};

/// A request to change something.
pub(crate) struct Change<K, T> {
    /// Who asks.
    pub cx: Cx,
    /// What is to be changed.
    pub id: Id<K>,
    /// How.
    pub patch: T,
}

impl<K: Kind, T: Input> FromRequest<ApiState> for Change<K, T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> ApiResult<Self> {
        let (mut parts, body) = request.into_parts();
        let Caller(cx) = Caller::from_request_parts(&mut parts, state).await?;
        let PathId(id) = PathId::from_request_parts(&mut parts, state).await?;
        T::require(&cx)?;
        let bytes = json::read(&parts, body, state).await?;
        let patch = json::parse_input(&cx, bytes, Vec::new()).await?;
        Ok(Self { cx, id, patch })
    }
}
