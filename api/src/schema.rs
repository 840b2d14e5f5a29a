//! Holds a JSON value against a schema of our own OpenAPI document, to find all faults at once.
//!
//! The part of JSON Schema that the document uses, not more. Values that pass may still be wrong
//! for a reason that no schema tells. With each fault comes what to put there instead, so that the
//! rest of the value can be read all the same.

use std::{collections::HashSet, sync::LazyLock};

use posthouse_core::FieldError;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let components = crate::openapi().components;
    let schemas = components.map(|components| serde_json::to_value(components.schemas));
    schemas.and_then(Result::ok).unwrap_or_default()
});

/// Most faults that are looked for.
pub(crate) const ENOUGH: usize = 100;

/// A fault, and how to get rid of it.
#[derive(Debug)]
pub(crate) struct Found {
    /// What is wrong, and where.
    pub fault: FieldError,
    /// What to do to the value there.
    pub repair: Repair,
}

/// What to do where a fault is.
#[derive(Debug)]
pub(crate) enum Repair {
    /// Nothing.
    Leave,
    /// Take the field out.
    Remove,
    /// Put something harmless of the right type there. Not nothing: then a text or the recipients
    /// would seem to lack.
    Put(Value),
}

/// All faults of `value` as a `name`; fields at the places `twice` stand more than once.
pub(crate) fn check(name: &str, value: &Value, twice: &HashSet<String>) -> Vec<Found> {
    let Some(schema) = SCHEMAS.get(name) else {
        return Vec::new();
    };
    let mut walk = Walk { found: Vec::new(), pointer: String::new(), twice };
    walk.value(schema, value);
    walk.found
}

/// All faults of `value` as a `name`.
#[cfg(test)]
pub(crate) fn faults(name: &str, value: &Value) -> Vec<FieldError> {
    check(name, value, &HashSet::new()).into_iter().map(|found| found.fault).collect()
}

/// Does what [`check`] said at `pointer`.
pub(crate) fn repair(value: &mut Value, pointer: &str, repair: Repair) {
    let Some((parent, key)) = pointer.rsplit_once('/') else {
        if let Repair::Put(filler) = repair {
            *value = filler;
        }
        return;
    };
    match (value.pointer_mut(parent), repair) {
        (Some(Value::Object(object)), Repair::Put(filler)) => {
            object.insert(unescape(key), filler);
        }
        (Some(Value::Object(object)), Repair::Remove) => {
            object.remove(&unescape(key));
        }
        (Some(Value::Array(items)), Repair::Put(filler)) => {
            if let Some(item) = key.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                *item = filler;
            }
        }
        _ => {}
    }
}

/// A key as part of a JSON pointer (RFC 6901 §3).
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unescape(key: &str) -> String {
    key.replace("~1", "/").replace("~0", "~")
}

struct Walk<'a> {
    found: Vec<Found>,
    pointer: String,
    twice: &'a HashSet<String>,
}

