//! Stored templates of messages, in versions that never change.
//!
//! The language is a small part of Jinja: values, filters, `if` and `for`. It has nothing that reads
//! files or other templates, builds large values, or goes on for ever
//! ([`engine`], docs/decisions/0017).

mod check;
mod create;
mod engine;
mod manage;
mod rendering;
mod store;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;

pub use create::{add_version, create, create_faults, version_faults};
pub use manage::{delete, find, list, publish, update, update_faults, versions};
pub(crate) use rendering::{Library, use_faults};
pub use rendering::{render, render_faults};

use crate::id::{self, Account, Id};

/// Most templates of one account.
pub const MAX_PER_ACCOUNT: i64 = 1000;
/// Most versions of one template.
pub const MAX_VERSIONS: i32 = 1000;

/// A template, without what it says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Template {
    /// Identifier.
    pub id: Id<id::Template>,
    /// Whose template it is.
    pub account_id: Id<Account>,
    /// Name, unique in the account.
    pub name: String,
    /// For people.
    pub description: String,
    /// The version that messages use when they name none.
    pub published_version: Option<i32>,
    /// The newest version.
    pub latest_version: i32,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "crate::time::millis")]
    pub updated_at: OffsetDateTime,
}

/// What a template says; each is a template of its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Parts {
    /// Subject.
    pub subject: String,
    /// Plain text.
    pub text: Option<String>,
    /// HTML; values are escaped.
    pub html: Option<String>,
}

/// A version of a template.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Version {
    /// Whose version it is.
    pub template_id: Id<id::Template>,
    /// Number, from 1.
    pub version: i32,
    /// What it says.
    pub parts: Parts,
    /// When it was made.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
}

/// A template with one of its versions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shown {
    /// The template.
    pub template: Template,
    /// The version.
    pub version: Version,
}

/// A version as lists have it.
#[derive(Debug, Clone)]
pub struct VersionSummary {
    /// Number, from 1.
    pub version: i32,
    /// Octets of what it says.
    pub size_bytes: i64,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// A template to be made.
#[derive(Debug, Clone)]
pub struct NewTemplate {
    /// Name, unique in the account.
    pub name: String,
    /// For people.
    pub description: String,
    /// What its first version says.
    pub parts: Parts,
    /// Messages can use it at once.
    pub publish: bool,
}

/// Changes to a template; what is absent stays.
#[derive(Debug, Clone, Default)]
pub struct TemplatePatch {
    /// Name, unique in the account.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
}

/// Which template is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Which {
    /// The one with this id.
    Id(Id<id::Template>),
    /// The one of this name.
    Name(String),
}

/// A template with values, in place of subject, text and HTML of a message.
#[derive(Debug, Clone)]
pub struct TemplateUse {
    /// The template.
    pub which: Which,
    /// Its version; none: the published one.
    pub version: Option<i32>,
    /// What stands for the names in it.
    pub variables: Map<String, Value>,
}

/// What came out of a template.
#[derive(Debug, Clone)]
pub struct Rendered {
    /// The version that was used.
    pub version: i32,
    /// Subject.
    pub subject: String,
    /// Plain text.
    pub text: Option<String>,
    /// HTML.
    pub html: Option<String>,
}
