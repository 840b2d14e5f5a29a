//! JSON bodies (RFC 8259): all faults of shape at once, each with a JSON pointer (RFC 6901).
//!
//! A body is read straight into its type. Only when that fails, the OpenAPI schema of the type is
//! held against it, which finds every fault instead of the first.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::request::Parts,
};
use bytes::Bytes;
use posthouse_core::{Error, FieldError};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_path_to_error::{Path, Segment};
use utoipa::ToSchema;

use super::{body, media_type};
use crate::{
    problem::{ApiResult, HttpCode, Problem},
    schema,
    state::ApiState,
};

/// Most values in one body. A deeper nesting than 128 is refused by the parser.
const MAX_VALUES: usize = 50_000;
/// A body smaller than this cannot have too many values.
const FEW: usize = 2 * MAX_VALUES;
/// A larger body is read on a thread that may block.
const LARGE: usize = 256 * 1024;
/// In a larger body only the first fault is told.
const MAX_EXPLAINED: usize = 4 * 1024 * 1024;

/// A JSON body.
pub(crate) struct Json<T>(pub T);

impl<T: DeserializeOwned + ToSchema + Send + 'static> FromRequest<ApiState> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> ApiResult<Self> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts, body, state).await?;
        Ok(Self(parse_off_reactor(bytes).await?))
    }
}

/// Reads a body that says it is JSON.
pub(super) async fn read(parts: &Parts, body: Body, state: &ApiState) -> ApiResult<Bytes> {
    let kind = media_type(&parts.headers);
    if !matches!(kind.as_deref(), Some("application/json" | "application/merge-patch+json")) {
        let detail = "this operation takes Content-Type: application/json";
        return Err(Problem::http(HttpCode::UnsupportedMediaType, detail));
    }
    body::read(parts, body, state).await
}

/// Parses; large bodies where that does not hold up other requests.
pub(super) async fn parse_off_reactor<T>(bytes: Bytes) -> ApiResult<T>
where
    T: DeserializeOwned + ToSchema + Send + 'static,
{
    if bytes.len() <= LARGE {
        return parse(&bytes);
    }
    let job = tokio::task::spawn_blocking(move || parse(&bytes));
    job.await.map_err(Error::internal)?
}

/// Parses a JSON text as `T`.
pub(crate) fn parse<T: DeserializeOwned + ToSchema>(bytes: &[u8]) -> ApiResult<T> {
    if bytes.len() > FEW && has_too_many_values(bytes) {
        let detail = format!("a body has at most {MAX_VALUES} values");
        return Err(Problem::invalid(vec![FieldError::new("", "too_many_values", detail)]));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let error = match serde_path_to_error::deserialize(&mut json) {
        Ok(value) => match json.end() {
            Ok(()) => return Ok(value),
            Err(error) => return Err(unreadable(String::new(), &error)),
        },
        Err(error) => error,
    };
    let pointer = pointer(error.path());
    let error = error.into_inner();
    if error.classify() != Category::Data {
        return Err(unreadable(pointer, &error));
    }
    Err(Problem::invalid(all_faults::<T>(bytes, pointer, &error)))
}

fn unreadable(pointer: String, error: &serde_json::Error) -> Problem {
    Problem::unreadable(FieldError::new(pointer, "malformed_json", error.to_string()))
}

/// What the schema finds, and what the parser stumbled over if that is not among it.
fn all_faults<T: ToSchema>(
    bytes: &[u8],
    pointer: String,
    error: &serde_json::Error,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if bytes.len() <= MAX_EXPLAINED
        && let Ok(value) = serde_json::from_slice(bytes)
    {
        faults = schema::faults(&T::name(), &value);
    }
    let detail = without_position(error);
    let code = fault_code(&detail);
    let known = faults.iter().any(|fault| fault.pointer == pointer);
    let is_key_fault = matches!(code, "unknown_field" | "missing_field");
    if faults.is_empty() || (!known && !is_key_fault) {
        faults.push(FieldError::new(pointer, code, detail));
    }
    faults
}

/// The parser's words without ` at line 1 column 2`.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&end).unwrap_or(&text).to_owned()
}

fn fault_code(detail: &str) -> &'static str {
    let known = [
        ("unknown field", "unknown_field"),
        ("missing field", "missing_field"),
        ("duplicate field", "duplicate_field"),
        ("invalid type", "wrong_type"),
    ];
    let found = known.iter().find(|(beginning, _)| detail.starts_with(beginning));
    found.map_or("invalid_value", |(_, code)| code)
}

/// RFC 6901 of a path that the parser went.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&schema::escape(key)),
            Segment::Enum { variant } => pointer.push_str(&schema::escape(variant)),
            Segment::Unknown => {
                pointer.pop();
            }
        }
    }
    pointer
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
