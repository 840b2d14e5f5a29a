//! The results of a job, recipient by recipient, while it is under way.

use posthouse_core::ports::transport::{Job, Outcome, Reply};

use super::{
    capabilities::{Capabilities, Extension},
    fault::Fault,
};

/// One result per recipient, filled in as they become known.
#[derive(Debug)]
pub(super) struct Ledger {
    outcomes: Vec<Option<Outcome>>,
    /// A server has answered for a single recipient: no other host is asked any more.
    pub(super) is_answered: bool,
}

impl Ledger {
    /// All open, but for recipients that cannot be put on the wire.
    pub(super) fn new(job: &Job) -> Self {
        let mut ledger = Self { outcomes: vec![None; job.recipients.len()], is_answered: false };
        if !is_wire_safe(&job.mail_from) {
            ledger.settle_rest(|| failed("5.1.7", "The sender address cannot be sent by SMTP"));
        }
        for (index, recipient) in job.recipients.iter().enumerate() {
            if recipient.address.is_empty() || !is_wire_safe(&recipient.address) {
                ledger.set(index, failed("5.1.3", "The address cannot be sent by SMTP"));
            }
        }
        ledger
    }

    /// Recipients without a result, at most `limit`.
    pub(super) fn pending(&self, limit: usize) -> Vec<usize> {
        let open = self.outcomes.iter().enumerate().filter(|(_, outcome)| outcome.is_none());
        open.map(|(index, _)| index).take(limit).collect()
    }

    /// Whether every recipient has its result.
    pub(super) fn is_complete(&self) -> bool {
        self.outcomes.iter().all(Option::is_some)
    }

    /// Records a result; the first one stays.
    pub(super) fn set(&mut self, index: usize, outcome: Outcome) {
        if let Some(slot @ None) = self.outcomes.get_mut(index) {
            *slot = Some(outcome);
        }
    }

    /// Gives every recipient without a result this one.
    pub(super) fn settle_rest(&mut self, outcome: impl Fn() -> Outcome) {
        for slot in &mut self.outcomes {
            slot.get_or_insert_with(&outcome);
        }
    }

    /// Gives every recipient without a result the one that a fault means.
    pub(super) fn settle_fault(&mut self, fault: Fault) {
        let permanent = matches!(fault, Fault::Permanent(_));
        let reply = fault.into_reply();
        self.settle_rest(|| {
            let reply = reply.clone();
            if permanent { Outcome::Failed(reply) } else { Outcome::Deferred(reply) }
        });
    }

    /// Refuses what the server could only refuse: too large (RFC 1870 §6.1), or in need of SMTPUTF8
    /// (RFC 6531 §3.2) without it.
    pub(super) fn refuse_locally(&mut self, job: &Job, offered: &Capabilities) {
        let size = job.message.len();
        let is_over = |limit: &usize| u64::try_from(*limit).is_ok_and(|limit| size > limit);
        if let Some(limit) = offered.size.filter(is_over) {
            let text = format!("The message has {size} octets, the server takes {limit}");
            self.settle_rest(|| failed("5.3.4", &text));
        }
        if offered.offers(Extension::SmtpUtf8) {
            return;
        }
        let text = "Non-ASCII addresses or header fields, but the server has no SMTPUTF8";
        if job.message.smtputf8 || !job.mail_from.is_ascii() {
            self.settle_rest(|| failed("5.6.7", text));
        }
        for (index, recipient) in job.recipients.iter().enumerate() {
            if !recipient.address.is_ascii() {
                self.set(index, failed("5.6.7", text));
            }
        }
    }

    /// The results; `missing` stands in where there is none.
    pub(super) fn into_outcomes(mut self, missing: impl Fn() -> Reply) -> Vec<Outcome> {
        self.settle_rest(|| Outcome::Deferred(missing()));
        self.outcomes.into_iter().flatten().collect()
    }
}

fn failed(enhanced: &str, text: &str) -> Outcome {
    Outcome::Failed(Reply::local(enhanced, text))
}

/// Whether an address can stand between `<` and `>` without ending there: no control characters,
/// and no space or angle bracket outside of a quoted local part.
fn is_wire_safe(address: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for c in address.chars() {
        if c.is_control() {
            return false;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '<' | '>' if !quoted => return false,
            _ => {}
        }
    }
    !quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_would_end_the_command_are_refused() {
        for address in ["", "a@b.example", "\"a b>\"@c.example", r#""a\"> b"@c.example"#, "ü@b"] {
            assert!(is_wire_safe(address), "{address}");
        }
        for address in ["a\r\nRSET@b", "a@b\n", "a>@b", "a b@c", "\"a@b", "a\u{85}@b", "a\0@b"] {
            assert!(!is_wire_safe(address), "{address}");
        }
    }
}
