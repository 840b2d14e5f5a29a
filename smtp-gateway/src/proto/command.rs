//! Command lines: verb and arguments, RFC 5321 §4.1.1 and §2.4.

use super::{Session, Step, extensions, hello, information, transaction};

/// A command and what it does.
#[derive(Debug)]
pub struct Verb {
    /// Keyword in upper case.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(&mut Session, Arguments<'_>) -> Step,
}

/// What stands after the verb.
#[derive(Debug, Clone, Copy)]
pub struct Arguments<'a> {
    /// The rest of the line, without spaces around it.
    pub text: &'a str,
    /// The client has already sent more than this line.
    pub followed: bool,
}

/// The commands of RFC 5321; others come from extensions.
static BASE: &[Verb] = &[
    Verb { name: "EHLO", run: hello::ehlo },
    Verb { name: "HELO", run: hello::helo },
    Verb { name: "MAIL", run: transaction::mail },
    Verb { name: "RCPT", run: transaction::rcpt },
    Verb { name: "DATA", run: transaction::data },
    Verb { name: "RSET", run: transaction::rset },
    Verb { name: "NOOP", run: information::noop },
    Verb { name: "HELP", run: information::help },
    Verb { name: "VRFY", run: information::vrfy },
    Verb { name: "EXPN", run: information::vrfy },
    Verb { name: "QUIT", run: information::quit },
];

/// All commands.
pub(super) fn verbs() -> impl Iterator<Item = &'static Verb> {
    BASE.iter().chain(extensions::ALL.iter().filter_map(|extension| extension.verb()))
}

/// The command called `name`, in any case.
pub(super) fn find(name: &str) -> Option<&'static Verb> {
    verbs().find(|verb| verb.name.eq_ignore_ascii_case(name))
}

/// Verb and arguments of a line; none when the line has control characters or is not UTF-8.
pub(super) fn split(line: &[u8]) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(line).ok()?;
    if text.chars().any(|c| c.is_control() && c != '\t') {
        return None;
    }
    let (verb, arguments) = text.split_once(' ').unwrap_or((text, ""));
    Some((verb, arguments.trim_matches([' ', '\t'])))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn lines_have_a_verb_and_arguments() {
        assert_eq!(split(b"NOOP"), Some(("NOOP", "")));
        assert_eq!(split(b"MAIL FROM:<> "), Some(("MAIL", "FROM:<>")));
        assert_eq!(split(b" EHLO x"), Some(("", "EHLO x")));
        assert_eq!(split("VRFY é".as_bytes()), Some(("VRFY", "é")));
        for line in
            [&b"NO\0OP"[..], b"NOOP\rx", b"NOOP \x7f", b"NOOP \xff", b"\x80", b"\x16\x03\x01"]
        {
            assert_eq!(split(line), None, "{line:?}");
        }
    }

    #[test]
    fn verbs_are_unique() {
        let mut seen = HashSet::new();
        assert!(verbs().all(|verb| seen.insert(verb.name)));
        assert!(find("sTaRtTlS").is_some() && find("Auth").is_some() && find("").is_none());
    }
}
