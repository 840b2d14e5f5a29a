//! Domain names of mail addresses in one form: A-labels, lower case, no trailing dot.
//!
//! RFC 5321 §2.3.5 and RFC 5890; comparing domains means comparing this form. Address literals
//! are refused here: a place that takes them must look for the bracket itself.

use std::net::Ipv4Addr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

const MAX_DOMAIN: usize = 253;
const MAX_LABEL: usize = 63;

/// Why a domain name was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// Nothing there.
    #[error("the domain is empty")]
    Empty,
    /// Longer than 253 octets, or a label longer than 63.
    #[error("the domain is too long")]
    TooLong,
    /// `[192.0.2.1]`, `[IPv6:…]` or a bare IPv4 address.
    #[error("an IP address cannot stand for a domain here")]
    AddressLiteral,
    /// Two dots in a row, or a dot at the start.
    #[error("the domain has an empty label")]
    EmptyLabel,
    /// `example.com.`
    #[error("the domain ends in a dot")]
    TrailingDot,
    /// Something other than letters, digits and inner hyphens.
    #[error("the domain has a character or hyphen that domain names may not have")]
    BadCharacter,
    /// A Unicode or `xn--` label that is not valid under IDNA or does not re-encode to itself.
    #[error("the internationalised domain is not valid")]
    BadIdn,
    /// Latin mixed with look-alike scripts inside one label.
    #[error("the domain mixes scripts that look alike")]
    MixedScript,
}

/// The one form of a domain name: A-labels, lower case, no trailing dot.
///
/// # Errors
/// Whatever is not a host name that mail can be addressed to; single labels such as `localhost` are fine.
pub fn normalise(domain: &str) -> Result<String, DomainError> {
    if domain.is_empty() {
        return Err(DomainError::Empty);
    }
    if domain.len() > 4 * MAX_DOMAIN {
        return Err(DomainError::TooLong);
    }
    if domain.contains(['[', ']']) || domain.parse::<Ipv4Addr>().is_ok() {
        return Err(DomainError::AddressLiteral);
    }
    if domain.ends_with(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']) {
        return Err(DomainError::TrailingDot);
    }
    let lower = domain.to_ascii_lowercase();
    let plain = lower.is_ascii() && !lower.split('.').any(|label| label.starts_with("xn--"));
    let ascii = if plain { lower } else { from_idn(&lower)? };
    check_labels(&ascii)?;
    if ascii.parse::<Ipv4Addr>().is_ok() {
        return Err(DomainError::AddressLiteral);
    }
    Ok(ascii)
}

/// The form to show to people: U-labels where the domain has them, the input where it is not valid.
pub fn to_unicode(domain: &str) -> String {
    if !domain.contains("xn--") {
        return domain.to_owned();
    }
    let (text, result) = uts46_to_unicode(domain);
    if result { text } else { domain.to_owned() }
}

fn uts46_to_unicode(domain: &str) -> (String, bool) {
    let (text, result) =
        Uts46::new().to_unicode(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast);
    (text.into_owned(), result.is_ok())
}

fn uts46_to_ascii(domain: &str) -> Result<String, DomainError> {
    Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Ignore,
        )
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| DomainError::BadIdn)
}

/// RUSTSEC-2024-0421: an A-label must come back from decoding and encoding unchanged.
fn from_idn(lower: &str) -> Result<String, DomainError> {
    let ascii = uts46_to_ascii(lower)?;
    if lower.is_ascii() && ascii != lower {
        return Err(DomainError::BadIdn);
    }
    let (unicode, valid) = uts46_to_unicode(&ascii);
    if !valid || uts46_to_ascii(&unicode)? != ascii {
        return Err(DomainError::BadIdn);
    }
    for (label, shown) in ascii.split('.').zip(unicode.split('.')) {
        if label.starts_with("xn--") && (shown.is_ascii() || shown == label) {
            return Err(DomainError::BadIdn);
        }
        if mixes_scripts(shown) {
            return Err(DomainError::MixedScript);
        }
    }
    Ok(ascii)
}

fn check_labels(ascii: &str) -> Result<(), DomainError> {
    if ascii.len() > MAX_DOMAIN {
        return Err(DomainError::TooLong);
    }
    for label in ascii.split('.') {
        if label.is_empty() {
            return Err(DomainError::EmptyLabel);
        }
        if label.len() > MAX_LABEL {
            return Err(DomainError::TooLong);
        }
        let ldh = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !ldh || label.starts_with('-') || label.ends_with('-') {
            return Err(DomainError::BadCharacter);
        }
    }
    Ok(())
}

/// Scripts whose letters pass for each other; mixing two of them in one label is a homograph.
fn look_alike_script(c: char) -> Option<u8> {
    match c {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => Some(0),
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Some(1),
        '\u{400}'..='\u{52f}' => Some(2),
        '\u{530}'..='\u{58f}' => Some(3),
        '\u{13a0}'..='\u{13ff}' => Some(4),
        _ => None,
    }
}

fn mixes_scripts(label: &str) -> bool {
    let mut scripts = label.chars().filter_map(look_alike_script);
    let Some(first) = scripts.next() else {
        return false;
    };
    scripts.any(|script| script != first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_form() {
        for (input, output) in [
            ("Example.COM", "example.com"),
            ("localhost", "localhost"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("a--b.example", "a--b.example"),
            ("mail.123", "mail.123"),
        ] {
            assert_eq!(normalise(input).as_deref(), Ok(output), "{input}");
        }
        assert_eq!(to_unicode("xn--bcher-kva.example"), "bücher.example");
        assert_eq!(to_unicode("xn--a.example"), "xn--a.example");
    }

    #[test]
    fn refuses_what_is_no_domain() {
        for (input, error) in [
            ("", DomainError::Empty),
            ("example.com.", DomainError::TrailingDot),
            ("a..b", DomainError::EmptyLabel),
            (".b", DomainError::EmptyLabel),
            ("-a.b", DomainError::BadCharacter),
            ("a-.b", DomainError::BadCharacter),
            ("a_b.c", DomainError::BadCharacter),
            ("a b.c", DomainError::BadCharacter),
            ("a\0.c", DomainError::BadCharacter),
            ("192.0.2.1", DomainError::AddressLiteral),
            ("[192.0.2.1]", DomainError::AddressLiteral),
            ("[IPv6:::1]", DomainError::AddressLiteral),
            ("１９２.0.2.1", DomainError::AddressLiteral),
            ("xn--example-.com", DomainError::BadIdn),
            ("xn--.com", DomainError::BadIdn),
            ("xn--a.com", DomainError::BadIdn),
            ("pаypal.com", DomainError::MixedScript),
        ] {
            assert_eq!(normalise(input), Err(error), "{input:?}");
        }
        assert_eq!(normalise(&"a".repeat(64)), Err(DomainError::TooLong));
        let long = vec!["a".repeat(63); 4].join(".");
        assert_eq!(normalise(&long), Err(DomainError::TooLong));
    }
}
