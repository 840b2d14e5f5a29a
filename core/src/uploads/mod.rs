//! Files that are sent once and attached to messages by their id, for a day.
//!
//! What they hold are blobs like those of messages: stored once per account and content, and removed
//! when nothing refers to them any more.

mod attach;
mod create;
mod manage;
mod store;

use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

pub(crate) use attach::Uploads;
pub use attach::{Attached, Place};
pub use create::{create, faults};
pub use manage::{delete, find};
pub(crate) use store::purge;

use crate::id::{self, Id};

/// How long an upload can be used.
pub const KEPT: Duration = Duration::hours(24);
/// Most uploads of one account at a time.
pub const MAX_PER_ACCOUNT: i64 = 1000;
/// Most octets of all uploads of one account.
pub const MAX_BYTES: i64 = 1024 * 1024 * 1024;

/// A file that messages can attach.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Upload {
    /// Identifier.
    pub id: Id<id::Upload>,
    /// Name that messages give it unless they say another.
    pub filename: Option<String>,
    /// `type/subtype`, with parameters if there are any.
    pub content_type: String,
    /// Octets.
    pub size_bytes: i64,
    /// SHA-256 of the octets, in hexadecimal.
    pub sha256: String,
    /// When it came.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
    /// It can be used until then.
    #[serde(with = "crate::time::millis")]
    pub expires_at: OffsetDateTime,
}

/// A file that came.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// Name shown to readers.
    pub filename: Option<String>,
    /// `type/subtype`; none: what the octets and the name tell.
    pub content_type: Option<String>,
    /// The octets.
    pub content: bytes::Bytes,
}
