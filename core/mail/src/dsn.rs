//! Composing delivery status notifications: multipart/report for people and for machines.
//!
//! RFC 3461 to 3464, 6522, 6533 and 3834. What remote servers said is untrusted and made harmless first.

mod params;
mod text;
mod write;
mod xtext;

use time::OffsetDateTime;

pub use params::{BadParam, MailDsn, Notify, OriginalRecipient, RcptDsn, Ret, envid_from_param};
pub(crate) use text::is_status;
pub use write::compose;

use crate::address::Address;

/// What happened to the recipients of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DsnKind {
    /// `Action: failed`
    Failed,
    /// `Action: delayed`
    Delayed,
    /// `Action: delivered`
    Delivered,
    /// `Action: relayed`, to a server that makes no reports of success.
    Relayed,
}

/// One recipient of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsnRecipient {
    /// Where it was to be delivered.
    pub address: Address,
    /// ORCPT of the sender (RFC 3461 §4.2).
    pub original_recipient: Option<OriginalRecipient>,
    /// Enhanced status code (RFC 3463); anything else becomes `5.0.0`, `4.0.0` or `2.0.0`.
    pub status: String,
    /// The server that said so; none: ours.
    pub remote_mta: Option<String>,
    /// What happened.
    pub diagnostic: Option<Diagnostic>,
    /// When it was last tried.
    pub last_attempt: Option<OffsetDateTime>,
    /// Until when it will be tried again.
    pub will_retry_until: Option<OffsetDateTime>,
}

/// Why a recipient is reported, RFC 3464 §2.3.6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Diagnostic {
    /// A reply, as `550 5.1.1 No such user`.
    Smtp(String),
    /// Words of ours.
    Own(String),
}

/// What of the original message goes back.
#[derive(Debug, Clone, Copy)]
pub enum Returned<'a> {
    /// Its header.
    Header(&'a [u8]),
    /// All of it, with CRLF line ends.
    Message {
        /// Header and body.
        octets: &'a [u8],
        /// A header field of it, be it of a part, is not ASCII (RFC 6533 §4).
        utf8: bool,
    },
}

/// All a report is made of.
#[derive(Debug, Clone)]
pub struct DsnInput<'a> {
    /// What happened to all of the recipients.
    pub kind: DsnKind,
    /// Our host name.
    pub reporting_mta: &'a str,
    /// Header From, such as `postmaster@mx.example.org`; the envelope sender of a report is empty.
    pub from: &'a Address,
    /// The sender of the original message.
    pub to: &'a Address,
    /// Message-ID of the report, with angle brackets.
    pub message_id: &'a str,
    /// Message-ID of the original message, with angle brackets.
    pub original_message_id: Option<&'a str>,
    /// ENVID of the sender, decoded: printable ASCII.
    pub envelope_id: Option<&'a str>,
    /// What goes back.
    pub returned: Returned<'a>,
    /// The recipients concerned.
    pub recipients: &'a [DsnRecipient],
    /// When the original message was accepted.
    pub arrival: OffsetDateTime,
    /// Date of the report.
    pub now: OffsetDateTime,
}

#[cfg(test)]
mod tests;
