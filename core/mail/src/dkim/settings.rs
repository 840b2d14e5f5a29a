//! How a domain signs.

use time::Duration;

use super::Canonicalization;

/// Fields that are signed once more than they are present, so that none can be added or doubled (F2).
pub const OVERSIGNED: &[&str] = &[
    "From",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "References",
    "In-Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
];

/// RFC 6376 §5.4: servers on the way add or change these.
const NEVER: &[&str] = &["Return-Path", "Received", "DKIM-Signature", "Comments", "Keywords"];

/// Most names of over-signed fields.
const MAX_NAMES: usize = 50;

/// How signatures are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Of header fields.
    pub header: Canonicalization,
    /// Of the body.
    pub body: Canonicalization,
    /// `x=` is that long after `t=`; zero: signatures do not expire.
    pub expires_in: Duration,
    /// Fields that are over-signed.
    pub oversigned: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            header: Canonicalization::Relaxed,
            body: Canonicalization::Relaxed,
            expires_in: Duration::hours(72),
            oversigned: OVERSIGNED.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

/// What is wrong with a list of fields to over-sign.
pub fn oversigned_fault(names: &[String]) -> Option<&'static str> {
    let is = |name: &str, other: &str| name.eq_ignore_ascii_case(other);
    // RFC 5322 §2.2; a semicolon would end the tag `h=`.
    let is_name = |name: &str| {
        (1..=64).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b':' | b';'))
    };
    if names.len() > MAX_NAMES {
        return Some("at most 50 fields can be over-signed");
    }
    if !names.iter().all(|name| is_name(name)) {
        return Some("a field name has 1 to 64 ASCII characters, no space, colon or semicolon");
    }
    if !names.iter().any(|name| is(name, "From")) {
        return Some("From must be signed (RFC 6376 §5.4)");
    }
    if names.iter().any(|name| NEVER.iter().any(|never| is(name, never))) {
        return Some(
            "Return-Path, Received, DKIM-Signature, Comments and Keywords change on the way",
        );
    }
    let is_double = |(at, name): (usize, &String)| names.iter().take(at).any(|one| is(one, name));
    names.iter().enumerate().any(is_double).then_some("a field stands in the list once")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_from_and_nothing_that_changes_on_the_way() {
        let fault = |names: &[&str]| {
            oversigned_fault(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(fault(OVERSIGNED), None);
        assert_eq!(fault(&["from", "X-Own"]), None);
        for bad in [
            &["To"][..],
            &["From", "from"],
            &["From", "received"],
            &["From", "a:b"],
            &["From", "a;b"],
            &["From", "a b"],
            &["From", ""],
            &["From", "ä"],
            &["From"; 51],
        ] {
            assert!(fault(bad).is_some(), "{bad:?}");
        }
    }
}
