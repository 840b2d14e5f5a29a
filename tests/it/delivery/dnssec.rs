//! Answers that DNSSEC proves, and those that it does not, as the resolver of production sees them.

use std::net::IpAddr;

use posthouse_core::ports::{
    DnsError, Proven, Resolver as _,
    hickory::{Dnssec, HickoryResolver},
};
use posthouse_tests::dns::{DnsServer, Zone, zone};

const ADDRESS: [u8; 4] = [127, 0, 0, 2];

fn validating(server: &DnsServer) -> HickoryResolver {
    let dnssec = Dnssec::Validate { anchors: Some(server.trust_anchor()) };
    HickoryResolver::new(&[server.address()], &dnssec).unwrap()
}

fn example() -> Zone {
    let zone = zone("signed.test").signed().mx(10, "mx").address("mx", ADDRESS);
    zone.tlsa("_25._tcp.mx", [3, 1, 1], &[7; 32]).cname("alias", "mx").address("z.deep", ADDRESS)
}

async fn start(zones: impl IntoIterator<Item = Zone>) -> (DnsServer, HickoryResolver) {
    let server = DnsServer::start(zones).await;
    let resolver = validating(&server);
    (server, resolver)
}

/// What an answer is: `secure`, `insecure`, or why there is none.
fn proof<T>(found: &Proven<T>) -> String {
    let proof = if found.secure { "secure" } else { "insecure" };
    match &found.answer {
        Ok(_) => proof.to_owned(),
        Err(DnsError::NoName) => format!("{proof} no name"),
        Err(DnsError::NoRecord) => format!("{proof} no record"),
        Err(DnsError::Temporary(text)) if text.contains("DNSSEC") => "bogus".to_owned(),
        Err(DnsError::Temporary(text)) => format!("failed: {text}"),
    }
}

#[tokio::test]
async fn answers_and_denials_of_a_signed_zone_are_proven() {
    let (_server, resolver) = start([example()]).await;
    let found = resolver.proven_mx("signed.test").await;
    assert_eq!((proof(&found).as_str(), found.answer.unwrap().len()), ("secure", 1));
    let found = resolver.locate("mx.signed.test").await;
    assert!(found.secure);
    let location = found.answer.unwrap();
    assert_eq!(location.addresses, [IpAddr::from(ADDRESS)]);
    assert_eq!((&*location.name, location.alias_is_secure), ("mx.signed.test", true));
    let found = resolver.tlsa("_25._tcp.mx.signed.test").await;
    assert!(found.secure);
    assert_eq!(found.answer.unwrap()[0].data, [7; 32]);
    for (name, expected) in [
        ("_26._tcp.mx.signed.test", "secure no name"),
        ("mx.signed.test", "secure no record"),
        ("signed.test", "secure no record"),
        ("deep.signed.test", "secure no record"),
        ("zzz.signed.test", "secure no name"),
        ("nowhere.test", "secure no name"),
        ("alias.signed.test", "secure no record"),
    ] {
        assert_eq!(proof(&resolver.tlsa(name).await), expected, "{name}");
    }
    let alias = resolver.proven_cname("alias.signed.test").await;
    assert_eq!((alias.secure, alias.answer.unwrap().as_deref()), (true, Some("mx.signed.test")));
    let alias = resolver.proven_cname("mx.signed.test").await;
    assert_eq!((alias.secure, alias.answer), (true, Ok(None)));
}

#[tokio::test]
async fn answers_of_an_unsigned_zone_are_as_good_as_ever_but_not_proven() {
    let plain = zone("plain.test").mx(10, "mx").address("mx", ADDRESS).cname("alias", "mx");
    let (_server, resolver) = start([plain.tlsa("_25._tcp.mx", [3, 1, 1], &[7; 32])]).await;
    assert_eq!(proof(&resolver.proven_mx("plain.test").await), "insecure");
    assert_eq!(proof(&resolver.locate("mx.plain.test").await), "insecure");
    assert_eq!(proof(&resolver.locate("alias.plain.test").await), "insecure");
    assert_eq!(proof(&resolver.tlsa("_25._tcp.mx.plain.test").await), "insecure");
    assert_eq!(proof(&resolver.proven_mx("mx.plain.test").await), "insecure no record");
    assert_eq!(proof(&resolver.proven_mx("nobody.plain.test").await), "insecure no name");
    assert_eq!(proof(&resolver.proven_cname("plain.test").await), "insecure");
}

