//! Line ends: CRLF and nothing else goes over the wire (RFC 5321 §2.3.8); anything else smuggles.

/// A CR without LF, which has no meaning that all servers share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message has a carriage return without a line feed")]
pub struct BareLineEnd;

/// Whether a CR stands without its LF or an LF without its CR.
pub fn has_bare_cr_or_lf(message: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in message {
        if (byte == b'\n') != (previous == b'\r') {
            return true;
        }
        previous = byte;
    }
    previous == b'\r'
}

/// Makes every line end CRLF; for uploads, where files with LF are common.
///
/// # Errors
/// A bare CR is refused: guessing what it means is how messages get smuggled.
pub fn normalise_line_ends(message: Vec<u8>) -> Result<Vec<u8>, BareLineEnd> {
    if !has_bare_cr_or_lf(&message) {
        return Ok(message);
    }
    let mut out = Vec::with_capacity(message.len() + message.len() / 32);
    let mut previous = 0;
    for byte in message {
        if previous == b'\r' && byte != b'\n' {
            return Err(BareLineEnd);
        }
        if byte == b'\n' && previous != b'\r' {
            out.push(b'\r');
        }
        out.push(byte);
        previous = byte;
    }
    if previous == b'\r' { Err(BareLineEnd) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_and_mends() {
        for (input, bare, normal) in [
            (&b""[..], false, Some(&b""[..])),
            (b"a\r\nb\r\n", false, Some(b"a\r\nb\r\n")),
            (b"a\nb", true, Some(b"a\r\nb")),
            (b"\n\r\n\n", true, Some(b"\r\n\r\n\r\n")),
            (b"a\rb\n", true, None),
            (b"a\r\r\n", true, None),
            (b"a\r", true, None),
            (b"\r.\r\n", true, None),
        ] {
            assert_eq!(has_bare_cr_or_lf(input), bare, "{input:?}");
            assert_eq!(normalise_line_ends(input.to_vec()).ok().as_deref(), normal);
        }
    }
}
