//! Certificates against records: a test for each rule.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PublicKeyData as _, date_time_ymd,
};

use super::*;

const NOW: UnixTime = UnixTime::since_unix_epoch(Duration::from_hours(500_000));

/// A certificate or authority with its public key.
#[derive(Clone)]
struct Made {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

fn authority(name: &str) -> (CertifiedIssuer<'static, KeyPair>, Made) {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let public = key.subject_public_key_info();
    let issuer = CertifiedIssuer::self_signed(params, key).unwrap();
    let certificate = issuer.as_ref().der().clone();
    (issuer, Made { certificate, key: public })
}

fn leaf(issuer: &CertifiedIssuer<'static, KeyPair>, name: &str, expired: bool) -> Made {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap().der().clone();
    Made { certificate, key: key.subject_public_key_info() }
}

/// The record of a kind such as `3 1 1` for a certificate.
fn record(kind: &str, made: &Made) -> Tlsa {
    let mut numbers = kind.split(' ').map(|number| number.parse().unwrap());
    let mut next = || numbers.next().unwrap();
    let (usage, selector, matching) = (next(), next(), next());
    let octets = if selector == 1 { made.key.clone() } else { made.certificate.to_vec() };
    let data = match matching {
        1 => digest(&SHA256, &octets).as_ref().to_vec(),
        2 => digest(&SHA512, &octets).as_ref().to_vec(),
        _ => octets,
    };
    Tlsa { usage, selector, matching, data }
}

fn verifier(records: Vec<Tlsa>, names: &[&str]) -> DaneVerifier {
    let names = names.iter().map(|name| Arc::from(*name)).collect();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    DaneVerifier::new(Arc::new(Dane { records, names }), Pkix::NotAskedFor, provider)
}

/// What comes of a chain, the leaf first; empty: it is taken.
fn verdict(verifier: &DaneVerifier, sent: &[&Made]) -> String {
    let chain: Vec<_> = sent[1..].iter().map(|made| made.certificate.clone()).collect();
    let sni = ServerName::try_from("sni.test").unwrap();
    let result = verifier.verify_server_cert(&sent[0].certificate, &chain, &sni, &[], NOW);
    result.map_or_else(|error| error.to_string(), |_| String::new())
}

const KINDS: [&str; 6] = ["0 0", "0 1", "0 2", "1 0", "1 1", "1 2"];

#[test]
fn rfc7672_3_1_1_dane_ee_takes_the_key_whatever_its_names_and_dates() {
    let (issuer, _) = authority("CA");
    let made = leaf(&issuer, "other.test", true);
    let stranger = leaf(&issuer, "other.test", true);
    for kind in KINDS {
        let kind = format!("3 {kind}");
        let verifier = verifier(vec![record(&kind, &made)], &["mx.test"]);
        assert_eq!(verdict(&verifier, &[&made]), "", "{kind}");
        let said = verdict(&verifier, &[&stranger]);
        assert!(said.contains("no TLSA record matches"), "{kind}: {said}");
        // Only the certificate of the server itself counts.
        assert_ne!(verdict(&verifier, &[&stranger, &made]), "", "{kind}");
    }
}

#[test]
fn one_matching_record_of_several_is_enough() {
    let (issuer, ca) = authority("CA");
    let (made, other) = (leaf(&issuer, "mx.test", false), leaf(&issuer, "mx.test", false));
    let records = vec![record("3 1 1", &other), record("2 0 1", &other), record("3 0 2", &made)];
    assert_eq!(verdict(&verifier(records, &["mx.test"]), &[&made, &ca]), "");
}

#[test]
fn rfc7672_3_1_2_dane_ta_takes_a_valid_chain_up_to_the_anchor() {
    let (issuer, ca) = authority("CA");
    let made = leaf(&issuer, "mx.test", false);
    let expired = leaf(&issuer, "mx.test", true);
    let (stranger, _) = authority("CA");
    let forged = leaf(&stranger, "mx.test", false);
    for kind in KINDS {
        let kind = format!("2 {kind}");
        let verifier = verifier(vec![record(&kind, &ca)], &["mx.test"]);
        assert_eq!(verdict(&verifier, &[&made, &ca]), "", "{kind}");
        for bad in [&expired, &forged] {
            let said = verdict(&verifier, &[bad, &ca]);
            assert!(said.contains("no valid chain"), "{kind}: {said}");
        }
    }
}

#[test]
fn rfc7672_3_1_2_an_anchor_that_is_not_sent_counts_when_the_record_has_it_in_full() {
    let (issuer, ca) = authority("CA");
    let made = leaf(&issuer, "mx.test", false);
    let (stranger, _) = authority("CA");
    let forged = leaf(&stranger, "mx.test", false);
    for (kind, taken) in [("2 0 0", true), ("2 1 0", true), ("2 0 1", false), ("2 1 2", false)] {
        let verifier = verifier(vec![record(kind, &ca)], &["mx.test"]);
        assert_eq!(verdict(&verifier, &[&made]).is_empty(), taken, "{kind}");
        assert_ne!(verdict(&verifier, &[&forged]), "", "{kind}");
    }
}

#[test]
fn rfc7672_3_1_2_the_anchor_may_be_in_the_middle_of_the_chain() {
    let (root, _) = authority("Root");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Middle");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let public = key.subject_public_key_info();
    let middle = CertifiedIssuer::signed_by(params, key, &root).unwrap();
    let middle_made = Made { certificate: middle.as_ref().der().clone(), key: public };
    let made = leaf(&middle, "mx.test", false);
    let verifier = verifier(vec![record("2 1 1", &middle_made)], &["mx.test"]);
    assert_eq!(verdict(&verifier, &[&made, &middle_made]), "");
}

#[test]
fn rfc7672_3_2_2_dane_ta_wants_one_of_the_names() {
    let (issuer, ca) = authority("CA");
    for (name, taken) in [
        ("mx.b.test", true),
        ("domain.test", true),
        ("*.b.test", true),
        ("sni.test", false),
        ("a.mx.b.test", false),
    ] {
        let made = leaf(&issuer, name, false);
        let verifier = verifier(vec![record("2 0 1", &ca)], &["mx.b.test", "domain.test"]);
        let said = verdict(&verifier, &[&made, &ca]);
        assert_eq!(said.is_empty(), taken, "{name}: {said}");
        assert!(taken || said.contains("not for the name"), "{name}: {said}");
    }
}

#[test]
fn rfc7672_2_2_without_usable_records_any_certificate_is_taken() {
    let (issuer, _) = authority("CA");
    let verifier = verifier(Vec::new(), &["mx.test"]);
    assert_eq!(verdict(&verifier, &[&leaf(&issuer, "other.test", true)]), "");
}

#[test]
fn a_certificate_that_is_wanted_the_usual_way_too_has_to_satisfy_both() {
    let (issuer, ca) = authority("CA");
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let webpki = built.build().unwrap();
    let both = |record: Tlsa, webpki| {
        let dane = Arc::new(Dane { records: vec![record], names: vec!["mx.test".into()] });
        let name = ServerName::try_from("mx.test").unwrap();
        DaneVerifier::new(dane, Pkix::Required(webpki, name), provider.clone())
    };
    let (good, named_wrong) = (leaf(&issuer, "mx.test", false), leaf(&issuer, "x.test", false));
    assert_eq!(verdict(&both(record("3 1 1", &good), Some(webpki.clone())), &[&good]), "");
    for (verifier, sent) in [
        (both(record("3 1 1", &named_wrong), Some(webpki.clone())), &named_wrong),
        (both(record("3 1 1", &named_wrong), Some(webpki)), &good),
        (both(record("3 1 1", &good), None), &good),
    ] {
        assert_ne!(verdict(&verifier, &[sent]), "");
    }
}
