//! Parsing a message for the mail store: envelope, structure with byte offsets, texts, attachments.
//!
//! RFC 2045 to 2049, 2183, 2231, 5256 §2.1, 8621 §4. Never fails: what cannot be understood becomes an
//! octet-stream leaf. Iterative, with budgets for depth and parts; headers are not interpreted beyond display.

mod body;
mod describe;
mod envelope;
mod structure;
mod subject;
pub(crate) mod transfer;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use body::{
    attachments, decode_body, decode_part, decode_text, find_part, html_to_text, is_as_transferred,
    text_parts,
};
pub use envelope::Envelope;
pub(crate) use structure::has_8bit_part_header;
pub use subject::base_subject;

pub use crate::address::EmailAddress;
use crate::search::Words;

/// Deepest nesting of parts that is followed.
pub const MAX_DEPTH: usize = 50;
/// Most parts of a message that are told apart.
pub const MAX_PARTS: usize = 1000;
/// Most octets of each of `text` and `html`.
pub const MAX_TEXT: usize = 1024 * 1024;
/// Most octets that each of them is made from.
pub const MAX_RAW_TEXT: usize = 4 * MAX_TEXT;
/// Most characters of the preview.
pub const MAX_PREVIEW: usize = 256;

/// One MIME entity. Offsets are into the whole message, so that a part can be cut out of the stored octets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// IMAP-like path: empty for the whole message, `1`, `1.2`; the only part of a simple message is `1`.
    pub path: String,
    /// `type/subtype`, lower case.
    pub content_type: String,
    /// Parameters of the content type, names in lower case.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// `attachment`, `inline` or what the message says, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disposition: Option<String>,
    /// File name from the disposition or the content type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Content-ID without angle brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_id: Option<String>,
    /// Content-Transfer-Encoding, lower case; `7bit` by default.
    pub encoding: String,
    /// Charset of a text part, lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
    /// Where the header of the part starts.
    pub header_offset: usize,
    /// Octets of the header with the empty line after it.
    pub header_length: usize,
    /// Where the body of the part starts.
    pub body_offset: usize,
    /// Octets of the body as transferred.
    pub body_length: usize,
    /// Octets of the body when decoded; 0 for multiparts.
    pub decoded_size: usize,
    /// Lines of the body as transferred.
    pub lines: usize,
    /// The envelope of the message inside a `message/rfc822` part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Box<Envelope>>,
    /// Parts of a multipart, or the one root of the message inside a `message/rfc822`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Self>,
}

/// A leaf that is shown as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentInfo {
    /// Path of the part.
    pub path: String,
    /// File name, if the message gives one.
    pub filename: Option<String>,
    /// `type/subtype`, lower case.
    pub content_type: String,
    /// Content-ID without angle brackets.
    pub content_id: Option<String>,
    /// Octets when decoded.
    #[serde(rename = "size_bytes")]
    pub size: usize,
    /// Whether it belongs beside the HTML.
    pub inline: bool,
}

/// A message as the mail store keeps it.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not states")]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedMail {
    /// Header fields for display and sorting.
    pub envelope: Envelope,
    /// Tree of parts.
    pub structure: Part,
    /// First characters of the text on one line.
    pub preview: String,
    /// First plain text body.
    pub text: Option<String>,
    /// First HTML body.
    pub html: Option<String>,
    /// Files.
    pub attachments: Vec<AttachmentInfo>,
    /// Subject without `Re:`, `Fwd:` and the like, for threads.
    pub base_subject: String,
    /// Whether something of that kind was removed.
    pub is_reply_or_forward: bool,
    /// Came through a mailing list.
    pub list: bool,
    /// Sent by a machine; an empty MAIL FROM, which only the envelope tells, makes it so too.
    pub automated: bool,
    /// Delivery status notification (RFC 3464).
    pub is_dsn: bool,
    /// What it is found by; [`ParsedMail::parse`] leaves that to [`crate::search::index`].
    #[serde(skip)]
    pub words: Words,
}

impl Part {
    /// The same tree when `octets` of complete header fields come before the message.
    #[must_use]
    pub fn behind(mut self, octets: usize) -> Self {
        let mut rest: Vec<&mut Self> = self.children.iter_mut().collect();
        while let Some(part) = rest.pop() {
            part.header_offset += octets;
            part.body_offset += octets;
            rest.extend(part.children.iter_mut());
        }
        // The header of the whole message begins with them.
        self.header_length += octets;
        self.body_offset += octets;
        self
    }
}

impl ParsedMail {
    /// Parses the octets of a whole message. Never fails.
    pub fn parse(message: &[u8]) -> Self {
        body::parse(message)
    }
}

#[cfg(test)]
mod tests;
