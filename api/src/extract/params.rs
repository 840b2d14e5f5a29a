//! Query parameters: unknown, repeated and malformed ones are refused, all at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use axum::{extract::FromRequestParts, http::request::Parts};
use posthouse_core::{Error, FieldError, page::PageRequest};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    problem::{ApiResult, Problem},
    schema,
    state::ApiState,
};

/// Most parameters of one request.
const MAX_PARAMS: usize = 2000;

/// Query parameters as `T`.
pub(crate) struct Params<T>(pub T);

/// What can be read from query parameters.
pub(crate) trait FromParams {
    /// Takes what it knows; the reader notes faults, and what nobody took is unknown.
    fn from_params(reader: &mut Reader) -> Self;
}

impl<T: FromParams> FromRequestParts<ApiState> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> ApiResult<Self> {
        let mut reader = Reader::new(parts.uri.query().unwrap_or_default());
        let value = T::from_params(&mut reader);
        Error::unless_empty(reader.into_faults())?;
        Ok(Self(value))
    }
}

/// Hands out parameters by name.
pub(crate) struct Reader {
    pairs: Vec<(String, String)>,
    faults: Vec<FieldError>,
}

impl Reader {
    pub(crate) fn new(query: &str) -> Self {
        let mut pairs = Vec::new();
        let mut faults = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_PARAMS + 1) {
            pairs.push((name.into_owned(), value.into_owned()));
        }
        if pairs.len() > MAX_PARAMS {
            pairs.truncate(MAX_PARAMS);
            faults.push(FieldError::new("", "too_many", "there are too many parameters"));
        }
        Self { pairs, faults }
    }

    /// All values of `name`, in order.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        let taken = self.pairs.extract_if(.., |(known, _)| known == name);
        taken.map(|(_, value)| value).collect()
    }

    /// All values of `name`, which may also be separated by commas.
    pub(crate) fn list(&mut self, name: &str) -> Vec<String> {
        let values = self.all(name);
        let items = values.iter().flat_map(|value| value.split(','));
        items.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// The one value of `name`.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        let mut values = self.all(name);
        if values.len() > 1 {
            self.fault(name, "duplicate_parameter", "this parameter stands more than once");
        }
        let value = values.pop()?;
        if value.contains('\0') {
            self.fault(name, "control_character", "NUL is not allowed");
            return None;
        }
        Some(value)
    }

    /// The one value of `name`, parsed.
    pub(crate) fn parsed<T: FromStr>(&mut self, name: &str, expected: &str) -> Option<T> {
        let text = self.text(name)?;
        let value = text.parse().ok();
        if value.is_none() {
            self.fault(name, "invalid_value", &format!("expected {expected}"));
        }
        value
    }

    /// The values of `name[key]`, by key.
    pub(crate) fn map(&mut self, name: &str) -> BTreeMap<String, String> {
        let key = |text: &str| {
            let key = text.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')?;
            Some(key.to_owned())
        };
        let names: BTreeSet<(String, String)> =
            self.pairs.iter().filter_map(|(name, _)| Some((key(name)?, name.clone()))).collect();
        let mut map = BTreeMap::new();
        for (key, name) in names {
            if key.contains('\0') {
                self.fault(&name, "control_character", "NUL is not allowed");
            }
            map.extend(self.text(&name).map(|value| (key, value)));
        }
        map
    }

    /// A time in RFC 3339.
    pub(crate) fn time(&mut self, name: &str) -> Option<OffsetDateTime> {
        let text = self.text(name)?;
        // An unescaped + of the offset arrives as a space.
        let value = OffsetDateTime::parse(&text.replace(' ', "+"), &Rfc3339).ok();
        if value.is_none() {
            self.fault(name, "invalid_value", "expected a time such as 2026-11-21T10:00:00Z");
        }
        value
    }

    /// `limit` and `cursor`.
    pub(crate) fn page(&mut self) -> PageRequest {
        PageRequest {
            limit: self.parsed("limit", "a number from 1 to 200"),
            cursor: self.text("cursor"),
        }
    }

    /// Whether a fault of the parameter `name` was noted.
    pub(crate) fn has_fault(&self, name: &str) -> bool {
        self.faults.iter().any(|fault| fault.pointer.strip_prefix('/') == Some(name))
    }

    /// Notes a fault of the parameter `name`.
    pub(crate) fn fault(&mut self, name: &str, code: &'static str, detail: &str) {
        self.faults.push(FieldError::new(format!("/{}", schema::escape(name)), code, detail));
    }

    /// All faults; what is left is unknown.
    pub(crate) fn into_faults(mut self) -> Vec<FieldError> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.fault(&name, "unknown_parameter", "this operation has no such parameter");
        }
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_come_at_once() {
        let mut reader =
            Reader::new("limit=x&cursor=a&cursor=b&since=2026-01-01T00:00:00+02:00&z=1");
        assert_eq!(reader.page().limit, None);
        assert!(reader.time("since").is_some());
        let faults = reader.faults.clone();
        assert_eq!(faults.len(), 2);
        assert_eq!(reader.into_faults().len(), 3);
    }

    #[test]
    fn maps_have_each_key_once() {
        let mut reader = Reader::new("m[a]=1&m%5Bb%5D=2&m[a]=3&m=4&m[c&m[%00]=5");
        assert_eq!(reader.map("m").get("b").map(String::as_str), Some("2"));
        let faults = reader.into_faults();
        let codes: Vec<_> = faults.iter().map(|fault| fault.code).collect();
        let unknown = "unknown_parameter";
        assert_eq!(codes, ["control_character", "duplicate_parameter", unknown, unknown]);
    }

    #[test]
    fn lists_take_commas_and_repetition() {
        let mut reader = Reader::new("types=a,%20b&types=c");
        assert_eq!(reader.list("types"), ["a", "b", "c"]);
        assert_eq!(reader.into_faults(), []);
    }
}
