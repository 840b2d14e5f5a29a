//! Our signatures before mail-auth's verifier, which shares no code with our signer.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

use hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::{
    AuthenticatedMessage, DkimResult, MX, MessageAuthenticator, Parameters, RecordSet,
    ResolverCache, Txt,
    common::{parse::TxtRecordParser, verify::DomainKey},
};
use time::{Duration, macros::datetime};

use super::*;
use crate::message::split_header;

/// The only DNS of these tests.
struct Zone(HashMap<Box<str>, Txt>);

impl ResolverCache<Box<str>, Txt> for Zone {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        self.0.get(name).cloned()
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: Instant) {}
}

struct Nothing;

impl<K, V> ResolverCache<K, V> for Nothing {
    fn get<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        None
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: K, _: V, _: Instant) {}
}

fn signer(algorithm: Algorithm, selector: &str) -> Signer {
    let der = match algorithm {
        Algorithm::RsaSha256 => SigningKey::generate_rsa().unwrap(),
        Algorithm::Ed25519Sha256 => SigningKey::generate_ed25519().unwrap(),
    };
    let key = Arc::new(SigningKey::from_pkcs8(algorithm, &der).unwrap());
    Signer { domain: "example.org".into(), selector: selector.into(), key }
}

fn both() -> Vec<Signer> {
    vec![signer(Algorithm::RsaSha256, "r1"), signer(Algorithm::Ed25519Sha256, "e1")]
}

fn lasting() -> Settings {
    Settings { expires_in: Duration::days(36500), ..Settings::default() }
}

fn signed(signers: &[Signer], message: &[u8]) -> Vec<u8> {
    signed_as(signers, message, &lasting())
}

fn signed_as(signers: &[Signer], message: &[u8], settings: &Settings) -> Vec<u8> {
    let (header, body) = split_header(message).unwrap();
    let now = datetime!(2026-01-01 00:00:00 UTC);
    let mut out = sign(signers, header, body, now, settings).unwrap();
    out.extend_from_slice(message);
    out
}

/// How many signatures pass, of how many.
fn verify(signers: &[Signer], message: &[u8]) -> (usize, usize) {
    let keys = signers.iter().map(|signer| {
        let record = signer.key.public_record().unwrap();
        let key = DomainKey::parse(record.as_bytes()).unwrap();
        let name = format!("{}._domainkey.{}.", signer.selector, signer.domain);
        (name.into_boxed_str(), Txt::DomainKey(Arc::new(key)))
    });
    let zone = Zone(keys.collect());
    let config = ResolverConfig::from_parts(None, vec![], vec![]);
    let authenticator = MessageAuthenticator::new(config, ResolverOpts::default()).unwrap();
    let message = AuthenticatedMessage::parse(message).unwrap();
    let parameters: Parameters<'_, _, Zone, Nothing, Nothing, Nothing, Nothing> = Parameters {
        params: &message,
        cache_txt: Some(&zone),
        cache_mx: None,
        cache_ptr: None,
        cache_ipv4: None,
        cache_ipv6: None,
    };
    let mut future = pin!(authenticator.verify_dkim(parameters));
    let Poll::Ready(results) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("the verifier asked the network");
    };
    let passed = results.iter().filter(|output| output.result() == &DkimResult::Pass).count();
    (passed, results.len())
}

/// Only to name the type of the MX cache that [`Nothing`] stands for.
#[expect(dead_code, reason = "names a type")]
type Mx = RecordSet<MX>;

const HEADER: &str = "Received: x\r\nFrom: Alice\r\n\t<alice@example.org>\r\nTo:  bob@example.net \r\n\
    Subject: a  b\t c\r\nDate: Sat, 21 Nov 2026 11:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n\
    List-Unsubscribe: <https://x/>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n";

#[test]
fn both_algorithms_verify() {
    let signers = both();
    let bodies = [
        "",
        "\r\n",
        "\r\n\r\n\r\n",
        "Hi.\r\n",
        "a  b\t\r\n\r\n c \r\n\r\n\r\n",
        "no end",
        "a\r\n \r\n.\r\n",
    ];
    for body in bodies {
        let message = signed(&signers, format!("{HEADER}\r\n{body}").as_bytes());
        assert_eq!(verify(&signers, &message), (2, 2), "{body:?}");
        let text = String::from_utf8(message).unwrap();
        assert!(text.lines().all(|line| line.len() <= 78), "{text}");
        assert!(!text.contains("l="));
    }
}

#[test]
fn bodies_that_end_in_white_space_only_hash_as_the_rfc_says() {
    let body_hash = |body: &[u8]| body_hash(Canonicalization::Relaxed, body);
    // mail-auth 0.13 gets these wrong, so that it cannot be the judge.
    assert_eq!(body_hash(b"a\r\n \r\n\t\r\n"), body_hash(b"a\r\n"));
    assert_eq!(body_hash(b" \t\r\n"), body_hash(b""));
}

