//! Names of mailboxes (K19) and keywords of mails (K17, RFC 9051 `flag-keyword`).

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization as _;

/// Between the levels of a name.
pub const SEPARATOR: char = '/';
/// Most octets of a name.
pub const MAX_NAME: usize = 500;
/// Most levels of a name.
pub const MAX_LEVELS: usize = 20;
/// Most octets of a keyword.
pub const MAX_KEYWORD: usize = 64;

/// What is wrong with a name of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or `/` at the beginning, at the end or twice.
    #[error("a name is not empty, nor is any part of it between slashes")]
    EmptyPart,
    /// Too long.
    #[error("a name has at most {MAX_NAME} octets")]
    TooLong,
    /// Too deep.
    #[error("a name has at most {MAX_LEVELS} levels")]
    TooDeep,
    /// A control character or a line or paragraph separator.
    #[error("a name has no control characters")]
    ControlCharacter,
    /// RFC 9051 §5.1: names with `#` at the beginning are of other name spaces.
    #[error("a name does not begin with #")]
    OtherNamespace,
}

/// A name in the form in which it is stored: NFC, with `Inbox` for every spelling of it.
///
/// # Errors
/// [`NameError`].
///
/// ```
/// # use posthouse_mail::mailbox::parse_name;
/// assert_eq!(parse_name("INBOX/Orders").unwrap(), "Inbox/Orders");
/// assert!(parse_name("a//b").is_err());
/// ```
pub fn parse_name(text: &str) -> Result<String, NameError> {
    if text.len() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    let name: String = text.nfc().collect();
    let name = match name.split_once(SEPARATOR) {
        Some((first, rest)) if is_inbox(first) => format!("Inbox{SEPARATOR}{rest}"),
        None if is_inbox(&name) => "Inbox".to_owned(),
        _ => name,
    };
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong);
    }
    if name.split(SEPARATOR).any(str::is_empty) {
        return Err(NameError::EmptyPart);
    }
    if name.split(SEPARATOR).count() > MAX_LEVELS {
        return Err(NameError::TooDeep);
    }
    if name.chars().any(|char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')) {
        return Err(NameError::ControlCharacter);
    }
    if name.starts_with('#') {
        return Err(NameError::OtherNamespace);
    }
    Ok(name)
}

fn is_inbox(part: &str) -> bool {
    part.eq_ignore_ascii_case("inbox")
}

/// The names of all mailboxes above, the topmost first.
pub fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(SEPARATOR).filter_map(|(at, _)| name.get(..at))
}

/// The name of the mailbox right above.
pub fn parent(name: &str) -> Option<&str> {
    name.rsplit_once(SEPARATOR).map(|(parent, _)| parent)
}

/// A keyword in the form in which it is stored, lower case; none if it is no atom (RFC 9051 §9).
pub fn parse_keyword(text: &str) -> Option<Cow<'_, str>> {
    let is_atom = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
    if text.is_empty() || text.len() > MAX_KEYWORD || !text.bytes().all(is_atom) {
        return None;
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some(text.to_ascii_lowercase().into());
    }
    Some(text.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_have_one_spelling() {
        for (text, name) in [
            ("inbox", "Inbox"),
            ("iNBOX/a", "Inbox/a"),
            ("Inboxes", "Inboxes"),
            ("a/inbox", "a/inbox"),
            ("Bu\u{308}ro", "B\u{fc}ro"),
            ("a b/c#d/%*", "a b/c#d/%*"),
        ] {
            assert_eq!(parse_name(text).as_deref(), Ok(name));
        }
    }

    #[test]
    fn bad_names_are_refused() {
        let deep = ["a"; MAX_LEVELS + 1].join("/");
        let long = "a".repeat(MAX_NAME + 1);
        for (text, error) in [
            ("", NameError::EmptyPart),
            ("/", NameError::EmptyPart),
            ("/a", NameError::EmptyPart),
            ("a/", NameError::EmptyPart),
            ("a//b", NameError::EmptyPart),
            ("inbox/", NameError::EmptyPart),
            ("#news", NameError::OtherNamespace),
            ("a\0", NameError::ControlCharacter),
            ("a\r\nb", NameError::ControlCharacter),
            ("a\u{2028}", NameError::ControlCharacter),
            ("a\u{85}", NameError::ControlCharacter),
            (&deep, NameError::TooDeep),
            (&long, NameError::TooLong),
        ] {
            assert_eq!(parse_name(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn names_tell_what_is_above() {
        assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!(parents("a").count(), 0);
        assert_eq!((parent("a/b/c"), parent("a")), (Some("a/b"), None));
    }

    #[test]
    fn keywords_are_atoms_in_lower_case() {
        assert_eq!(parse_keyword("$Label1").as_deref(), Some("$label1"));
        assert_eq!(parse_keyword("work:urgent").as_deref(), Some("work:urgent"));
        for bad in ["", "a b", "\\seen", "a]", "a\"", "(a", "ä", "a\0", &"k".repeat(65)] {
            assert_eq!(parse_keyword(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_stored_name_stays_as_it_is(text in any::<String>()) {
            if let Ok(name) = parse_name(&text) {
                prop_assert_eq!(parse_name(&name), Ok(name));
            }
        }
    }
}
