//! The status part of a delivery status notification: RFC 3464 §2.

use super::{
    Action, DeliveryReport, MAX_RECIPIENTS, ReportedRecipient, Returned,
    fields::{address, blocks, fields, find_status, leading_code, typed},
};

/// Reads the blocks of a status part. The first is about the message, but some servers leave out
/// the line that divides it from the first recipient.
pub(super) fn read(content: &[u8], returned: Returned) -> DeliveryReport {
    let mut report = DeliveryReport { returned, ..DeliveryReport::default() };
    for block in blocks(content) {
        if report.recipients.len() >= MAX_RECIPIENTS {
            break;
        }
        let mut reading = Reading::default();
        for (name, value) in fields(block) {
            if name == "original-envelope-id" {
                report.envelope_id = report.envelope_id.take().or(Some(value));
            } else {
                reading.note(&name, &value);
            }
        }
        report.recipients.extend(reading.finish());
    }
    report
}

#[derive(Default)]
struct Reading {
    recipient: ReportedRecipient,
    action: Option<Action>,
    about_recipient: bool,
}

impl Reading {
    fn note(&mut self, name: &str, value: &str) {
        let recipient = &mut self.recipient;
        match name {
            "original-recipient" => recipient.original = address(value),
            "final-recipient" => recipient.last = address(value),
            "action" => self.action = action(value),
            "status" => recipient.status = find_status(value),
            "remote-mta" => {
                recipient.remote_mta = Some(typed(value).1.to_owned()).filter(|it| !it.is_empty());
                return;
            }
            "diagnostic-code" => {
                let (kind, text) = typed(value);
                text.clone_into(&mut recipient.diagnostic);
                // Other types have numbers of their own.
                recipient.code = leading_code(text).filter(|_| matches!(&*kind, "smtp" | ""));
            }
            _ => return,
        }
        self.about_recipient = true;
    }

    /// None: a block about the message, or one that does not say what happened.
    fn finish(self) -> Option<ReportedRecipient> {
        if !self.about_recipient {
            return None;
        }
        let class = self.recipient.status.as_deref().and_then(|status| status.chars().next());
        let by_class = match class {
            Some('2') => Some(Action::Delivered),
            Some('4') => Some(Action::Delayed),
            Some('5') => Some(Action::Failed),
            _ => None,
        };
        let action = self.action.or(by_class)?;
        Some(ReportedRecipient { action, ..self.recipient })
    }
}

/// `action-value`, and how others spell it.
fn action(value: &str) -> Option<Action> {
    let word = value.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
    match word.to_ascii_lowercase().as_str() {
        "failed" | "failure" | "fail" => Some(Action::Failed),
        "delayed" | "delay" => Some(Action::Delayed),
        "delivered" | "deliverable" => Some(Action::Delivered),
        "relayed" => Some(Action::Relayed),
        "expanded" => Some(Action::Expanded),
        _ => None,
    }
}
