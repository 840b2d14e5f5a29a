//! What submission and delivery must know of a message's header.

use super::{header_fields, split_header};
use crate::text::printable;
use crate::{
    address::{Address, AddressError, EmailAddress, NamedAddress, parse_address_list},
    encoded_word,
    parse::has_8bit_part_header,
};

/// Why the header of a message is not acceptable from a sender of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// No empty line, or more header than [`super::MAX_HEADER`].
    #[error("the message has no end of its header")]
    NoHeaderEnd,
    /// No From field.
    #[error("the message has no From field")]
    NoFrom,
    /// Two From fields, or several addresses in one.
    #[error("the message has more than one From address")]
    MultipleFrom,
    /// Group syntax in From (RFC 6854), which authenticates as nobody.
    #[error("the From field is a group")]
    GroupFrom,
    /// The From address is not valid.
    #[error("the From field is not valid: {0}")]
    BadFrom(AddressError),
}

/// What a message says of itself.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not states")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The one author.
    pub from: NamedAddress,
    /// Subject, decoded.
    pub subject: Option<String>,
    /// Message-ID with angle brackets.
    pub message_id: Option<String>,
    /// There is a Date field.
    pub has_date: bool,
    /// There is a Message-ID field, whatever is in it.
    pub has_message_id: bool,
    /// To, for display.
    pub to: Vec<EmailAddress>,
    /// Cc, for display.
    pub cc: Vec<EmailAddress>,
    /// There is a Bcc field to remove.
    pub has_bcc: bool,
    /// There is a Return-Path field, which only final delivery may add.
    pub has_return_path: bool,
    /// Trace fields so far; a loop has many.
    pub received_count: usize,
    /// A header field is not ASCII, be it of a part, so onward delivery needs SMTPUTF8.
    pub needs_smtputf8: bool,
    /// The body has octets above 127, so onward delivery needs 8BITMIME.
    pub has_8bit: bool,
    /// Whether all TLS-Required fields say `No`; none: there are none.
    pub waives_tls: Option<bool>,
    /// Auto-Submitted says something other than `no` (RFC 3834).
    pub auto_submitted: bool,
    /// Message-IDs of References, with angle brackets.
    pub references: Vec<String>,
    /// Message-IDs of In-Reply-To, with angle brackets.
    pub in_reply_to: Vec<String>,
}

/// Looks at a whole raw message.
///
/// # Errors
/// No end of the header, or not exactly one From address (VU#517845).
pub fn inspect(message: &[u8]) -> Result<Inspection, InspectError> {
    let (header, body) = split_header(message).ok_or(InspectError::NoHeaderEnd)?;
    let has_8bit = !body.is_ascii();
    let mut found = Inspection {
        from: author(header)?,
        subject: None,
        message_id: None,
        has_date: false,
        has_message_id: false,
        to: Vec::new(),
        cc: Vec::new(),
        has_bcc: false,
        has_return_path: false,
        received_count: 0,
        needs_smtputf8: !header.is_ascii() || (has_8bit && has_8bit_part_header(message)),
        has_8bit,
        waives_tls: waives_tls(header),
        auto_submitted: false,
        references: Vec::new(),
        in_reply_to: Vec::new(),
    };
    for (name, value) in header_fields(header) {
        found.note(&name.to_ascii_lowercase(), value);
    }
    Ok(found)
}

impl Inspection {
    fn note(&mut self, name: &str, value: &[u8]) {
        match name {
            "subject" if self.subject.is_none() => {
                self.subject = Some(printable(&encoded_word::decode_text(value)));
            }
            "date" => self.has_date = true,
            "message-id" => {
                self.has_message_id = true;
                if self.message_id.is_none() {
                    self.message_id = message_ids(value).into_iter().next();
                }
            }
            "to" => self.to.extend(parse_address_list(value).addresses),
            "cc" => self.cc.extend(parse_address_list(value).addresses),
            "bcc" => self.has_bcc = true,
            "return-path" => self.has_return_path = true,
            "received" => self.received_count += 1,
            "auto-submitted" => self.auto_submitted |= is_auto_submitted(value),
            "references" => self.references.extend(message_ids(value)),
            "in-reply-to" => self.in_reply_to.extend(message_ids(value)),
            _ => {}
        }
    }
}

/// The one author of a header.
fn author(header: &[u8]) -> Result<NamedAddress, InspectError> {
    let mut fields = header_fields(header).filter(|(name, _)| name.eq_ignore_ascii_case("from"));
    let (_, value) = fields.next().ok_or(InspectError::NoFrom)?;
    if fields.next().is_some() {
        return Err(InspectError::MultipleFrom);
    }
    let list = parse_address_list(value);
    if list.has_group {
        return Err(InspectError::GroupFrom);
    }
    let mut addresses = list.addresses.into_iter();
    let first = addresses.next().ok_or(InspectError::BadFrom(AddressError::Empty))?;
    if addresses.next().is_some() {
        return Err(InspectError::MultipleFrom);
    }
    let address = Address::parse(&first.email).map_err(InspectError::BadFrom)?;
    if list.is_malformed {
        return Err(InspectError::BadFrom(AddressError::BadName));
    }
    NamedAddress::new(first.name.as_deref(), address).map_err(InspectError::BadFrom)
}

/// Whether all TLS-Required fields of a header say `No` (RFC 8689 §3); none: there are none.
///
/// `tls-required = "TLS-Required:" [CFWS] "No" [CFWS]`
pub fn waives_tls(header: &[u8]) -> Option<bool> {
    let fields =
        header_fields(header).filter(|(name, _)| name.eq_ignore_ascii_case("TLS-Required"));
    let says_no = |(_, value): (_, &[u8])| {
        let text = encoded_word::unfold(value);
        let word = text.split('(').next().unwrap_or("").trim();
        word.eq_ignore_ascii_case("no")
    };
    fields.map(says_no).reduce(|all, one| all && one)
}

