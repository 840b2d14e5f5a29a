//! What a sink reads off the wire.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};

/// `FROM:<path> parameters`
pub(super) fn path(argument: &str) -> (String, String) {
    let inner = argument.split_once('<').map_or("", |(_, rest)| rest);
    let (path, parameters) = inner.rsplit_once('>').unwrap_or((inner, ""));
    (path.to_owned(), parameters.trim().to_owned())
}

/// Base64 of text.
pub(super) fn decode(base64: &str) -> Option<String> {
    BASE64.decode(base64).ok().and_then(|octets| String::from_utf8(octets).ok())
}

/// User name and password of a PLAIN response.
pub(super) fn plain(response: &str) -> Option<(String, String)> {
    let decoded = decode(response)?;
    let mut fields = decoded.split('\0').skip(1);
    Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
}

/// Where the CRLF before the final period is.
pub(super) fn find_end(input: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let rest = input.get(at..)?;
        at += rest.iter().position(|octet| *octet == b'\r')?;
        if input.get(at..).is_some_and(|rest| rest.starts_with(b"\r\n.\r\n")) {
            return Some(at);
        }
        at += 1;
    }
}

/// The octets of a message without dot-stuffing.
pub(super) fn unstuff(wire: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(wire.len());
    let mut after_crlf = true;
    for line in wire.split_inclusive(|octet| *octet == b'\n') {
        let stuffed = after_crlf && line.starts_with(b".");
        octets.extend_from_slice(line.get(usize::from(stuffed)..).unwrap_or_default());
        after_crlf = line.ends_with(b"\r\n");
    }
    octets
}
