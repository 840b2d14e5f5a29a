//! Writing the three parts of a report, RFC 3464 §2 and RFC 6533 §3.

use std::borrow::Cow;

use aws_lc_rs::digest;
use time::OffsetDateTime;

use super::{
    Diagnostic, DsnInput, DsnKind, DsnRecipient, OriginalRecipient, Returned,
    text::{clean, is_status},
};
use crate::{
    address::NamedAddress,
    date,
    fold::{self, Field, hex},
    message::message_ids,
};

/// Most of the original header that is returned.
const MAX_RETURNED_HEADER: usize = 64 * 1024;

/// The whole report as a message with CRLF line ends, to be delivered with an empty envelope sender.
///
/// What it tells of the recipients is in `input.kind`.
pub fn compose(input: &DsnInput<'_>) -> Vec<u8> {
    let (returned, is_message, is_wide) = match input.returned {
        Returned::Header(header) => {
            let header = returned_header(header);
            let is_wide = !header.is_ascii();
            (Cow::Owned(header), false, is_wide)
        }
        Returned::Message { octets, utf8 } => (Cow::Borrowed(octets), true, utf8),
    };
    let utf8 = is_wide || !input.to.is_ascii() || input.recipients.iter().any(needs_utf8);
    let boundary = boundary(input);
    let mut out = Vec::with_capacity(4096 + returned.len());
    write_header(&mut out, input, &boundary);
    let status = if utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
    let original = match (is_message, utf8) {
        (true, false) => "message/rfc822",
        (true, true) => "message/global",
        (false, false) => "text/rfc822-headers",
        (false, true) => "message/global-headers",
    };
    part(&mut out, &boundary, "text/plain; charset=utf-8", &human_text(input, utf8));
    part(&mut out, &boundary, status, &machine_text(input, utf8));
    part(&mut out, &boundary, original, &returned);
    out.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    out
}

/// RFC 6533 §3 and §4.
fn needs_utf8(recipient: &DsnRecipient) -> bool {
    let original = recipient.original_recipient.as_ref().map_or("", OriginalRecipient::as_str);
    !recipient.address.is_ascii() || !original.is_ascii()
}

/// The hash is of this report alone, so that no returned header can hold it.
fn boundary(input: &DsnInput<'_>) -> String {
    let seed = format!("{}\n{}", input.message_id, input.now.unix_timestamp_nanos());
    let hash = digest::digest(&digest::SHA256, seed.as_bytes());
    format!("=_dsn_{}", hex(hash.as_ref().get(..16).unwrap_or(&[])))
}

fn write_header(out: &mut Vec<u8>, input: &DsnInput<'_>, boundary: &str) {
    let name = Some("Mail Delivery System".to_owned());
    mailbox(out, "From", NamedAddress { name, address: input.from.clone() });
    mailbox(out, "To", NamedAddress { name: None, address: input.to.clone() });
    let subject = match input.kind {
        DsnKind::Failed => "Your message could not be delivered",
        DsnKind::Delayed => "Your message is delayed",
        DsnKind::Delivered => "Your message was delivered",
        DsnKind::Relayed => "Your message was passed on",
    };
    fold::unstructured(out, "Subject", subject);
    fold::custom(out, "Date", &date::format(input.now));
    fold::custom(out, "Message-ID", input.message_id);
    let original = input.original_message_id.map(str::as_bytes).map(message_ids);
    if let Some(original) = original.and_then(|ids| ids.into_iter().next()) {
        fold::custom(out, "References", &original);
        fold::custom(out, "In-Reply-To", &original);
    }
    fold::custom(out, "Auto-Submitted", "auto-replied");
    fold::custom(out, "MIME-Version", "1.0");
    let kind = format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\"");
    fold::custom(out, "Content-Type", &kind);
    out.extend_from_slice(b"\r\n");
}

fn mailbox(out: &mut Vec<u8>, name: &str, mailbox: NamedAddress) {
    let mut field = Field::new(out, name);
    field.mailboxes(&[mailbox]);
    field.end();
}

fn part(out: &mut Vec<u8>, boundary: &str, kind: &str, content: &[u8]) {
    let encoding = if content.is_ascii() { "7bit" } else { "8bit" };
    let head = format!(
        "--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(content);
    out.extend_from_slice(b"\r\n");
}

/// What people read.
fn human_text(input: &DsnInput<'_>, utf8: bool) -> Vec<u8> {
    let mut text = String::new();
    text.push_str(match input.kind {
        DsnKind::Failed => {
            "Your message could not be delivered to the recipients below.\r\nIt will not be tried again.\r\n"
        }
        DsnKind::Delayed => {
            "Your message could not be delivered yet to the recipients below.\r\n\
             You need not send it again: it will be tried further.\r\n"
        }
        DsnKind::Delivered => "Your message was delivered to the recipients below.\r\n",
        DsnKind::Relayed => {
            "Your message was passed on to the mail servers of the recipients below.\r\n\
             They do not report when it is delivered.\r\n"
        }
    });
    for recipient in input.recipients {
        text.extend(["\r\n", &recipient.address.to_string(), "\r\n"]);
        if let Some(diagnostic) = &recipient.diagnostic {
            let server = recipient.remote_mta.as_deref().map(|name| clean(name, utf8));
            let server = server.unwrap_or_else(|| "the mail system".to_owned());
            let (Diagnostic::Smtp(said) | Diagnostic::Own(said)) = diagnostic;
            text.push_str(&wrap(&format!("{server} said: {}", clean(said, utf8))));
        }
        if let Some(until) = recipient.will_retry_until {
            text.extend(["    It will be tried until ", &date::format(until), ".\r\n"]);
        }
    }
    text.extend(["\r\nThis report comes from ", &clean(input.reporting_mta, utf8), ".\r\n"]);
    text.into_bytes()
}

/// Indented lines of at most 78 columns; a line never starts with what a stranger chose.
fn wrap(text: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        if column > 0 && column + 1 + word.len() > 74 {
            out.push_str("\r\n");
            column = 0;
        }
        out.push_str(if column == 0 { "    " } else { " " });
        out.push_str(word);
        column += word.len() + 1;
    }
    out.push_str("\r\n");
    out
}