#[tokio::test]
async fn signatures_that_do_not_verify_make_an_answer_bogus() {
    let breaks: [fn(Zone, &str) -> Zone; 3] = [Zone::expired, Zone::forged, Zone::unsigned];
    for (at, break_it) in breaks.into_iter().enumerate() {
        let zone = break_it(break_it(example(), "mx"), "_25._tcp.mx");
        let (_server, resolver) = start([break_it(zone, "nobody")]).await;
        assert_eq!(proof(&resolver.locate("mx.signed.test").await), "bogus", "{at}");
        assert_eq!(proof(&resolver.tlsa("_25._tcp.mx.signed.test").await), "bogus", "{at}");
        assert_eq!(proof(&resolver.tlsa("nobody.signed.test").await), "bogus", "{at}");
        assert_eq!(proof(&resolver.tlsa("mx.signed.test").await), "bogus", "{at}");
        // Whoever needs no proof has what there is; the rest of the zone is all right.
        assert!(resolver.addresses("mx.signed.test").await.is_ok(), "{at}");
        assert_eq!(proof(&resolver.proven_mx("signed.test").await), "secure", "{at}");
    }
}

#[tokio::test]
async fn a_zone_with_another_key_than_its_parent_says_is_bogus() {
    let (server, resolver) = start([example()]).await;
    let stranger = DnsServer::start([example()]).await;
    assert_eq!(proof(&resolver.proven_mx("signed.test").await), "secure");
    let anchors = Some(stranger.trust_anchor());
    let dnssec = Dnssec::Validate { anchors };
    let resolver = HickoryResolver::new(&[server.address()], &dnssec).unwrap();
    assert_eq!(proof(&resolver.proven_mx("signed.test").await), "bogus");
}

/// hickory calls them bogus; see decision 0026.
#[tokio::test]
async fn what_comes_from_a_wildcard_is_proven_with_nsec() {
    let wild = zone("wild.test").signed().mx_of("*", 10, "mx.a").address("*.a", ADDRESS);
    let wild = wild.tlsa("*._tcp.mx.b", [3, 1, 1], &[7; 32]).address("mx.b", ADDRESS);
    let wild = wild.unproven("forged").cname("*.c", "mx.b").cname("*.d", "nothing.there");
    let (_server, resolver) = start([wild]).await;
    assert_eq!(proof(&resolver.proven_mx("some.wild.test").await), "secure");
    assert_eq!(proof(&resolver.proven_mx("deep.down.wild.test").await), "secure");
    assert_eq!(proof(&resolver.locate("mx.a.wild.test").await), "secure");
    assert_eq!(proof(&resolver.tlsa("_25._tcp.mx.b.wild.test").await), "secure");
    let found = resolver.locate("x.c.wild.test").await;
    assert!(found.secure && &*found.answer.unwrap().name == "mx.b.wild.test");
    // The target is made from a wildcard, too, which has MX records only.
    assert_eq!(proof(&resolver.tlsa("x.d.wild.test").await), "secure no record");
    assert_eq!(proof(&resolver.tlsa("some.wild.test").await), "secure no record");
    // Without the proof it may hide a name that exists.
    assert_eq!(proof(&resolver.proven_mx("forged.wild.test").await), "bogus");
}

