//! Message octets as they go over the wire after 354 (RFC 5321 §4.5.2), or in chunks (RFC 3030).
//!
//! One pass: every line end becomes CRLF, and for DATA a leading period is doubled. A bare CR or LF never
//! reaches the other side, so that nothing in a message can look like its end (SMTP smuggling).

/// Turns octets into lines for DATA or BDAT; carries its state over the borders of its input.
#[derive(Debug)]
pub(super) struct Stuffer {
    line_start: bool,
    after_cr: bool,
    /// For DATA, where a period alone is the end.
    doubles: bool,
}

impl Stuffer {
    /// At the start of a message for DATA.
    pub(super) const fn new() -> Self {
        Self { line_start: true, after_cr: false, doubles: true }
    }

    /// At the start of a message for BDAT.
    pub(super) const fn for_chunks() -> Self {
        Self { line_start: true, after_cr: false, doubles: false }
    }

    /// Appends `input` to `out` until that holds about `limit` octets; returns what is left.
    pub(super) fn push<'a>(
        &mut self,
        input: &'a [u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> &'a [u8] {
        let mut rest = input;
        while out.len() < limit {
            let Some(first) = rest.first() else { break };
            if std::mem::take(&mut self.after_cr) && *first == b'\n' {
                rest = rest.get(1..).unwrap_or_default();
                continue;
            }
            if self.doubles && self.line_start && *first == b'.' {
                out.push(b'.');
            }
            // A line without end must not make `out` grow without bounds.
            let window = rest.get(..limit).unwrap_or(rest);
            let Some(end) = memchr::memchr2(b'\r', b'\n', window) else {
                out.extend_from_slice(window);
                self.line_start = false;
                rest = rest.get(window.len()..).unwrap_or_default();
                continue;
            };
            let (line, ending) = rest.split_at(end);
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
            self.line_start = true;
            self.after_cr = ending.first() == Some(&b'\r');
            rest = ending.get(1..).unwrap_or_default();
        }
        rest
    }

    /// Ends the last line when that is open.
    pub(super) fn end_line(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.line_start, true) {
            out.extend_from_slice(b"\r\n");
        }
    }

    /// The same, and ends the message.
    pub(super) fn finish(mut self, out: &mut Vec<u8>) {
        self.end_line(out);
        out.extend_from_slice(b".\r\n");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wire(parts: &[&[u8]], limit: usize) -> Vec<u8> {
        let (mut stuffer, mut sent, mut out) = (Stuffer::new(), Vec::new(), Vec::new());
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                rest = stuffer.push(rest, &mut out, limit);
                if out.len() >= limit {
                    sent.append(&mut out);
                }
            }
        }
        stuffer.finish(&mut out);
        sent.append(&mut out);
        sent
    }

    fn on_wire(message: &str) -> String {
        String::from_utf8(wire(&[message.as_bytes()], 64)).unwrap()
    }

    #[test]
    fn lines_are_stuffed_and_ended() {
        assert_eq!(on_wire(""), ".\r\n");
        assert_eq!(on_wire("."), "..\r\n.\r\n");
        assert_eq!(on_wire("a\r\n"), "a\r\n.\r\n");
        assert_eq!(on_wire("a"), "a\r\n.\r\n");
        assert_eq!(on_wire("..\r\n.a\r\nb."), "...\r\n..a\r\nb.\r\n.\r\n");
    }

    #[test]
    fn chunks_have_lines_but_no_stuffing() {
        let (mut stuffer, mut out) = (Stuffer::for_chunks(), Vec::new());
        for part in ["..\r", "\n.a\n", "b\rc"] {
            assert!(stuffer.push(part.as_bytes(), &mut out, 64).is_empty());
        }
        stuffer.end_line(&mut out);
        assert_eq!(out, b"..\r\n.a\r\nb\r\nc\r\n");
    }

    #[test]
    fn period_after_an_empty_line_is_stuffed() {
        assert_eq!(on_wire("a\r\n\r\n.\r\nb\r\n"), "a\r\n\r\n..\r\nb\r\n.\r\n");
    }

    #[test]
    fn no_spelling_of_the_end_survives() {
        for end in ["\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\n.\r\n"] {
            assert_eq!(on_wire(&format!("a{end}b")), "a\r\n..\r\nb\r\n.\r\n", "{end:?}");
        }
        assert_eq!(on_wire("a\r\n\0.\r\nb"), "a\r\n\0.\r\nb\r\n.\r\n");
        assert_eq!(on_wire("a\n\r\nb"), "a\r\n\r\nb\r\n.\r\n");
        assert_eq!(on_wire("a\r\r\nb"), "a\r\n\r\nb\r\n.\r\n");
    }

    /// What the octets are as lines, by the plainest means.
    fn lines(octets: &[u8]) -> Vec<u8> {
        let text: String = octets.iter().map(|octet| char::from(*octet)).collect();
        let unified = text.replace("\r\n", "\n").replace('\r', "\n");
        let mut all = unified.replace('\n', "\r\n");
        if !all.is_empty() && !all.ends_with("\r\n") {
            all.push_str("\r\n");
        }
        all.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
    }

    fn unstuff(wire: &[u8]) -> Vec<u8> {
        let body = wire.strip_suffix(b".\r\n").unwrap();
        body.split_inclusive(|octet| *octet == b'\n')
            .flat_map(|line| line.strip_prefix(b".").unwrap_or(line).to_vec())
            .collect()
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let octet = prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(0), any::<u8>()];
        proptest::collection::vec(octet, 0..200)
    }

    proptest! {
        #[test]
        fn any_octets_arrive_as_one_message(message in hostile(), cut in 0..200_usize, limit in 1..80_usize) {
            let (a, b) = message.split_at(cut.min(message.len()));
            let wire = wire(&[a, b], limit);
            let ends = wire.windows(5).filter(|five| five == b"\r\n.\r\n").count();
            prop_assert_eq!(ends, usize::from(wire != b".\r\n"));
            prop_assert!(!wire.starts_with(b".\r\n") || wire == b".\r\n");
            prop_assert_eq!(unstuff(&wire), lines(&message));
        }
    }
}
