//! Which records count, and where they are looked for: a test for each rule.

use std::{collections::BTreeMap, net::IpAddr, sync::Mutex};

use async_trait::async_trait;

use super::{select::usable, *};
use crate::ports::{Mx, Proven};

fn tlsa(usage: u8, selector: u8, matching: u8, data: &[u8]) -> Tlsa {
    Tlsa { usage, selector, matching, data: data.to_vec() }
}

fn short(records: &[Tlsa]) -> Vec<String> {
    let one = |it: &Tlsa| format!("{} {} {}", it.usage, it.selector, it.matching);
    records.iter().map(one).collect()
}

const SHA256: [u8; 32] = [1; 32];
const SHA512: [u8; 64] = [2; 64];
const DER: [u8; 5] = [0x30, 3, 1, 2, 3];

#[test]
fn rfc7672_3_1_usages_2_and_3_count_and_no_others() {
    let records = (0..=4).map(|usage| tlsa(usage, 1, 1, &SHA256)).collect();
    assert_eq!(short(&usable(records)), ["2 1 1", "3 1 1"]);
    assert_eq!(usable(vec![tlsa(255, 1, 1, &SHA256)]), []);
}

#[test]
fn rfc7672_3_1_3_what_nobody_defined_or_has_a_wrong_form_does_not_count() {
    for bad in [
        tlsa(3, 2, 1, &SHA256),
        tlsa(3, 255, 1, &SHA256),
        tlsa(3, 1, 3, &SHA256),
        tlsa(3, 1, 1, &SHA256[1..]),
        tlsa(3, 1, 1, &SHA512),
        tlsa(3, 1, 2, &SHA256),
        tlsa(3, 1, 1, &[]),
        tlsa(2, 0, 0, &DER[..4]),
        tlsa(2, 0, 0, &[&DER[..], &[0]].concat()),
        tlsa(2, 0, 0, &[]),
        tlsa(2, 0, 0, &[0x31, 0]),
        tlsa(2, 0, 0, &[0x30, 0x80]),
    ] {
        assert_eq!(usable(vec![bad.clone()]), [], "{bad:?}");
    }
    let long = [&[0x30, 0x81, 200][..], &[7; 200]].concat();
    let longer = [&[0x30, 0x82, 1, 0x2c][..], &[7; 300]].concat();
    let good = vec![tlsa(2, 0, 0, &DER), tlsa(2, 1, 0, &long), tlsa(3, 0, 0, &longer)];
    assert_eq!(usable(good.clone()), good);
}

#[test]
fn rfc7671_9_of_digests_only_the_strongest_counts_for_each_usage_and_selector() {
    let records = vec![
        tlsa(3, 1, 1, &SHA256),
        tlsa(3, 1, 2, &SHA512),
        tlsa(3, 1, 2, &[9; 64]),
        tlsa(3, 1, 0, &DER),
        tlsa(3, 0, 1, &SHA256),
        tlsa(2, 1, 1, &SHA256),
    ];
    let expected = ["3 1 2", "3 1 2", "3 1 0", "3 0 1", "2 1 1"];
    assert_eq!(short(&usable(records)), expected);
    // A stronger one that cannot be used does not push out a weaker one.
    let records = vec![tlsa(3, 1, 1, &SHA256), tlsa(3, 1, 2, &SHA256)];
    assert_eq!(short(&usable(records)), ["3 1 1"]);
}

/// TLSA answers by name; everything else does not exist. Notes what was asked.
#[derive(Default)]
struct Fake {
    answers: BTreeMap<&'static str, Proven<Vec<Tlsa>>>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Resolver for Fake {
    async fn mx(&self, _: &str) -> Result<Vec<Mx>, DnsError> {
        Err(DnsError::NoName)
    }
    async fn cname(&self, _: &str) -> Result<Option<Arc<str>>, DnsError> {
        Err(DnsError::NoName)
    }
    async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>, DnsError> {
        Err(DnsError::NoName)
    }
    async fn txt(&self, _: &str) -> Result<Vec<String>, DnsError> {
        Err(DnsError::NoName)
    }
    async fn reverse(&self, _: IpAddr) -> Result<Vec<Arc<str>>, DnsError> {
        Err(DnsError::NoName)
    }
    async fn tlsa(&self, name: &str) -> Proven<Vec<Tlsa>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let none = Proven { answer: Err(DnsError::NoName), secure: true };
        self.answers.get(name).cloned().unwrap_or(none)
    }
}

