//! Bounces without a status part: what people are meant to read, read by a machine.
//!
//! Exim's and Google's `X-Failed-Recipients`, the format of qmail (QSBMF), the texts of Postfix,
//! Sendmail and Exchange. A bounce comes from a mail system and words a failure as they do; what a
//! person or a vacation program writes is none, whatever it quotes.

use mail_parser::decoders::html::html_to_text;

use super::{
    Action, DeliveryReport, ReportedRecipient, Returned,
    fields::{find_code, find_status, one_line},
    phrases::{copy, is_daemon, tells_of_delay, tells_of_failure},
    returned::bare_address,
};
use crate::{
    address::{Address, parse_address_list},
    encoded_word::unfold,
    message::header_fields,
    parse::ParsedMail,
};

/// Most octets of the text that are looked at.
const MAX_TEXT: usize = 64 * 1024;
/// Most lines of the notice that are looked at.
const MAX_LINES: usize = 500;
/// Most recipients that are looked for in a text.
const MAX_NAMED: usize = 100;
/// Most octets of a reason that are gathered.
const MAX_REASON: usize = 2000;

/// Reads a bounce in words.
pub(super) fn read(
    message: &[u8],
    parsed: &ParsedMail,
    returned: impl FnOnce() -> Returned,
) -> Option<DeliveryReport> {
    let marks = Marks::of(message.get(..parsed.structure.header_length).unwrap_or(&[]));
    // Most mail ends here, before its text is looked at.
    if marks.vacation || (marks.failed.is_empty() && !is_from_daemon(parsed)) {
        return None;
    }
    let text = text_of(parsed);
    let lower = text.to_ascii_lowercase();
    let (notice, rest) = text.split_at_checked(copy(&lower).unwrap_or(lower.len()))?;
    let lower = lower.get(..notice.len())?;
    let subject = parsed.envelope.subject.as_deref().unwrap_or("").to_ascii_lowercase();
    if marks.failed.is_empty() && !tells_of_failure(&subject, lower) {
        return None;
    }
    let delayed = marks.failed.is_empty() && tells_of_delay(&subject, lower);
    let action = if delayed { Action::Delayed } else { Action::Failed };
    let mut returned = returned();
    if returned == Returned::default() {
        let copied = rest.split_once('\n').map_or("", |(_, copied)| copied);
        returned = Returned::of_text(copied.as_bytes());
    }
    let recipients = recipients(notice, marks.failed, action);
    Some(DeliveryReport { envelope_id: None, recipients, returned })
}

/// What the header says.
#[derive(Default)]
struct Marks {
    failed: Vec<Address>,
    vacation: bool,
}

impl Marks {
    fn of(header: &[u8]) -> Self {
        let mut marks = Self::default();
        for (name, value) in header_fields(header) {
            match name.to_ascii_lowercase().as_str() {
                "x-failed-recipients" => {
                    let addresses = parse_address_list(value).addresses.into_iter().take(MAX_NAMED);
                    marks
                        .failed
                        .extend(addresses.filter_map(|one| Address::parse(&one.email).ok()));
                }
                "x-autoreply" | "x-autorespond" | "x-autoresponder" => marks.vacation = true,
                "precedence" => {
                    marks.vacation |= unfold(value).trim().eq_ignore_ascii_case("auto_reply");
                }
                _ => {}
            }
        }
        marks
    }
}

fn is_from_daemon(parsed: &ParsedMail) -> bool {
    let mut writers = parsed.envelope.from.iter().chain(&parsed.envelope.sender).take(10);
    writers.any(|one| is_daemon(one.email.split('@').next().unwrap_or("")))
}

fn text_of(parsed: &ParsedMail) -> String {
    let bounded =
        |text: &str| text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or("").to_owned();
    match (&parsed.text, &parsed.html) {
        (Some(text), _) => bounded(text),
        (None, Some(html)) => html_to_text(&bounded(html)),
        (None, None) => String::new(),
    }
}

/// A recipient and the lines after it.
struct Named {
    address: Address,
    reason: String,
}

/// The recipients of a notice; one without an address when it names none.
fn recipients(notice: &str, failed: Vec<Address>, action: Action) -> Vec<ReportedRecipient> {
    let mut named = named(notice);
    for address in failed {
        if !named.iter().any(|known| known.address == address) && named.len() < MAX_NAMED {
            named.push(Named { address, reason: String::new() });
        }
    }
    let general = || telling_line(notice);
    if named.is_empty() {
        return vec![recipient(None, &general(), action)];
    }
    let recipient_of = |one: Named| {
        let tells = find_code(&one.reason).is_some() || find_status(&one.reason).is_some();
        let reason = if tells { one.reason } else { general() };
        recipient(Some(one.address), &reason, action)
    };
    named.into_iter().map(recipient_of).collect()
}

fn recipient(address: Option<Address>, reason: &str, action: Action) -> ReportedRecipient {
    let class = if action == Action::Delayed { '4' } else { '5' };
    ReportedRecipient {
        last: address,
        action,
        status: find_status(reason).filter(|status| status.starts_with(class)),
        code: find_code(reason),
        diagnostic: one_line(reason),
        ..ReportedRecipient::default()
    }
}

/// Recipients that stand at the beginning of lines, each with its paragraph.
fn named(notice: &str) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    let mut open = false;
    for line in notice.lines().take(MAX_LINES) {
        if let Some((address, reason)) = leading_address(line) {
            // Some name a recipient again when they tell what was said.
            open = !found.iter().any(|known| known.address == address);
            if open && found.len() < MAX_NAMED {
                found.push(Named { address, reason });
            }
        } else if line.trim().is_empty() {
            open = false;
        } else if let Some(last) = found.last_mut().filter(|_| open)
            && last.reason.len() < MAX_REASON
        {
            last.reason.push(' ');
            last.reason.push_str(line.trim());
        }
    }
    found
}

/// `<bob@example.net>: reason`, `bob@example.net... reason`, `bob@example.net` alone, or with a
/// time or comment behind it.
fn leading_address(line: &str) -> Option<(Address, String)> {
    let line = line.trim();
    if line.len() > 1000 {
        return None;
    }
    if let Some(rest) = line.strip_prefix('<') {
        let (inside, reason) = rest.split_once('>')?;
        let reason = reason.trim_start_matches([':', '.', ',']).trim();
        return Some((bare_address(inside)?, reason.to_owned()));
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let (word, dots) = match word.split_once("...") {
        Some((word, _)) => (word, true),
        None => (word, false),
    };
    let colon = word.ends_with(':');
    let address = bare_address(word.trim_end_matches([':', ',']))?;
    let rest = rest.trim();
    let stands_alone = rest.is_empty() || rest.starts_with(['(', '<']) || rest.starts_with("on ");
    (dots || colon || stands_alone).then(|| (address, rest.to_owned()))
}

/// The first line that has a code, with the one after it; else the first line.
fn telling_line(notice: &str) -> String {
    let mut lines = notice.lines().take(MAX_LINES).map(str::trim).filter(|line| !line.is_empty());
    let mut first = None;
    while let Some(line) = lines.next() {
        if find_code(line).is_some() || find_status(line).is_some() {
            return format!("{line} {}", lines.next().unwrap_or(""));
        }
        first = first.or(Some(line));
    }
    first.unwrap_or("").to_owned()
}
