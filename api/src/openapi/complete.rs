//! What every operation has and no handler should repeat: problems, Request-Id, both ways to log
//! in, the scopes in words, and the header fields of creating and acting requests. And the names
//! of what lists hold.

use std::{collections::HashSet, fmt::Write as _};

use serde_json::Value;
use utoipa::openapi::{
    Components, ObjectBuilder, OpenApi, Ref, RefOr, Required, Schema, SecurityRequirement, Type,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem},
    schema::ArrayItems,
};

use super::problems;

/// Completes all operations.
pub(super) fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    problems::add(components);
    name_items(components);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            let place = Place { path, method };
            security(operation);
            header_fields(operation, &place);
            conditions(operation, &place);
            answers(operation, &place);
        }
    }
}

/// Lists refer to the schemas of their items, which utoipa repeats in each: so that clients made
/// from the document have one type for a thing, wherever it comes from.
fn name_items(components: &mut Components) {
    let names: HashSet<String> = components.schemas.keys().cloned().collect();
    for (name, schema) in &mut components.schemas {
        let item = name.strip_prefix("List_").filter(|item| names.contains(*item));
        let (Some(item), RefOr::T(Schema::Object(list))) = (item, schema) else {
            continue;
        };
        if let Some(RefOr::T(Schema::Array(data))) = list.properties.get_mut("data") {
            data.items = ArrayItems::RefOrSchema(Box::new(Ref::from_schema_name(item).into()));
        }
    }
}

struct Place<'a> {
    path: &'a str,
    method: &'static str,
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("put", &mut item.put),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// Scopes of each alternative; an alternative without a name is open to everybody.
fn alternatives(operation: &Operation) -> Vec<Option<Vec<String>>> {
    let requirements = operation.security.iter().flatten();
    let read = |requirement: &SecurityRequirement| {
        let value = serde_json::to_value(requirement).unwrap_or_default();
        let scopes = value.get("api_key").or_else(|| value.get("password"))?.as_array()?;
        Some(scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    };
    requirements.map(read).collect()
}

/// Whether somebody without a credential is always refused.
fn needs_credential(operation: &Operation) -> bool {
    let alternatives = alternatives(operation);
    !alternatives.is_empty() && alternatives.iter().all(Option::is_some)
}

fn may_need_credential(operation: &Operation) -> bool {
    alternatives(operation).iter().any(Option::is_some)
}

/// Passwords open what keys open; the scopes also stand in the description.
fn security(operation: &mut Operation) {
    let alternatives = alternatives(operation);
    let requirements = operation.security.get_or_insert_default();
    for scopes in alternatives.iter().flatten() {
        requirements.push(SecurityRequirement::new("password", scopes.clone()));
    }
    let names: Vec<String> =
        alternatives.iter().flatten().flatten().map(|scope| format!("`{scope}`")).collect();
    if names.is_empty() {
        return;
    }
    let text = operation.description.get_or_insert_default();
    // Writing into a string never fails.
    let _ = write!(text, "\n\nScope: {}.", names.join(" or "));
}

/// Whether it takes the account to act for.
fn is_for_accounts(operation: &Operation, place: &Place<'_>) -> bool {
    may_need_credential(operation) && place.path.starts_with("/v1/")
}

/// Whether it takes an Idempotency-Key.
fn creates(operation: &Operation, place: &Place<'_>) -> bool {
    let mut statuses = operation.responses.responses.keys();
    place.method == "post" && statuses.any(|status| status == "201" || status == "202")
}

fn header_fields(operation: &mut Operation, place: &Place<'_>) {
    if !is_for_accounts(operation, place) {
        return;
    }
    let creates = creates(operation, place);
    let parameters = operation.parameters.get_or_insert_default();
    if creates {
        let text = "Makes the request safe to repeat: 1 to 255 printable ASCII characters.";
        let key = text_schema().max_length(Some(255)).pattern(Some("^[!-~]([ -~]*[!-~])?$"));
        parameters.push(RefOr::T(header_field("Idempotency-Key", text, key)));
    }
    let text = "The account to act for, `acc_…`: for administrators with `admin:write`.";
    let account = text_schema().min_length(Some(1));
    parameters.push(RefOr::T(header_field("Posthouse-Account", text, account)));
}

/// Paths of what people edit: `ETag` with what is shown, `If-Match` with what changes it.
const EDITED: [&str; 9] = [
    "/v1/account",
    "/v1/accounts/{id}",
    "/v1/api-keys/{id}",
    "/v1/domains/{id}",
    "/v1/inbound-routes/{id}",
    "/v1/queue/holds/{id}",
    "/v1/routes/{id}",
    "/v1/transports/{id}",
    "/v1/webhooks/{id}",
];

fn conditions(operation: &mut Operation, place: &Place<'_>) {
    if !EDITED.contains(&place.path) {
        return;
    }
    if place.method != "get" {
        let text = "`ETag` of what is to be changed: refused with 412 when it has changed since.";
        let parameters = operation.parameters.get_or_insert_default();
        parameters.push(RefOr::T(header_field("If-Match", text, text_schema())));
    }
    if let Some(RefOr::T(answer)) = operation.responses.responses.get_mut("200") {
        let tag = problems::text_header("For If-Match");
        answer.headers.insert("ETag".to_owned(), tag.into());
    }
}

fn text_schema() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn header_field(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(schema.build()))
        .build()
}

