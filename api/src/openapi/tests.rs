//! The document holds together, and is the one that is committed.

use std::collections::HashSet;

use serde_json::Value;

fn document() -> Value {
    serde_json::from_str(&super::openapi_json()).unwrap()
}

fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    all.collect()
}

#[test]
fn operations_are_described() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = HashSet::new();
    for (place, operation) in operations(&document) {
        for field in ["summary", "description", "operationId", "tags", "security"] {
            assert!(!operation[field].is_null(), "{place} has no {field}");
        }
        let id = operation["operationId"].as_str().unwrap();
        assert!(id.contains('_'), "{place}: {id} is not verb_noun");
        assert!(ids.insert(id.to_owned()), "{place}: {id} stands twice");
        assert!(operation["responses"].get("503").is_some(), "{place}");
    }
}

#[test]
fn references_lead_somewhere() {
    let document = document();
    let mut open = vec![&document];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(object) => {
                if let Some(Value::String(target)) = object.get("$ref") {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{target} does not exist");
                }
                open.extend(object.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
}

#[test]
fn lists_name_their_items() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let lists: Vec<_> = schemas.iter().filter(|(name, _)| name.starts_with("List_")).collect();
    assert!(lists.len() > 10);
    for (name, list) in lists {
        let items = list["properties"]["data"]["items"]["$ref"].as_str();
        assert_eq!(items, Some(&*name.replace("List_", "#/components/schemas/")), "{name}");
    }
}

#[test]
fn every_schema_of_a_request_refuses_unknown_fields() {
    let document = document();
    for (place, operation) in operations(&document) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let Some(target) = schema["$ref"].as_str() else {
            continue;
        };
        let schema = document.pointer(target.strip_prefix('#').unwrap()).unwrap();
        assert_eq!(schema["additionalProperties"], false, "{place}: {target}");
        let content = &operation["requestBody"]["content"]["application/json"];
        let has_example = !content["example"].is_null() || !schema["example"].is_null();
        assert!(has_example, "{place} has no example");
    }
}

#[test]
fn examples_fit_their_schemas() {
    let document = document();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let Some(example) = schema.get("example").filter(|example| example.is_object()) else {
            continue;
        };
        assert_eq!(crate::schema::faults(name, example), [], "{name}");
    }
}

#[test]
fn the_document_is_committed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/posthouse.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == super::openapi_json(),
        "openapi/posthouse.json is out of date: run `cargo xtask openapi`"
    );
}
