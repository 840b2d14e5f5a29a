//! The problem answers of operations: one component for each status, referred to everywhere.

use serde_json::json;
use utoipa::{
    PartialSchema as _, ToSchema,
    openapi::{
        Components, Content, ContentBuilder, HeaderBuilder, ObjectBuilder, Ref, Response,
        ResponseBuilder, Type, header::Header,
    },
};

use crate::problem::{MEDIA_TYPE, ProblemBody, ProblemCode};

/// Name of the component and what it says, for each status.
pub(super) const ANSWERS: &[(&str, &str, &str, &str)] = &[
    ("400", "Unreadable", "unreadable_body", "The request cannot be read."),
    ("401", "Unauthenticated", "unauthenticated", "No credential, or not a valid one."),
    ("403", "Forbidden", "forbidden", "The credential may not do this; `detail` says why."),
    ("404", "NotFound", "not_found", "It does not exist, or belongs to another account."),
    ("409", "Conflict", "already_exists", "In conflict with what is there, or in progress."),
    ("410", "Gone", "since_too_old", "Changes since then are not known any more."),
    ("412", "PreconditionFailed", "precondition_failed", "It is not in the state of `If-Match`."),
    ("413", "TooLarge", "body_too_large", "The request or the message is too large."),
    ("415", "UnsupportedMediaType", "unsupported_media_type", "Another content type is expected."),
    ("416", "RangeNotSatisfiable", "range_not_satisfiable", "The range is outside of the content."),
    ("422", "Invalid", "invalid_input", "Faults in fields; `errors` lists all of them."),
    ("429", "TooManyRequests", "rate_limited", "Too many requests; see `Retry-After`."),
    ("500", "Internal", "internal", "A fault of the server."),
    (
        "503",
        "Unavailable",
        "unavailable",
        "Not possible now, nothing was changed; see `Retry-After`.",
    ),
    ("507", "QuotaExceeded", "quota_exceeded", "The account has no room for more mail."),
];

/// Adds the components.
pub(super) fn add(components: &mut Components) {
    let mut schemas = Vec::new();
    ProblemBody::schemas(&mut schemas);
    schemas.push((ProblemBody::name().into_owned(), ProblemBody::schema()));
    components.schemas.extend(schemas);
    for (status, name, code, description) in ANSWERS {
        let answer = answer(status, code, description);
        components.responses.insert((*name).to_owned(), answer.into());
    }
}

/// A reference to the answer with this status.
pub(super) fn reference(status: &str) -> Option<Ref> {
    let (_, name, ..) = ANSWERS.iter().find(|(known, ..)| *known == status)?;
    Some(Ref::from_response_name(*name))
}

fn answer(status: &str, code: &str, description: &str) -> Response {
    let mut response = ResponseBuilder::new()
        .description(description)
        .header("Request-Id", request_id())
        .content(MEDIA_TYPE, content(status, code));
    if matches!(status, "409" | "429" | "503") {
        response = response.header("Retry-After", retry_after());
    }
    if status == "401" {
        response = response.header("WWW-Authenticate", text_header("The challenge (RFC 6750)."));
    }
    response.build()
}

fn content(status: &str, code: &str) -> Content {
    let title = ProblemCode::find(code).map(ProblemCode::title).unwrap_or_default();
    let mut example = json!({
        "type": format!("/problems/{code}"),
        "title": title,
        "status": status.parse::<u16>().unwrap_or_default(),
        "detail": title,
        "code": code,
        "request_id": "req_01k6h3v9x8e7ktq2w5m4n1r0sa",
        "retryable": ProblemCode::find(code).is_some_and(ProblemCode::retryable),
    });
    if status == "422"
        && let Some(object) = example.as_object_mut()
    {
        let faults = json!([{"pointer": "/to/0", "code": "invalid_address",
                             "detail": "the address has no @"}]);
        object.insert("errors".to_owned(), faults);
    }
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ProblemBody::name())))
        .example(Some(example))
        .build()
}

/// The header field that every answer has.
pub(super) fn request_id() -> Header {
    text_header("Identifies the request in the server's logs.")
}

fn retry_after() -> Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::Integer).build()))
        .description(Some("Seconds to wait, when trying again makes sense."))
        .build()
}

/// A header field that is text.
pub(super) fn text_header(description: &str) -> Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()))
        .description(Some(description))
        .build()
}
