//! `value; name=value` fields: Content-Type and Content-Disposition, RFC 2045 §5.1, RFC 2183, RFC 2231.

use std::collections::BTreeMap;

use crate::{
    encoded_word::{self, hex_pair},
    fold::{Field, hex},
};

/// Most parameters read from one field.
const MAX_PARAMS: usize = 64;
/// Longest value written on one line.
const MAX_PIECE: usize = 60;

/// A field with parameters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Structured {
    /// Lower case, without white space.
    pub(crate) value: String,
    /// Names in lower case, values decoded.
    pub(crate) params: BTreeMap<String, String>,
}

/// One section of a parameter (RFC 2231 §3): its octets or text, and whether it is percent-encoded.
type Sections = BTreeMap<u32, (String, bool)>;

/// Reads a field as leniently as it must be.
pub(crate) fn parse(raw: &[u8]) -> Structured {
    let text = encoded_word::unfold(raw);
    let mut pieces = split(&text).into_iter();
    let value = pieces.next().unwrap_or_default();
    let value = value.split_whitespace().collect::<String>().to_ascii_lowercase();
    let mut params = BTreeMap::new();
    let mut extended: BTreeMap<String, Sections> = BTreeMap::new();
    for piece in pieces.take(MAX_PARAMS) {
        let Some((name, value)) = piece.split_once('=') else {
            continue;
        };
        let name = name.trim().to_ascii_lowercase();
        let value = unquote(value.trim());
        match name.split_once('*') {
            None => {
                params.entry(name).or_insert_with(|| encoded_word::decode_str(&value));
            }
            Some((base, section)) => {
                let encoded = section.is_empty() || section.ends_with('*');
                let number = section.trim_end_matches('*').parse().unwrap_or(0);
                let sections = extended.entry(base.to_owned()).or_default();
                sections.entry(number).or_insert((value, encoded));
            }
        }
    }
    for (name, sections) in extended {
        params.insert(name, join_sections(&sections));
    }
    Structured { value, params }
}

/// Pieces between semicolons outside quotes; comments are left out.
fn split(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let (mut quoted, mut escaped, mut depth) = (false, false, 0_usize);
    for c in text.chars() {
        let is_escaped = std::mem::take(&mut escaped);
        match c {
            _ if is_escaped => {}
            '\\' if quoted || depth > 0 => escaped = true,
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => {
                depth -= 1;
                continue;
            }
            ';' if !quoted && depth == 0 => {
                pieces.push(String::new());
                continue;
            }
            _ => {}
        }
        if depth == 0
            && let Some(piece) = pieces.last_mut()
        {
            piece.push(c);
        }
    }
    pieces
}

fn unquote(value: &str) -> String {
    let Some(inside) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut out = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            // A file name from Windows is full of backslashes that escape nothing.
            '\\' => match chars.next() {
                Some(next @ ('"' | '\\')) => out.push(next),
                next => {
                    out.push('\\');
                    out.extend(next);
                }
            },
            c => out.push(c),
        }
    }
    out
}

/// RFC 2231 §4.1: only the first section names the charset.
fn join_sections(sections: &Sections) -> String {
    let mut charset = String::new();
    let mut octets = Vec::new();
    for (at, (value, encoded)) in sections.values().enumerate() {
        if !encoded {
            octets.extend_from_slice(value.as_bytes());
            continue;
        }
        let mut text = value.as_str();
        if at == 0
            && let Some((name, rest)) = text.split_once('\'')
        {
            name.clone_into(&mut charset);
            text = rest.split_once('\'').map_or(rest, |(_, value)| value);
        }
        percent_decode(text.as_bytes(), &mut octets);
    }
    encoded_word::decode_charset(&charset, &octets)
}

fn percent_decode(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match hex_pair(tail) {
            Some(octet) if byte == b'%' => {
                out.push(octet);
                rest = tail.get(2..).unwrap_or(&[]);
            }
            _ => out.push(byte),
        }
    }
}

