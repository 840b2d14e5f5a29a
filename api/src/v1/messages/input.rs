//! A message to send, as JSON.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use posthouse_core::messages;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Value, json};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use super::address::{AddressInput, AddressesInput};
use crate::{extract::Object, v1::fields::Time};

/// A message to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMessage, example = json!({
    "from": "Alice <alice@example.test>", "to": ["bob@example.net"], "subject": "Welcome",
    "text": "Hello Bob", "html": "<p>Hello Bob</p>", "tags": ["welcome"],
    "metadata": {"user": "42"}, "stream": "transactional",
}))]
pub(crate) struct NewMessage {
    /// The author: an address of the account.
    pub from: AddressInput,
    /// Who sends it, when not the author.
    pub sender: Option<AddressInput>,
    /// Recipients.
    pub to: Option<AddressesInput>,
    /// Recipients of a copy.
    pub cc: Option<AddressesInput>,
    /// Recipients that the others do not see.
    pub bcc: Option<AddressesInput>,
    /// Where answers go.
    pub reply_to: Option<AddressesInput>,
    /// Subject.
    pub subject: Option<String>,
    /// Body as plain text.
    pub text: Option<String>,
    /// Body as HTML.
    pub html: Option<String>,
    /// A stored template that gives subject, text and HTML.
    #[schema(value_type = Option<TemplateInput>)]
    pub template: Option<Object<TemplateInput>>,
    /// Further forms of the body, such as a calendar invitation.
    #[schema(value_type = Option<Vec<NewFile>>)]
    pub alternatives: Option<Vec<Object<NewFile>>>,
    /// Files; those with a `content_id` can be shown in the HTML as `cid:…`.
    #[schema(value_type = Option<Vec<NewFile>>)]
    pub attachments: Option<Vec<Object<NewFile>>>,
    /// Further header fields.
    pub headers: Option<HeaderFields>,
    /// Labels of the caller, in every event of the message; at most 20.
    pub tags: Option<Vec<String>>,
    /// The caller's own data, in every event of the message; at most 50 entries.
    pub metadata: Option<BTreeMap<String, String>>,
    /// Not before this time, at most 60 days ahead.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub scheduled_at: Option<Time>,
    /// Not after this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Time>,
    /// Message-ID of the message that this one answers, with angle brackets.
    pub in_reply_to: Option<String>,
    /// Message-IDs of the conversation, oldest first.
    pub references: Option<Vec<String>>,
    /// Message-ID to use; made by default.
    pub message_id: Option<String>,
    /// Reverse-path of the envelope, where reports go; empty: no reports. `from` by default.
    pub mail_from: Option<String>,
    /// Adds a link to unsubscribe, of the recipient's own, in the header fields List-Unsubscribe and
    /// List-Unsubscribe-Post (RFC 8058). Such a message has one recipient.
    #[schema(value_type = Option<Unsubscribe>)]
    pub unsubscribe: Option<Object<Unsubscribe>>,
    /// Store a copy in the mailbox Sent.
    pub save_to_sent: Option<bool>,
    /// Goes to the sandbox, never out.
    pub sandbox: Option<bool>,
    /// Everything is checked and composed, but nothing is stored and nothing goes out. The answer is
    /// 200 instead of 202, and the ids in it lead nowhere.
    pub dry_run: Option<bool>,
    /// The caller's kind of mail, such as `transactional` or `bulk`: 1 to 64 ASCII letters, digits,
    /// `.`, `_` and `-`. Recipients who do not want mail of the topic of that name are skipped, and
    /// links to unsubscribe without a topic are for this one.
    #[schema(example = "transactional")]
    pub stream: Option<String>,
    /// Whether it needs TLS (RFC 8689): true, it goes only to servers that prove who they are, by
    /// MTA-STS in mode `enforce` or DANE, and promise the same (REQUIRETLS), else it fails with
    /// 5.7.30; false, rather without TLS than not at all, whatever the recipient's domain publishes,
    /// told to further servers by `TLS-Required: No`; null, as the recipient's domain wants.
    #[schema(example = json!(null))]
    pub require_tls: Option<bool>,
    /// What a recipient on the suppression list means; `skip` by default.
    #[schema(inline)]
    pub on_suppressed: Option<OnSuppressed>,
}

/// What a recipient on the suppression list means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnSuppressed {
    /// The others get the message.
    Skip,
    /// Nobody gets it: the request is refused.
    Refuse,
}

impl From<OnSuppressed> for messages::OnSuppressed {
    fn from(wish: OnSuppressed) -> Self {
        match wish {
            OnSuppressed::Skip => Self::Skip,
            OnSuppressed::Refuse => Self::Refuse,
        }
    }
}

/// A stored template, by `id` or by `name`, and what it is filled with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TemplateUse, example = json!({"name": "welcome", "variables": {"user": {"name": "Bob"}}}))]
pub(crate) struct TemplateInput {
    /// Identifier of the template.
    pub id: Option<String>,
    /// Name of the template.
    pub name: Option<String>,
    /// Its version; the published one by default.
    pub version: Option<i32>,
    /// What stands for the names in it, at most 64 KiB. Every value that the template needs and that
    /// lacks is a fault.
    #[schema(value_type = Option<Object>)]
    pub variables: Option<Map<String, Value>>,
}

/// What the recipient of a message can unsubscribe from.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"topic": "newsletter"}))]
pub(crate) struct Unsubscribe {
    /// Messages of this topic, which is this message's own: 1 to 64 ASCII letters, digits, `.`, `_`
    /// and `-`. By default those of the `stream`; without one all messages of the account.
    pub topic: Option<String>,
}

/// A file of a message: its `content`, or the `upload_id` of one that was uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"filename": "a.txt", "content_type": "text/plain", "content": "SGVsbG8="}))]
pub(crate) struct NewFile {
    /// Name shown to the reader; by default that of the upload.
    pub filename: Option<String>,
    /// `type/subtype`; by default that of the upload, or what the content and the name tell.
    pub content_type: Option<String>,
    /// The octets in base64.
    pub content: Option<String>,
    /// A file that was uploaded (`POST /v1/uploads`), instead of `content`.
    #[schema(example = "upl_01k6h3v9x8e7ktq2w5m4n1r0sa")]
    pub upload_id: Option<String>,
    /// Content-ID, to refer to it from the HTML as `cid:…`.
    pub content_id: Option<String>,
    /// `attachment` by default; `inline` for what stands beside the HTML.
    #[schema(inline)]
    pub disposition: Option<Disposition>,
}

/// How a file is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Disposition {
    /// To be saved.
    Attachment,
    /// To be shown in place.
    Inline,
}

/// Header fields in the order of the request; a name may stand more than once.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeaderFields(pub Vec<(String, String)>);

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = HeaderFields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of header fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderFields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(HeaderFields(fields))
    }
}

impl<'de> Deserialize<'de> for HeaderFields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(FieldsVisitor)
    }
}

impl PartialSchema for HeaderFields {
    fn schema() -> RefOr<Schema> {
        let value = ObjectBuilder::new().schema_type(Type::String);
        let fields = ObjectBuilder::new()
            .schema_type(Type::Object)
            .additional_properties(Some(value))
            .description(Some("Names and values of header fields."))
            .examples([json!({"X-Ref": "7"})]);
        RefOr::T(fields.build().into())
    }
}

impl ToSchema for HeaderFields {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("HeaderFields")
    }
}
