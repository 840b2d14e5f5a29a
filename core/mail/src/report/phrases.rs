//! How mail systems word what they could not deliver: data, in lower case.

/// Local parts that mail systems write as.
const DAEMONS: [&str; 6] =
    ["mailer-daemon", "postmaster", "mailerdaemon", "maildaemon", "mail-daemon", "mdaemon"];

/// Subjects of bounces.
const SUBJECTS: [&str; 14] = [
    "undeliverable",
    "undelivered mail",
    "mail delivery failed",
    "mail delivery failure",
    "delivery status notification",
    "delivery failure",
    "delivery failed",
    "delivery incomplete",
    "returned mail",
    "failure notice",
    "mail system error",
    "delayed",
    "could not send message",
    "could not be delivered",
];

/// What stands in their texts.
const TEXTS: [&str; 15] = [
    // qmail
    "hi. this is the",
    // Postfix
    "this is the mail system at host",
    "this is the postfix program at host",
    // Sendmail
    "had permanent fatal errors",
    "had transient non-fatal errors",
    // Exchange
    "did not reach the following recipient",
    "did not reach some or all of the intended recipients",
    "delivery has failed to these recipients",
    // Google
    "delivery to the following recipient",
    "wasn't delivered to",
    // Exim and others
    "could not be delivered",
    "wasn't able to deliver",
    "was not able to deliver",
    "unable to deliver",
    "has not yet been delivered",
];

/// Something is still tried.
const DELAYS: [&str; 10] = [
    "delayed",
    "delivery incomplete",
    "warning message only",
    "warning: could not send message",
    "transient non-fatal errors",
    "not yet been delivered",
    "will continue to be",
    "will be retried",
    "will keep trying",
    "do not need to resend",
];

/// Nothing is tried any more, whatever else is said.
const FINALS: [&str; 5] = ["permanent", "giving up", "given up", "will not be retried", "too long"];

/// After these comes what was returned of the message.
const COPIES: [&str; 9] = [
    // qmail
    "--- below this line is a copy of the message",
    "--- enclosed is a copy of the message",
    // Exim
    "------ this is a copy of the message",
    "------ this is a copy of your message",
    // Google, Sendmail
    "----- original message",
    "----- unsent message follows",
    "----- message header follows",
    "--- the header of the original message",
    // Exchange
    "original message headers:",
];

/// Whether a mail system writes as `local`.
pub(super) fn is_daemon(local: &str) -> bool {
    DAEMONS.iter().any(|name| name.eq_ignore_ascii_case(local))
        || local.get(..17).is_some_and(|start| start.eq_ignore_ascii_case("microsoftexchange"))
}

/// Whether a mail system tells of something that it could not deliver; both in lower case.
pub(super) fn tells_of_failure(subject: &str, text: &str) -> bool {
    has_any(subject, &SUBJECTS) || has_any(text, &TEXTS)
}

/// Whether it will try further; both in lower case.
pub(super) fn tells_of_delay(subject: &str, text: &str) -> bool {
    has_any(subject, &DELAYS) || (has_any(text, &DELAYS) && !has_any(text, &FINALS))
}

/// Where the copy of the message begins, and the line that says so; `text` in lower case.
pub(super) fn copy(text: &str) -> Option<usize> {
    COPIES.iter().filter_map(|phrase| text.find(phrase)).min()
}

fn has_any(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.contains(phrase))
}
