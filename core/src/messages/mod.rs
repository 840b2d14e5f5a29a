//! Outgoing messages: taking them, and looking at what became of them.

mod batch;
mod content;
pub(crate) mod labels;
mod prepare;
mod read;
mod redact;
mod resend;
pub(crate) mod store;
mod submit;
pub(crate) mod writer;

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use posthouse_mail::{
    address::Address,
    compose::Draft,
    dsn::{MailDsn, RcptDsn},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use batch::{MAX_BATCH, Outcome, Refusal, RefusedField, batch_faults, submit_batch};
pub use content::{attachment, content};
pub(crate) use prepare::CORES;
pub use prepare::check::faults;
pub use read::{deliveries, find, list, raw};
pub use redact::redact;
pub use resend::resend;
pub(crate) use submit::submit_marking;
pub use submit::{Rehearsal, check_recipient, check_sender, rehearse, submit};

use crate::{
    id::{self, Delivery, Id},
    templates::TemplateUse,
    uploads::Attached,
};

/// Most recipients of one message.
pub const MAX_RECIPIENTS: usize = 1000;

/// How far ahead a message may be scheduled (Part 3.8).
pub const MAX_SCHEDULE: time::Duration = time::Duration::days(60);

/// A message that somebody asks us to send, whatever door it came through.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Reverse-path; none: the address in From.
    pub mail_from: Option<ReversePath>,
    /// Recipients of the envelope.
    pub recipients: Vec<Address>,
    /// What to send.
    pub content: Content,
    /// Gives subject, text and HTML of what is composed.
    pub template: Option<TemplateUse>,
    /// Uploads whose octets files of what is composed have.
    pub uploads: Vec<Attached>,
    /// How to send it.
    pub options: Options,
}

/// The sender of the envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReversePath {
    /// `<>`: nobody wants reports.
    Null,
    /// Reports go here.
    Address(Address),
}

impl ReversePath {
    /// As it stands in MAIL; empty for the null one.
    pub(crate) fn as_text(&self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Address(address) => address.to_string(),
        }
    }
}

/// What to send.
#[derive(Debug, Clone)]
pub enum Content {
    /// A complete message with CRLF line ends.
    Raw(Bytes),
    /// Fields to compose a message from.
    Composed(Box<Draft>),
}

/// How to send.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The caller's labels, in every event of the message.
    pub tags: Vec<String>,
    /// The caller's own data, in every event of the message.
    pub metadata: BTreeMap<String, String>,
    /// Not before this time.
    pub scheduled_at: Option<OffsetDateTime>,
    /// Not after this time.
    pub expires_at: Option<OffsetDateTime>,
    /// Store a copy in the Sent mailbox, in the same transaction.
    pub save_to_sent: bool,
    /// Goes to the sandbox, never out.
    pub sandbox: bool,
    /// Everything is checked and composed, but nothing is stored and nothing goes out.
    pub dry_run: bool,
    /// The caller's kind of mail, such as `bulk`.
    pub stream: Option<String>,
    /// Whether a TLS connection is needed (RFC 8689); none: as the recipient's domain wants.
    pub require_tls: Option<bool>,
    /// What the sender wants to be told.
    pub dsn: Dsn,
    /// What a recipient on the suppression list means.
    pub on_suppressed: OnSuppressed,
    /// The recipient can unsubscribe by a link in the header.
    pub unsubscribe: Option<Unsubscribe>,
    /// How it came, for the Received field.
    pub protocol: Protocol,
    /// What it is for.
    pub purpose: Purpose,
}

impl Options {
    /// The topic that suppressions are asked about: the one of the link, or else the stream.
    pub fn topic(&self) -> Option<&str> {
        let topic = self.unsubscribe.as_ref().and_then(|wish| wish.topic.as_deref());
        topic.or(self.stream.as_deref())
    }
}

/// What the sender wants to be told of deliveries (RFC 3461).
#[derive(Debug, Clone, Default)]
pub struct Dsn {
    /// What MAIL says.
    pub message: MailDsn,
    /// What RCPT says of recipients; of others, nothing.
    pub recipients: HashMap<Address, RcptDsn>,
}

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// Whatever somebody has to say.
    #[default]
    Mail,
    /// A report that the server makes: there are no reports about its delivery.
    Report,
}

impl From<bool> for Purpose {
    fn from(is_report: bool) -> Self {
        if is_report { Self::Report } else { Self::Mail }
    }
}

/// What to do when a recipient is on the suppression list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnSuppressed {
    /// The others get the message.
    #[default]
    Skip,
    /// The message is refused.
    Refuse,
}

/// What the recipient of a message can unsubscribe from.
#[derive(Debug, Clone, Default)]
pub struct Unsubscribe {
    /// Messages of this topic, which is also the message's own; none: those of the stream if there is
    /// one, else all messages of the account.
    pub topic: Option<String>,
}

/// How a message came to us.
#[derive(Debug, Clone, Default)]
pub enum Protocol {
    /// By the API.
    #[default]
    Http,
    /// By SMTP submission; says whether with TLS, and which mechanism authenticated.
    Submission {
        /// `TLSv1.3 …`, as it stands in Received.
        tls: Option<String>,
        /// SASL mechanism by its IANA name, for Authentication-Results (B5).
        mechanism: &'static str,
    },
}

