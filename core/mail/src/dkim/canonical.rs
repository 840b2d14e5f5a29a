//! Canonicalisation, RFC 6376 §3.4: of a header field and of a body, relaxed or simple.

use aws_lc_rs::digest::{Context, SHA256};
use base64::{Engine, engine::general_purpose::STANDARD};

/// Octets gathered before they go to the hash.
const CHUNK: usize = 16 * 1024;

/// How a text is brought into the form that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Canonicalization {
    /// White space may change on the way.
    #[default]
    Relaxed,
    /// Nothing may.
    Simple,
}

impl Canonicalization {
    /// The name in `c=`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relaxed => "relaxed",
            Self::Simple => "simple",
        }
    }

    /// The one with this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Relaxed, Self::Simple].into_iter().find(|known| known.as_str() == name)
    }

    /// Adds a header field without its final CRLF; `line` is the whole field as it stands there.
    pub(super) fn field(self, name: &str, value: &[u8], line: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Relaxed => relaxed_field(name, value, out),
            Self::Simple => out.extend_from_slice(line.strip_suffix(b"\r\n").unwrap_or(line)),
        }
    }
}

/// `bh=`: the SHA-256 of a body in canonical form, in base64.
pub fn body_hash(canonicalization: Canonicalization, body: &[u8]) -> String {
    let mut context = Context::new(&SHA256);
    if canonicalization == Canonicalization::Simple {
        context.update(without_empty_lines(body));
        context.update(b"\r\n");
        return STANDARD.encode(context.finish());
    }
    let mut buffer = Vec::with_capacity(body.len().min(CHUNK) + 1024);
    relaxed_body(body, &mut buffer, |buffer| {
        if buffer.len() >= CHUNK {
            context.update(buffer);
            buffer.clear();
        }
    });
    context.update(&buffer);
    STANDARD.encode(context.finish())
}

/// RFC 6376 §3.4.3: empty lines at the end go, and one line end is there in any case.
fn without_empty_lines(body: &[u8]) -> &[u8] {
    let mut rest = body;
    while let Some(shorter) = rest.strip_suffix(b"\r\n") {
        rest = shorter;
    }
    rest
}

/// RFC 6376 §3.4.4. Lines of nothing but white space are empty lines, so at the end of the body they go too.
fn relaxed_body(body: &[u8], out: &mut Vec<u8>, mut flush: impl FnMut(&mut Vec<u8>)) {
    let mut empty_lines = 0_usize;
    for line in body.split_inclusive(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(|b| matches!(b, b' ' | b'\t')) {
            empty_lines += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty_lines) {
            out.extend_from_slice(b"\r\n");
            flush(out);
        }
        collapse(line, out);
        out.extend_from_slice(b"\r\n");
        flush(out);
    }
}

/// Runs of white space become one space; at the end they vanish.
fn collapse(line: &[u8], out: &mut Vec<u8>) {
    let mut rest = line;
    while let Some(at) = rest.iter().position(|b| matches!(b, b' ' | b'\t')) {
        let (word, tail) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(word);
        let Some(next) = tail.iter().position(|b| !matches!(b, b' ' | b'\t')) else {
            return;
        };
        out.push(b' ');
        rest = tail.get(next..).unwrap_or(&[]);
    }
    out.extend_from_slice(rest);
}

/// RFC 6376 §3.4.2, without the final CRLF.
pub(super) fn relaxed_field(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.to_ascii_lowercase().as_bytes());
    out.push(b':');
    let unfolded: Vec<u8> = value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect();
    let start = unfolded.iter().position(|b| !matches!(b, b' ' | b'\t')).unwrap_or(unfolded.len());
    collapse(unfolded.get(start..).unwrap_or(&[]), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relaxed(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        relaxed_body(body, &mut out, |_| {});
        out
    }

    #[test]
    fn bodies() {
        // RFC 6376 §3.4.5, then the ends that implementations get wrong.
        for (body, canonical) in [
            (&b" C \r\nD \t E\r\n\r\n\r\n"[..], &b" C\r\nD E\r\n"[..]),
            (b"", b""),
            (b"\r\n", b""),
            (b"\r\n\r\n\r\n", b""),
            (b"  \r\n\t\r\n", b""),
            (b" ", b""),
            (b"a", b"a\r\n"),
            (b"a\r\n \r\n\t \r\n", b"a\r\n"),
            (b"a\r\n \r\nb", b"a\r\n\r\nb\r\n"),
            (b"a\r\n ", b"a\r\n"),
        ] {
            assert_eq!(relaxed(body), canonical, "{:?}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn hashes() {
        let body_hash = |body: &[u8]| body_hash(Canonicalization::Relaxed, body);
        // RFC 6376 §3.4.4: the empty body.
        assert_eq!(body_hash(b" \r\n"), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
        // RFC 8463 appendix A.3, which is also that of RFC 6376 appendix A.2.
        let body = b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";
        assert_eq!(body_hash(body), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
        let long = b"some words\tand more \r\n".repeat(5000);
        let canonical = b"some words and more\r\n".repeat(5000);
        assert_eq!(body_hash(&long), body_hash(&canonical));
    }

    #[test]
    fn simple_bodies_lose_only_empty_lines_at_the_end() {
        let hash = |body: &[u8]| body_hash(Canonicalization::Simple, body);
        // RFC 6376 §3.4.3: the empty body is a line end.
        assert_eq!(hash(b""), "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
        assert_eq!(hash(b"\r\n\r\n"), hash(b""));
        assert_eq!(hash(b"a  b\r\n\r\n"), hash(b"a  b"));
        assert_ne!(hash(b"a  b\r\n"), hash(b"a b\r\n"));
        assert_ne!(hash(b"a\r\n \r\n"), hash(b"a\r\n"));
    }

    #[test]
    fn fields() {
        let mut out = Vec::new();
        relaxed_field("SUBJect", b" \tY\t\r\n\tZ  \r\n", &mut out);
        assert_eq!(out, b"subject:Y Z");
    }
}
