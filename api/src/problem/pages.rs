//! `/problems/{code}`: what a code means, as a page or as JSON.

use axum::{
    Json,
    http::{HeaderMap, header},
    response::{Html, IntoResponse as _, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiResult, Problem, ProblemCode};
use crate::extract::PathText;

/// What a code means.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemKind {
    /// The code.
    #[schema(value_type = ProblemCode)]
    code: &'static str,
    /// Its title.
    #[schema(value_type = String, example = "It does not exist")]
    title: &'static str,
    /// The HTTP status it comes with.
    #[schema(example = 404)]
    status: u16,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// What to do about it.
    #[schema(value_type = String)]
    advice: &'static str,
}

/// Describe a problem
///
/// What the `type` of a problem leads to: a page for people, or JSON when that is asked for.
#[utoipa::path(
    get, path = "/problems/{code}", tag = "meta", security(()),
    params(("code" = String, Path, description = "Code of a problem", example = "not_found")),
    responses((status = 200, description = "What the code means", content(
        (ProblemKind = "application/json"), (String = "text/html")))),
)]
pub(crate) async fn describe_problem(
    PathText(code): PathText,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let code = ProblemCode::find(&code).ok_or_else(|| Problem::not_found("problem code"))?;
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if accept.is_some_and(|accept| accept.contains("json")) {
        return Ok(Json(kind(code)).into_response());
    }
    Ok(Html(page(code)).into_response())
}

fn kind(code: ProblemCode) -> ProblemKind {
    ProblemKind {
        code: code.as_str(),
        title: code.title(),
        status: code.status().as_u16(),
        retryable: code.retryable(),
        advice: code.advice(),
    }
}

/// All texts are ours: there is nothing to escape.
fn page(code: ProblemCode) -> String {
    let kind = kind(code);
    let retry = if kind.retryable { "may succeed later" } else { "will fail again" };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\
         <title>{title} · Posthouse</title></head>\n<body>\n<h1>{title}</h1>\n\
         <p>Code <code>{code}</code>, HTTP status {status}. The same request {retry}.</p>\n\
         <p>{advice}</p>\n<p><a href=\"/docs\">API reference</a></p>\n</body>\n</html>\n",
        title = kind.title,
        code = kind.code,
        status = kind.status,
        advice = kind.advice,
    )
}
