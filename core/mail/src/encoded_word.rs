//! Encoded-words of header fields, RFC 2047: decoding as leniently as the world writes them, encoding strictly.

use mail_builder::encoders::Base64Encoder;
use mail_parser::decoders::{base64::base64_decode, charsets::map::charset_decoder};

/// Longest encoded-word that is decoded; the RFC says 75, the world says more.
const MAX_WORD: usize = 4096;

/// The value of a field on one line: folds removed, bytes that are not UTF-8 replaced.
pub(crate) fn unfold(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    if !text.contains(['\r', '\n']) {
        return text.into_owned();
    }
    text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect()
}

/// An unstructured field value as text: unfolded, trimmed, decoded.
pub(crate) fn decode_text(raw: &[u8]) -> String {
    decode_str(unfold(raw).trim())
}

/// Decodes the encoded-words in a text; white space between two of them is not shown (RFC 2047 §6.2).
pub(crate) fn decode_str(text: &str) -> String {
    if !text.contains("=?") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut pending: Option<Pending> = None;
    let mut rest = text;
    while let Some(at) = rest.find("=?") {
        let (before, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let Some((word, after)) = Word::read(tail) else {
            flush(&mut pending, &mut out);
            out.push_str(before);
            out.push_str("=?");
            rest = tail.get(2..).unwrap_or("");
            continue;
        };
        let adjacent = pending.is_some() && before.trim().is_empty();
        if !adjacent {
            flush(&mut pending, &mut out);
            out.push_str(before);
        }
        Pending::add(&mut pending, &word, &mut out);
        rest = after;
    }
    flush(&mut pending, &mut out);
    out.push_str(rest);
    out
}

/// Octets of neighbouring words of one charset: characters split between words come together again.
struct Pending {
    charset: String,
    octets: Vec<u8>,
}

impl Pending {
    fn add(pending: &mut Option<Self>, word: &Word<'_>, out: &mut String) {
        let octets = word.octets();
        match pending {
            Some(current) if current.charset.eq_ignore_ascii_case(word.charset) => {
                current.octets.extend_from_slice(&octets);
            }
            _ => {
                flush(pending, out);
                *pending = Some(Self { charset: word.charset.to_owned(), octets });
            }
        }
    }
}

fn flush(pending: &mut Option<Pending>, out: &mut String) {
    if let Some(Pending { charset, octets }) = pending.take() {
        out.push_str(&decode_charset(&charset, &octets));
    }
}

/// Octets of a charset as text; an unknown charset is read as UTF-8.
pub(crate) fn decode_charset(charset: &str, octets: &[u8]) -> String {
    let utf8 = ["utf-8", "utf8", "us-ascii"].iter().any(|name| charset.eq_ignore_ascii_case(name));
    if utf8 || charset.is_empty() || charset.len() > 40 {
        return String::from_utf8_lossy(octets).into_owned();
    }
    match charset_decoder(charset.as_bytes()) {
        Some(decode) => decode(octets),
        None => String::from_utf8_lossy(octets).into_owned(),
    }
}

struct Word<'a> {
    charset: &'a str,
    base64: bool,
    payload: &'a str,
}

impl<'a> Word<'a> {
    /// `encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="`
    ///
    /// The encoded text ends at the next question mark, so that reading a text full of openings stays linear.
    fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
        let charset = charset.split('*').next().unwrap_or(charset);
        let valid = |b: u8| b.is_ascii_graphic();
        if charset.is_empty() || charset.len() > 60 || !charset.bytes().all(valid) {
            return None;
        }
        let base64 = match rest.get(..2)? {
            "b?" | "B?" => true,
            "q?" | "Q?" => false,
            _ => return None,
        };
        let (payload, after) = rest.get(2..)?.split_once('?')?;
        let after = after.strip_prefix('=')?;
        (payload.len() <= MAX_WORD).then_some((Self { charset, base64, payload }, after))
    }

    fn octets(&self) -> Vec<u8> {
        if self.base64 {
            return base64_decode(self.payload.as_bytes()).unwrap_or_default();
        }
        decode_q(self.payload.as_bytes())
    }
}

