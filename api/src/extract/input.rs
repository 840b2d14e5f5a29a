//! What the type of every JSON body says of the operation that it belongs to.

use posthouse_core::{Cx, Error, FieldError};
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

/// The JSON body of an operation.
pub(crate) trait Input: DeserializeOwned + ToSchema + Send + 'static {
    /// Whether the caller may do the operation at all. Asked before the body is read, so that
    /// others learn nothing of its faults; the operation asks again.
    fn require(cx: &Cx) -> Result<(), Error>;

    /// Every fault of the content that is known without the database. Asked only when the shape has
    /// faults, to tell all together: then something harmless stands in place of what is wrong, and
    /// faults there are dropped. Otherwise the operation itself finds all.
    fn faults(self, cx: &Cx) -> Vec<FieldError>;
}

/// Every field of `T` with a value of a wrong type is told, and the rest is read.
#[cfg(test)]
pub(crate) fn survives_wrong_types<T: DeserializeOwned + ToSchema>() {
    use serde_json::{Map, Value, json};

    let document = serde_json::to_value(crate::openapi()).unwrap();
    let fields = &document["components"]["schemas"][&*T::name()]["properties"];
    let wrong: Map<String, Value> = fields
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, schema)| {
            let takes_numbers = schema["type"].to_string().contains("integer");
            (name.clone(), if takes_numbers { json!("7") } else { json!(7) })
        })
        .collect();
    let parse = |value: &Value| super::json::parse::<T>(value.to_string().as_bytes()).unwrap();
    let all = parse(&wrong.clone().into());
    assert_eq!(all.faults.len(), wrong.len(), "{:?}", all.faults);
    assert!(all.value.is_some(), "{}", T::name());
    for (name, value) in wrong {
        let one = parse(&json!({name.as_str(): value}));
        let here = one.faults.iter().filter(|fault| fault.pointer == format!("/{name}"));
        let codes: Vec<_> = here.map(|fault| fault.code).collect();
        assert_eq!(codes, ["wrong_type"], "{name} of {}", T::name());
        assert!(one.value.is_some(), "{name} of {}", T::name());
    }
    // Nor is it taken as a list of its fields.
    let list = Value::Array(vec![Value::Null; fields.as_object().unwrap().len()]);
    for value in [json!([]), list, json!(null), json!("x")] {
        let nothing = parse(&value);
        assert!(nothing.value.is_none(), "{} as {value}", T::name());
        assert_eq!(nothing.faults.len(), 1, "{} as {value}", T::name());
    }
}
