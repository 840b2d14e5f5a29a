//! Reading a request body: bounded, and with the right problem for each way to fail.

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use posthouse_core::FieldError;

use crate::problem::{ApiResult, HttpCode, Problem};

/// Memory that is set aside before anything has come.
const FIRST_ROOM: usize = 256 * 1024;

/// Reads the whole body, at most `limit` octets.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> ApiResult<Bytes> {
    let announced = headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large(limit));
    }
    let mut whole = BytesMut::with_capacity(announced.unwrap_or(0).min(FIRST_ROOM));
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::unreadable(FieldError::new("", "incomplete", "the body ended too early"))
        })?;
        if whole.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("a request body has at most {limit} octets");
    Problem::http(HttpCode::BodyTooLarge, detail)
}

/// `type/subtype` of the body in lower case, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let kind = value.split(';').next().unwrap_or_default().trim();
    Some(kind.to_ascii_lowercase())
}
