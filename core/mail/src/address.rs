//! Mail addresses: parsed once at the edge, then carried as a type.
//!
//! [`Address`] is a Mailbox of RFC 5321 §4.1.2 with the local parts of RFC 6531; [`NamedAddress`] is one
//! mailbox of RFC 5322 §3.4. Address literals and source routes are refused.

mod list;
mod named;
mod rules;

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unicode_normalization::UnicodeNormalization;

pub use list::{AddressList, EmailAddress, parse_address_list};
pub use named::NamedAddress;
pub(crate) use named::{check_name, quote_name};
pub use rules::{LocalPartRules, suppression_base};

use crate::domain::{self, DomainError};

const MAX_LOCAL: usize = 64;
const MAX_ADDRESS: usize = 254;

/// Why an address was refused; the texts may be shown to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing there.
    #[error("the address is empty")]
    Empty,
    /// No `@`.
    #[error("the address has no @")]
    NoAt,
    /// More than 254 octets, or a local part of more than 64.
    #[error("the address is too long")]
    TooLong,
    /// CR, LF, NUL or another control character.
    #[error("control characters are not allowed in an address")]
    ControlCharacter,
    /// `@relay:user@host`
    #[error("source routes are not accepted")]
    SourceRoute,
    /// `user@[192.0.2.1]`
    #[error("addresses at an IP address are not accepted")]
    AddressLiteral,
    /// The part before the `@` breaks the grammar.
    #[error("the part before the @ is not valid")]
    BadLocalPart,
    /// The part after the `@` is not a domain.
    #[error("{0}")]
    BadDomain(DomainError),
    /// Several addresses where one is expected.
    #[error("one address is expected, not a list")]
    List,
    /// `Friends: a@example.com;`
    #[error("groups of addresses are not accepted")]
    Group,
    /// `(comment)`
    #[error("comments are not accepted in an address")]
    Comment,
    /// The display name breaks the grammar.
    #[error("the name before the address is not valid; put it in double quotes")]
    BadName,
    /// The display name is longer than 998 octets.
    #[error("the name before the address is too long")]
    NameTooLong,
}

/// `local@domain`, checked; the local part unquoted, the domain in A-labels and lower case.
///
/// Equality is exact: which local parts mean the same account is for [`LocalPartRules`] to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: Arc<str>,
    domain: Arc<str>,
}

impl Address {
    /// RFC 5321 §4.1.2: `Mailbox = Local-part "@" Domain`, without angle brackets.
    ///
    /// # Errors
    /// Says which part of the address is wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.len() > 4 * MAX_ADDRESS {
            return Err(AddressError::TooLong);
        }
        if text.chars().any(is_forbidden) {
            return Err(AddressError::ControlCharacter);
        }
        if text.starts_with('@') && text.contains(':') {
            return Err(AddressError::SourceRoute);
        }
        let (local, domain) = match text.strip_prefix('"') {
            Some(rest) => split_quoted(rest)?,
            None => split_dotted(text)?,
        };
        Self::new(&local, domain)
    }

    /// From an unquoted local part and a domain.
    ///
    /// # Errors
    /// As [`Address::parse`].
    pub fn new(local: &str, domain: &str) -> Result<Self, AddressError> {
        if local.is_empty() || local.chars().any(is_invisible) {
            return Err(AddressError::BadLocalPart);
        }
        if local.chars().any(is_forbidden) {
            return Err(AddressError::ControlCharacter);
        }
        let domain = domain::normalise(domain).map_err(|error| match error {
            DomainError::AddressLiteral => AddressError::AddressLiteral,
            other => AddressError::BadDomain(other),
        })?;
        let local: Arc<str> =
            if local.is_ascii() { local.into() } else { local.nfc().collect::<String>().into() };
        let address = Self { local, domain: domain.into() };
        let quoted_len = address.quoted_local_len();
        if quoted_len > MAX_LOCAL || quoted_len + 1 + address.domain.len() > MAX_ADDRESS {
            return Err(AddressError::TooLong);
        }
        Ok(address)
    }

    /// The local part, unquoted.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain in A-labels.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The same domain with another local part, as for sub-addresses and bounce addresses.
    ///
    /// # Errors
    /// As [`Address::parse`].
    pub fn with_local(&self, local: &str) -> Result<Self, AddressError> {
        Self::new(local, &self.domain)
    }

    /// Whether the address can be used without SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        self.local.is_ascii()
    }

    /// The addr-spec as it goes on the wire, the local part quoted where it must be.
    pub fn as_smtp(&self) -> String {
        self.to_string()
    }

    fn quoted_local_len(&self) -> usize {
        if is_dot_atom(&self.local) {
            return self.local.len();
        }
        2 + self.local.len() + self.local.matches(['"', '\\']).count()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_atom(&self.local) {
            return write!(f, "{}@{}", self.local, self.domain);
        }
        f.write_str("\"")?;
        for c in self.local.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        write!(f, "\"@{}", self.domain)
    }
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Characters that never belong in a header field or an SMTP command: C0, DEL, C1 (with U+0085) and the
/// Unicode line and paragraph separators.
pub(crate) fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Characters that make two local parts look the same: non-ASCII spaces, directional marks, zero-width.
fn is_invisible(c: char) -> bool {
    (!c.is_ascii() && c.is_whitespace())
        || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffd}')
}

