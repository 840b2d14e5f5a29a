//! Composing: a draft as the API takes it, checked as a whole, then written as MIME.
//!
//! RFC 5322 header, RFC 2045 to 2047 and 2231 bodies and parameters, RFC 2387 related parts. A draft with
//! [`Draft::faults`] must not be composed. Bcc is never written; signing is for [`crate::dkim`].

mod check;
mod sniff;
mod write;

use serde::Serialize;
use time::OffsetDateTime;

pub(crate) use check::is_message_id;
pub use write::compose;

use crate::address::NamedAddress;

/// A message to compose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The one author.
    pub from: NamedAddress,
    /// Who sent it, when not the author.
    pub sender: Option<NamedAddress>,
    /// Primary recipients.
    pub to: Vec<NamedAddress>,
    /// Copied recipients.
    pub cc: Vec<NamedAddress>,
    /// Where answers go.
    pub reply_to: Vec<NamedAddress>,
    /// Subject, any Unicode text without control characters.
    pub subject: String,
    /// Plain text body.
    pub text: Option<String>,
    /// HTML body.
    pub html: Option<String>,
    /// Further alternatives of the body, such as a calendar invitation.
    pub alternatives: Vec<File>,
    /// Attached files; those with [`Disposition::Inline`] or a content id go beside the HTML.
    pub attachments: Vec<File>,
    /// Further header fields, in order.
    pub headers: Vec<(String, String)>,
    /// Message-ID this answers, with angle brackets.
    pub in_reply_to: Option<String>,
    /// Message-IDs of the thread, oldest first, with angle brackets.
    pub references: Vec<String>,
    /// Message-ID to use, with angle brackets.
    pub message_id: Option<String>,
    /// Date to use.
    pub date: Option<OffsetDateTime>,
}

impl Draft {
    /// An empty draft of this author.
    pub fn new(from: NamedAddress) -> Self {
        Self {
            from,
            sender: None,
            to: Vec::new(),
            cc: Vec::new(),
            reply_to: Vec::new(),
            subject: String::new(),
            text: None,
            html: None,
            alternatives: Vec::new(),
            attachments: Vec::new(),
            headers: Vec::new(),
            in_reply_to: None,
            references: Vec::new(),
            message_id: None,
            date: None,
        }
    }

    /// Everything that is wrong with the draft, at once; empty when it may be composed.
    pub fn faults(&self) -> Vec<Fault> {
        check::faults(self)
    }
}

/// A file of a draft.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct File {
    /// Name shown to the reader.
    pub filename: Option<String>,
    /// `type/subtype` with parameters; sniffed when not given.
    pub content_type: Option<String>,
    /// The octets.
    pub content: Vec<u8>,
    /// Content-ID, with or without angle brackets.
    pub content_id: Option<String>,
    /// Attached or inline.
    pub disposition: Disposition,
}

impl File {
    /// What is wrong with its name, its type and its content id; pointers begin at the file.
    pub fn faults(&self) -> Vec<Fault> {
        check::file_faults(self)
    }

    /// Its type as far as its octets and its name tell.
    pub fn sniffed_type(&self) -> &'static str {
        sniff::content_type(self.filename.as_deref(), &self.content)
    }

    /// Whether the file belongs beside the HTML (RFC 2387) rather than among the attachments.
    pub fn is_inline(&self) -> bool {
        self.disposition == Disposition::Inline || self.content_id.is_some()
    }
}

/// RFC 2183 disposition of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Disposition {
    /// To be saved.
    #[default]
    Attachment,
    /// To be shown in place.
    Inline,
}

/// One thing wrong with a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// JSON pointer to the field, such as `/attachments/0/filename`.
    pub pointer: String,
    /// Stable code.
    pub code: &'static str,
    /// What is wrong, in words for people.
    pub detail: String,
}

#[cfg(test)]
mod tests;
