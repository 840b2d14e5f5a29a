//! Kinds of fields that several requests have.

use posthouse_core::page::PageRequest;
use serde::{Deserialize, Deserializer, de::Error as _};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use utoipa::IntoParams;

use crate::extract::{FromParams, Reader};

/// A time in a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub OffsetDateTime);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let time = OffsetDateTime::parse(&text, &Rfc3339);
        let time =
            time.map_err(|_| D::Error::custom("expected a time such as 2026-11-21T10:00:00Z"));
        time.map(Self)
    }
}

/// For fields of a merge patch (RFC 7396) that cannot be removed: null is a fault.
pub(crate) fn present<'de, T, D>(from: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(from).map(Some)
}

/// For fields of a merge patch that null removes: absent is `None`, null is `Some(None)`.
#[expect(clippy::option_option, reason = "absent, null and a value are three things")]
pub(crate) fn removable<'de, T, D>(from: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(from).map(Some)
}

/// Which part of a list is wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what PageRequest reads")]
pub(crate) struct PageParams {
    /// Size of the page, 1 to 200; 50 by default.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u16>,
    /// `next_cursor` or `prev_cursor` of another page of the same list.
    cursor: Option<String>,
}

impl FromParams for PageRequest {
    fn from_params(reader: &mut Reader) -> Self {
        reader.page()
    }
}