impl Walk<'_> {
    fn add(&mut self, code: &'static str, detail: impl Into<String>, repair: Repair) {
        if self.found.len() < ENOUGH {
            let fault = FieldError::new(self.pointer.clone(), code, detail);
            self.found.push(Found { fault, repair });
        }
    }

    /// A value that does not fit `schema`.
    fn misfit(&mut self, code: &'static str, detail: impl Into<String>, schema: &Value) {
        self.add(code, detail, Repair::Put(filler(schema)));
    }

    /// Does `work` one step further down.
    fn at(&mut self, step: &str, work: impl FnOnce(&mut Self)) {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(step);
        work(self);
        self.pointer.truncate(length);
    }

    fn value(&mut self, schema: &Value, value: &Value) {
        let schema = resolve(schema);
        for key in ["oneOf", "anyOf"] {
            if let Some(Value::Array(choices)) = schema.get(key) {
                self.choice(choices, value);
            }
        }
        if let Some(Value::Array(parts)) = schema.get("allOf") {
            for part in parts {
                self.value(part, value);
            }
        }
        if !self.has_type(schema, value) {
            return;
        }
        match value {
            Value::Object(object) => self.object(schema, object),
            Value::Array(items) => self.items(schema, items),
            Value::String(text) => self.text(schema, text),
            Value::Number(_) => self.number(schema, value),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The choice with the right type and the fewest faults is meant.
    fn choice(&mut self, choices: &[Value], value: &Value) {
        let tried = choices.iter().map(|choice| {
            let pointer = self.pointer.clone();
            let mut walk = Walk { found: Vec::new(), pointer, twice: self.twice };
            walk.value(choice, value);
            let wrong_type = walk.found.first().is_some_and(|Found { fault, .. }| {
                fault.code == "wrong_type" && fault.pointer == self.pointer
            });
            (wrong_type, walk.found)
        });
        let best = tried.min_by_key(|(wrong_type, found)| (*wrong_type, found.len()));
        match best {
            Some((false, found)) => {
                let room = ENOUGH.saturating_sub(self.found.len());
                self.found.extend(found.into_iter().take(room));
            }
            Some((true, _)) => {
                let names: Vec<_> = choices.iter().flat_map(types).collect();
                let detail = format!("expected {}", words(&names));
                self.add("wrong_type", detail, Repair::Put(first_filler(choices)));
            }
            None => {}
        }
    }

    fn has_type(&mut self, schema: &Value, value: &Value) -> bool {
        if schema.get("type").is_none() {
            return true;
        }
        let expected = types(schema);
        let fits = expected.iter().any(|name| is_a(value, name));
        if !fits {
            self.misfit("wrong_type", format!("expected {}", words(&expected)), schema);
        }
        fits
    }

    fn object(&mut self, schema: &Value, object: &Map<String, Value>) {
        let known = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for (key, value) in object {
            let field = known.and_then(|known| known.get(key));
            self.at(&escape(key), |walk| match field.or(others) {
                Some(Value::Bool(false)) => {
                    walk.add("unknown_field", "there is no such field", Repair::Remove);
                }
                Some(property) => {
                    if field.is_some() && walk.twice.contains(&walk.pointer) {
                        let detail = "this field stands more than once";
                        walk.add("duplicate_field", detail, Repair::Leave);
                    }
                    walk.value(property, value);
                }
                None => {}
            });
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                let schema = known.and_then(|known| known.get(name)).unwrap_or(&Value::Null);
                self.at(&escape(name), |walk| {
                    walk.misfit("missing_field", "this field is required", schema);
                });
            }
        }
    }

    fn items(&mut self, schema: &Value, items: &[Value]) {
        let most = schema.get("maxItems").and_then(Value::as_u64);
        if let Some(most) = most.filter(|most| u64::try_from(items.len()).is_ok_and(|n| n > *most))
        {
            self.misfit("too_many", format!("expected at most {most} items"), schema);
            return;
        }
        let Some(schema) = schema.get("items") else {
            return;
        };
        for (index, item) in items.iter().enumerate() {
            self.at(&index.to_string(), |walk| walk.value(schema, item));
        }
    }

    fn text(&mut self, schema: &Value, text: &str) {
        if let Some(Value::Array(values)) = schema.get("enum")
            && !values.iter().any(|value| value.as_str() == Some(text))
        {
            let names: Vec<_> = values.iter().filter_map(Value::as_str).collect();
            let detail = format!("expected one of {}", names.join(", "));
            self.misfit("invalid_value", detail, schema);
        }
        if is_time(schema) && OffsetDateTime::parse(text, &Rfc3339).is_err() {
            let detail = "expected a time such as 2026-11-21T10:00:00Z";
            self.misfit("invalid_value", detail, schema);
        }
    }

    fn number(&mut self, schema: &Value, value: &Value) {
        let number = value.as_f64().unwrap_or(f64::NAN);
        let minimum = schema.get("minimum").and_then(Value::as_f64);
        if minimum.is_some_and(|minimum| number < minimum) {
            self.misfit("out_of_range", "the number is too small", schema);
        } else if types(schema).contains(&"integer") && value.as_i64().is_none() {
            self.misfit("out_of_range", "the number is out of range", schema);
        }
    }
}

fn first_filler(choices: &[Value]) -> Value {
    choices.iter().map(filler).find(|filler| !filler.is_null()).unwrap_or_default()
}

fn is_time(schema: &Value) -> bool {
    schema.get("format").and_then(Value::as_str) == Some("date-time")
}

/// Something that fits `schema`. A time is left out where it may be: any would be compared.
fn filler(schema: &Value) -> Value {
    let schema = resolve(schema);
    for key in ["oneOf", "anyOf"] {
        if let Some(Value::Array(choices)) = schema.get(key) {
            return first_filler(choices);
        }
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        return values.first().cloned().unwrap_or_default();
    }
    let names = types(schema);
    let is_time = is_time(schema);
    if is_time && names.contains(&"null") {
        return Value::Null;
    }
    match names.into_iter().find(|name| *name != "null") {
        Some("string") if is_time => json!("1970-01-01T00:00:00Z"),
        Some("string") => json!(""),
        Some("array") => json!([schema.get("items").map(filler)]),
        Some("object") => {
            let required = schema.get("required").and_then(Value::as_array);
            let required = required.into_iter().flatten().filter_map(Value::as_str);
            let field = |name: &str| {
                let property = schema.get("properties").and_then(|known| known.get(name));
                (name.to_owned(), property.map(filler).unwrap_or_default())
            };
            required.map(field).collect()
        }
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(0)),
        Some("boolean") => json!(false),
        _ => Value::Null,
    }
}

fn resolve(schema: &Value) -> &Value {
    let name = schema.get("$ref").and_then(Value::as_str);
    let name = name.and_then(|name| name.strip_prefix("#/components/schemas/"));
    name.and_then(|name| SCHEMAS.get(name)).unwrap_or(schema)
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        // A whole number beyond 64 bits is one all the same; it is out of range.
        "integer" => {
            let is_huge = |number: f64| number.abs() >= 9_223_372_036_854_775_808.0;
            value.is_i64() || value.is_u64() || value.as_f64().is_some_and(is_huge)
        }
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    }
}

/// Names of the types that `schema` allows.
fn types(schema: &Value) -> Vec<&str> {
    let schema = resolve(schema);
    let choices = schema.get("oneOf").or_else(|| schema.get("anyOf"));
    match (choices, schema.get("type")) {
        (Some(Value::Array(choices)), _) => choices.iter().flat_map(types).collect(),
        (_, Some(Value::String(name))) => vec![name],
        (_, Some(Value::Array(names))) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Types for people.
fn words(names: &[&str]) -> String {
    let one = |name: &&str| match *name {
        "object" | "array" | "integer" => format!("an {name}"),
        "null" => "null".to_owned(),
        name => format!("a {name}"),
    };
    names.iter().map(one).collect::<Vec<_>>().join(" or ")
}
