//! The header fields that are shown and sorted by, as JMAP (RFC 8621 §4.1.2) and IMAP (RFC 9051 §7.5.2) have them.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::text::printable;
use crate::{
    address::{EmailAddress, parse_address_list},
    date, encoded_word,
    message::{header_fields, message_ids},
};

/// Envelope of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Date field, if it could be read.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub date: Option<OffsetDateTime>,
    /// Subject, decoded.
    pub subject: Option<String>,
    /// From.
    pub from: Vec<EmailAddress>,
    /// Sender.
    pub sender: Vec<EmailAddress>,
    /// Reply-To.
    pub reply_to: Vec<EmailAddress>,
    /// To.
    pub to: Vec<EmailAddress>,
    /// Cc.
    pub cc: Vec<EmailAddress>,
    /// Bcc.
    pub bcc: Vec<EmailAddress>,
    /// Message-IDs of In-Reply-To, with angle brackets.
    pub in_reply_to: Vec<String>,
    /// Message-IDs of References, with angle brackets.
    pub references: Vec<String>,
    /// Message-ID, with angle brackets.
    pub message_id: Option<String>,
}

impl Envelope {
    /// Reads the envelope from a header; the first field of a name counts, as for most readers.
    pub(super) fn read(header: &[u8]) -> Self {
        let mut envelope = Self::default();
        for (name, value) in header_fields(header) {
            envelope.note(&name.to_ascii_lowercase(), value);
        }
        envelope
    }

    fn note(&mut self, name: &str, value: &[u8]) {
        let addresses = match name {
            "from" => &mut self.from,
            "sender" => &mut self.sender,
            "reply-to" => &mut self.reply_to,
            "to" => &mut self.to,
            "cc" => &mut self.cc,
            "bcc" => &mut self.bcc,
            _ => return self.note_other(name, value),
        };
        if addresses.is_empty() {
            *addresses = parse_address_list(value).addresses;
        }
    }

    fn note_other(&mut self, name: &str, value: &[u8]) {
        match name {
            "subject" if self.subject.is_none() => {
                self.subject = Some(printable(&encoded_word::decode_text(value)));
            }
            "date" if self.date.is_none() => self.date = date::parse(value),
            "message-id" if self.message_id.is_none() => {
                self.message_id = message_ids(value).into_iter().next();
            }
            "in-reply-to" if self.in_reply_to.is_empty() => self.in_reply_to = message_ids(value),
            "references" if self.references.is_empty() => self.references = message_ids(value),
            _ => {}
        }
    }
}
