//! Composing delivery status notifications: multipart/report for people and for machines.
//!
//! RFC 3461 to 3464, 6522, 6533 and 3834. What remote servers said is untrusted and made harmless first.

mod text;
mod write;

use time::OffsetDateTime;

pub(crate) use text::is_status;
pub use write::compose_failure;

use crate::address::Address;

/// What happened to the recipients of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DsnKind {
    /// `Action: failed`
    Failed,
    /// `Action: delayed`
    Delayed,
}

/// One recipient of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DsnRecipient {
    /// Where it was to be delivered.
    pub address: Address,
    /// ORCPT of the sender, as `rfc822;address` (RFC 3461 §4.2).
    pub original_recipient: Option<String>,
    /// Enhanced status code (RFC 3463); anything else becomes `5.0.0` or `4.0.0`.
    pub status: String,
    /// The server that said no.
    pub remote_mta: Option<String>,
    /// What it said, as `550 5.1.1 No such user`.
    pub diagnostic: Option<String>,
    /// When it was last tried.
    pub last_attempt: Option<OffsetDateTime>,
    /// Until when it will be tried again.
    pub will_retry_until: Option<OffsetDateTime>,
}

/// All a report is made of.
#[derive(Debug, Clone)]
pub struct DsnInput<'a> {
    /// Failed for good or delayed.
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
    /// ENVID of the sender.
    pub envelope_id: Option<&'a str>,
    /// Header of the original message.
    pub original_header: &'a [u8],
    /// The recipients concerned.
    pub recipients: &'a [DsnRecipient],
    /// When the original message was accepted.
    pub arrival: OffsetDateTime,
    /// Date of the report.
    pub now: OffsetDateTime,
}

#[cfg(test)]
mod tests;