fn answers(operation: &mut Operation, place: &Place<'_>) {
    let mut statuses = vec!["500", "503"];
    if may_need_credential(operation) {
        statuses.extend(["401", "403", "429"]);
    }
    let has_parameters = |kind: &ParameterIn| {
        let parameters = operation.parameters.iter().flatten();
        parameters.into_iter().any(|parameter| match parameter {
            RefOr::T(parameter) => parameter.parameter_in == *kind,
            RefOr::Ref(_) => false,
        })
    };
    if has_parameters(&ParameterIn::Path) || is_for_accounts(operation, place) {
        statuses.push("404");
    }
    if has_parameters(&ParameterIn::Query) {
        statuses.push("422");
    }
    if creates(operation, place) {
        statuses.extend(["409", "422"]);
    }
    if operation.request_body.is_some() {
        statuses.extend(["400", "409", "413", "415", "422"]);
    }
    let changes_a_key = place.method == "post" && place.path.contains("/dkim-keys/{selector}/");
    if place.method == "delete" && needs_credential(operation) || changes_a_key {
        statuses.push("409");
    }
    if place.path.ends_with("/raw") && place.method == "get" || place.path.ends_with("/{path}") {
        statuses.push("416");
    }
    if place.path == "/v1/auth/token" {
        // What a credential answers elsewhere, a login does here.
        statuses.extend(["401", "403", "429"]);
    }
    statuses.extend(mail_answers(operation, place));
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers.insert("Request-Id".to_owned(), problems::request_id().into());
        }
    }
    for status in statuses {
        if let Some(reference) = problems::reference(status) {
            let answers = &mut operation.responses.responses;
            answers.entry(status.to_owned()).or_insert(RefOr::Ref(reference));
        }
    }
}

/// What only changing mail, and asking for changes, may answer.
fn mail_answers(operation: &Operation, place: &Place<'_>) -> Vec<&'static str> {
    let mut statuses = Vec::new();
    let is_if_match = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(parameter) if parameter.name == "If-Match");
    if operation.parameters.iter().flatten().any(is_if_match) {
        statuses.push("412");
    }
    let adds = place.path.ends_with("/mail") || place.path.ends_with("/mail/bulk");
    if place.method == "post" && adds {
        statuses.push("507");
    }
    if place.path.ends_with("/mail/changes") || place.path.ends_with("/mail/stream") {
        statuses.push("410");
    }
    statuses
}
