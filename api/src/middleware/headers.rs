//! Header fields of every answer: request id, and what keeps browsers from doing harm.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use posthouse_core::{Id, id, limits::Allowance};

use super::facts::REQUEST_ID;

/// Nothing may be loaded, nothing may frame it.
const CLOSED: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const DEFAULTS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CLOSED),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Adds what the handler has not set itself.
pub(super) fn complete(answer: &mut Response, id: Id<id::Request>) {
    let headers = answer.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(HeaderName::from_static(REQUEST_ID), value);
    }
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// Tells how many requests may still come (draft-ietf-httpapi-ratelimit-headers).
pub(super) fn tell(answer: &mut Response, allowance: Allowance) {
    let Allowance { limit, remaining, reset, .. } = allowance;
    let policy = format!("\"account\";q={limit};w=60");
    let left = format!("\"account\";r={remaining};t={}", reset.as_secs());
    for (name, text) in [("ratelimit-policy", policy), ("ratelimit", left)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
}
