//! One mailbox with its display name, RFC 5322 §3.4 `mailbox`, as API fields and headers give it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Address, AddressError, is_atext, is_forbidden, list::take_quoted};
use crate::encoded_word;

const MAX_NAME: usize = 998;

/// An address with the name of who is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NamedAddress {
    /// Display name, decoded.
    #[serde(default)]
    pub name: Option<String>,
    /// The address.
    #[serde(rename = "email")]
    pub address: Address,
}

impl NamedAddress {
    /// From a name in plain words and an address; an empty name is none.
    ///
    /// # Errors
    /// `ControlCharacter` or `NameTooLong` for the name.
    pub fn new(name: Option<&str>, address: Address) -> Result<Self, AddressError> {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        if let Some(name) = name {
            check_name(name)?;
        }
        Ok(Self { name: name.map(str::to_owned), address })
    }

    /// One mailbox: `a@b`, `Alice <a@b>`, `"A, B" <a@b>`, with encoded-words in the name.
    ///
    /// # Errors
    /// Lists, groups, comments, control characters (also inside encoded-words), long names, bad addresses.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.len() > 4 * MAX_NAME {
            return Err(AddressError::NameTooLong);
        }
        if has_control(text) {
            return Err(AddressError::ControlCharacter);
        }
        let text = text.trim();
        let Some(open) = find_angle(text)? else {
            return Self::new(None, Address::parse(text)?);
        };
        let (phrase, rest) = text.split_at_checked(open).ok_or(AddressError::BadName)?;
        let inside = rest.strip_prefix('<').unwrap_or(rest);
        let Some(inside) = inside.strip_suffix('>') else {
            return Err(after_angle(inside));
        };
        let address = Address::parse(inside)
            .map_err(|error| if inside.contains('>') { AddressError::List } else { error })?;
        Self::new(Some(&decode_phrase(phrase)?), address)
    }
}

/// The form for headers and for people, in Unicode: `Alice <a@b>`, quoted where the grammar wants it.
impl fmt::Display for NamedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = &self.name else {
            return write!(f, "{}", self.address);
        };
        write!(f, "{} <{}>", quote_name(name), self.address)
    }
}

/// A display name as a phrase: bare when it is made of atoms, otherwise a quoted string.
pub(crate) fn quote_name(name: &str) -> String {
    let bare = !name.is_empty()
        && !name.contains("=?")
        && name.split(' ').all(|word| !word.is_empty() && word.chars().all(is_atext));
    if bare {
        return name.to_owned();
    }
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// Refuses control characters, written out or hidden in encoded-words, and long names.
pub(crate) fn check_name(name: &str) -> Result<(), AddressError> {
    if name.len() > MAX_NAME {
        return Err(AddressError::NameTooLong);
    }
    if has_control(name) { Err(AddressError::ControlCharacter) } else { Ok(()) }
}

/// Control characters, written out or hidden in encoded-words.
fn has_control(text: &str) -> bool {
    let hidden = || encoded_word::decode_str(text).chars().any(is_forbidden);
    text.chars().any(is_forbidden) || (text.contains("=?") && hidden())
}

/// Where the angle bracket opens, outside quotes; lists, groups and comments are refused on the way.
fn find_angle(text: &str) -> Result<Option<usize>, AddressError> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '<' => return Ok(Some(at)),
            ',' => return Err(AddressError::List),
            '(' => return Err(AddressError::Comment),
            ';' => return Err(AddressError::Group),
            ':' if !text.starts_with('@') && !text.contains("@[") => {
                return Err(AddressError::Group);
            }
            _ => {}
        }
    }
    Ok(None)
}

fn after_angle(inside: &str) -> AddressError {
    match inside.split_once('>') {
        Some((_, rest)) if rest.trim_start().starts_with('(') => AddressError::Comment,
        Some((_, rest)) if rest.trim_start().starts_with(';') => AddressError::Group,
        Some(_) => AddressError::List,
        None => AddressError::BadName,
    }
}