/// RFC 2045 §5.1 `token`.
pub(crate) fn is_token(text: &str) -> bool {
    let tspecials = "()<>@,;:\\\"/[]?=";
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !tspecials.contains(c))
}

/// RFC 2231 §7 `attribute-char`.
fn is_attribute_char(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$&+-.^_`{|}~".contains(&byte)
}

/// Writes `; name=value`: a token, a quoted string, or in sections when it is long or not ASCII.
pub(crate) fn write(field: &mut Field<'_>, name: &str, value: &str) {
    if value.len() <= MAX_PIECE && is_token(value) {
        field.glue(";");
        field.word(&format!("{name}={value}"));
    } else if value.len() <= MAX_PIECE && value.is_ascii() && !value.contains("=?") {
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        field.glue(";");
        field.word(&format!("{name}=\"{quoted}\""));
    } else {
        write_sections(field, name, value);
    }
}

fn write_sections(field: &mut Field<'_>, name: &str, value: &str) {
    let mut sections = vec![String::from("utf-8''")];
    for c in value.chars() {
        let mut buffer = [0; 4];
        let mut encoded = String::new();
        for &byte in c.encode_utf8(&mut buffer).as_bytes() {
            if is_attribute_char(byte) {
                encoded.push(char::from(byte));
            } else {
                encoded.extend(["%", &hex(&[byte]).to_ascii_uppercase()]);
            }
        }
        match sections.last_mut() {
            Some(last) if last.len() + encoded.len() <= MAX_PIECE => last.push_str(&encoded),
            _ => sections.push(encoded),
        }
    }
    let single = sections.len() == 1;
    for (at, section) in sections.iter().enumerate() {
        field.glue(";");
        let number = if single { String::new() } else { format!("{at}*") };
        field.word(&format!("{name}*{number}={section}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn param(raw: &str, name: &str) -> Option<String> {
        parse(raw.as_bytes()).params.remove(name)
    }

    #[test]
    fn reads() {
        let parsed = parse(b" Text/Plain (x;y); Charset=\"UTF-8\"; format=flowed;\r\n x");
        assert_eq!(parsed.value, "text/plain");
        assert_eq!(parsed.params["charset"], "UTF-8");
        assert_eq!(parsed.params.len(), 2);
        for (raw, value) in [
            ("a/b; name=\"a;b \\\"c\\\".txt\"", "a;b \"c\".txt"),
            ("a/b; name=a b.txt", "a b.txt"),
            ("a/b; name=\"C:\\dir\\x.txt\"", "C:\\dir\\x.txt"),
            ("a/b; name*=utf-8''%C3%A9.txt", "é.txt"),
            ("a/b; name*=iso-8859-1'en'%E9", "é"),
            ("a/b; name*1*=%A9.txt; name*0*=utf-8''%C3", "é.txt"),
            ("a/b; name*0=\"a \"; name*1=b; name=c", "a b"),
            ("a/b; name=\"=?utf-8?q?=C3=A9?=\"", "é"),
            ("a/b; name=\"open", "open"),
        ] {
            assert_eq!(param(raw, "name").as_deref(), Some(value), "{raw}");
        }
    }

    #[test]
    fn writes_back() {
        for value in [
            "a.txt",
            "a b;\"c\".txt",
            "日本語.pdf",
            &"long name ".repeat(40),
            "a\\b",
            "=?utf-8?q?x?=",
        ] {
            let mut out = Vec::new();
            let mut field = Field::new(&mut out, "Content-Disposition");
            field.word("attachment");
            write(&mut field, "filename", value);
            field.end();
            let raw = String::from_utf8(out).unwrap();
            assert!(raw.lines().all(|line| line.len() <= 80), "{raw}");
            assert_eq!(param(raw.trim_end(), "filename").as_deref(), Some(value), "{raw}");
        }
    }
}