/// RFC 3834 §5: anything but `no`, parameters and comments aside.
pub(crate) fn is_auto_submitted(value: &[u8]) -> bool {
    let text = encoded_word::unfold(value);
    let keyword = text.split([';', '(']).next().unwrap_or("").trim();
    !keyword.is_empty() && !keyword.eq_ignore_ascii_case("no")
}

/// The message ids of a field, each with its angle brackets (RFC 5322 §3.6.4); at most 1000.
pub(crate) fn message_ids(value: &[u8]) -> Vec<String> {
    let text = encoded_word::unfold(value);
    let mut ids = Vec::new();
    for piece in text.split('<').skip(1).take(1000) {
        let Some((id, _)) = piece.split_once('>') else {
            continue;
        };
        let id = id.trim();
        if !id.is_empty() && !id.chars().any(|c| c.is_whitespace() || c.is_control()) {
            ids.push(format!("<{id}>"));
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_of(header: &str) -> Result<String, InspectError> {
        inspect(format!("{header}\r\n\r\n").as_bytes()).map(|found| found.from.to_string())
    }

    #[test]
    fn tls_is_waived_when_every_field_says_so() {
        for (header, waives) in [
            ("From: a@b\r\n", None),
            ("TLS-Required: No\r\n", Some(true)),
            ("tls-required:no\r\nTLS-Required:\r\n NO (really)\r\n", Some(true)),
            ("TLS-Required: Yes\r\n", Some(false)),
            ("TLS-Required: No\r\nTLS-Required: Yes\r\n", Some(false)),
            ("TLS-Required: None\r\n", Some(false)),
            ("TLS-Required:\r\n", Some(false)),
        ] {
            assert_eq!(waives_tls(header.as_bytes()), waives, "{header}");
        }
    }

    #[test]
    fn one_author_only() {
        assert_eq!(from_of("From: Alice <a@b>"), Ok("Alice <a@b>".to_owned()));
        assert_eq!(from_of("FROM\t:\r\n a@b"), Ok("a@b".to_owned()));
        assert_eq!(from_of("To: a@b"), Err(InspectError::NoFrom));
        assert_eq!(from_of("From: a@b\r\nFrom: c@d"), Err(InspectError::MultipleFrom));
        assert_eq!(from_of("From: a@b\r\nfrom : c@d"), Err(InspectError::MultipleFrom));
        assert_eq!(from_of("From: a@b, c@d"), Err(InspectError::MultipleFrom));
        assert_eq!(from_of("From: G: a@b;"), Err(InspectError::GroupFrom));
        assert_eq!(from_of("From: <a@x>:<b@y>"), Err(InspectError::GroupFrom));
        for bad in
            ["From:", "From: Alice", "From: <a@b> <c@d>", "From: <a@b\0c>", "From: a@[192.0.2.1]"]
        {
            assert!(matches!(from_of(bad), Err(InspectError::BadFrom(_))), "{bad}");
        }
        assert_eq!(from_of("From: a@x(b@y)"), Ok("\"b@y\" <a@x>".to_owned()));
        assert_eq!(inspect(b"From: a@b\r\n"), Err(InspectError::NoHeaderEnd));
    }

    #[test]
    fn subjects_have_no_control_characters() {
        let found = inspect(b"From: a@b\r\nSubject: =?utf-8?q?a=00b=0D=0Ac?=\r\n\r\n").unwrap();
        assert_eq!(found.subject.as_deref(), Some("a\u{fffd}b\u{fffd}\u{fffd}c"));
    }

    #[test]
    fn notes_the_rest() {
        let message = "Return-Path: <>\r\nReceived: a\r\nReceived: b\r\nFrom: a@b\r\nTo: x@y, \
            Zoë <z@y>\r\nBcc: q@r\r\nSubject: =?utf-8?q?=C3=A9?=\r\nDate: x\r\nMessage-ID: <1@b>\r\n\
            References: <0@b>\r\n <00@b>\r\nIn-Reply-To: <0@b>\r\nAuto-Submitted: auto-replied; x\r\n\r\né";
        let found = inspect(message.as_bytes()).unwrap();
        assert_eq!(found.subject.as_deref(), Some("é"));
        assert_eq!(found.message_id.as_deref(), Some("<1@b>"));
        assert!(found.has_date && found.has_message_id && found.has_bcc && found.has_return_path);
        assert_eq!((found.received_count, found.to.len(), found.cc.len()), (2, 2, 0));
        assert!(found.needs_smtputf8 && found.has_8bit && found.auto_submitted);
        assert_eq!(found.references, ["<0@b>", "<00@b>"]);
        assert_eq!(found.in_reply_to, ["<0@b>"]);
    }

    #[test]
    fn smtputf8_is_needed_for_headers_only() {
        let needs = |message: &str| {
            let found = inspect(message.as_bytes()).unwrap();
            (found.needs_smtputf8, found.has_8bit)
        };
        let part = "From: a@b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n";
        assert_eq!(needs("From: a@b\r\n\r\nx"), (false, false));
        assert_eq!(needs("From: a@b\r\n\r\né"), (false, true));
        assert_eq!(needs("From: é@b\r\n\r\nx"), (true, false));
        assert_eq!(needs(&format!("{part}\r\né\r\n--b--")), (false, true));
        assert_eq!(needs(&format!("{part}Content-Description: é\r\n\r\nx\r\n--b--")), (true, true));
    }
}
