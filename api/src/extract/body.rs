//! Reading a request body: bounded, and with the right problem for each way to fail. While a large
//! one comes it is on disk; it is in memory only when there is room to work on it.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    body::Body,
    http::{HeaderMap, header, request::Parts},
};
use bytes::Bytes;
use futures_util::StreamExt as _;
use posthouse_core::{
    FieldError,
    room::Share,
    spool::{Arrived, Spool},
};

use crate::{
    problem::{ApiResult, HttpCode, Problem},
    state::ApiState,
};

/// A body is in memory as it came, as values, as the message made from them, and compressed.
const COPIES: u64 = 4;

/// What work on a request's body takes, until the request is answered. Put there by the outermost
/// layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestMemory(Arc<Mutex<Vec<Share>>>);

impl RequestMemory {
    fn keep(&self, share: Share) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(share);
    }
}

/// Reads the whole body, at most as much as the limits say.
pub(crate) async fn read(parts: &Parts, body: Body, state: &ApiState) -> ApiResult<Bytes> {
    read_up_to(parts, body, state, u64::MAX).await
}

/// The same, of at most so many `octets`.
pub(super) async fn read_up_to(
    parts: &Parts,
    body: Body,
    state: &ApiState,
    octets: u64,
) -> ApiResult<Bytes> {
    let limit = u64::try_from(state.limits.body_bytes).unwrap_or(u64::MAX).min(octets);
    let announced = parts.headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut spool = Spool::new(&state.platform);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::unreadable(FieldError::new("", "incomplete", "the body ended too early"))
        })?;
        spool.push(&chunk).await?;
        if spool.len() > limit {
            return Err(too_large(limit));
        }
    }
    let Arrived { bytes, memory } = spool.load(COPIES).await?;
    if let Some(kept) = parts.extensions.get::<RequestMemory>() {
        kept.keep(memory);
    }
    Ok(bytes)
}

fn too_large(limit: u64) -> Problem {
    let detail = format!("a request body has at most {limit} octets");
    Problem::http(HttpCode::BodyTooLarge, detail)
}

/// `type/subtype` of the body in lower case, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = value.split(';').next().unwrap_or_default().trim();
    Some(kind.to_ascii_lowercase())
}
