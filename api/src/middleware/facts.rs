//! What is logged and counted of a request: never its address in full, its body or its secrets.

use std::{net::SocketAddr, time::Duration};

use axum::{
    extract::{ConnectInfo, MatchedPath, Request},
    http::{Method, StatusCode},
};
use posthouse_core::{Id, id};
use time::OffsetDateTime;
use tracing::{Span, field};

/// Header field with the request id.
pub(super) const REQUEST_ID: &str = "request-id";

/// A request, as logs and metrics see it.
pub(super) struct Facts {
    pub id: Id<id::Request>,
    method: &'static str,
    /// The template, such as `/v1/messages/{id}`: addresses in a path are nobody's business.
    route: String,
    trace: Option<String>,
    remote: Option<SocketAddr>,
}

impl Facts {
    pub(super) fn of(request: &Request, now: OffsetDateTime) -> Self {
        let headers = request.headers();
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()?.parse().ok());
        let route = request.extensions().get::<MatchedPath>();
        let traceparent = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let remote = request.extensions().get::<ConnectInfo<SocketAddr>>();
        Self {
            id: given.unwrap_or_else(|| Id::new(now)),
            method: method(request.method()),
            route: route.map_or("none", MatchedPath::as_str).to_owned(),
            trace: traceparent.and_then(trace_id).map(str::to_owned),
            remote: remote.map(|remote| remote.0),
        }
    }

    pub(super) fn span(&self) -> Span {
        tracing::info_span!(
            "http",
            request.id = %self.id,
            http.method = self.method,
            http.route = self.route,
            trace.id = self.trace,
            account.id = field::Empty,
        )
    }

    /// Counts the request and writes the line of the access log.
    pub(super) fn record(self, status: StatusCode, duration: Duration) {
        let status = status.as_u16();
        tracing::info!(
            target: "posthouse_api::access",
            status,
            duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            remote = self.remote.map(field::display),
            "request done"
        );
        let labels = [
            ("method", self.method.to_owned()),
            ("route", self.route),
            ("status", status.to_string()),
        ];
        metrics::counter!("posthouse_http_requests_total", &labels).increment(1);
        metrics::histogram!("posthouse_http_request_seconds", &labels)
            .record(duration.as_secs_f64());
    }
}

/// Methods that nobody has heard of are one: they would be endless labels otherwise.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// W3C Trace Context §3.2: `version "-" trace-id "-" parent-id "-" flags`.
fn trace_id(traceparent: &str) -> Option<&str> {
    let mut fields = traceparent.split('-');
    let version = fields.next()?;
    let trace = fields.next()?;
    let parent = fields.next()?;
    let is_hex = |text: &str, length: usize| {
        let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        text.len() == length && text.bytes().all(digit)
    };
    let good = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && is_hex(parent, 16)
        && is_hex(fields.next()?, 2)
        && trace.bytes().any(|digit| digit != b'0');
    good.then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::trace_id;

    #[test]
    fn trace_ids_are_checked() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id(good), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        assert_eq!(trace_id("00-\u{1b}[31m-00f067aa0ba902b7-01"), None);
        assert_eq!(trace_id("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), None);
        assert_eq!(trace_id(""), None);
    }
}
