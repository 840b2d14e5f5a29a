//! Reading replies of another server (RFC 5321 §4.2), within bounds.
//!
//! Whatever the server sends ends as one small, printable [`Response`] or as an error: lines,
//! octets and number of lines are limited, control characters are replaced. No I/O happens here.

use std::fmt::Write as _;

use bytes::{Buf as _, BytesMut};
use posthouse_core::ports::transport::Reply;

/// Octets of one line that are kept; the rest of the line is dropped.
const LINE_KEPT: usize = 2048;
/// Lines of one reply.
const MAX_LINES: usize = 100;
/// Octets of one reply, line ends included.
const MAX_OCTETS: usize = 64 * 1024;
/// Octets of text handed to core.
const MAX_TEXT: usize = 2048;
/// Room made for each read.
const READ: usize = 4096;

/// A complete reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Response {
    /// The three-digit code.
    pub(super) code: u16,
    /// Enhanced status code (RFC 2034), taken out of the text.
    pub(super) enhanced: Option<String>,
    /// Text without codes, lines joined by `\n`.
    pub(super) text: String,
}

impl Response {
    /// 2yz.
    pub(super) const fn is_positive(&self) -> bool {
        self.code >= 200 && self.code < 300
    }

    /// 4yz.
    pub(super) const fn is_temporary(&self) -> bool {
        self.code >= 400 && self.code < 500
    }

    /// 5yz.
    pub(super) const fn is_permanent(&self) -> bool {
        self.code >= 500 && self.code < 600
    }

    /// The form core stores.
    pub(super) fn into_reply(mut self) -> Reply {
        if self.text.len() > MAX_TEXT {
            let cut = (0..=MAX_TEXT).rev().find(|n| self.text.is_char_boundary(*n)).unwrap_or(0);
            self.text.truncate(cut);
        }
        Reply { code: Some(self.code), enhanced: self.enhanced, text: self.text }
    }
}

/// Why what the server sent is not a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// More lines or octets than we read.
    #[error("the reply of the server is too long")]
    TooLong,
    /// No three-digit code, or codes that differ within one reply.
    #[error("the server sent something that is not an SMTP reply")]
    NotAReply,
}

/// Octets received and not yet used, and the reply being put together from them.
#[derive(Debug, Default)]
pub(super) struct Replies {
    buffer: BytesMut,
    scanned: usize,
    partial: Partial,
}

#[derive(Debug, Default)]
struct Partial {
    code: Option<u16>,
    lines: usize,
    octets: usize,
    text: String,
}

impl Replies {
    /// The buffer to read into.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        self.buffer.reserve(READ);
        &mut self.buffer
    }

    /// Whether nothing is left that was received.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.partial.lines == 0
    }

    /// The next reply when all of it has been received.
    pub(super) fn next(&mut self) -> Result<Option<Response>, Malformed> {
        loop {
            let new = self.buffer.get(self.scanned..).unwrap_or_default();
            let Some(length) = new.iter().position(|octet| *octet == b'\n') else {
                self.scanned = self.buffer.len();
                self.partial.within_bounds(self.buffer.len())?;
                return Ok(None);
            };
            let end = self.scanned + length + 1;
            self.scanned = 0;
            self.partial.within_bounds(end)?;
            let complete = self.partial.push(self.buffer.get(..end).unwrap_or_default())?;
            self.buffer.advance(end);
            if let Some(code) = complete {
                return Ok(Some(std::mem::take(&mut self.partial).finish(code)));
            }
        }
    }
}

impl Partial {
    fn within_bounds(&self, more: usize) -> Result<(), Malformed> {
        if self.octets + more > MAX_OCTETS || self.lines >= MAX_LINES {
            return Err(Malformed::TooLong);
        }
        Ok(())
    }

    /// Takes one line, `Reply-code ( SP / "-" ) [ textstring ] CRLF`; the code when it is the last.
    fn push(&mut self, line: &[u8]) -> Result<Option<u16>, Malformed> {
        self.octets += line.len();
        self.lines += 1;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (digits, rest) = line.split_at_checked(3).ok_or(Malformed::NotAReply)?;
        let code = parse_code(digits).ok_or(Malformed::NotAReply)?;
        if self.code.is_some_and(|first| first != code) {
            return Err(Malformed::NotAReply);
        }
        self.code = Some(code);
        let (last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(Malformed::NotAReply),
        };
        if self.lines > 1 {
            self.text.push('\n');
        }
        push_printable(&mut self.text, text.get(..LINE_KEPT).unwrap_or(text));
        Ok(last.then_some(code))
    }

    fn finish(self, code: u16) -> Response {
        let Some(enhanced) = enhanced_code(code, &self.text) else {
            return Response { code, enhanced: None, text: self.text };
        };
        let mut text = String::with_capacity(self.text.len());
        for (number, line) in self.text.split('\n').enumerate() {
            if number > 0 {
                text.push('\n');
            }
            text.push_str(line.strip_prefix(enhanced.as_str()).unwrap_or(line).trim_start());
        }
        Response { code, enhanced: Some(enhanced), text }
    }
}

/// `%x32-35 %x30-35 %x30-39`; a second digit above 5 is let pass, servers use it.
fn parse_code(digits: &[u8]) -> Option<u16> {
    if !matches!(digits.first(), Some(b'2'..=b'5')) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0')))
}

