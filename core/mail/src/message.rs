//! Looking at a raw message without parsing its MIME: header fields, author, trace count, line ends.
//!
//! RFC 5322 §2.2 and §3.6. Header and field count are bounded and everything is one pass.
//! Which authors are acceptable is stricter here (one From, one address) than in the RFC.

mod fields;
mod inspect;
mod lines;

pub(crate) use fields::split_field as field_of;
pub use fields::{HeaderFields, header_fields, split_header, strip_header_fields};
pub use inspect::{InspectError, Inspection, inspect, waives_tls};
pub(crate) use inspect::{is_auto_submitted, message_ids};
pub use lines::{BareLineEnd, has_bare_cr_or_lf, normalise_line_ends};

/// Most octets of a header that are looked at (CVE-2024-23185).
pub const MAX_HEADER: usize = 1024 * 1024;
/// Most lines of a header that are looked at (CVE-2024-23184).
pub const MAX_HEADER_LINES: usize = 2000;
