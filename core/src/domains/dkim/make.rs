//! Making and importing keys, and names for them.

use posthouse_mail::dkim::{Algorithm, SigningKey, rsa_to_pkcs8};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use time::OffsetDateTime;

use super::{KEY_PURPOSE, store::NewKey};
use crate::{
    error::{Error, Result},
    platform::Platform,
};

/// Octets of a key that is imported.
const MAX_PEM: usize = 16 * 1024;
/// Bits of an RSA key (0.14): fewer are weak, more do not fit everywhere.
const RSA_BITS: usize = 2048;

/// The algorithm with this name.
pub(in crate::domains) fn algorithm(name: &str) -> Option<Algorithm> {
    [Algorithm::RsaSha256, Algorithm::Ed25519Sha256].into_iter().find(|known| label(*known) == name)
}

const fn label(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::RsaSha256 => "rsa-2048",
        Algorithm::Ed25519Sha256 => "ed25519",
    }
}

/// A new key without a selector. Making one of RSA takes 0.1 s: not in a transaction.
pub(in crate::domains) async fn generate(
    platform: &Platform,
    algorithm: Algorithm,
) -> Result<NewKey> {
    let generate = match algorithm {
        Algorithm::RsaSha256 => SigningKey::generate_rsa,
        Algorithm::Ed25519Sha256 => SigningKey::generate_ed25519,
    };
    let made = tokio::task::spawn_blocking(generate).await.map_err(Error::internal)?;
    new_key(platform, algorithm, &made.map_err(Error::internal)?)
}

/// A key that somebody has brought.
pub(super) fn import(
    platform: &Platform,
    (algorithm, pkcs8): &(Algorithm, Vec<u8>),
) -> Result<NewKey> {
    new_key(platform, *algorithm, pkcs8)
}

fn new_key(platform: &Platform, algorithm: Algorithm, pkcs8: &[u8]) -> Result<NewKey> {
    let key = SigningKey::from_pkcs8(algorithm, pkcs8).map_err(Error::internal)?;
    Ok(NewKey {
        selector: String::new(),
        algorithm: label(algorithm),
        private_key: platform.vault().seal(KEY_PURPOSE, pkcs8)?,
        public_record: key.public_record().map_err(Error::internal)?,
    })
}

/// Reads a private key: the first one in `pem`, as PKCS #8, and what it is for.
pub(super) fn read_pem(pem: &str) -> Result<(Algorithm, Vec<u8>), &'static str> {
    const DETAIL: &str = "expected the PEM of an RSA or Ed25519 private key, without a password";
    if pem.len() > MAX_PEM {
        return Err("the PEM has more than 16 KiB");
    }
    let der = match PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| DETAIL)? {
        PrivateKeyDer::Pkcs1(der) => {
            let small = "an RSA key has 2048 bits";
            rsa_to_pkcs8(der.secret_pkcs1_der()).map_err(|_| small)?
        }
        PrivateKeyDer::Pkcs8(der) => der.secret_pkcs8_der().to_vec(),
        _ => return Err(DETAIL),
    };
    for algorithm in [Algorithm::Ed25519Sha256, Algorithm::RsaSha256] {
        if let Ok(key) = SigningKey::from_pkcs8(algorithm, &der) {
            return match key.rsa_bits() {
                None | Some(RSA_BITS) => Ok((algorithm, der)),
                Some(_) => Err("an RSA key has 2048 bits"),
            };
        }
    }
    Err("expected an RSA key of 2048 bits or an Ed25519 key")
}

/// A selector that no key of the domain has: of the year, else of the day.
pub(in crate::domains) fn selector(
    algorithm: &str,
    now: OffsetDateTime,
    taken: &[String],
) -> String {
    let kind = if algorithm == "ed25519" { 'e' } else { 'r' };
    let year = format!("{kind}{}", now.year());
    let day = format!("{year}{:02}{:02}", u8::from(now.month()), now.day());
    let numbered = (2_u32..).map(|number| format!("{day}n{number}"));
    let mut all = [year, day.clone()].into_iter().chain(numbered);
    // There is no end to the numbers.
    all.find(|name| !taken.contains(name)).unwrap_or(day)
}

/// What is wrong with a selector (RFC 6376 §3.1).
pub(super) fn selector_fault(selector: &str) -> Option<&'static str> {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if selector == "rotate" {
        return Some("this selector cannot be used here");
    }
    let is_good = selector.len() <= 100 && selector.split('.').all(is_label);
    (!is_good).then_some(
        "a selector has lower-case letters, digits and hyphens in labels, 100 characters at most",
    )
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use time::macros::datetime;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
    }

    #[test]
    fn selectors_are_never_taken_twice() {
        let now = datetime!(2026-11-22 10:00 UTC);
        let mut taken = Vec::new();
        for expected in ["r2026", "r20261122", "r20261122n2", "r20261122n3"] {
            let made = selector("rsa-2048", now, &taken);
            assert_eq!((made.as_str(), selector_fault(&made)), (expected, None));
            taken.push(made);
        }
        assert_eq!(selector("ed25519", now, &taken), "e2026");
    }

    #[test]
    fn selectors_are_names_in_dns() {
        for good in ["a", "s1.mail", "2026-a"] {
            assert_eq!(selector_fault(good), None, "{good}");
        }
        let long = "a.".repeat(50) + "a";
        for bad in ["", ".", "a.", "-a", "a-", "A", "a_b", "a b", "ä", "rotate", long.as_str()] {
            assert!(selector_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn keys_of_other_systems_are_read() {
        let rsa = SigningKey::generate_rsa().unwrap();
        let at = rsa.windows(2).skip(4).position(|w| w == [0x30, 0x82]).unwrap() + 4;
        let ed25519 = SigningKey::generate_ed25519().unwrap();
        for (text, expected) in [
            (pem("PRIVATE KEY", &rsa), Algorithm::RsaSha256),
            (pem("RSA PRIVATE KEY", &rsa[at..]), Algorithm::RsaSha256),
            (pem("PRIVATE KEY", &ed25519), Algorithm::Ed25519Sha256),
        ] {
            let (algorithm, pkcs8) = read_pem(&text).unwrap();
            assert_eq!(algorithm, expected);
            assert!(SigningKey::from_pkcs8(algorithm, &pkcs8).is_ok());
        }
        for bad in [
            "",
            "x",
            &pem("PRIVATE KEY", b"x"),
            &pem("EC PRIVATE KEY", &ed25519),
            &"x".repeat(20_000),
        ] {
            assert!(read_pem(bad).is_err());
        }
    }
}
