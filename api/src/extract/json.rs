//! JSON bodies (RFC 8259): all faults at once, each with a JSON pointer (RFC 6901).
//!
//! A body is read straight into its type. Only when that fails, the OpenAPI schema of the type is
//! held against it, which finds every fault of shape instead of the first, and the content is
//! checked as far as it can be read, so that the faults of both come together.

use axum::{body::Body, http::request::Parts};
use bytes::Bytes;
use posthouse_core::{Cx, Error, FieldError};
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use super::{
    Input, Object, body,
    explain::{self, Parsed},
    media_type,
};
use crate::{
    problem::{ApiResult, HttpCode, Problem},
    state::ApiState,
};

/// Most values in one body. A deeper nesting than 128 is refused by the parser.
const MAX_VALUES: usize = 50_000;
/// A body smaller than this cannot have too many values.
const FEW: usize = 2 * MAX_VALUES;
/// A larger body is read on a thread that may block.
const LARGE: usize = 256 * 1024;

/// Reads a body that says it is JSON.
pub(super) async fn read(parts: &Parts, body: Body, state: &ApiState) -> ApiResult<Bytes> {
    read_up_to(parts, body, state, u64::MAX).await
}

/// The same, of at most so many `octets`.
pub(super) async fn read_up_to(
    parts: &Parts,
    body: Body,
    state: &ApiState,
    octets: u64,
) -> ApiResult<Bytes> {
    let kind = media_type(&parts.headers);
    if !matches!(kind.as_deref(), Some("application/json" | "application/merge-patch+json")) {
        let detail = "this operation takes Content-Type: application/json";
        return Err(Problem::http(HttpCode::UnsupportedMediaType, detail));
    }
    body::read_up_to(parts, body, state, octets).await
}

/// Parses the body of a request that has the faults `around`.
pub(super) async fn parse_input<T: Input>(
    cx: &Cx,
    bytes: Bytes,
    around: Vec<FieldError>,
) -> ApiResult<T> {
    let cx = cx.clone();
    off_reactor(bytes.len(), move || {
        let parsed = parse::<T>(&bytes)?;
        drop(bytes);
        parsed.whole(around, |input| input.faults(&cx))
    })
    .await
}

/// Does `work` on a body of so many `octets`; on a large one where that does not hold up other
/// requests.
pub(crate) async fn off_reactor<R: Send + 'static>(
    octets: usize,
    work: impl FnOnce() -> ApiResult<R> + Send + 'static,
) -> ApiResult<R> {
    if octets <= LARGE {
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(Error::internal)?
}

/// Parses a JSON text with an object as `T`.
pub(crate) fn parse<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> ApiResult<Parsed<T>> {
    if bytes.len() > FEW && has_too_many_values(bytes) {
        let detail = format!("a body has at most {MAX_VALUES} values");
        return Err(Problem::invalid(vec![FieldError::new("", "too_many_values", detail)]));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let error = match serde_path_to_error::deserialize(&mut json) {
        Ok(Object(value)) => match json.end() {
            Ok(()) => return Ok(Parsed { value: Some(value), faults: Vec::new() }),
            Err(error) => return Err(explain::unreadable(String::new(), &error)),
        },
        Err(error) => error,
    };
    let pointer = explain::pointer(error.path());
    explain::explain(bytes, explain::fault(pointer, error.inner()))
}

/// Counts commas outside of strings, in one pass.
fn has_too_many_values(bytes: &[u8]) -> bool {
    let mut values = 0_usize;
    let mut rest = bytes;
    while let Some(at) = memchr::memchr2(b',', b'"', rest) {
        let Some((found, after)) = rest.get(at..).and_then(<[u8]>::split_first) else {
            break;
        };
        rest = after;
        if *found == b'"' {
            rest = after_string(rest);
        } else {
            values += 1;
        }
        if values > MAX_VALUES {
            return true;
        }
    }
    false
}

/// What follows the string whose opening quote came just before.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr::memchr2(b'"', b'\\', rest) {
        let is_end = rest.get(at) == Some(&b'"');
        rest = rest.get(at + if is_end { 1 } else { 2 }..).unwrap_or_default();
        if is_end {
            return rest;
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings() {
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES + 1));
        assert!(has_too_many_values(many.as_bytes()));
        let text = format!("[\"{}\"]", ",\\\",".repeat(MAX_VALUES));
        assert!(!has_too_many_values(text.as_bytes()));
        assert!(!has_too_many_values(b"\"\\"));
    }
}