/// RFC 2047 §4.2; a broken escape stands for itself.
fn decode_q(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len());
    let mut rest = payload;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'_' => out.push(b' '),
            b'=' => match hex_pair(tail) {
                Some(octet) => {
                    out.push(octet);
                    rest = tail.get(2..).unwrap_or(&[]);
                }
                None => out.push(b'='),
            },
            byte => out.push(byte),
        }
    }
    out
}

/// The octet that two hexadecimal digits at the start stand for.
pub(crate) fn hex_pair(text: &[u8]) -> Option<u8> {
    let digit = |at: usize| -> Option<u8> {
        let value = char::from(*text.get(at)?).to_digit(16)?;
        u8::try_from(value).ok()
    };
    Some(digit(0)? << 4 | digit(1)?)
}

/// Text as encoded-words of at most 75 characters; the first has only `room` characters.
pub(crate) fn encode(text: &str, room: usize) -> Vec<String> {
    const OVERHEAD: usize = "=?utf-8?q??=".len();
    let unsafe_octets = text.bytes().filter(|&b| !is_q_safe(b) && b != b' ').count();
    let base64 = unsafe_octets * 3 > text.len();
    let mut words = Vec::new();
    let mut limit = room.clamp(OVERHEAD + 16, 75) - OVERHEAD;
    let mut chunk = String::new();
    let mut length = 0;
    for c in text.chars() {
        let cost = if base64 { c.len_utf8() } else { q_cost(c) };
        let capacity = if base64 { limit / 4 * 3 } else { limit };
        if length + cost > capacity && !chunk.is_empty() {
            words.push(encode_word(&chunk, base64));
            chunk.clear();
            length = 0;
            limit = 75 - OVERHEAD;
        }
        chunk.push(c);
        length += cost;
    }
    if !chunk.is_empty() {
        words.push(encode_word(&chunk, base64));
    }
    words
}

/// The octets that RFC 2047 §5 (3) allows in a phrase, which are safe everywhere.
fn is_q_safe(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'!' | b'*' | b'+' | b'-' | b'/')
}

fn q_cost(c: char) -> usize {
    match u8::try_from(c) {
        Ok(byte) if byte == b' ' || is_q_safe(byte) => 1,
        _ => 3 * c.len_utf8(),
    }
}

fn encode_word(chunk: &str, base64: bool) -> String {
    let mut word = Vec::with_capacity(80);
    word.extend_from_slice(if base64 { b"=?utf-8?b?" } else { b"=?utf-8?q?" });
    if base64 {
        Base64Encoder::new().encode_into(chunk.as_bytes(), &mut word);
    } else {
        for byte in chunk.bytes() {
            match byte {
                b' ' => word.push(b'_'),
                byte if is_q_safe(byte) => word.push(byte),
                byte => word.extend_from_slice(format!("={byte:02X}").as_bytes()),
            }
        }
    }
    word.extend_from_slice(b"?=");
    String::from_utf8_lossy(&word).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes() {
        for (input, output) in [
            ("plain", "plain"),
            ("=?utf-8?q?=C3=89mile?= x", "Émile x"),
            ("a =?iso-8859-1?q?b=E9?=  =?iso-8859-1?q?c?= d", "a béc d"),
            ("=?utf-8?b?4oI=?= =?utf-8?b?rA==?=", "€"),
            ("=?UTF-8*en?Q?a_b?=", "a b"),
            ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
            ("=?utf-8?q?a", "=?utf-8?q?a"),
            ("=?shift_jis?B?g26DjYFb?=", "ハロー"),
            ("=?nonsense?q?a=C3=A9?=", "aé"),
            ("=?utf-8?q?a=?=", "a="),
        ] {
            assert_eq!(decode_str(input), output, "{input}");
        }
    }

    #[test]
    fn encodes_back() {
        for text in [
            "é",
            "Grüße aus Köln und noch ein wenig mehr Text, damit es zwei Wörter werden",
            "日本語の件名がとても長いので複数の符号化語になるはずです。そうでなければならない",
            "=?utf-8?q?x?=",
            " a ",
        ] {
            let words = encode(text, 60);
            assert!(words.iter().all(|word| word.len() <= 75), "{words:?}");
            assert_eq!(decode_str(&words.join(" ")), text);
        }
    }
}