#[tokio::test]
async fn an_alias_is_proven_as_far_as_its_signatures_go() {
    let signed = example().cname("out", "host.plain.test.").cname("far", "mx.other.test.");
    let plain = zone("plain.test").address("host", ADDRESS).cname("in", "mx.signed.test.");
    let other = zone("other.test").signed().address("mx", ADDRESS);
    let (_server, resolver) = start([signed, plain, other]).await;
    for (name, end, secure, first) in [
        ("alias.signed.test", "mx.signed.test", true, true),
        ("far.signed.test", "mx.other.test", true, true),
        ("out.signed.test", "host.plain.test", false, true),
        ("in.plain.test", "mx.signed.test", false, false),
    ] {
        let found = resolver.locate(name).await;
        let location = found.answer.unwrap();
        assert_eq!((&*location.name, found.secure), (end, secure), "{name}");
        assert_eq!(location.alias_is_secure, first, "{name}");
    }
}

#[tokio::test]
async fn aliases_without_end_are_not_followed() {
    let zone = zone("long.test").signed().address("end", ADDRESS);
    let zone = zone.cname_chain("far", 17, "end").cname_chain("near", 16, "end");
    let (_server, resolver) = start([zone]).await;
    assert_eq!(proof(&resolver.locate("near.long.test").await), "secure");
    let found = resolver.locate("far.long.test").await;
    assert!(proof(&found).contains("alias through more than 16"), "{found:?}");
}

#[tokio::test]
async fn servers_that_strip_signatures_mean_no_dnssec_until_it_was_seen_once() {
    let server = DnsServer::start([example()]).await;
    server.strip_signatures(true);
    let resolver = validating(&server);
    assert_eq!(proof(&resolver.proven_mx("signed.test").await), "insecure");
    assert_eq!(proof(&resolver.locate("alias.signed.test").await), "insecure");
    assert_eq!(proof(&resolver.tlsa("_25._tcp.mx.signed.test").await), "insecure no record");
    // After a minute it looks again; here: another process.
    server.strip_signatures(false);
    let resolver = validating(&server);
    assert_eq!(proof(&resolver.proven_mx("signed.test").await), "secure");
    server.strip_signatures(true);
    assert_eq!(proof(&resolver.proven_mx("signed.test").await), "bogus");
}

#[tokio::test]
async fn the_word_of_a_trusted_resolver_counts() {
    let server = DnsServer::start([example(), zone("plain.test").mx(10, "mx")]).await;
    let resolver = HickoryResolver::new(&[server.address()], &Dnssec::TrustAd).unwrap();
    assert_eq!(proof(&resolver.proven_mx("signed.test").await), "insecure");
    server.vouch();
    assert_eq!(proof(&resolver.proven_mx("signed.test").await), "secure");
    assert_eq!(proof(&resolver.locate("alias.signed.test").await), "secure");
    assert_eq!(proof(&resolver.tlsa("_25._tcp.mx.signed.test").await), "secure");
    assert_eq!(proof(&resolver.proven_mx("plain.test").await), "insecure");
    assert_eq!(proof(&resolver.tlsa("mx.signed.test").await), "insecure no record");
    assert_eq!(proof(&resolver.tlsa("nobody.signed.test").await), "insecure no name");
}

#[tokio::test]
async fn nothing_is_proven_when_it_is_off() {
    let server = DnsServer::start([example()]).await;
    server.vouch();
    let resolver = HickoryResolver::new(&[server.address()], &Dnssec::Off).unwrap();
    assert_eq!(proof(&resolver.proven_mx("signed.test").await), "insecure");
    assert_eq!(proof(&resolver.tlsa("_25._tcp.mx.signed.test").await), "insecure no record");
}

#[tokio::test]
async fn servers_that_do_not_answer_are_a_failure_for_now() {
    let nobody = "127.0.0.1:1".parse().unwrap();
    let resolver = HickoryResolver::new(&[nobody], &Dnssec::Validate { anchors: None }).unwrap();
    let found = resolver.proven_mx("signed.test").await;
    assert!(matches!(found.answer, Err(DnsError::Temporary(_))) && !found.secure);
}

#[test]
fn trust_anchors_that_cannot_be_read_are_told() {
    let nobody = "127.0.0.1:1".parse().unwrap();
    let dnssec = Dnssec::Validate { anchors: Some(". IN DNSKEY what".to_owned()) };
    let error = HickoryResolver::new(&[nobody], &dnssec).err().unwrap();
    assert!(error.to_string().contains("trust anchors"), "{error}");
}