/// `class "." subject "." detail` (RFC 3463 §2), when the class agrees with the reply code.
fn enhanced_code(code: u16, text: &str) -> Option<String> {
    let first = text.split([' ', '\n']).next()?;
    let mut parts = first.split('.');
    let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
    let numeric = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit())
    };
    let agrees = class.parse() == Ok(code / 100);
    let complete = parts.next().is_none() && class.len() == 1;
    (agrees && complete && numeric(subject) && numeric(detail)).then(|| first.to_owned())
}

/// Appends `octets` with everything that is not printable replaced.
fn push_printable(text: &mut String, octets: &[u8]) {
    if octets.iter().all(|octet| matches!(octet, b' '..=b'~')) {
        text.push_str(std::str::from_utf8(octets).unwrap_or_default());
        return;
    }
    let decoded = String::from_utf8_lossy(octets);
    text.extend(decoded.chars().map(|c| if is_hidden(c) { ' ' } else { c }));
}

/// Control characters and the marks that reorder or hide text in a log or a page.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A short form for error texts: code, enhanced code and first line.
pub(super) fn summary(response: &Response) -> String {
    let mut text = response.code.to_string();
    for part in [response.enhanced.as_deref(), response.text.lines().next()] {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            // Writing to a string cannot fail.
            let _ = write!(text, " {part}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(octets: &[u8]) -> Result<Option<Response>, Malformed> {
        let mut replies = Replies::default();
        replies.buffer().extend_from_slice(octets);
        replies.next()
    }

    fn text(octets: &[u8]) -> String {
        parse(octets).unwrap().unwrap().text
    }

    #[test]
    fn lines_are_joined_and_the_enhanced_code_is_taken_out() {
        let reply = parse(b"550-5.1.1 No such user\r\n550 5.1.1 here\r\n").unwrap().unwrap();
        assert_eq!(reply.code, 550);
        assert_eq!(reply.enhanced.as_deref(), Some("5.1.1"));
        assert_eq!(reply.text, "No such user\nhere");
        assert_eq!(summary(&reply), "550 5.1.1 No such user");
    }

    #[test]
    fn enhanced_code_of_another_class_stays_text() {
        let reply = parse(b"550 4.1.1 odd\r\n").unwrap().unwrap();
        assert_eq!((reply.enhanced, reply.text.as_str()), (None, "4.1.1 odd"));
        for line in ["250 2.1\r\n", "250 2.1.1.1 x\r\n", "250 2.1.1111 x\r\n", "250 2..1 x\r\n"] {
            assert_eq!(parse(line.as_bytes()).unwrap().unwrap().enhanced, None, "{line}");
        }
    }

    #[test]
    fn replies_come_one_by_one_over_any_border() {
        let wire = b"250-a\r\n250 b\r\n354\r\n250 done\n";
        let mut replies = Replies::default();
        let mut codes = Vec::new();
        for octet in wire {
            replies.buffer().extend_from_slice(&[*octet]);
            if let Some(reply) = replies.next().unwrap() {
                codes.push((reply.code, reply.text));
            }
        }
        let expected = [(250, "a\nb".to_owned()), (354, String::new()), (250, "done".to_owned())];
        assert_eq!(codes, expected);
        assert!(replies.is_empty());
    }

    #[test]
    fn nonsense_is_no_reply() {
        for wire in
            ["", "x\r\n", "25\r\n", "2500 x\r\n", "150 x\r\n", "650 x\r\n", "HTTP/1.1 200\n"]
        {
            let result = parse(wire.as_bytes());
            assert!(matches!(result, Ok(None) | Err(Malformed::NotAReply)), "{wire:?}: {result:?}");
        }
        assert_eq!(parse(b"250-a\r\n550 b\r\n"), Err(Malformed::NotAReply));
    }

    #[test]
    fn control_characters_are_replaced() {
        assert_eq!(text(b"250 a\0b\rc\x1b[31md\x07\r\n"), "a b c [31md ");
        assert_eq!(text("250 a\u{85}b\u{202e}c\u{2028}d\r\n".as_bytes()), "a b c d");
        assert_eq!(text(b"250 \xff\xfe\r\n"), "\u{fffd}\u{fffd}");
        assert_eq!(text("250 grüße\r\n".as_bytes()), "grüße");
    }

    #[test]
    fn length_is_bounded() {
        let long = [b"250 ".as_slice(), &vec![b'x'; 10_000], b"\r\n"].concat();
        assert_eq!(text(&long).len(), LINE_KEPT);
        let many = b"250-x\r\n".repeat(MAX_LINES + 1);
        assert_eq!(parse(&many), Err(Malformed::TooLong));
        assert_eq!(parse(&vec![b'2'; MAX_OCTETS + 1]), Err(Malformed::TooLong));
        let wide = [b"250-".as_slice(), &vec![b'x'; 2000], b"\r\n"].concat().repeat(40);
        assert_eq!(parse(&wide), Err(Malformed::TooLong));
    }

    #[test]
    fn text_for_core_is_cut_at_a_character() {
        let text = "ü".repeat(2000);
        let reply = Response { code: 250, enhanced: None, text }.into_reply();
        assert_eq!(reply.text.len(), MAX_TEXT);
    }

    proptest! {
        #[test]
        fn any_octets_end_in_printable_text_or_an_error(wire: Vec<u8>) {
            let wire = [b"250 ".as_slice(), &wire, b"\r\n"].concat();
            if let Ok(Some(reply)) = parse(&wire) {
                prop_assert!(!reply.text.chars().any(|c| c.is_control() && c != '\n'));
            }
        }
    }
}