const HERE: &str = "_25._tcp.mx.b.test";
const END: &str = "_25._tcp.end.c.test";

fn proven(secure: bool) -> Proven<Vec<Tlsa>> {
    Proven { answer: Ok(vec![tlsa(3, 1, 1, &SHA256)]), secure }
}

fn fails() -> Proven<Vec<Tlsa>> {
    Proven::insecure(Err(DnsError::Temporary("SERVFAIL".to_owned())))
}

/// What comes of it, and what was asked: for a host at `end`.
async fn found(
    answers: &[(&'static str, Proven<Vec<Tlsa>>)],
    end: &str,
    (secure, alias_is_secure): (bool, bool),
) -> (Security, Vec<String>) {
    let fake = Fake { answers: answers.iter().cloned().collect(), ..Fake::default() };
    let location = Location { addresses: Vec::new(), name: end.into(), alias_is_secure };
    let next_hop = ["b.test", "real.b.test"];
    let candidate = Candidate { host: "mx.b.test", location: &location, secure, next_hop };
    let security = look_up(&fake, candidate, 25).await;
    (security, fake.asked.into_inner().unwrap())
}

fn names(security: &Security) -> Vec<&str> {
    security.dane.iter().flat_map(|dane| &dane.names).map(|name| &**name).collect()
}

#[tokio::test]
async fn rfc7672_2_2_2_a_host_without_proven_addresses_is_not_asked_about() {
    for end in ["mx.b.test", "end.c.test"] {
        let (security, asked) =
            found(&[(HERE, proven(true)), (END, proven(true))], end, (false, false)).await;
        assert_eq!((security, asked), (Security::default(), vec![]), "{end}");
    }
}

#[tokio::test]
async fn rfc7672_2_2_2_a_host_that_is_no_alias_is_asked_about_once() {
    let (security, asked) = found(&[(HERE, proven(true))], "mx.b.test", (true, true)).await;
    assert_eq!(names(&security), ["mx.b.test", "b.test", "real.b.test"]);
    assert_eq!(asked, [HERE]);
    let (security, asked) = found(&[], "mx.b.test", (true, true)).await;
    assert_eq!((security, asked), (Security::default(), vec![HERE.to_owned()]));
}

#[tokio::test]
async fn rfc7672_2_2_2_the_end_of_a_proven_alias_comes_before_the_alias() {
    let both = [(HERE, proven(true)), (END, proven(true))];
    let (security, asked) = found(&both, "end.c.test", (true, true)).await;
    assert_eq!((names(&security)[0], asked), ("end.c.test", vec![END.to_owned()]));
    let (security, asked) = found(&both[..1], "end.c.test", (true, true)).await;
    assert_eq!(names(&security)[0], "mx.b.test");
    assert_eq!(asked, [END, HERE]);
}

#[tokio::test]
async fn rfc7672_2_2_2_only_the_alias_counts_when_what_it_leads_to_is_not_proven() {
    let both = [(HERE, proven(true)), (END, proven(true))];
    let (security, asked) = found(&both, "end.c.test", (false, true)).await;
    assert_eq!((names(&security)[0], asked), ("mx.b.test", vec![HERE.to_owned()]));
}

#[tokio::test]
async fn rfc7672_2_2_3_tlsa_records_without_a_proof_are_none() {
    let (security, asked) =
        found(&[(END, proven(false)), (HERE, proven(false))], "end.c.test", (true, true)).await;
    assert_eq!((security, asked.len()), (Security::default(), 2));
}

#[tokio::test]
async fn rfc7672_2_1_2_a_failed_look_up_bars_the_host() {
    let here = [(END, fails()), (HERE, proven(true))];
    let (security, asked) = found(&here, "end.c.test", (true, true)).await;
    let reply = security.barred.clone().unwrap();
    assert_eq!((reply.code, reply.enhanced.as_deref()), (None, Some("4.4.3")));
    assert!(reply.text.contains("end.c.test") && reply.text.contains("SERVFAIL"), "{reply:?}");
    assert_eq!((security.dane, asked.len()), (None, 1));
}

#[tokio::test]
async fn rfc7672_2_2_records_of_which_none_can_be_used_still_ask_for_tls() {
    let unusable = Proven { answer: Ok(vec![tlsa(1, 1, 1, &SHA256)]), secure: true };
    let (security, _) = found(&[(HERE, unusable)], "mx.b.test", (true, true)).await;
    assert!(security.needs_tls());
    assert_eq!(security.dane.unwrap().records, []);
}
