//! Command lines out of a stream, RFC 5321 §2.3.8: CRLF ends a line, nothing else does.

use bytes::{Bytes, BytesMut};

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFault {
    /// Longer than allowed (RFC 5321 §4.5.3.1.4); what follows is of no use.
    TooLong,
    /// Ends in a bare LF.
    BareLf,
}

/// The next line without its CRLF, when there is a whole one. `limit` counts the CRLF.
pub fn next_line(buffer: &mut BytesMut, limit: usize) -> Option<Result<Bytes, LineFault>> {
    let window = buffer.get(..limit).unwrap_or(buffer);
    let Some(end) = window.iter().position(|octet| *octet == b'\n') else {
        return (buffer.len() >= limit).then_some(Err(LineFault::TooLong));
    };
    let line = buffer.split_to(end.saturating_add(1)).freeze();
    let Some(text) = line.strip_suffix(b"\r\n") else {
        return Some(Err(LineFault::BareLf));
    };
    Some(Ok(line.slice_ref(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(input: &[u8], limit: usize) -> (Vec<Result<Bytes, LineFault>>, BytesMut) {
        let mut buffer = BytesMut::from(input);
        let lines = std::iter::from_fn(|| next_line(&mut buffer, limit)).take(5).collect();
        (lines, buffer)
    }

    #[test]
    fn lines_end_in_crlf() {
        let (lines, rest) = all(b"EHLO x\r\n\r\nNOOP\nQU", 100);
        assert_eq!(lines, [Ok("EHLO x".into()), Ok("".into()), Err(LineFault::BareLf)]);
        assert_eq!(rest, "QU");
    }

    #[test]
    fn long_lines_are_noticed_before_they_end() {
        assert_eq!(all(b"12345678\r\n", 10).0, [Ok("12345678".into())]);
        assert_eq!(all(b"123456789\r\n", 10).0[0], Err(LineFault::TooLong));
        assert_eq!(all(b"1234567890", 10).0[0], Err(LineFault::TooLong));
        assert_eq!(all(b"123456789", 10).0, []);
    }
}
