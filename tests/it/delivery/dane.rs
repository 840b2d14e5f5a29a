//! DANE (RFC 7672, E2): end to end, with signed zones and certificates made for the test.

use posthouse_tests::{
    app::App,
    certificates::Chain,
    dns::{Zone, zone},
    person::Person,
    sink::Script,
    socks::{EXIT, Socks5},
};
use serde_json::{Value, json};

const HOST: &str = "mx.remote.test";

/// A server that validates, with `remote.test` as its zone says, and a mail server at `HOST`.
struct Scene {
    app: App,
    alice: Person,
    chain: Chain,
    /// Where TLSA records of the host are, in the zone.
    tlsa: String,
}

impl Scene {
    async fn new(make: impl FnOnce(Zone, &Chain, &str) -> Zone) -> Self {
        let chain = Chain::new(HOST);
        let script = Script::new().starttls(chain.server.clone());
        Self::with(chain, script, make).await
    }

    async fn with(
        chain: Chain,
        script: Script,
        make: impl FnOnce(Zone, &Chain, &str) -> Zone,
    ) -> Self {
        let app = App::test().dnssec().start().await;
        let tlsa = format!("_{}._tcp.mx", app.delivery_port());
        let remote = zone("remote.test").signed().mx(10, "mx");
        app.dns().set(make(remote, &chain, &tlsa));
        app.start_sink(HOST, script).await;
        let alice = app.account("alice@example.test").await;
        Self { app, alice, chain, tlsa }
    }

    /// What comes of a message to `to`: the delivery with its first attempt.
    async fn send(&self, to: &str, status: &str) -> Value {
        let id = self.alice.send(&[to], "x").await.id();
        self.alice.wait_for_status(&id, status).await.remove(0)
    }

    async fn delivered(&self) -> Value {
        let delivery = self.send("bob@remote.test", "delivered").await;
        assert!(self.app.sink(HOST).messages()[0].tls);
        delivery["attempts"][0]["tls"]["verification"].clone()
    }

    /// It waits, and nothing was said in plain text.
    async fn deferred(&self) -> (String, String) {
        let delivery = self.send("bob@remote.test", "deferred").await;
        let attempt = &delivery["attempts"][0];
        let sink = self.app.sink(HOST);
        assert_eq!((sink.count(), sink.commands("MAIL").len()), (0, 0), "{attempt}");
        let text = |key: &str| attempt[key].as_str().unwrap_or_default().to_owned();
        (text("enhanced_code"), text("reply"))
    }

    async fn preview(&self) -> Value {
        let found = self.alice.http.get("/v1/queue/preview?recipient=bob@remote.test").await;
        found.expect(200)["hosts"][0].clone()
    }
}

/// RFC 7672 §3.1.1, §3.1.2.
#[tokio::test]
async fn each_kind_of_record_verifies_its_certificate() {
    for kind in [[3, 1, 1], [3, 0, 1], [3, 1, 2], [3, 0, 0], [2, 0, 1], [2, 1, 1], [2, 1, 0]] {
        let scene = Scene::new(|zone, chain, at| zone.tlsa(at, kind, &chain.tlsa(kind))).await;
        assert_eq!(scene.delivered().await, "dane", "{kind:?}");
        let host = scene.preview().await;
        let [usage, selector, matching] = kind;
        let record =
            format!("{usage} {selector} {matching} {}", hex::encode(scene.chain.tlsa(kind)));
        assert_eq!(host["dane"], json!({"records": [record], "names": [HOST, "remote.test"]}));
        assert_eq!(host["barred"], Value::Null);
        scene.app.stop().await;
    }
}

/// RFC 7672 §2.2: what cannot be authenticated is not delivered to.
#[tokio::test]
async fn another_certificate_is_not_spoken_to() {
    for kind in [[3, 1, 1], [2, 0, 1]] {
        let data = Chain::new(HOST).tlsa(kind);
        let scene = Scene::new(|zone, _, at| zone.tlsa(at, kind, &data)).await;
        let (code, text) = scene.deferred().await;
        assert_eq!(code, "4.7.5", "{text}");
        assert!(text.contains("no TLSA record matches"), "{text}");
        scene.app.stop().await;
    }
}

