//! A request that needs no credential: a small JSON body alone.

use axum::extract::{FromRequest, Request};
use posthouse_core::FieldError;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::json;
use crate::{
    problem::{ApiResult, Problem},
    state::ApiState,
};

/// Nobody is to send more who has not said who they are.
const MOST_OCTETS: u64 = 16 * 1024;

/// The JSON body of an operation that is open to everybody.
pub(crate) trait OpenInput: DeserializeOwned + ToSchema + Send + 'static {
    /// Every fault of the content that is known without the database, as of [`super::Input`].
    fn faults(self) -> Vec<FieldError>;
}

/// A request of somebody, with its body.
pub(crate) struct Open<T>(pub T);

impl<T: OpenInput> FromRequest<ApiState> for Open<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> ApiResult<Self> {
        let (parts, body) = request.into_parts();
        let bytes = json::read_up_to(&parts, body, state, MOST_OCTETS).await?;
        json::parse::<T>(&bytes)?.whole(Vec::new(), T::faults).map(Self)
    }
}
