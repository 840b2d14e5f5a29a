//! Times on the wire: RFC 3339, UTC, milliseconds.

use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

const MILLIS: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Writes `time` as `2026-11-21T10:00:00.000Z`.
pub fn rfc3339(time: OffsetDateTime) -> String {
    time.to_offset(time::UtcOffset::UTC).format(&MILLIS).unwrap_or_default()
}

/// For `#[serde(with = "posthouse_core::time::millis")]`.
pub mod millis {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};

    /// Writes a time.
    pub fn serialize<S: Serializer>(time: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::rfc3339(*time))
    }

    /// Reads a time.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<OffsetDateTime, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)
    }

    /// The same for an optional time.
    pub mod option {
        use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
        use time::{OffsetDateTime, format_description::well_known::Rfc3339};

        /// Writes a time or null.
        pub fn serialize<S: Serializer>(
            time: &Option<OffsetDateTime>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, to),
                None => to.serialize_none(),
            }
        }

        /// Reads a time or null.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<OffsetDateTime>, D::Error> {
            let text = <Option<std::borrow::Cow<'de, str>>>::deserialize(from)?;
            text.map(|text| OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom))
                .transpose()
        }
    }
}
