//! Holds a JSON value against a schema of our own OpenAPI document, to find all faults at once.
//!
//! The part of JSON Schema that the document uses, not more. Values that pass may still be wrong
//! for a reason that no schema tells.

use std::sync::LazyLock;

use posthouse_core::FieldError;
use serde_json::{Map, Value};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

static SCHEMAS: LazyLock<Value> = LazyLock::new(|| {
    let components = crate::openapi().components;
    let schemas = components.map(|components| serde_json::to_value(components.schemas));
    schemas.and_then(Result::ok).unwrap_or_default()
});

/// Most faults that are looked for.
const ENOUGH: usize = 100;

/// All faults of `value` as a `name`.
pub(crate) fn faults(name: &str, value: &Value) -> Vec<FieldError> {
    let Some(schema) = SCHEMAS.get(name) else {
        return Vec::new();
    };
    let mut walk = Walk { faults: Vec::new(), pointer: String::new() };
    walk.value(schema, value);
    walk.faults
}

/// A key as part of a JSON pointer (RFC 6901 §3).
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

struct Walk {
    faults: Vec<FieldError>,
    pointer: String,
}

impl Walk {
    fn add(&mut self, code: &'static str, detail: impl Into<String>) {
        if self.faults.len() < ENOUGH {
            self.faults.push(FieldError::new(self.pointer.clone(), code, detail));
        }
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
            let mut walk = Self { faults: Vec::new(), pointer: self.pointer.clone() };
            walk.value(choice, value);
            let wrong_type = walk
                .faults
                .first()
                .is_some_and(|fault| fault.code == "wrong_type" && fault.pointer == self.pointer);
            (wrong_type, walk.faults)
        });
        let best = tried.min_by_key(|(wrong_type, faults)| (*wrong_type, faults.len()));
        match best {
            Some((false, faults)) => self.faults.extend(faults),
            Some((true, _)) => {
                let names: Vec<_> = choices
                    .iter()
                    .filter_map(|choice| resolve(choice).get("type"))
                    .map(words)
                    .collect();
                self.add("wrong_type", format!("expected {}", names.join(" or ")));
            }
            None => {}
        }
    }

    fn has_type(&mut self, schema: &Value, value: &Value) -> bool {
        let Some(expected) = schema.get("type") else {
            return true;
        };
        let fits = match expected {
            Value::String(name) => is_a(value, name),
            Value::Array(names) => {
                names.iter().filter_map(Value::as_str).any(|name| is_a(value, name))
            }
            _ => true,
        };
        if !fits {
            self.add("wrong_type", format!("expected {}", words(expected)));
        }
        fits
    }

    fn object(&mut self, schema: &Value, object: &Map<String, Value>) {
        let known = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for (key, value) in object {
            let property = known.and_then(|known| known.get(key)).or(others);
            match property {
                Some(Value::Bool(false)) => {
                    self.at(&escape(key), |walk| {
                        walk.add("unknown_field", "there is no such field");
                    });
                }
                Some(property) => self.at(&escape(key), |walk| walk.value(property, value)),
                None => {}
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten().filter_map(Value::as_str) {
            if !object.contains_key(name) {
                self.at(&escape(name), |walk| {
                    walk.add("missing_field", "this field is required");
                });
            }
        }
    }

    fn items(&mut self, schema: &Value, items: &[Value]) {
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
            self.add("invalid_value", format!("expected one of {}", names.join(", ")));
        }
        let is_time = schema.get("format").and_then(Value::as_str) == Some("date-time");
        if is_time && OffsetDateTime::parse(text, &Rfc3339).is_err() {
            self.add("invalid_value", "expected a time such as 2026-11-21T10:00:00Z");
        }
    }

    fn number(&mut self, schema: &Value, value: &Value) {
        let number = value.as_f64().unwrap_or(f64::NAN);
        let minimum = schema.get("minimum").and_then(Value::as_f64);
        if minimum.is_some_and(|minimum| number < minimum) {
            self.add("out_of_range", "the number is too small");
        }
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
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => true,
    }
}

/// A type for people.
fn words(kind: &Value) -> String {
    let one = |name: &str| match name {
        "object" | "array" | "integer" => format!("an {name}"),
        "null" => name.to_owned(),
        _ => format!("a {name}"),
    };
    match kind {
        Value::String(name) => one(name),
        Value::Array(names) => {
            let names: Vec<_> = names.iter().filter_map(Value::as_str).map(one).collect();
            names.join(" or ")
        }
        _ => "something else".to_owned(),
    }
}