/// RFC 3464 §2.1: a block about the message, then one for each recipient.
fn machine_text(input: &DsnInput<'_>, utf8: bool) -> Vec<u8> {
    let mut out = Vec::new();
    if let Some(id) = input.envelope_id {
        exact_field(&mut out, "Original-Envelope-Id", id);
    }
    status_field(&mut out, "Reporting-MTA", &format!("dns; {}", clean(input.reporting_mta, utf8)));
    date_field(&mut out, "Arrival-Date", Some(input.arrival));
    for recipient in input.recipients {
        out.extend_from_slice(b"\r\n");
        recipient_block(&mut out, input.kind, recipient, utf8);
    }
    out
}

/// RFC 3464 §2.3.
fn recipient_block(out: &mut Vec<u8>, kind: DsnKind, recipient: &DsnRecipient, utf8: bool) {
    if let Some(original) = &recipient.original_recipient {
        status_field(out, "Original-Recipient", &clean(original.as_str(), utf8));
    }
    let address_type = if recipient.address.is_ascii() { "rfc822" } else { "utf-8" };
    status_field(out, "Final-Recipient", &format!("{address_type}; {}", recipient.address));
    let (action, fallback) = match kind {
        DsnKind::Failed => ("failed", "5.0.0"),
        DsnKind::Delayed => ("delayed", "4.0.0"),
        DsnKind::Delivered => ("delivered", "2.0.0"),
        DsnKind::Relayed => ("relayed", "2.0.0"),
    };
    status_field(out, "Action", action);
    let status = recipient.status.as_str();
    status_field(out, "Status", if is_status(status) { status } else { fallback });
    if let Some(name) = &recipient.remote_mta {
        status_field(out, "Remote-MTA", &format!("dns; {}", clean(name, utf8)));
    }
    if let Some(diagnostic) = &recipient.diagnostic {
        let (kind, said) = match diagnostic {
            Diagnostic::Smtp(said) => ("smtp", said),
            Diagnostic::Own(said) => ("X-Posthouse", said),
        };
        status_field(out, "Diagnostic-Code", &format!("{kind}; {}", clean(said, utf8)));
    }
    date_field(out, "Last-Attempt-Date", recipient.last_attempt);
    if kind == DsnKind::Delayed {
        date_field(out, "Will-Retry-Until", recipient.will_retry_until);
    }
}

fn date_field(out: &mut Vec<u8>, name: &str, at: Option<OffsetDateTime>) {
    if let Some(at) = at {
        status_field(out, name, &date::format(at));
    }
}

/// A field with a short value that has to come back as it was (RFC 3464 §2.2.1): on one line, with
/// all its spaces.
fn exact_field(out: &mut Vec<u8>, name: &str, value: &str) {
    let printable = value.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' });
    let value: String = printable.take(fold::MAX_RUN).collect();
    out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
}

/// A field of the status part: folded like a header field, but never in encoded-words.
fn status_field(out: &mut Vec<u8>, name: &str, value: &str) {
    let mut field = Field::new(out, name);
    for word in value.split_ascii_whitespace() {
        for (at, piece) in pieces(word).into_iter().enumerate() {
            if at == 0 || piece.len() > 70 {
                field.word(piece);
            } else {
                field.glue(piece);
            }
        }
    }
    field.end();
}

/// A word in pieces that fit on a line of 998 octets.
fn pieces(word: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while rest.len() > fold::MAX_RUN {
        let (piece, tail) = rest.split_at(rest.floor_char_boundary(fold::MAX_RUN));
        pieces.push(piece);
        rest = tail;
    }
    pieces.push(rest);
    pieces
}

/// The original header with lines that may be sent: complete, CRLF, no control characters, at most 998 octets.
fn returned_header(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len().min(MAX_RETURNED_HEADER));
    for line in header.split(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || out.len() + line.len() > MAX_RETURNED_HEADER {
            break;
        }
        let text = String::from_utf8_lossy(line);
        let end = text.floor_char_boundary(990);
        let kept = text.get(..end).unwrap_or("");
        let clean: String = kept
            .chars()
            .map(|c| if c != '\t' && crate::address::is_forbidden(c) { '?' } else { c })
            .collect();
        out.extend_from_slice(clean.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}