/// RFC 5322 §3.2.3 `atext`, and RFC 6532 §3.2 for what is not ASCII.
pub(crate) fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
}

/// RFC 5322 §3.2.3: `dot-atom-text = 1*atext *("." 1*atext)`
fn is_dot_atom(local: &str) -> bool {
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// RFC 5321 §4.1.2: `Dot-string "@" Domain`
fn split_dotted(text: &str) -> Result<(String, &str), AddressError> {
    let (local, domain) = text.split_once('@').ok_or(AddressError::NoAt)?;
    if !is_dot_atom(local) {
        return Err(AddressError::BadLocalPart);
    }
    Ok((local.to_owned(), domain))
}

/// RFC 5321 §4.1.2: `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`; the opening quote is gone already.
fn split_quoted(rest: &str) -> Result<(String, &str), AddressError> {
    let mut local = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                let domain = chars.as_str().strip_prefix('@').ok_or(AddressError::NoAt)?;
                return Ok((local, domain));
            }
            '\\' => local.push(chars.next().ok_or(AddressError::BadLocalPart)?),
            _ => local.push(c),
        }
    }
    Err(AddressError::BadLocalPart)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_shows() {
        for (input, shown) in [
            ("alice@Example.COM", "alice@example.com"),
            ("Alice.B+tag@example.com", "Alice.B+tag@example.com"),
            ("user%foreign@local", "user%foreign@local"),
            ("a!b@local", "a!b@local"),
            ("\"user@foreign\"@local", "\"user@foreign\"@local"),
            ("\"alice\"@local", "alice@local"),
            ("\"a b\"@local", "\"a b\"@local"),
            ("\"a\\\"b\"@local", "\"a\\\"b\"@local"),
            ("\".a\"@local", "\".a\"@local"),
            ("用户@例え.テスト", "用户@xn--r8jz45g.xn--zckzah"),
            ("e\u{301}@x.org", "é@x.org"),
        ] {
            let address = Address::parse(input).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(Address::parse(&address.as_smtp()).unwrap(), address);
        }
        assert!(!Address::parse("é@x.org").unwrap().is_ascii());
        assert!(Address::parse("e@é.org").unwrap().is_ascii());
    }

    #[test]
    fn refuses_open_relay_spellings_and_controls() {
        for (input, error) in [
            ("", AddressError::Empty),
            ("alice", AddressError::NoAt),
            ("@relay:user@foreign", AddressError::SourceRoute),
            ("user@[192.0.2.1]", AddressError::AddressLiteral),
            ("user@192.0.2.1", AddressError::AddressLiteral),
            ("a@b@c", AddressError::BadDomain(DomainError::BadCharacter)),
            ("a@b.", AddressError::BadDomain(DomainError::TrailingDot)),
            ("a@", AddressError::BadDomain(DomainError::Empty)),
            ("@b", AddressError::BadLocalPart),
            ("a..b@c", AddressError::BadLocalPart),
            ("a b@c", AddressError::BadLocalPart),
            ("<a@b>", AddressError::BadLocalPart),
            ("\"\"@c", AddressError::BadLocalPart),
            ("\"a@c", AddressError::BadLocalPart),
            ("a\u{200b}@c", AddressError::BadLocalPart),
            ("a@b\r\nRCPT TO:<x@y>", AddressError::ControlCharacter),
            ("a\0@b", AddressError::ControlCharacter),
            ("\"a\n\"@b", AddressError::ControlCharacter),
            ("a\u{2028}@b", AddressError::ControlCharacter),
            ("a\u{85}@b", AddressError::ControlCharacter),
        ] {
            assert_eq!(Address::parse(input), Err(error), "{input:?}");
        }
        assert_eq!(Address::parse(&format!("{}@b", "a".repeat(65))), Err(AddressError::TooLong));
    }

    #[test]
    fn serde_is_a_string() {
        let address: Address = serde_json::from_str("\"A@B.example\"").unwrap();
        assert_eq!(serde_json::to_string(&address).unwrap(), "\"A@b.example\"");
        assert!(serde_json::from_str::<Address>("\"A\"").is_err());
    }
}