/// RFC 7672 §2.2: STARTTLS that somebody has taken away.
#[tokio::test]
async fn a_server_without_tls_is_not_spoken_to() {
    let chain = Chain::new(HOST);
    let make =
        |zone: Zone, chain: &Chain, at: &str| zone.tlsa(at, [3, 1, 1], &chain.tlsa([3, 1, 1]));
    let scene = Scene::with(chain, Script::new(), make).await;
    assert_eq!(scene.deferred().await.0, "4.7.4");
    scene.app.stop().await;
    let scene = Scene::with(Chain::new(HOST), Script::new().broken_starttls(), make).await;
    assert_eq!(scene.deferred().await.0, "4.7.5");
    scene.app.stop().await;
}

/// RFC 7672 §2.2, §3.1.3.
#[tokio::test]
async fn records_of_which_none_can_be_used_ask_for_tls_and_no_more() {
    let make = |zone: Zone, _: &Chain, at: &str| zone.tlsa(at, [1, 1, 1], &[0; 32]);
    let scene = Scene::new(make).await;
    assert_eq!(scene.delivered().await, "opportunistic");
    assert_eq!(scene.preview().await["dane"]["records"], json!([]));
    scene.app.stop().await;
    let scene = Scene::with(Chain::new(HOST), Script::new(), make).await;
    assert_eq!(scene.deferred().await.0, "4.7.4");
    scene.app.stop().await;
}

/// RFC 7672 §2.1.2, §2.1.3.
#[tokio::test]
async fn a_host_whose_records_cannot_be_looked_up_waits() {
    let breaks: [fn(Zone, &str) -> Zone; 4] =
        [Zone::expired, Zone::forged, Zone::unsigned, Zone::servfail];
    for (at, break_it) in breaks.into_iter().enumerate() {
        let scene = Scene::new(|zone, chain, name| {
            break_it(zone.tlsa(name, [3, 1, 1], &chain.tlsa([3, 1, 1])), name)
        })
        .await;
        let (code, text) = scene.deferred().await;
        assert_eq!(code, "4.4.3", "{at}: {text}");
        assert!(text.contains("TLSA records of mx.remote.test"), "{at}: {text}");
        assert_eq!(scene.app.sink(HOST).connections(), 0, "{at}");
        assert!(scene.preview().await["barred"].is_string(), "{at}");
        scene.app.stop().await;
    }
}

/// RFC 7672 §2.1.2: or whoever forges DNS turns DANE off.
#[tokio::test]
async fn a_denial_that_is_not_proven_is_none() {
    let breaks: [fn(Zone, &str) -> Zone; 3] = [Zone::expired, Zone::forged, Zone::unsigned];
    for break_it in breaks {
        let scene = Scene::new(|zone, _, at| break_it(zone, at)).await;
        assert_eq!(scene.deferred().await.0, "4.4.3");
        scene.app.stop().await;
    }
}

/// RFC 7672 §2.2.3.
#[tokio::test]
async fn without_records_tls_is_opportunistic() {
    let scene = Scene::new(|zone, _, _| zone).await;
    assert_eq!(scene.delivered().await, "opportunistic");
    assert_eq!(scene.preview().await["dane"], Value::Null);
    scene.app.stop().await;
    let scene = Scene::with(Chain::new(HOST), Script::new(), |zone, _, _| zone).await;
    let delivery = scene.send("bob@remote.test", "delivered").await;
    assert_eq!(delivery["attempts"][0]["tls"]["verification"], "none");
    scene.app.stop().await;
}

