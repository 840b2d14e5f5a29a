//! Templates as they go out.

use posthouse_core::{Id, id, templates};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::ToSchema;

/// A template, without what it says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Template {
    /// Identifier.
    #[schema(value_type = String, example = "tpl_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    id: Id<id::Template>,
    /// Unique in the account.
    #[schema(example = "welcome")]
    name: String,
    /// For people.
    description: String,
    /// The version that messages use when they name none; null: none is published.
    #[schema(example = 1)]
    published_version: Option<i32>,
    /// The newest version.
    #[schema(example = 2)]
    latest_version: i32,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    updated_at: OffsetDateTime,
}

impl From<templates::Template> for Template {
    fn from(template: templates::Template) -> Self {
        Self {
            id: template.id,
            name: template.name,
            description: template.description,
            published_version: template.published_version,
            latest_version: template.latest_version,
            created_at: template.created_at,
            updated_at: template.updated_at,
        }
    }
}

/// A template with what one of its versions says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownTemplate {
    /// The template.
    #[serde(flatten)]
    template: Template,
    /// The version that is shown.
    #[schema(example = 1)]
    version: i32,
    /// Template of the subject.
    #[schema(example = "Welcome, {{ user.name }}")]
    subject: String,
    /// Template of the plain text.
    #[schema(example = "Hello {{ user.name }}.")]
    text: Option<String>,
    /// Template of the HTML.
    html: Option<String>,
}

impl From<templates::Shown> for ShownTemplate {
    fn from(shown: templates::Shown) -> Self {
        Self {
            template: shown.template.into(),
            version: shown.version.version,
            subject: shown.version.parts.subject,
            text: shown.version.parts.text,
            html: shown.version.parts.html,
        }
    }
}

/// A version of a template, without what it says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateVersion {
    /// Number, from 1.
    #[schema(example = 1)]
    version: i32,
    /// Octets of what it says.
    #[schema(example = 420)]
    size_bytes: i64,
    /// When it was made.
    #[serde(with = "posthouse_core::time::millis")]
    #[schema(value_type = String, format = DateTime, example = "2026-11-21T10:00:00.000Z")]
    created_at: OffsetDateTime,
}

impl From<templates::VersionSummary> for TemplateVersion {
    fn from(version: templates::VersionSummary) -> Self {
        Self {
            version: version.version,
            size_bytes: version.size_bytes,
            created_at: version.created_at,
        }
    }
}

/// What a template becomes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RenderedTemplate {
    /// The version that was used.
    #[schema(example = 1)]
    version: i32,
    /// Subject.
    #[schema(example = "Welcome, Bob")]
    subject: String,
    /// Plain text.
    #[schema(example = "Hello Bob.")]
    text: Option<String>,
    /// HTML.
    html: Option<String>,
}

impl From<templates::Rendered> for RenderedTemplate {
    fn from(rendered: templates::Rendered) -> Self {
        Self {
            version: rendered.version,
            subject: rendered.subject,
            text: rendered.text,
            html: rendered.html,
        }
    }
}
