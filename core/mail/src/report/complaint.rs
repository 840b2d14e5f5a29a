//! Complaints: the Abuse Reporting Format (RFC 5965), and the form that Outlook.com uses instead.

use super::{
    Complaint, MAX_RECIPIENTS, Returned,
    fields::{blocks, fields, typed},
    returned::bare_address,
};
use crate::{address::Address, parse::ParsedMail};

/// Reads the fields of a feedback part.
pub(super) fn read(content: &[u8], returned: Returned) -> Complaint {
    let mut complaint = Complaint { returned, ..Complaint::default() };
    // One block; some put empty lines into it.
    for (name, value) in blocks(content).take(100).flat_map(fields) {
        match name.as_str() {
            "feedback-type" if complaint.feedback_type.is_empty() => {
                complaint.feedback_type = value.to_ascii_lowercase();
            }
            "user-agent" => complaint.user_agent = Some(value),
            "original-envelope-id" => complaint.envelope_id = Some(value),
            "original-mail-from" => complaint.mail_from = address(&value),
            "original-rcpt-to" if complaint.recipients.len() < MAX_RECIPIENTS => {
                complaint.recipients.extend(address(&value));
            }
            _ => {}
        }
    }
    complaint
}

fn address(value: &str) -> Option<Address> {
    bare_address(typed(value).1)
}

/// Outlook.com's: no feedback part, but a subject that says what it is, and in the message that is
/// attached a field that says whose complaint it is.
pub(super) fn read_unlabelled(
    parsed: &ParsedMail,
    returned: impl FnOnce() -> Returned,
) -> Option<Complaint> {
    let subject = parsed.envelope.subject.as_deref().unwrap_or("").to_ascii_lowercase();
    if !subject.starts_with("complaint about message from") {
        return None;
    }
    let returned = returned();
    returned.message_id.as_ref()?;
    Some(Complaint { feedback_type: "abuse".to_owned(), returned, ..Complaint::default() })
}
