//! Reading what comes back: delivery status notifications, bounces in plain text, complaints.
//!
//! RFC 3464 and 6533 (DSN), RFC 5965 (ARF), and the forms in which qmail, Exim, Postfix, Sendmail
//! and Exchange tell of failures without a status part. Everything is bounded and nothing is
//! believed: who reads a report decides what it is about, and whether that can be so.

mod complaint;
mod fields;
mod notice;
mod phrases;
mod returned;
mod status;

pub use returned::Returned;

use crate::{
    address::Address,
    parse::{ParsedMail, Part, transfer},
};

/// Most recipients of a report that are looked at.
pub const MAX_RECIPIENTS: usize = 1000;
/// Most octets of the machine-readable part, and of a returned header, that are looked at.
const MAX_PART: usize = 256 * 1024;
/// Most parts that are looked through.
const MAX_LOOK: usize = 1000;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// What became of recipients of a message.
    Delivery(DeliveryReport),
    /// Somebody complained about a message.
    Complaint(Complaint),
}

/// What became of recipients of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryReport {
    /// ENVID of the sender.
    pub envelope_id: Option<String>,
    /// The recipients it tells of. One without any address stands for a recipient that the report
    /// does not name.
    pub recipients: Vec<ReportedRecipient>,
    /// What it returns of the message.
    pub returned: Returned,
}

/// What became of one recipient.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportedRecipient {
    /// ORCPT of the sender.
    pub original: Option<Address>,
    /// Where it was delivered in the end, which may be elsewhere.
    pub last: Option<Address>,
    /// What happened.
    pub action: Action,
    /// Enhanced status code (RFC 3463).
    pub status: Option<String>,
    /// Code of the SMTP reply.
    pub code: Option<u16>,
    /// What the other server said, or why it failed; one line of at most 1,000 octets.
    pub diagnostic: String,
    /// The server that said it.
    pub remote_mta: Option<String>,
}

/// RFC 3464 §2.3.3.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Action {
    /// Not delivered, and not tried again.
    #[default]
    Failed,
    /// Not delivered yet.
    Delayed,
    /// In the mailbox.
    Delivered,
    /// Handed to a system that reports nothing.
    Relayed,
    /// Delivered to a list, which sends it on.
    Expanded,
}

/// Somebody complained about a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Complaint {
    /// `abuse`, `fraud` …, lower case.
    pub feedback_type: String,
    /// The program that reports.
    pub user_agent: Option<String>,
    /// ENVID of the sender.
    pub envelope_id: Option<String>,
    /// Reverse-path of the message.
    pub mail_from: Option<Address>,
    /// Who complained; providers often leave it out or make it unreadable.
    pub recipients: Vec<Address>,
    /// What it returns of the message.
    pub returned: Returned,
}

impl Complaint {
    /// Whether it says that the message was not wanted; other feedback tells the opposite, or is
    /// about authentication.
    pub fn is_complaint(&self) -> bool {
        !matches!(self.feedback_type.as_str(), "" | "not-spam" | "auth-failure" | "dmarc")
    }
}

impl Report {
    /// Reads a message that may be a report; `parsed` is what [`ParsedMail::parse`] made of it.
    /// None: it is none, such as an answer of a person or of a vacation program.
    pub fn read(message: &[u8], parsed: &ParsedMail) -> Option<Self> {
        let parts = Parts::of(&parsed.structure);
        let returned = || Returned::read(message, parts.returned);
        if let Some(part) = parts.feedback {
            let complaint = complaint::read(&octets(message, part), returned());
            return Some(Self::Complaint(complaint));
        }
        if let Some(part) = parts.status {
            let report = status::read(&octets(message, part), returned());
            return Some(Self::Delivery(report));
        }
        if let Some(complaint) = complaint::read_unlabelled(parsed, returned) {
            return Some(Self::Complaint(complaint));
        }
        notice::read(message, parsed, returned).map(Self::Delivery)
    }

    /// What it returns of the message.
    pub const fn returned(&self) -> &Returned {
        match self {
            Self::Delivery(report) => &report.returned,
            Self::Complaint(complaint) => &complaint.returned,
        }
    }

    /// ENVID of the sender.
    pub fn envelope_id(&self) -> Option<&str> {
        match self {
            Self::Delivery(report) => report.envelope_id.as_deref(),
            Self::Complaint(complaint) => complaint.envelope_id.as_deref(),
        }
    }
}

/// The parts that make a report, wherever lists and gateways have put them.
#[derive(Default)]
struct Parts<'a> {
    status: Option<&'a Part>,
    feedback: Option<&'a Part>,
    returned: Option<&'a Part>,
}

impl<'a> Parts<'a> {
    /// Looks through the tree, but not into the message that is returned: that may be a report, too.
    fn of(root: &'a Part) -> Self {
        let mut found = Self::default();
        let mut stack = vec![root];
        for _ in 0..MAX_LOOK {
            let Some(part) = stack.pop() else { break };
            let place = match part.content_type.as_str() {
                "message/delivery-status" | "message/global-delivery-status" => &mut found.status,
                "message/feedback-report" => &mut found.feedback,
                "message/rfc822"
                | "message/global"
                | "text/rfc822-headers"
                | "message/global-headers"
                | "text/rfc822-header" => &mut found.returned,
                _ => {
                    stack.extend(part.children.iter().rev());
                    continue;
                }
            };
            if place.is_none() {
                *place = Some(part);
            }
        }
        found
    }
}

/// The first octets of a leaf, decoded.
fn octets(message: &[u8], part: &Part) -> Vec<u8> {
    let length = part.body_length.min(MAX_PART);
    let end = part.body_offset.saturating_add(length).min(message.len());
    transfer::decode(&part.encoding, message.get(part.body_offset..end).unwrap_or(&[]))
}

#[cfg(test)]
mod tests;
