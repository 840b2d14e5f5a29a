//! Problem details (RFC 9457): how everything that goes wrong is spelled in HTTP.
//!
//! Handlers return a [`Problem`]; the outermost layer renders it, since only that knows the
//! request id. Causes are logged there, once, and never shown.

mod codes;
mod faults;
mod pages;

use std::{any::Any, borrow::Cow, fmt::Write as _, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use posthouse_core::{
    Code, Error, FieldError, Id,
    error::BoxError,
    id::Request,
    messages::{Refusal, RefusedField},
};
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use codes::{HttpCode, ProblemCode};
pub(crate) use faults::with_content;
pub(crate) use pages::{__path_describe_problem, describe_problem};

/// Media type of problems.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// Most faults that one answer lists.
const MAX_FAULTS: usize = 100;

/// Result of a handler.
pub(crate) type ApiResult<T> = Result<T, Problem>;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) struct Problem {
    code: ProblemCode,
    detail: String,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    headers: Vec<(header::HeaderName, HeaderValue)>,
    source: Option<BoxError>,
}

/// The document on the wire.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Address of a page about this code, on this server.
    #[schema(example = "/problems/invalid_input")]
    r#type: String,
    /// Title of the code.
    #[schema(value_type = String, example = "The request has faults")]
    title: &'static str,
    /// HTTP status.
    #[schema(example = 422)]
    status: u16,
    /// What is wrong this time, for people.
    #[schema(example = "the request has 1 fault(s)")]
    detail: String,
    /// Stable code for programs.
    #[schema(value_type = ProblemCode)]
    code: &'static str,
    /// Identifies the request in the server's logs.
    #[schema(value_type = String, example = "req_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    request_id: Id<Request>,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// Every fault of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<ProblemFault>,
}

impl ProblemBody {
    /// Why one message of several is refused.
    pub(crate) fn of_refusal(refusal: Refusal, request_id: Id<Request>) -> Self {
        let code = ProblemCode::find(&refusal.code).unwrap_or(ProblemCode::Core(Code::Internal));
        let fault = |fault: RefusedField| ProblemFault {
            pointer: fault.pointer,
            code: fault.code.into(),
            detail: fault.detail,
        };
        Self {
            r#type: format!("/problems/{}", code.as_str()),
            title: code.title(),
            status: code.status().as_u16(),
            detail: refusal.detail,
            code: code.as_str(),
            request_id,
            retryable: code.retryable(),
            errors: refusal.faults.into_iter().take(MAX_FAULTS).map(fault).collect(),
        }
    }

    /// HTTP status.
    pub(crate) const fn status(&self) -> u16 {
        self.status
    }
}

/// One fault of a request.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProblemFault)]
pub(crate) struct ProblemFault {
    /// JSON pointer (RFC 6901) to the field; empty: the whole request.
    #[schema(example = "/to/0")]
    pointer: String,
    /// Stable code for programs.
    #[schema(value_type = String, example = "invalid_address")]
    code: Cow<'static, str>,
    /// What is wrong and what to do, for people.
    #[schema(example = "the address has no @")]
    detail: String,
}

impl Problem {
    /// A fault that only HTTP knows.
    pub(crate) fn http(code: HttpCode, detail: impl Into<String>) -> Self {
        Self::new(ProblemCode::Http(code), detail.into())
    }

    /// Faults in fields of the request.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        Error::InvalidInput(errors).into()
    }

    /// The body cannot be read; `error` says where.
    pub(crate) fn unreadable(error: FieldError) -> Self {
        let detail = error.detail.clone();
        Self { errors: vec![error], ..Self::http(HttpCode::UnreadableBody, detail) }
    }

    /// There is no such thing.
    pub(crate) fn not_found(what: &'static str) -> Self {
        Error::NotFound(what).into()
    }

    /// The same, with a header field in the answer.
    pub(crate) fn with_header(mut self, name: header::HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn new(code: ProblemCode, detail: String) -> Self {
        Self {
            code,
            detail,
            errors: Vec::new(),
            retry_after: None,
            headers: Vec::new(),
            source: None,
        }
    }

    fn status(&self) -> StatusCode {
        self.code.status()
    }

    /// The same about one message of several.
    pub(crate) fn into_refusal(self) -> Refusal {
        Refusal {
            code: self.code.as_str().to_owned(),
            detail: self.detail,
            faults: self.errors.into_iter().take(MAX_FAULTS).map(RefusedField::from).collect(),
        }
    }

    /// Pointers and codes of the faults as they go out.
    #[cfg(test)]
    pub(crate) fn told(&self) -> Vec<(String, &'static str)> {
        let told = self.errors.iter().take(MAX_FAULTS);
        told.map(|fault| (fault.pointer.clone(), fault.code)).collect()
    }

    /// Whether the body could not be read at all.
    #[cfg(test)]
    pub(crate) fn is_unreadable(&self) -> bool {
        self.code == ProblemCode::Http(HttpCode::UnreadableBody)
    }

    /// Logs what is for the operator only.
    fn log(&self) {
        let Some(source) = &self.source else { return };
        let code = self.code.as_str();
        if self.status() == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(code, error = describe(&**source), "the request failed");
        } else {
            tracing::warn!(code, error = describe(&**source), "the request could not be done now");
        }
    }

    fn body(&self, request_id: Id<Request>) -> ProblemBody {
        let errors = self.errors.iter().take(MAX_FAULTS).map(|error| ProblemFault {
            pointer: error.pointer.clone(),
            code: error.code.into(),
            detail: error.detail.clone(),
        });
        ProblemBody {
            r#type: format!("/problems/{}", self.code.as_str()),
            title: self.code.title(),
            status: self.status().as_u16(),
            detail: self.detail.clone(),
            code: self.code.as_str(),
            request_id,
            retryable: self.code.retryable(),
            errors: errors.collect(),
        }
    }
}

