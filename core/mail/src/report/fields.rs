//! Fields of status and feedback parts: header fields whose values have types, RFC 3464 §2.1.

use crate::{address::Address, encoded_word::unfold, message::header_fields, text::printable};

/// Longest value that is kept.
const MAX_VALUE: usize = 1000;

/// Blocks of fields, divided by empty lines.
pub(super) fn blocks(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = content;
    std::iter::from_fn(move || {
        loop {
            rest = without_empty_lines(rest);
            if rest.is_empty() {
                return None;
            }
            let (block, tail) = rest.split_at_checked(block_end(rest)).unwrap_or((rest, b""));
            rest = tail;
            if !block.is_empty() {
                return Some(block);
            }
        }
    })
}

fn without_empty_lines(content: &[u8]) -> &[u8] {
    let mut rest = content;
    while let Some((line, tail)) = next_line(rest) {
        if !line.trim_ascii().is_empty() {
            break;
        }
        rest = tail;
    }
    rest
}

fn block_end(content: &[u8]) -> usize {
    let mut rest = content;
    while let Some((line, tail)) = next_line(rest) {
        if line.trim_ascii().is_empty() {
            break;
        }
        rest = tail;
    }
    content.len() - rest.len()
}

fn next_line(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = content.iter().position(|&b| b == b'\n').map_or(content.len(), |at| at + 1);
    if content.is_empty() { None } else { content.split_at_checked(end) }
}

/// Fields of a block: name in lower case, value on one line.
pub(super) fn fields(block: &[u8]) -> impl Iterator<Item = (String, String)> {
    header_fields(block).map(|(name, value)| (name.to_ascii_lowercase(), one_line(&unfold(value))))
}

/// Text on one line, harmless and bounded.
pub(super) fn one_line(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
        if out.len() > MAX_VALUE {
            let end = out.floor_char_boundary(MAX_VALUE);
            out.truncate(end);
            break;
        }
    }
    printable(out.trim_end())
}

/// `type ";" value`; without a type, all is value.
pub(super) fn typed(value: &str) -> (String, &str) {
    match value.split_once(';') {
        Some((kind, rest))
            if kind.trim().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') =>
        {
            (kind.trim().to_ascii_lowercase(), rest.trim())
        }
        _ => (String::new(), value.trim()),
    }
}

/// `rfc822; bob@example.net`, `utf-8; …` (RFC 6533 §3), with or without angle brackets.
pub(super) fn address(value: &str) -> Option<Address> {
    let (kind, text) = typed(value);
    let text = text.trim_start_matches('<').trim_end_matches('>').trim();
    if kind == "utf-8" { Address::parse(&unescape(text)).ok() } else { Address::parse(text).ok() }
}

/// RFC 6533 §3: `EmbeddedUnicodeChar = "\x{" HEXPOINT "}"`
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x{") {
        out.push_str(before);
        let point = after.split_once('}').and_then(|(digits, tail)| {
            let number = u32::from_str_radix(digits, 16).ok()?;
            Some((char::from_u32(number)?, tail))
        });
        if let Some((c, tail)) = point {
            out.push(c);
            rest = tail;
        } else {
            out.push_str("\\x{");
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

/// The first enhanced status code in a text, such as `5.1.1`.
pub(super) fn find_status(text: &str) -> Option<String> {
    text.split(|c: char| !c.is_ascii_digit() && c != '.')
        .map(|word| word.trim_end_matches('.'))
        .find(|word| crate::dsn::is_status(word))
        .map(str::to_owned)
}

/// The code at the start of an SMTP reply: `550`, `450-`.
pub(super) fn leading_code(text: &str) -> Option<u16> {
    let digits = text.get(..3)?;
    let next = text.as_bytes().get(3);
    let ends = next.is_none_or(|b| !b.is_ascii_alphanumeric() && *b != b'.');
    let code: u16 = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))?;
    ((200..600).contains(&code) && ends).then_some(code)
}

/// The first code of a failure in a text: a word of three digits that begins with 4 or 5.
pub(super) fn find_code(text: &str) -> Option<u16> {
    let words = text.split(|c: char| c.is_whitespace() || "'\"<>()[]:;,#=-".contains(c));
    let codes = words.filter(|word| word.len() == 3).filter_map(leading_code);
    codes.into_iter().find(|code| *code >= 400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_and_fields() {
        let content = b"\r\nA: 1\r\n 2\r\n\r\n \r\nB: x\r\nrubbish\r\n\r\n\r\n";
        let read: Vec<Vec<_>> = blocks(content).map(|block| fields(block).collect()).collect();
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read, [vec![field("a", "1 2")], vec![field("b", "x")]]);
        assert_eq!(one_line(&"x ".repeat(5000)).len(), 999);
    }

    #[test]
    fn addresses_of_all_types() {
        let read = |value: &str| address(value).map(|address| address.to_string());
        assert_eq!(read("rfc822; Bob@Example.net").as_deref(), Some("Bob@example.net"));
        assert_eq!(read("RFC822;<bob@example.net>").as_deref(), Some("bob@example.net"));
        assert_eq!(read("bob@example.net").as_deref(), Some("bob@example.net"));
        assert_eq!(read("utf-8; \\x{FC}ser@example.net").as_deref(), Some("üser@example.net"));
        assert_eq!(read("utf-8; üser@example.net").as_deref(), Some("üser@example.net"));
        assert_eq!(
            read("utf-8; \\x{110000}@x"),
            Address::parse("\\x{110000}@x").ok().map(|a| a.to_string())
        );
        assert_eq!(read("x400; /C=us/O=x/"), None);
    }

    #[test]
    fn codes() {
        assert_eq!(leading_code("550 5.1.1 no"), Some(550));
        assert_eq!(leading_code("550-5.1.1 no"), Some(550));
        assert_eq!(leading_code("5.1.1 no"), None);
        assert_eq!(leading_code("5500 no"), None);
        assert_eq!(leading_code("+50 no"), None);
        assert_eq!(find_code("said: 550-5.1.1 <x> (in reply to 250)"), Some(550));
        assert_eq!(find_code("tel 5551234, 4.5.6, 800"), None);
        assert_eq!(find_status("(#5.1.1) 1.2.3.4").as_deref(), Some("5.1.1"));
        assert_eq!(find_status("10.0.5.1 said no"), None);
    }
}