/// RFC 5322 §3.2.5 `phrase` with the dots of `obs-phrase`.
fn decode_phrase(phrase: &str) -> Result<String, AddressError> {
    let mut name = String::new();
    let mut bare = String::new();
    let mut chars = phrase.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                push_words(&mut name, &mut bare);
                let (content, closed) = take_quoted(&mut chars);
                if !closed {
                    return Err(AddressError::BadName);
                }
                push_piece(&mut name, &content);
            }
            ' ' | '.' => bare.push(c),
            c if is_atext(c) => bare.push(c),
            _ => return Err(AddressError::BadName),
        }
    }
    push_words(&mut name, &mut bare);
    Ok(name)
}

fn push_words(name: &mut String, bare: &mut String) {
    let words = std::mem::take(bare);
    push_piece(name, &encoded_word::decode_str(words.trim()));
}

fn push_piece(name: &mut String, piece: &str) {
    if !name.is_empty() && !piece.is_empty() {
        name.push(' ');
    }
    name.push_str(piece);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_one_mailbox() {
        for (input, name, shown) in [
            ("a@b", None, "a@b"),
            ("<a@b>", None, "a@b"),
            ("Alice <a@b>", Some("Alice"), "Alice <a@b>"),
            (" \"A, B\" <a@b> ", Some("A, B"), "\"A, B\" <a@b>"),
            ("A. B. <a@b>", Some("A. B."), "\"A. B.\" <a@b>"),
            ("=?utf-8?q?=C3=89mile?= =?utf-8?b?WsOp?= <a@b>", Some("ÉmileZé"), "ÉmileZé <a@b>"),
            ("Émile <a@b>", Some("Émile"), "Émile <a@b>"),
            ("\"\" <a@b>", None, "a@b"),
            ("\"x y\"@b", None, "\"x y\"@b"),
            ("\"a\\\"b\" <a@b>", Some("a\"b"), "\"a\\\"b\" <a@b>"),
        ] {
            let parsed = NamedAddress::parse(input).unwrap();
            assert_eq!(parsed.name.as_deref(), name, "{input}");
            assert_eq!(parsed.to_string(), shown);
            assert_eq!(NamedAddress::parse(&parsed.to_string()).unwrap(), parsed);
        }
    }

    #[test]
    fn refuses_the_rest() {
        for (input, error) in [
            ("a@b, c@d", AddressError::List),
            ("<a@b>, c@d", AddressError::List),
            ("<a@b> <c@d>", AddressError::List),
            ("<a@x>:<b@y>", AddressError::List),
            ("Friends: a@b;", AddressError::Group),
            ("a@b (Alice)", AddressError::Comment),
            ("Alice <a@b> (x)", AddressError::Comment),
            ("Alice", AddressError::NoAt),
            ("a@b <c@d>", AddressError::BadName),
            ("\"a <a@b>", AddressError::NoAt),
            ("Alice <a@b", AddressError::BadName),
            ("A\r\nBcc: x@y <a@b>", AddressError::ControlCharacter),
            ("A\u{85} <a@b>", AddressError::ControlCharacter),
            ("A\u{2028} <a@b>", AddressError::ControlCharacter),
            ("=?utf-8?q?a=0d=0aBcc:x?= <a@b>", AddressError::ControlCharacter),
            ("=?utf-8?b?YQ0KYg==?= <a@b>", AddressError::ControlCharacter),
            ("\"=?utf-8?q?=00?=\" <a@b>", AddressError::ControlCharacter),
        ] {
            let result = NamedAddress::parse(input);
            assert!(result.is_err(), "{input:?} {result:?}");
            if !input.starts_with("\"a <") {
                assert_eq!(result, Err(error), "{input:?}");
            }
        }
        let long = format!("{} <a@b>", "a".repeat(999));
        assert_eq!(NamedAddress::parse(&long), Err(AddressError::NameTooLong));
    }

    #[test]
    fn serde_form() {
        let named = NamedAddress::parse("Alice <a@b>").unwrap();
        let json = serde_json::to_value(&named).unwrap();
        assert_eq!(json, serde_json::json!({"name": "Alice", "email": "a@b"}));
    }
}
