//! Why a JSON body does not fit its type: every fault of its shape, and what is left of it with
//! something harmless in place of what is wrong, so that its content can be checked as well.
//!
//! What is read here is a value, where of several fields of one name the last one counts.

use std::{collections::HashSet, fmt};

use posthouse_core::FieldError;
use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};
use serde_path_to_error::{Path, Segment};
use utoipa::ToSchema;

use crate::{
    problem::{self, Problem},
    schema::{self, Repair},
};

/// Most faults that no schema tells.
const MAX_MORE: usize = 10;
/// Fields that stand more than once are not looked for below longer pointers: no field of ours is
/// that deep.
const MAX_POINTER: usize = 200;

/// A body, as far as it could be read.
#[derive(Debug)]
pub(crate) struct Parsed<T> {
    /// None if it is nothing like a `T`.
    pub value: Option<T>,
    /// Everything that is wrong with its shape.
    pub faults: Vec<FieldError>,
}

impl<T> Parsed<T> {
    /// The body, if neither it nor what is `around` it has faults; else all of them, with those of
    /// the `content`.
    pub(crate) fn whole(
        self,
        around: Vec<FieldError>,
        content: impl FnOnce(T) -> Vec<FieldError>,
    ) -> Result<T, Problem> {
        let Self { value, faults } = self;
        match value {
            Some(value) if faults.is_empty() && around.is_empty() => Ok(value),
            value => {
                let content = value.map(content).unwrap_or_default();
                let mut all = around;
                all.extend(problem::with_content(faults, content));
                Err(Problem::invalid(all))
            }
        }
    }
}

/// Finds what is wrong with `text`, which is no `T` because of `first`.
pub(super) fn explain<T>(text: &[u8], first: FieldError) -> Result<Parsed<T>, Problem>
where
    T: DeserializeOwned + ToSchema,
{
    let (mut value, twice) = read(text)?;
    let found = schema::check(&T::name(), &value, &twice);
    let mut faults = Vec::with_capacity(found.len());
    for found in found {
        schema::repair(&mut value, &found.fault.pointer, found.repair);
        faults.push(found.fault);
    }
    let is_readable = faults.len() < schema::ENOUGH && !has(&faults, "");
    let value = if is_readable { read_again(value, &mut faults) } else { None };
    if faults.is_empty() {
        faults.push(first);
    }
    Ok(Parsed { value, faults })
}

/// Reads a repaired value; what its type refuses for a reason that no schema tells goes too.
fn read_again<T: DeserializeOwned>(mut value: Value, faults: &mut Vec<FieldError>) -> Option<T> {
    for _ in 0..MAX_MORE {
        let error = match serde_path_to_error::deserialize(&value) {
            Ok(read) => return Some(read),
            Err(error) => error,
        };
        let pointer = pointer(error.path());
        if pointer.is_empty() {
            return None;
        }
        schema::repair(&mut value, &pointer, Repair::Remove);
        if !has(faults, &pointer) {
            faults.push(fault(pointer, error.inner()));
        }
    }
    None
}

fn has(faults: &[FieldError], pointer: &str) -> bool {
    faults.iter().any(|fault| fault.pointer == pointer)
}

/// What the parser says, as a fault.
pub(super) fn fault(pointer: String, error: &serde_json::Error) -> FieldError {
    let text = error.to_string();
    let end = format!(" at line {} column {}", error.line(), error.column());
    let detail = text.strip_suffix(&end).unwrap_or(&text);
    let known = [
        ("unknown field", "unknown_field"),
        ("missing field", "missing_field"),
        ("duplicate field", "duplicate_field"),
        ("invalid type", "wrong_type"),
    ];
    let found = known.iter().find(|(beginning, _)| detail.starts_with(beginning));
    FieldError::new(pointer, found.map_or("invalid_value", |(_, code)| code), detail)
}

/// The text is not JSON.
pub(super) fn unreadable(pointer: String, error: &serde_json::Error) -> Problem {
    Problem::unreadable(FieldError::new(pointer, "malformed_json", error.to_string()))
}

/// RFC 6901 of a path that the parser went.
pub(super) fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&schema::escape(key)),
            Segment::Enum { variant } => pointer.push_str(&schema::escape(variant)),
            Segment::Unknown => {
                pointer.pop();
            }
        }
    }
    pointer
}

/// The value of a text, and the places of fields that stand in it more than once.
fn read(text: &[u8]) -> Result<(Value, HashSet<String>), Problem> {
    let mut reader = ValueReader::default();
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = reader.deserialize(&mut json).and_then(|value| json.end().map(|()| value));
    match value {
        Ok(value) => Ok((value, reader.twice)),
        Err(error) => Err(unreadable(reader.pointer, &error)),
    }
}

#[derive(Default)]
struct ValueReader {
    pointer: String,
    twice: HashSet<String>,
}

impl ValueReader {
    /// Reads what is one step further down.
    fn at<T, E>(
        &mut self,
        step: &str,
        read: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(step);
        let value = read(self)?;
        self.pointer.truncate(length);
        Ok(value)
    }
}

impl<'de> DeserializeSeed<'de> for &mut ValueReader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut ValueReader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        loop {
            let step = items.len().to_string();
            match self.at(&step, |reader| list.next_element_seed(reader))? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            self.at(&schema::escape(&key), |reader| {
                let value = map.next_value_seed(&mut *reader)?;
                let is_second = object.insert(key, value).is_some();
                let is_wanted = reader.pointer.len() <= MAX_POINTER;
                if is_second && is_wanted && reader.twice.len() < schema::ENOUGH {
                    reader.twice.insert(reader.pointer.clone());
                }
                Ok(())
            })?;
        }
        Ok(Value::Object(object))
    }
}
