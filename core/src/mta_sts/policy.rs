//! A policy (RFC 8461 §3.2): what the web server of a domain says of its mail exchangers.

use std::{fmt, str::FromStr};

use time::OffsetDateTime;

/// Longest life of a policy in seconds: a year.
const MAX_AGE: u32 = 31_557_600;

/// What a policy asks of those who send mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Mail goes to the named hosts only, with a certificate that verifies.
    Enforce,
    /// Nothing but reports.
    Testing,
    /// Nothing.
    None,
}

impl Mode {
    const ALL: [Self; 3] = [Self::Enforce, Self::Testing, Self::None];

    /// Name in the policy, in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A policy that was fetched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The id in the TXT record that it was fetched for.
    pub record_id: String,
    /// What it asks for.
    pub mode: Mode,
    /// Names of mail exchangers in lower case; `*.` stands for one label.
    pub mx: Vec<String>,
    /// How long it holds, in seconds.
    pub max_age_seconds: i32,
    /// When it was fetched.
    pub fetched_at: OffsetDateTime,
    /// From then on it does not hold any more.
    pub expires_at: OffsetDateTime,
}

impl Policy {
    /// Whether a mail exchanger is one of the named (RFC 8461 §4.1).
    pub fn covers(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.mx.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(parent) => host
                .split_once('.')
                .is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
            None => *pattern == host,
        })
    }

    /// Whether mail is bound by it.
    pub fn is_enforced(&self) -> bool {
        self.mode == Mode::Enforce
    }

    /// Octets in memory, nearly.
    pub(super) fn weight(&self) -> usize {
        self.record_id.len() + self.mx.iter().map(|name| name.len() + 24).sum::<usize>()
    }
}

/// What the text of a policy says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub mode: Mode,
    pub mx: Vec<String>,
    pub max_age: u32,
}

/// Why a text is no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the policy is not UTF-8")]
    Encoding,
    #[error("the policy has a line that is no field")]
    Line,
    #[error("the policy does not say version: STSv1")]
    Version,
    #[error("the policy says no mode, or one that does not exist")]
    Mode,
    #[error("the policy says no max_age, or one that is no number")]
    MaxAge,
    #[error("the policy names something as mx that is no name of a host")]
    Mx,
    #[error("the policy names no mx")]
    NoMx,
}

/// Reads a policy. Of a field that stands twice the first one counts, but for `mx`; fields that are
/// not known are passed over.
///
/// ```text
/// sts-policy-record = sts-policy-field *WSP *(sts-policy-term sts-policy-field *WSP)
///                     [sts-policy-term]
/// sts-policy-term   = LF / CRLF
/// ```
pub(super) fn parse(text: &[u8]) -> Result<Rules, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed::Encoding)?;
    let (mut version, mut mode, mut max_age) = (None, None, None);
    let mut mx = Vec::new();
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line).trim_matches([' ', '\t']);
        // An empty line at the end is common, and harms nobody.
        if line.is_empty() {
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(Malformed::Line)?;
        let value = value.trim_start_matches([' ', '\t']);
        match name {
            "version" => version = version.or(Some(value)),
            "mode" => mode = mode.or(Some(value)),
            "max_age" => max_age = max_age.or(Some(value)),
            "mx" => mx.push(pattern(value).ok_or(Malformed::Mx)?),
            _ => {}
        }
    }
    if version != Some("STSv1") {
        return Err(Malformed::Version);
    }
    let mode = mode.and_then(|mode| mode.parse().ok()).ok_or(Malformed::Mode)?;
    if mx.is_empty() && mode != Mode::None {
        return Err(Malformed::NoMx);
    }
    let max_age = max_age.and_then(seconds).ok_or(Malformed::MaxAge)?;
    Ok(Rules { mode, mx, max_age })
}

