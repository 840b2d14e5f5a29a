//! Address lists of header fields as they come: lenient, linear, for display and for finding the author.
//!
//! RFC 5322 §3.4 with its obsolete forms, RFC 2047 in names, RFC 6532. Nothing is refused; groups and what could
//! not be understood are told by flags, so that strict callers can refuse.

use serde::{Deserialize, Serialize};

use crate::encoded_word;

/// An address as a message shows it; the email may be no valid address at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailAddress {
    /// Display name.
    pub name: Option<String>,
    /// addr-spec as written, without comments and outer white space.
    pub email: String,
}

/// The mailboxes of a header field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressList {
    /// In order; members of groups too.
    pub addresses: Vec<EmailAddress>,
    /// Group syntax was used (RFC 5322 §3.4 `group`).
    pub has_group: bool,
    /// Something was not an address: text after one, unclosed quotes, brackets or comments.
    pub is_malformed: bool,
}

/// Most addresses taken from one field.
const MAX_ADDRESSES: usize = 10_000;

/// Reads the value of an address field: From, To, Reply-To and their like.
pub fn parse_address_list(raw: &[u8]) -> AddressList {
    let text = encoded_word::unfold(raw);
    let mut reader = Reader::default();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => reader.quoted(&mut chars),
            '(' => reader.comment(&mut chars),
            '<' => reader.angle(&mut chars),
            ',' | ';' => reader.finish(),
            ':' if !reader.bare.contains('@') => reader.start_group(),
            c => reader.bare.push(c),
        }
    }
    reader.finish();
    reader.list
}

#[derive(Default)]
struct Reader {
    list: AddressList,
    /// Text outside quotes, brackets and comments since the last comma; quoted text too when part of an addr-spec.
    bare: String,
    /// Pieces of the display name.
    name: String,
    angle: Option<String>,
    comment: String,
}

impl Reader {
    fn quoted(&mut self, chars: &mut std::str::Chars<'_>) {
        let (content, closed) = take_quoted(chars);
        self.list.is_malformed |= !closed;
        let is_local_part = chars.as_str().starts_with('@');
        if is_local_part {
            self.bare.push('"');
            for c in content.chars() {
                if matches!(c, '"' | '\\') {
                    self.bare.push('\\');
                }
                self.bare.push(c);
            }
            self.bare.push('"');
            return;
        }
        self.flush_bare();
        self.push_name(&encoded_word::decode_str(&content));
    }

    fn comment(&mut self, chars: &mut std::str::Chars<'_>) {
        let (content, closed) = take_comment(chars);
        self.list.is_malformed |= !closed;
        if self.comment.is_empty() {
            self.comment = encoded_word::decode_str(content.trim());
        }
    }

    fn angle(&mut self, chars: &mut std::str::Chars<'_>) {
        self.flush_bare();
        let mut content = String::new();
        let mut quoted = false;
        let mut escaped = false;
        let mut closed = false;
        for c in chars.by_ref() {
            match c {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                '>' if !quoted => {
                    closed = true;
                    break;
                }
                _ => {}
            }
            content.push(c);
        }
        self.list.is_malformed |= !closed || self.angle.is_some();
        self.angle = Some(content.trim().to_owned());
    }

    fn start_group(&mut self) {
        self.list.has_group = true;
        self.bare.clear();
        self.name.clear();
        self.comment.clear();
    }

    /// What stood bare before a quoted string or a bracket is part of the name.
    fn flush_bare(&mut self) {
        let bare = std::mem::take(&mut self.bare);
        let trimmed = bare.trim();
        if !trimmed.is_empty() {
            self.push_name(&encoded_word::decode_str(trimmed));
        }
    }

    fn push_name(&mut self, piece: &str) {
        if self.angle.is_some() {
            self.list.is_malformed = true;
        }
        if !self.name.is_empty() && !piece.is_empty() {
            self.name.push(' ');
        }
        self.name.push_str(piece);
    }

