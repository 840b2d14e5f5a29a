//! Which local parts mean the same: the rules of our own domains, and what is known of big providers.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::Address;

/// How a domain of ours reads the local parts of its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalPartRules {
    /// What starts a sub-address: `+` makes `alice+news` mean `alice`.
    #[serde(default)]
    pub separators: Vec<String>,
    /// Whether `Alice` and `alice` are two people.
    #[serde(default)]
    pub case_sensitive: bool,
}

impl LocalPartRules {
    /// The local part that names the account: NFC, lower case unless the domain is case-sensitive, without
    /// what follows the first separator.
    pub fn canonical(&self, local: &str) -> String {
        let normal = fold_case(local, self.case_sensitive);
        cut_at_separator(&normal, &self.separators).to_owned()
    }

    /// The local part as written, without what follows the first separator.
    pub fn without_tag<'a>(&self, local: &'a str) -> &'a str {
        cut_at_separator(local, &self.separators)
    }
}

fn fold_case(local: &str, case_sensitive: bool) -> String {
    match (local.is_ascii(), case_sensitive) {
        (true, true) => local.to_owned(),
        (true, false) => local.to_ascii_lowercase(),
        (false, true) => local.nfc().collect(),
        (false, false) => local.nfc().collect::<String>().to_lowercase().nfc().collect(),
    }
}

/// A separator at the very start cuts nothing: an empty local part names nobody.
fn cut_at_separator<'a>(local: &'a str, separators: &[String]) -> &'a str {
    separators
        .iter()
        .filter(|separator| !separator.is_empty())
        .filter_map(|separator| local.find(separator.as_str()))
        .filter(|at| *at > 0)
        .min()
        .and_then(|at| local.get(..at))
        .unwrap_or(local)
}

struct Provider {
    domains: &'static [&'static str],
    separators: &'static [&'static str],
    ignores_dots: bool,
}

/// Providers known to deliver several spellings to one person.
const PROVIDERS: &[Provider] = &[
    Provider { domains: &["gmail.com", "googlemail.com"], separators: &["+"], ignores_dots: true },
    Provider {
        domains: &[
            "outlook.com",
            "hotmail.com",
            "live.com",
            "icloud.com",
            "fastmail.com",
            "proton.me",
            "protonmail.com",
        ],
        separators: &["+"],
        ignores_dots: false,
    },
    Provider {
        domains: &[
            "yahoo.com",
            "yahoo.co.uk",
            "yahoo.co.jp",
            "yahoo.de",
            "yahoo.fr",
            "yahoo.it",
            "yahoo.es",
            "ymail.com",
        ],
        separators: &["-"],
        ignores_dots: false,
    },
];

/// The address under which a suppression of `address` is kept, so that `a.b+x@gmail.com` and `ab@gmail.com`
/// are one. `separators` are those configured for the domain, empty for domains that are not ours.
pub fn suppression_base(address: &Address, separators: &[String]) -> String {
    let local = fold_case(address.local(), false);
    let mut local = cut_at_separator(&local, separators).to_owned();
    if let Some(provider) = provider_of(address.domain()) {
        let known: Vec<String> = provider.separators.iter().map(|&s| s.to_owned()).collect();
        local.truncate(cut_at_separator(&local, &known).len());
        if provider.ignores_dots {
            local.retain(|c| c != '.');
        }
    }
    match address.with_local(&local) {
        Ok(base) => base.to_string(),
        Err(_) => format!("{local}@{}", address.domain()),
    }
}

fn provider_of(domain: &str) -> Option<&'static Provider> {
    PROVIDERS.iter().find(|provider| provider.domains.contains(&domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_local_parts() {
        let rules =
            LocalPartRules { separators: vec!["+".into(), "--".into()], case_sensitive: false };
        for (input, output) in [
            ("Alice", "alice"),
            ("alice+news", "alice"),
            ("alice--x+y", "alice"),
            ("alice-b", "alice-b"),
            ("+x", "+x"),
            ("E\u{301}mile+x", "émile"),
        ] {
            assert_eq!(rules.canonical(input), output);
        }
        let strict = LocalPartRules { separators: vec![], case_sensitive: true };
        assert_eq!(strict.canonical("Alice+x"), "Alice+x");
    }

    #[test]
    fn suppression_bases() {
        for (input, separators, output) in [
            ("A.B+x@gmail.com", vec![], "ab@gmail.com"),
            ("A.B+x@outlook.com", vec![], "a.b@outlook.com"),
            ("a-b@yahoo.com", vec![], "a@yahoo.com"),
            ("A.B+x-y@other.org", vec![], "a.b+x-y@other.org"),
            ("A.B+x-y@other.org", vec!["+".to_owned()], "a.b@other.org"),
            ("\"a b\"@other.org", vec![], "\"a b\"@other.org"),
        ] {
            let address = Address::parse(input).unwrap();
            assert_eq!(suppression_base(&address, &separators), output);
        }
    }
}