/// `sts-policy-max-age = 1*10(DIGIT)`; what is over the maximum counts as that.
fn seconds(text: &str) -> Option<u32> {
    let is_number = (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse::<u64>().ok().filter(|_| is_number)?;
    Some(u32::try_from(number).unwrap_or(MAX_AGE).min(MAX_AGE))
}

/// `sts-policy-mx-value = ["*."] Domain`, in lower case.
fn pattern(text: &str) -> Option<String> {
    let is_label = |label: &str| {
        let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(inner)
    };
    let name = text.strip_prefix("*.").unwrap_or(text);
    let is_name = name.len() <= 253 && name.split('.').all(is_label);
    is_name.then(|| text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\n\
                        mx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n";

    fn read(text: &str) -> Result<Rules, Malformed> {
        parse(text.as_bytes())
    }

    #[test]
    fn the_example_of_the_rfc_is_read_with_either_end_of_lines() {
        let mx = ["mail.example.com", "*.example.net", "backupmx.example.com"];
        let mx = mx.map(str::to_owned).to_vec();
        let rules = Rules { mode: Mode::Enforce, mx, max_age: 604_800 };
        assert_eq!(read(GOOD), Ok(rules));
        assert_eq!(read(&GOOD.replace('\r', "")), read(GOOD));
        assert_eq!(read(GOOD.trim_end()), read(GOOD));
        assert_eq!(read(&format!("{GOOD}\r\n\n")), read(GOOD));
        assert_eq!(read(&GOOD.replace(": ", ":").replace('\r', " \t\r")), read(GOOD));
    }

    #[test]
    fn of_a_field_that_stands_twice_the_first_one_counts() {
        let text = format!("{GOOD}mode: none\nmax_age: 1\nversion: STSv2\n");
        assert_eq!(read(&text), read(GOOD));
    }

    #[test]
    fn fields_that_are_not_known_are_passed_over() {
        assert_eq!(read(&format!("{GOOD}x-new: a: b\nmodes: none\nMode: none\n")), read(GOOD));
    }

    #[test]
    fn a_policy_without_one_of_its_fields_is_none() {
        for (field, fault) in [
            ("version: STSv1", Malformed::Version),
            ("mode: enforce", Malformed::Mode),
            ("max_age: 604800", Malformed::MaxAge),
        ] {
            assert_eq!(read(&GOOD.replace(field, "x: y")), Err(fault));
        }
        let no_mx = "version: STSv1\nmax_age: 1\nmode: ";
        assert_eq!(read(&format!("{no_mx}testing")), Err(Malformed::NoMx));
        assert_eq!(read(&format!("{no_mx}none")).unwrap().mode, Mode::None);
    }

    #[test]
    fn values_that_are_not_those_of_the_grammar_are_refused() {
        for (from, to, fault) in [
            ("STSv1", "stsv1", Malformed::Version),
            ("STSv1", "STSv11", Malformed::Version),
            ("enforce", "Enforce", Malformed::Mode),
            ("enforce", "strict", Malformed::Mode),
            ("604800", "", Malformed::MaxAge),
            ("604800", "-1", Malformed::MaxAge),
            ("604800", "+1", Malformed::MaxAge),
            ("604800", "1e3", Malformed::MaxAge),
            ("604800", "12345678901", Malformed::MaxAge),
            ("*.example.net", "*", Malformed::Mx),
            ("*.example.net", "*.", Malformed::Mx),
            ("*.example.net", "a.*.example.net", Malformed::Mx),
            ("*.example.net", "*.*.example.net", Malformed::Mx),
            ("*.example.net", ".example.net", Malformed::Mx),
            ("*.example.net", "mx.example.net.", Malformed::Mx),
            ("*.example.net", "mx example.net", Malformed::Mx),
            ("*.example.net", "mx.exämple.net", Malformed::Mx),
            ("*.example.net", "[192.0.2.1]", Malformed::Mx),
            ("*.example.net", "", Malformed::Mx),
            ("mode:", "mode", Malformed::Line),
        ] {
            assert_eq!(read(&GOOD.replace(from, to)), Err(fault), "{to}");
        }
        assert_eq!(parse(b"version: STSv1\nmode: \xff"), Err(Malformed::Encoding));
        assert_eq!(read(""), Err(Malformed::Version));
        assert_eq!(read("<html>not found</html>"), Err(Malformed::Line));
    }

    #[test]
    fn a_policy_lives_a_year_at_most() {
        for (text, age) in [("0", 0), ("31557600", MAX_AGE), ("31557601", MAX_AGE)] {
            assert_eq!(read(&GOOD.replace("604800", text)).unwrap().max_age, age);
        }
        assert_eq!(read(&GOOD.replace("604800", "9999999999")).unwrap().max_age, MAX_AGE);
    }

    #[test]
    fn a_wildcard_stands_for_exactly_one_label() {
        let rules = read(&GOOD.replace("mail.example.com", "Mail.Example.COM")).unwrap();
        let at = OffsetDateTime::UNIX_EPOCH;
        let policy = Policy {
            record_id: "1".to_owned(),
            mode: rules.mode,
            mx: rules.mx,
            max_age_seconds: 1,
            fetched_at: at,
            expires_at: at,
        };
        for host in ["mail.example.com", "MAIL.example.com", "mx.example.net", "x.EXAMPLE.net"] {
            assert!(policy.covers(host), "{host}");
        }
        for host in [
            "example.net",
            ".example.net",
            "a.b.example.net",
            "xexample.net",
            "mx.example.com",
            "mail.example.com.evil.test",
            "",
            "net",
        ] {
            assert!(!policy.covers(host), "{host}");
        }
    }

    #[test]
    fn hostile_texts_do_no_harm() {
        for text in ["\0", ":", ":\n:", "\r\n\r", "mx:", "version: STSv1\nmode: none\nmax_age: 0"] {
            drop(read(text));
        }
        let many = format!("version: STSv1\nmode: none\nmax_age: 1\n{}", "mx: a\n".repeat(9000));
        assert_eq!(read(&many).unwrap().mx.len(), 9000);
        let long = format!("{GOOD}mx: {}", "a.".repeat(200));
        assert_eq!(read(&long), Err(Malformed::Mx));
        for end in 0..GOOD.len() {
            drop(parse(&GOOD.as_bytes()[..end]));
        }
    }
}