/// RFC 7672 §2.2.1: whoever forges MX records chooses the host.
#[tokio::test]
async fn mail_exchangers_that_are_not_proven_have_no_dane() {
    let scene = Scene::new(|zone, _, at| zone.tlsa(at, [3, 1, 1], &[0; 32])).await;
    // An unsigned zone that names the signed host; and one that is an alias of the signed domain.
    let plain = zone("plain.test").mx(10, "mx.remote.test.");
    scene.app.dns().set(plain.cname("alias", "remote.test."));
    for to in ["bob@plain.test", "bob@alias.plain.test"] {
        let delivery = scene.send(to, "delivered").await;
        assert_eq!(delivery["attempts"][0]["tls"]["verification"], "opportunistic", "{to}");
    }
    assert_eq!(scene.deferred_after(2).await, "4.7.5");
    scene.app.stop().await;
}

impl Scene {
    /// As [`Scene::deferred`] after `count` messages that came through.
    async fn deferred_after(&self, count: usize) -> String {
        let delivery = self.send("bob@remote.test", "deferred").await;
        assert_eq!(self.app.sink(HOST).count(), count);
        delivery["attempts"][0]["enhanced_code"].as_str().unwrap_or_default().to_owned()
    }
}

/// RFC 7672 §2.2.1.
#[tokio::test]
async fn mail_exchangers_that_are_bogus_are_a_failure_for_now() {
    let breaks: [fn(Zone, &str) -> Zone; 3] = [Zone::expired, Zone::forged, Zone::unsigned];
    for break_it in breaks {
        let scene = Scene::new(|zone, _, _| break_it(zone, "@")).await;
        let (code, text) = scene.deferred().await;
        assert_eq!(code, "4.4.3", "{text}");
        assert!(text.contains("DNSSEC"), "{text}");
        scene.app.stop().await;
    }
}

/// RFC 7672 §2.2.2.
#[tokio::test]
async fn a_domain_without_mail_exchangers_is_its_own_host() {
    let scene = Scene::new(|zone, _, _| zone).await;
    let port = scene.app.delivery_port();
    let at = format!("_{port}._tcp");
    let own = zone("own.test").signed().tlsa(&at, [3, 1, 1], &scene.chain.tlsa([3, 1, 1]));
    scene.app.dns().set(own);
    let script = Script::new().starttls(scene.chain.server.clone());
    scene.app.start_sink("own.test", script).await;
    let delivery = scene.send("bob@own.test", "delivered").await;
    assert_eq!(delivery["attempts"][0]["tls"]["verification"], "dane");
    scene.app.stop().await;
}

/// RFC 7672 §2.2.2, §2.2.3.
#[tokio::test]
async fn a_host_that_is_an_alias_is_looked_up_at_its_end_first() {
    let scene = Scene::new(|zone, chain, at| {
        let at_alias = at.replace("mx", "alias");
        let zone = zone.tlsa(at, [3, 1, 1], &chain.tlsa([3, 1, 1])).cname("alias", "mx");
        let zone = zone.mx_of("first", 10, "alias").tlsa(&at_alias, [3, 1, 1], &[0; 32]);
        // Here only the alias has records, and they are of an authority: the names count.
        let at_lone = at.replace("mx", "lone");
        let zone = zone.cname("lone", "end").mx_of("second", 10, "lone");
        zone.tlsa(&at_lone, [2, 0, 1], &chain.tlsa([2, 0, 1]))
    })
    .await;
    let delivery = scene.send("bob@first.remote.test", "delivered").await;
    assert_eq!(delivery["attempts"][0]["tls"]["verification"], "dane");
    // Its certificate is for mx.remote.test, which is none of the names.
    scene
        .app
        .start_sink("end.remote.test", Script::new().starttls(scene.chain.server.clone()))
        .await;
    let delivery = scene.send("bob@second.remote.test", "deferred").await;
    let text = delivery["attempts"][0]["reply"].as_str().unwrap();
    assert!(text.contains("not for the name"), "{text}");
    scene.app.stop().await;
}

/// RFC 7672 §3.2.2.
#[tokio::test]
async fn the_certificate_of_an_authority_may_be_for_the_domain() {
    let chain = Chain::new("remote.test");
    let script = Script::new().starttls(chain.server.clone());
    let make =
        |zone: Zone, chain: &Chain, at: &str| zone.tlsa(at, [2, 0, 1], &chain.tlsa([2, 0, 1]));
    let scene = Scene::with(chain, script, make).await;
    assert_eq!(scene.delivered().await, "dane");
    scene.app.stop().await;
}

