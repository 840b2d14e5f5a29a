//! Cutting a message into header and body, and a header into fields. One pass, nothing copied.

use super::{MAX_HEADER, MAX_HEADER_LINES};

/// The header with its last line end, and the body after the empty line.
///
/// `None` when no empty line ends the header within [`MAX_HEADER`] octets. A message without a header
/// starts with the empty line; then the header is empty.
pub fn split_header(message: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    while at <= MAX_HEADER {
        let rest = message.get(at..)?;
        if let Some(body) = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")) {
            return Some((message.get(..at)?, body));
        }
        at += rest.iter().position(|&b| b == b'\n')? + 1;
    }
    None
}

/// The fields of a header: name as written and raw value, folds and final line end included.
///
/// Stops at the first empty line, after [`MAX_HEADER`] octets and after [`MAX_HEADER_LINES`] lines. Lines that are
/// no field (no colon, or a character a name cannot have) are skipped with their continuations.
pub fn header_fields(header: &[u8]) -> HeaderFields<'_> {
    let bounded = header.get(..MAX_HEADER).unwrap_or(header);
    HeaderFields { rest: bounded, lines: 0 }
}

/// Iterator of [`header_fields`].
#[derive(Debug, Clone)]
pub struct HeaderFields<'a> {
    rest: &'a [u8],
    lines: usize,
}

impl<'a> HeaderFields<'a> {
    /// The next logical line: one line and its continuations.
    pub(crate) fn next_line(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest;
        if rest.is_empty() || rest.starts_with(b"\r\n") || rest.starts_with(b"\n") {
            return None;
        }
        let mut end = 0;
        loop {
            self.lines += 1;
            if self.lines > MAX_HEADER_LINES {
                return None;
            }
            let tail = rest.get(end..)?;
            end += tail.iter().position(|&b| b == b'\n').map_or(tail.len(), |at| at + 1);
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        let (line, tail) = rest.split_at_checked(end)?;
        self.rest = tail;
        Some(line)
    }
}

impl<'a> Iterator for HeaderFields<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.next_line()?;
            if let Some(field) = split_field(line) {
                return Some(field);
            }
        }
    }
}

/// RFC 5322 §2.2: `field-name ":" value`; white space before the colon is obsolete syntax (§4.5) and taken.
pub(crate) fn split_field(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|&b| b == b':')?;
    let name = line.get(..colon)?.trim_ascii_end();
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    Some((std::str::from_utf8(name).ok()?, line.get(colon + 1..)?))
}

/// The message without the fields of these names; the body is kept as it is.
pub fn strip_header_fields(message: &[u8], names: &[&str]) -> Vec<u8> {
    let (header, body) = split_header(message).unwrap_or((message, &[]));
    let rest = message.get(header.len()..).unwrap_or(body);
    let mut out = Vec::with_capacity(message.len());
    let mut fields = HeaderFields { rest: header, lines: 0 };
    while let Some(line) = fields.next_line() {
        let name = split_field(line).map(|(name, _)| name);
        if !name.is_some_and(|name| names.iter().any(|n| n.eq_ignore_ascii_case(name))) {
            out.extend_from_slice(line);
        }
    }
    out.extend_from_slice(fields.rest);
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits() {
        let message = b"A: 1\r\nB:\r\n 2\r\n\r\nbody";
        let (header, body) = split_header(message).unwrap();
        assert_eq!(header, b"A: 1\r\nB:\r\n 2\r\n");
        assert_eq!(body, b"body");
        assert_eq!(split_header(b"\r\nx"), Some((&b""[..], &b"x"[..])));
        assert_eq!(split_header(b"A: 1\r\n"), None);
        assert_eq!(split_header(&b"A: 1\r\n".repeat(200_000)), None);
        let fields: Vec<_> = header_fields(header).collect();
        assert_eq!(fields, [("A", &b" 1\r\n"[..]), ("B", &b"\r\n 2\r\n"[..])]);
    }

    #[test]
    fn takes_obsolete_spaces_and_skips_rubbish() {
        let header = b"From : a@b\r\nrubbish\r\n more\r\nF\xc3\xa9: x\r\nTo\t: c@d\r\n\r\nX: body";
        let names: Vec<_> = header_fields(header).map(|(name, _)| name).collect();
        assert_eq!(names, ["From", "To"]);
        assert_eq!(header_fields(&b"A: 1\n".repeat(5000)).count(), MAX_HEADER_LINES);
    }

    #[test]
    fn strips_fields() {
        let message = b"Bcc: a@b,\r\n c@d\r\nTo: x@y\r\nbcc : e@f\r\n\r\nBcc: body\r\n";
        assert_eq!(strip_header_fields(message, &["Bcc"]), b"To: x@y\r\n\r\nBcc: body\r\n");
    }
}
