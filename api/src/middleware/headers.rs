//! Header fields of every answer: request id, and what keeps browsers from doing harm.

use axum::{
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use posthouse_core::{
    Id, id,
    limits::{Allowance, Allowances},
};

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
pub(super) fn tell(answer: &mut Response, allowances: Allowances) {
    let known = [("account", allowances.account), ("key", allowances.key)];
    let known = known.into_iter().filter_map(|(name, one)| one.map(|one| (name, one)));
    let (mut policies, mut left) = (Vec::new(), Vec::new());
    for (name, Allowance { limit, remaining, reset, .. }) in known {
        policies.push(format!("\"{name}\";q={limit};w=60"));
        left.push(format!("\"{name}\";r={remaining};t={}", reset.as_secs()));
    }
    if policies.is_empty() {
        return;
    }
    for (name, texts) in [("ratelimit-policy", policies), ("ratelimit", left)] {
        if let Ok(value) = HeaderValue::from_str(&texts.join(", ")) {
            answer.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
}