#[tokio::test]
async fn the_next_host_is_tried_when_one_does_not_prove_itself() {
    let scene = Scene::new(|zone, chain, at| {
        let at_bad = at.replace("mx", "bad");
        let zone = zone.mx(5, "bad").tlsa(&at_bad, [3, 1, 1], &[0; 32]);
        zone.tlsa(at, [3, 1, 1], &chain.tlsa([3, 1, 1]))
    })
    .await;
    scene
        .app
        .start_sink("bad.remote.test", Script::new().starttls(scene.chain.server.clone()))
        .await;
    assert_eq!(scene.delivered().await, "dane");
    assert_eq!(scene.app.sink("bad.remote.test").count(), 0);
    scene.app.stop().await;
}

/// RFC 7672 §2.2.1: preference comes before protection.
#[tokio::test]
async fn the_order_of_mail_exchangers_stays() {
    let scene = Scene::new(|zone, chain, at| {
        zone.mx(5, "better").tlsa(at, [3, 1, 1], &chain.tlsa([3, 1, 1]))
    })
    .await;
    scene.app.start_sink("better.remote.test", Script::new()).await;
    let delivery = scene.send("bob@remote.test", "delivered").await;
    assert_eq!(delivery["attempts"][0]["mx_host"], "better.remote.test");
    scene.app.stop().await;
}

#[tokio::test]
async fn records_are_found_through_an_alias_and_a_wildcard() {
    let scene = Scene::new(|zone, chain, at| {
        let zone = zone.tlsa("dane", [3, 1, 1], &chain.tlsa([3, 1, 1]));
        zone.cname(&at.replace(at.split('.').next().unwrap(), "*"), "dane")
    })
    .await;
    assert!(scene.tlsa.starts_with('_'));
    assert_eq!(scene.delivered().await, "dane");
    scene.app.stop().await;
}

#[tokio::test]
async fn a_connection_serves_no_mail_that_asks_for_another_certificate() {
    let scene = Scene::new(|zone, _, _| zone).await;
    assert_eq!(scene.delivered().await, "opportunistic");
    // The answer of before is kept for half a minute: another domain with the same host asks anew.
    let at = format!("{}.remote.test.", scene.tlsa);
    let bad = zone("remote.test").signed().mx(10, "mx").tlsa(&at, [3, 1, 1], &[0; 32]);
    let address = scene.app.add_host(HOST);
    scene.app.dns().set(bad.address("mx", address).mx_of("other", 10, "mx"));
    let delivery = scene.send("bob@other.remote.test", "deferred").await;
    assert_eq!(delivery["attempts"][0]["enhanced_code"], "4.7.5", "{delivery}");
    assert_eq!(scene.app.sink(HOST).count(), 1);
    scene.app.stop().await;
}

#[tokio::test]
async fn records_hold_through_a_proxy() {
    let socks = Socks5::start(None).await;
    let tlsa = |kind| {
        move |remote: Zone, chain: &Chain, tlsa: &str| {
            remote.tlsa(tlsa, kind, &chain.tlsa([3, 1, 1]))
        }
    };
    // A certificate that is the right one, and one that a record of another kind is not for.
    for (kind, verification) in [([3, 1, 1], Some("dane")), ([3, 0, 1], None)] {
        let scene = Scene::new(tlsa(kind)).await;
        let addr = socks.addr();
        let proxy =
            json!({"name": "exit", "type": "socks5", "host": addr.ip(), "port": addr.port()});
        let proxy = scene.app.admin().post("/v1/transports", proxy).await.expect(201).id();
        let route = json!({"transport_id": proxy});
        scene.app.admin().post("/v1/routes", route).await.expect(201);
        match verification {
            Some(verification) => assert_eq!(scene.delivered().await, verification),
            None => assert_eq!(scene.deferred().await.0, "4.7.5"),
        }
        assert_eq!(scene.app.sink(HOST).clients(), [EXIT]);
        scene.app.stop().await;
    }
}
