//! Replies, RFC 5321 §4.2, with enhanced status codes (RFC 2034, RFC 3463).

use std::{borrow::Cow, fmt::Write as _};

/// Longest text of one line, so that the line stays under 512 octets (RFC 5321 §4.5.3.1.5).
const MAX_TEXT: usize = 480;

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<&'static str>,
    lines: Vec<Cow<'static, str>>,
}

impl Reply {
    /// One line with an enhanced status code such as `5.5.1`.
    pub fn new(code: u16, enhanced: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: Some(enhanced), lines: vec![text.into()] }
    }

    /// One line without enhanced status code: greetings, 3xx and the replies to HELO and EHLO.
    pub fn bare(code: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, enhanced: None, lines: vec![text.into()] }
    }

    /// The same with one more line.
    #[must_use]
    pub fn and(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.lines.push(text.into());
        self
    }

    /// 503: this command cannot come now.
    pub fn out_of_sequence(text: &'static str) -> Self {
        Self::new(503, "5.5.1", text)
    }

    /// 501: the arguments break the grammar.
    pub fn bad_argument(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(501, "5.5.4", text)
    }

    /// 421: the server goes down.
    pub fn shutting_down() -> Self {
        Self::new(421, "4.3.2", "Service is shutting down, try again soon")
    }

    /// 421: nothing came for too long.
    pub fn timed_out() -> Self {
        Self::new(421, "4.4.2", "Nothing heard for too long, closing the connection")
    }

    /// 421: too many connections.
    pub fn too_busy() -> Self {
        Self::new(421, "4.7.0", "Too many connections, try again later")
    }

    /// The three digits.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// 2xx or 3xx.
    pub const fn positive(&self) -> bool {
        self.code < 400
    }

    /// As it goes over the wire. Nothing in a text can start another line.
    pub fn serialise(&self) -> String {
        let mut wire = String::new();
        let last = self.lines.len().saturating_sub(1);
        for (number, line) in self.lines.iter().enumerate() {
            let separator = if number == last { ' ' } else { '-' };
            // Writing to a String cannot fail.
            let _infallible = write!(wire, "{}{separator}", self.code);
            if let Some(enhanced) = self.enhanced {
                wire.push_str(enhanced);
                wire.push(' ');
            }
            wire.extend(line.chars().take(MAX_TEXT).map(printable));
            wire.push_str("\r\n");
        }
        wire
    }
}

fn printable(c: char) -> char {
    if c == ' ' || c.is_ascii_graphic() { c } else { '?' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_serialised() {
        assert_eq!(Reply::new(250, "2.0.0", "OK").serialise(), "250 2.0.0 OK\r\n");
        let ehlo = Reply::bare(250, "mx.example").and("PIPELINING").and("SIZE 1");
        assert_eq!(ehlo.serialise(), "250-mx.example\r\n250-PIPELINING\r\n250 SIZE 1\r\n");
        let two = Reply::new(554, "5.0.0", "a").and("b");
        assert_eq!(two.serialise(), "554-5.0.0 a\r\n554 5.0.0 b\r\n");
    }

    #[test]
    fn texts_cannot_break_out_of_their_line() {
        let reply = Reply::new(550, "5.7.1", "no\r\n250 yes\0é");
        assert_eq!(reply.serialise(), "550 5.7.1 no??250 yes??\r\n");
        assert!(Reply::bare(250, "x".repeat(5000)).serialise().len() < 512);
    }
}