/// What became of [`submit`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Submission {
    /// Identifier.
    pub id: Id<id::Message>,
    /// Header field Message-ID, with angle brackets.
    pub internet_message_id: String,
    /// One per recipient, in order.
    pub deliveries: Vec<SubmittedDelivery>,
    /// Recipients that stood more than once and get the message once (0.11).
    pub duplicates: Vec<String>,
    /// Octets of the message as it goes out.
    pub size_bytes: u64,
    /// It goes to the sandbox.
    pub sandbox: bool,
    /// Nothing was stored, and nothing goes out.
    #[serde(default)]
    pub dry_run: bool,
    /// Not before this time.
    #[serde(with = "crate::time::millis::option")]
    pub scheduled_at: Option<OffsetDateTime>,
    /// When it was taken.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
}

/// A new delivery.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SubmittedDelivery {
    /// Identifier.
    pub id: Id<Delivery>,
    /// Address of the envelope.
    pub recipient: String,
    /// `queued` or `scheduled`.
    pub status: String,
}

/// A message as its owner sees it.
#[derive(Debug, Clone)]
pub struct Message {
    /// Identifier.
    pub id: Id<id::Message>,
    /// Header field Message-ID, with angle brackets.
    pub internet_message_id: String,
    /// `http` or `smtp`.
    pub door: String,
    /// Reverse-path; empty for the null sender.
    pub mail_from: String,
    /// Header field From.
    pub from: String,
    /// Subject.
    pub subject: String,
    /// Octets.
    pub size_bytes: i64,
    /// Recipients of the envelope.
    pub recipients: i32,
    /// The caller's tags (JSON array).
    pub tags: serde_json::Value,
    /// The caller's metadata (JSON object).
    pub metadata: serde_json::Value,
    /// The caller's kind of mail.
    pub stream: Option<String>,
    /// Whether a TLS connection is needed; none: as the recipient's domain wants.
    pub require_tls: Option<bool>,
    /// It went to the sandbox.
    pub sandbox: bool,
    /// The content is still there.
    pub has_content: bool,
    /// When it was taken.
    pub created_at: OffsetDateTime,
}

/// One recipient's journey.
#[derive(Debug, Clone)]
pub struct DeliveryView {
    /// Identifier.
    pub id: Id<Delivery>,
    /// Address of the envelope.
    pub recipient: String,
    /// As in API.md: `queued`, `deferred`, `delivered` …
    pub status: String,
    /// When the next attempt is due.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// When it ended.
    pub completed_at: Option<OffsetDateTime>,
    /// When a report said that it could not be delivered after all.
    pub bounced_at: Option<OffsetDateTime>,
    /// When the recipient complained.
    pub complained_at: Option<OffsetDateTime>,
    /// What was asked for while an attempt is in progress.
    pub pending_action: Option<String>,
    /// The transport that was chosen for it, before all routes.
    pub transport_id: Option<Id<id::Transport>>,
    /// Whether a TLS connection is needed (RFC 8689); none: as the recipient's domain wants.
    pub require_tls: Option<bool>,
    /// Tries so far, in order.
    pub attempts: Vec<AttemptView>,
}

/// One try.
#[derive(Debug, Clone)]
pub struct AttemptView {
    /// Number, from 1.
    pub attempt: i16,
    /// When it began.
    pub started_at: OffsetDateTime,
    /// How long it took.
    pub duration_ms: i32,
    /// `delivered`, `deferred`, `failed`, `suppressed` or `expired`.
    pub outcome: String,
    /// Host that was asked.
    pub mx_host: Option<String>,
    /// Its address.
    pub remote_address: Option<String>,
    /// Our address.
    pub local_address: Option<String>,
    /// `TLSv1.3`.
    pub tls_version: Option<String>,
    /// Cipher suite.
    pub tls_cipher: Option<String>,
    /// `none`, `opportunistic`, `pkix` or `dane`.
    pub tls_verification: String,
    /// Code of the reply.
    pub smtp_code: Option<i16>,
    /// Enhanced status code.
    pub enhanced_code: Option<String>,
    /// Text of the reply.
    pub reply: String,
}

/// Which messages are wanted.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Header field Message-ID, with or without angle brackets.
    pub internet_message_id: Option<String>,
    /// Reverse-path.
    pub from: Option<String>,
    /// Address of a recipient, in any case.
    pub to: Option<String>,
    /// Domain of a recipient, in A-label form.
    pub domain: Option<String>,
    /// Stands in the subject, whatever its case.
    pub subject: Option<String>,
    /// All of these are in the caller's metadata.
    pub metadata: BTreeMap<String, String>,
    /// One of the tags.
    pub tag: Option<String>,
    /// The stream.
    pub stream: Option<String>,
    /// Status of one of the deliveries.
    pub status: Option<String>,
    /// Taken at or after this time.
    pub since: Option<OffsetDateTime>,
    /// Taken before this time.
    pub until: Option<OffsetDateTime>,
}
