//! Content-Transfer-Encodings, RFC 2045 §6, decoded as leniently as the world writes them.

use crate::encoded_word::hex_pair;

/// The octets of a body.
pub(crate) fn decode(encoding: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    match encoding {
        "base64" => base64(body, |octet| out.push(octet)),
        "quoted-printable" => quoted_printable(body, |octets| out.extend_from_slice(octets)),
        _ => out.extend_from_slice(body),
    }
    out
}

/// Whether [`decode`] gives back what it gets.
pub(super) fn is_identity(encoding: &str) -> bool {
    !matches!(encoding, "base64" | "quoted-printable")
}

/// How many octets [`decode`] gives, without keeping them.
pub(super) fn decoded_size(encoding: &str, body: &[u8]) -> usize {
    let mut size = 0;
    match encoding {
        "base64" => base64(body, |_| size += 1),
        "quoted-printable" => quoted_printable(body, |octets| size += octets.len()),
        _ => size = body.len(),
    }
    size
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

/// RFC 2045 §6.8: what is not in the alphabet is skipped; padding ends a group, another may follow.
fn base64(body: &[u8], mut sink: impl FnMut(u8)) {
    let (mut group, mut count) = (0_u32, 0_u32);
    for &byte in body {
        if let Some(value) = sextet(byte) {
            group = group << 6 | value;
            count += 1;
        }
        if count == 4 || (byte == b'=' && count > 0) {
            emit(group, count, &mut sink);
            (group, count) = (0, 0);
        }
    }
    emit(group, count, &mut sink);
}

fn emit(group: u32, count: u32, sink: &mut impl FnMut(u8)) {
    let octets = match count {
        4 => 3,
        3 => 2,
        2 => 1,
        _ => return,
    };
    let [_, bytes @ ..] = (group << (6 * (4 - count))).to_be_bytes();
    bytes.into_iter().take(octets).for_each(sink);
}

/// RFC 2045 §6.7: broken escapes stand for themselves, white space at the end of a line is dropped.
fn quoted_printable(body: &[u8], mut sink: impl FnMut(&[u8])) {
    for line in body.split_inclusive(|&b| b == b'\n') {
        let (content, end) = split_line(line);
        let content = trim_blanks(content);
        let (content, end) = match content.strip_suffix(b"=") {
            Some(content) => (content, &b""[..]),
            None => (content, end),
        };
        decode_escapes(content, &mut sink);
        sink(end);
    }
}

fn decode_escapes(content: &[u8], sink: &mut impl FnMut(&[u8])) {
    let mut rest = content;
    while let Some(at) = rest.iter().position(|&b| b == b'=') {
        let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        sink(plain);
        let octet = tail.get(1..).and_then(hex_pair);
        sink(&[octet.unwrap_or(b'=')]);
        let taken = if octet.is_some() { 3 } else { 1 };
        rest = tail.get(taken..).unwrap_or(&[]);
    }
    sink(rest);
}

/// A line and its line end.
fn split_line(line: &[u8]) -> (&[u8], &[u8]) {
    let content = line.strip_suffix(b"\n").unwrap_or(line);
    let content = content.strip_suffix(b"\r").unwrap_or(content);
    line.split_at_checked(content.len()).unwrap_or((line, &[]))
}

fn trim_blanks(mut content: &[u8]) -> &[u8] {
    while let Some((b' ' | b'\t', head)) = content.split_last() {
        content = head;
    }
    content
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes() {
        for (encoding, body, decoded) in [
            ("base64", "YWJj\r\nZA==\r\n", "abcd"),
            ("base64", "YW Jj!ZA", "abcd"),
            ("base64", "YQ==Yg==", "ab"),
            ("base64", "=", ""),
            ("quoted-printable", "a=3Db  \r\nc=\r\nd=", "a=b\r\ncd"),
            ("quoted-printable", "a=zz=3", "a=zz=3"),
            ("quoted-printable", "=C3=a9", "é"),
            ("7bit", "a=3D\r\n", "a=3D\r\n"),
        ] {
            assert_eq!(decode(encoding, body.as_bytes()), decoded.as_bytes(), "{body}");
            assert_eq!(decoded_size(encoding, body.as_bytes()), decoded.len());
        }
    }
}