    fn finish(&mut self) {
        let bare = std::mem::take(&mut self.bare);
        let bare = bare.trim();
        let name = std::mem::take(&mut self.name);
        let comment = std::mem::take(&mut self.comment);
        let angle = self.angle.take();
        self.list.is_malformed |= angle.is_some() && !bare.is_empty();
        let (name, email) = match angle {
            Some(email) => (name, email),
            None if bare.is_empty() && name.is_empty() => return,
            None if bare.contains('@') => {
                self.list.is_malformed |= !name.is_empty();
                (name, bare.to_owned())
            }
            None => {
                self.list.is_malformed = true;
                let name = if name.is_empty() { bare.to_owned() } else { name };
                (name, String::new())
            }
        };
        if self.list.addresses.len() >= MAX_ADDRESSES {
            self.list.is_malformed = true;
            return;
        }
        let name = [name, comment].into_iter().find(|name| !name.trim().is_empty());
        let name = name.map(|name| clean_name(&name));
        let email =
            email.chars().map(|c| if super::is_forbidden(c) { '\u{fffd}' } else { c }).collect();
        self.list.addresses.push(EmailAddress { name, email });
    }
}

/// A decoded name can hold line breaks and worse; they must not reach logs and other headers.
fn clean_name(name: &str) -> String {
    name.trim().chars().map(|c| if super::is_forbidden(c) { ' ' } else { c }).collect()
}

/// Content of a quoted string whose opening quote is gone, and whether it was closed.
pub(super) fn take_quoted(chars: &mut std::str::Chars<'_>) -> (String, bool) {
    let mut content = String::new();
    while let Some(c) = chars.next() {
        match c {
            '"' => return (content, true),
            '\\' => content.extend(chars.next()),
            c => content.push(c),
        }
    }
    (content, false)
}

/// Content of a comment whose opening parenthesis is gone; comments nest (RFC 5322 §3.2.2).
fn take_comment(chars: &mut std::str::Chars<'_>) -> (String, bool) {
    let mut content = String::new();
    let mut depth = 1_usize;
    while let Some(c) = chars.next() {
        match c {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return (content, true);
                }
            }
            '\\' => {
                content.extend(chars.next());
                continue;
            }
            _ => {}
        }
        content.push(c);
    }
    (content, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(list: &AddressList) -> Vec<(Option<&str>, &str)> {
        list.addresses.iter().map(|a| (a.name.as_deref(), a.email.as_str())).collect()
    }

    #[test]
    fn lists_as_they_come() {
        for (input, expected) in [
            ("a@b", vec![(None, "a@b")]),
            (" Alice <a@b> , bob@c", vec![(Some("Alice"), "a@b"), (None, "bob@c")]),
            ("\"A, B\" <a@b>", vec![(Some("A, B"), "a@b")]),
            ("a@b (Alice (x))", vec![(Some("Alice (x)"), "a@b")]),
            ("=?utf-8?q?=C3=89mile?= Z <a@b>", vec![(Some("Émile Z"), "a@b")]),
            ("\"x y\"@b", vec![(None, "\"x y\"@b")]),
            ("<\"x>y\"@b>", vec![(None, "\"x>y\"@b")]),
            ("Émile <a@b>", vec![(Some("Émile"), "a@b")]),
            ("Friends: a@b, c@d;", vec![(None, "a@b"), (None, "c@d")]),
            ("undisclosed-recipients:;", vec![]),
            (", ,a@b,,", vec![(None, "a@b")]),
            ("=?utf-8?q?a=0d=0ab?= <a@b>", vec![(Some("a  b"), "a@b")]),
        ] {
            assert_eq!(show(&parse_address_list(input.as_bytes())), expected, "{input}");
        }
    }

    #[test]
    fn tells_groups_and_malformed() {
        assert!(parse_address_list(b"G: a@b;").has_group);
        assert!(parse_address_list(b"<a@x>:<b@y>").has_group);
        for bad in ["<a@b> <c@d>", "Alice", "<a@b", "\"a <a@b>", "a@b (x", "<a@b> x"] {
            assert!(parse_address_list(bad.as_bytes()).is_malformed, "{bad}");
        }
        for good in ["a@b", "A. B. <a@b>", "\"x\"@b"] {
            assert!(!parse_address_list(good.as_bytes()).is_malformed, "{good}");
        }
    }
}