/// The error and all its causes.
fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing into a string never fails.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}

impl From<Error> for Problem {
    fn from(mut error: Error) -> Self {
        if let Error::InvalidInput(errors) = &mut error {
            faults::remove_repeated(errors);
        }
        let mut problem = Self::new(ProblemCode::Core(error.code()), error.to_string());
        problem.retry_after = error.retry_after();
        match error {
            Error::InvalidInput(errors) => problem.errors = errors,
            Error::StorageFull(source) | Error::Unavailable(source) | Error::Internal(source) => {
                problem.source = Some(source);
            }
            _ => {}
        }
        problem
    }
}

impl IntoResponse for Problem {
    /// An answer that [`render`] completes.
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// Writes the body of a problem; leaves other answers alone.
pub(crate) fn render(response: Response, request_id: Id<Request>) -> Response {
    let (mut parts, body) = response.into_parts();
    let Some(problem) = parts.extensions.remove::<Arc<Problem>>() else {
        return Response::from_parts(parts, body);
    };
    problem.log();
    let headers = &mut parts.headers;
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    for (name, value) in &problem.headers {
        headers.append(name.clone(), value.clone());
    }
    if let Some(wait) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    if problem.status() == StatusCode::UNAUTHORIZED {
        let challenge = match problem.code {
            ProblemCode::Core(Code::Unauthenticated) => "Bearer realm=\"posthouse\"",
            _ => "Bearer realm=\"posthouse\", error=\"invalid_token\"",
        };
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    let text = serde_json::to_vec(&problem.body(request_id)).unwrap_or_default();
    Response::from_parts(parts, Body::from(text))
}

/// There is nothing at this path.
pub(crate) async fn no_route() -> Problem {
    Problem::not_found("path")
}

/// The path has other methods; axum adds `Allow`.
pub(crate) async fn wrong_method() -> Problem {
    Problem::http(HttpCode::MethodNotAllowed, "this path does not have that method; see Allow")
}

/// A handler panicked: a fault of ours.
#[expect(clippy::needless_pass_by_value, reason = "the signature is tower-http's")]
pub(crate) fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| cause.downcast_ref::<String>().cloned());
    let text = format!("panic: {}", text.as_deref().unwrap_or("of unknown kind"));
    Problem::from(Error::internal(text)).into_response()
}

/// The table of all codes, for `docs/errors.md`.
pub fn errors_markdown() -> String {
    let mut text = String::from(
        "# Error codes\n\n\
         Printed by `cargo run -p posthouse-api --example errors`. Every problem (RFC 9457) has one of these in `code`; \
         the list only grows.\n\n\
         | code | HTTP | retryable | meaning | what to do |\n| --- | --- | --- | --- | --- |\n",
    );
    for code in ProblemCode::all() {
        let retryable = if code.retryable() { "yes" } else { "no" };
        // Writing into a string never fails.
        let _ = writeln!(
            text,
            "| `{}` | {} | {retryable} | {} | {} |",
            code.as_str(),
            code.status().as_u16(),
            code.title(),
            code.advice()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_found() {
        let codes: Vec<_> = ProblemCode::all().collect();
        let names: HashSet<_> = codes.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), codes.len());
        for code in codes {
            assert_eq!(ProblemCode::find(code.as_str()), Some(code));
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }

    #[test]
    fn the_table_is_committed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == errors_markdown(),
            "docs/errors.md is out of date: run `cargo run -p posthouse-api --example errors`"
        );
    }

    #[tokio::test]
    async fn problems_tell_faults_but_never_causes() {
        let id: Id<Request> = "req_01k6h3v9x8e7ktq2w5m4n1r0sa".parse().unwrap();
        let secret = Problem::from(Error::unavailable("connection to 10.0.0.7 refused"));
        let response = render(secret.into_response(), id);
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
        assert_eq!(response.headers()["retry-after"], "5");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert!(!body.to_string().contains("10.0.0.7"));
        assert_eq!(body["code"], "unavailable");
        assert_eq!(body["type"], "/problems/unavailable");
        assert_eq!(body["retryable"], true);
        assert_eq!(body["request_id"], id.to_string());

        let faults = Problem::invalid(vec![FieldError::new("/to/0", "invalid_address", "no @")]);
        let body = serde_json::to_value(faults.body(id)).unwrap();
        assert_eq!(body["status"], 422);
        assert_eq!(body["errors"][0]["pointer"], "/to/0");
    }

    #[test]
    fn denied_callers_are_challenged() {
        let id: Id<Request> = "req_01k6h3v9x8e7ktq2w5m4n1r0sa".parse().unwrap();
        let response = render(Problem::from(Error::Unauthenticated).into_response(), id);
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"posthouse\"");
    }
}