#[test]
fn changes_and_additions_break_it() {
    let signers = both();
    let message = signed(&signers, format!("{HEADER}\r\nbody\r\n").as_bytes());
    let text = String::from_utf8(message).unwrap();
    let changes = [
        text.replace("body", "bodx"),
        text.replace("Subject: a", "Subject: x"),
        text.replace("Received: x\r\n", "From: evil@example.com\r\n"),
        text.replace("Received: x\r\n", "Subject: second\r\n"),
        text.replace("Received: x\r\n", "Reply-To: evil@example.com\r\n"),
        text.replace("Received: x\r\n", "Content-Type: text/html\r\n"),
        text.replace("Received: x\r\n", "MIME-Version: 1.0\r\n"),
        text.replace("Received: x\r\n", "Cc: evil@example.com\r\n"),
    ];
    for changed in changes {
        assert_ne!(changed, text);
        assert_eq!(verify(&signers, changed.as_bytes()), (0, 2), "{changed}");
    }
    let relayed = format!("Received: y\r\n{text}");
    assert_eq!(verify(&signers, relayed.as_bytes()), (2, 2));
}

#[test]
fn fields_that_occur_twice_are_signed_from_the_bottom() {
    let signers = both();
    let message = format!("{HEADER}To: second@example.net\r\nTo: third@example.net\r\n\r\nx\r\n");
    assert_eq!(verify(&signers, &signed(&signers, message.as_bytes())), (2, 2));
}

#[test]
fn the_key_of_rfc_8463() {
    // RFC 8463 appendix A.1 and A.2, wrapped as PKCS#8.
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    let seed = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
    );
    der.extend(seed.unwrap());
    let key = SigningKey::from_pkcs8(Algorithm::Ed25519Sha256, &der).unwrap();
    assert_eq!(
        key.public_record().unwrap(),
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    );
    assert_eq!(format!("{key:?}"), "SigningKey(ed25519-sha256)");
}

#[test]
fn refuses_other_keys() {
    let der = SigningKey::generate_ed25519().unwrap();
    assert!(SigningKey::from_pkcs8(Algorithm::RsaSha256, &der).is_err());
    assert!(SigningKey::from_pkcs8(Algorithm::Ed25519Sha256, b"").is_err());
}

#[test]
fn no_expiry_and_no_signers() {
    let now = datetime!(2026-01-01 00:00:00 UTC);
    assert_eq!(sign(&[], b"From: a@b\r\n", b"", now, &lasting()), Ok(Vec::new()));
    let settings = Settings { expires_in: Duration::ZERO, ..Settings::default() };
    let out = sign(&[signer(Algorithm::Ed25519Sha256, "e")], b"From: a@b\r\n", b"", now, &settings);
    let text = String::from_utf8(out.unwrap()).unwrap();
    assert!(text.contains("t=1767225600;") && !text.contains("x="), "{text}");
}

#[test]
fn every_canonicalization_verifies_and_says_which_it_is() {
    let signers = both();
    let message = format!("{HEADER}\r\nx  y \r\n\r\n\r\n");
    for header in [Canonicalization::Relaxed, Canonicalization::Simple] {
        for body in [Canonicalization::Relaxed, Canonicalization::Simple] {
            let settings = Settings { header, body, ..lasting() };
            let text = signed_as(&signers, message.as_bytes(), &settings);
            let named = format!("c={}/{};", header.as_str(), body.as_str());
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains(&named), "{text}");
            assert_eq!(verify(&signers, text.as_bytes()), (2, 2), "{text}");
            // White space that changes on the way breaks what is simple.
            let is_simple = |form| usize::from(form == Canonicalization::Simple) * 2;
            let respaced = text.replace("x  y", "x y");
            assert_eq!(verify(&signers, respaced.as_bytes()).0, 2 - is_simple(body));
            let respaced = text.replace("Subject: a  b", "Subject: a b");
            assert_eq!(verify(&signers, respaced.as_bytes()).0, 2 - is_simple(header));
        }
    }
}

#[test]
fn a_domain_chooses_what_is_over_signed() {
    let signers = both();
    let oversigned = ["From", "Subject", "Sender"].map(str::to_owned).to_vec();
    let settings = Settings { oversigned, ..lasting() };
    let message = format!("Sender: a@example.org\r\n{HEADER}\r\nbody\r\n");
    let text = String::from_utf8(signed_as(&signers, message.as_bytes(), &settings)).unwrap();
    assert!(text.contains("h=From:From:Subject:Subject:Sender:Sender:"), "{text}");
    assert_eq!(verify(&signers, text.as_bytes()), (2, 2));
    let added = |field: &str| verify(&signers, format!("{field}\r\n{text}").as_bytes()).0;
    assert_eq!((added("Cc: b@example.org"), added("Sender: b@example.org")), (2, 0));
}

#[test]
fn an_rsa_key_in_the_old_form_is_the_same_key() {
    let pkcs8 = SigningKey::generate_rsa().unwrap();
    let key = SigningKey::from_pkcs8(Algorithm::RsaSha256, &pkcs8).unwrap();
    assert_eq!(key.rsa_bits(), Some(2048));
    // The private key is the octet string at the end of PKCS #8 (RFC 5208 §5).
    let at = pkcs8.windows(4).skip(4).position(|w| w[..2] == [0x30, 0x82]).unwrap() + 4;
    let again = SigningKey::from_pkcs8(Algorithm::RsaSha256, &rsa_to_pkcs8(&pkcs8[at..]).unwrap());
    assert_eq!(again.unwrap().public_record(), key.public_record());
    assert!(rsa_to_pkcs8(&pkcs8).is_err());
}
