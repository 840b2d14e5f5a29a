//! MTA-STS (RFC 8461): what a domain has published binds mail to it.

use std::time::Duration;

use hickory_resolver::proto::rr::RecordType;
use posthouse_tests::{
    app::App,
    certificates,
    dns::zone,
    person::Person,
    policy_host::{PolicyHost, policy, publish},
    sink::Script,
    wait::eventually,
};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_hours(1);

async fn app() -> (App, Person) {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    (app, alice)
}

/// A mail server `mx.<domain>` with a certificate that verifies.
async fn good_sink(app: &App, domain: &str) {
    let host = format!("mx.{domain}");
    let script = Script::new().starttls(certificates::trusted(app, &host));
    app.start_sink(&host, script).await;
}

/// The only delivery of a new message after its first attempt.
async fn attempt(alice: &Person, domain: &str) -> Value {
    let message = alice.send(&[&format!("bob@{domain}")], "x").await.id();
    alice.wait_for_attempts(&message, 1).await
}

fn result(delivery: &Value) -> (&str, &str) {
    let code = delivery["attempts"][0]["enhanced_code"].as_str();
    (delivery["status"].as_str().unwrap(), code.unwrap_or(""))
}

async fn stored(app: &App, domain: &str) -> Value {
    let list = app.admin().get(&format!("/v1/mta-sts-policies?domain={domain}")).await.expect(200);
    list["data"][0].clone()
}

#[tokio::test]
async fn a_named_host_with_a_good_certificate_gets_the_mail() {
    let (app, alice) = app().await;
    good_sink(&app, "remote.test").await;
    let names = ["other.test", "*.REMOTE.test"];
    let host = PolicyHost::start(&app, "remote.test", &policy("enforce", &names)).await;
    let delivery = attempt(&alice, "Remote.test").await;
    assert_eq!(result(&delivery), ("delivered", "2.0.0"), "{delivery}");
    assert_eq!(delivery["attempts"][0]["tls"]["verification"], "pkix");
    // It is fetched once (§3.3), and used from then on.
    attempt(&alice, "remote.test").await;
    assert_eq!(host.requests(), ["GET /.well-known/mta-sts.txt HTTP/1.1"]);
    let shown = stored(&app, "remote.test").await;
    assert_eq!([&shown["record_id"], &shown["mode"]], ["1", "enforce"]);
    assert_eq!(shown["mx"], json!(["other.test", "*.remote.test"]));
    assert_eq!([&shown["max_age_seconds"], &shown["error"]], [&json!(86400), &Value::Null]);
    let found = alice.http.get("/v1/queue/preview?recipient=x@remote.test").await.expect(200);
    assert_eq!(found["mta_sts"]["mode"], "enforce");
    assert_eq!(found["hosts"][0]["mta_sts_match"], true);
    for (query, count) in [("?mode=testing", 0), ("?mode=enforce", 1), ("?domain=x.test", 0)] {
        let list = app.admin().get(&format!("/v1/mta-sts-policies{query}")).await.expect(200);
        assert_eq!(list["data"].as_array().unwrap().len(), count, "{query}");
    }
    let wrong = app.admin().get("/v1/mta-sts-policies?mode=x").await.expect(422);
    assert_eq!(wrong.pointers(), ["/mode"]);
    app.stop().await;
}

/// RFC 8461 §4.2, §5: no TLS, or a certificate that does not verify, is a failure.
#[tokio::test]
async fn a_host_that_cannot_prove_its_name_gets_nothing_in_mode_enforce() {
    let (app, alice) = app().await;
    let starttls = |tls| Script::new().starttls(tls);
    for (domain, script, code) in [
        ("name.test", starttls(certificates::trusted(&app, "mx.other.test")), "4.7.5"),
        ("expired.test", starttls(certificates::expired(&app, "mx.expired.test")), "4.7.5"),
        ("own.test", starttls(certificates::untrusted("mx.own.test")), "4.7.5"),
        ("broken.test", Script::new().broken_starttls(), "4.7.5"),
        ("plain.test", Script::new(), "4.7.4"),
    ] {
        let mx = format!("mx.{domain}");
        let sink = app.start_sink(&mx, script).await;
        let host = PolicyHost::start(&app, domain, &policy("enforce", &[&mx])).await;
        let delivery = attempt(&alice, domain).await;
        assert_eq!(result(&delivery), ("deferred", code), "{delivery}");
        assert_eq!((sink.count(), host.requests().len()), (0, 1), "{domain}");
    }
    app.stop().await;
}

/// RFC 8461 §4.1, §5: a host that is not named is passed over; others may do.
#[tokio::test]
async fn a_host_that_is_not_named_is_not_even_connected_to() {
    let (app, alice) = app().await;
    good_sink(&app, "remote.test").await;
    let wrong = ["mail.remote.test", "*.mx.remote.test"];
    let host = PolicyHost::start(&app, "remote.test", &policy("enforce", &wrong)).await;
    let delivery = attempt(&alice, "remote.test").await;
    assert_eq!(result(&delivery), ("deferred", "4.7.1"), "{delivery}");
    let reply = delivery["attempts"][0]["reply"].as_str().unwrap();
    assert!(reply.contains("mx.remote.test") && reply.contains("MTA-STS policy of remote.test"));
    assert_eq!(app.sink("mx.remote.test").connections(), 0);
    let found = alice.http.get("/v1/queue/preview?recipient=x@remote.test").await.expect(200);
    assert_eq!(found["hosts"][0]["mta_sts_match"], false);
    assert_eq!(found["problem"]["enhanced_code"], "4.7.1");

    app.dns().set(zone("two.test").mx(10, "mx.remote.test.").mx(20, "mx"));
    good_sink(&app, "two.test").await;
    let _two = PolicyHost::start(&app, "two.test", &policy("enforce", &["mx.two.test"])).await;
    let delivery = attempt(&alice, "two.test").await;
    assert_eq!(result(&delivery), ("delivered", "2.0.0"), "{delivery}");
    assert_eq!(delivery["attempts"][0]["mx_host"], "mx.two.test");
    assert_eq!(app.sink("mx.remote.test").connections(), 0);
    assert_eq!(host.requests().len(), 1);
    app.stop().await;
}

/// RFC 8461 §5: nothing is enforced in the modes testing and none.
#[tokio::test]
async fn other_modes_bind_nobody() {
    let (app, alice) = app().await;
    for (domain, mode) in [("testing.test", "testing"), ("none.test", "none")] {
        let sink = app.start_sink(&format!("mx.{domain}"), Script::new()).await;
        let _host = PolicyHost::start(&app, domain, &policy(mode, &["mx.elsewhere.test"])).await;
        let delivery = attempt(&alice, domain).await;
        assert_eq!(result(&delivery), ("delivered", "2.0.0"), "{delivery}");
        assert_eq!((sink.count(), &stored(&app, domain).await["mode"]), (1, &json!(mode)));
    }
    app.stop().await;
}

/// RFC 8461 §3.4, §5.1: the domain of the recipient counts, not those of aliases and hosts.
#[tokio::test]
async fn the_domain_of_the_recipient_is_asked() {
    let (app, alice) = app().await;
    app.start_sink("mx.remote.test", Script::new()).await;
    app.dns().set(zone("alias.test").cname("@", "remote.test."));
    let host = PolicyHost::start(&app, "remote.test", &policy("enforce", &["x.test"])).await;
    let delivery = attempt(&alice, "alias.test").await;
    assert_eq!(result(&delivery), ("delivered", "2.0.0"), "{delivery}");
    let asked = |name| app.dns().count(name, RecordType::TXT);
    assert!(asked("_mta-sts.alias.test") > 0);
    assert_eq!((asked("_mta-sts.remote.test"), host.requests().len()), (0, 0));
    app.stop().await;
}

/// RFC 8461 §3.1, §5.1: a policy that was fetched holds for its time, whatever is said then.
#[tokio::test]
async fn a_known_policy_outlives_record_and_web_server() {
    let (mut app, alice) = app().await;
    app.start_sink("mx.remote.test", Script::new()).await;
    let rules = policy("enforce", &["mx.remote.test"]);
    let host = PolicyHost::start(&app, "remote.test", &rules).await;
    let first = alice.send(&["bob@remote.test"], "x").await.id();
    let deferred = alice.wait_for_attempts(&first, 1).await;
    assert_eq!(result(&deferred), ("deferred", "4.7.4"), "{deferred}");
    drop(host);
    let broken = zone("_mta-sts.remote.test").servfail("@");
    let two = zone("_mta-sts.remote.test").txt("@", "v=STSv1; id=1").txt("@", "v=STSv1; id=2");
    for change in [None, Some(broken), Some(two)] {
        match change {
            None => app.dns().remove("_mta-sts.remote.test"),
            Some(zone) => app.dns().set(zone),
        }
        app.restart().await;
        let delivery = attempt(&alice, "remote.test").await;
        assert_eq!(result(&delivery), ("deferred", "4.7.4"), "{delivery}");
    }
    // Its day is over. What is tried before the restart still goes the way that was looked up.
    app.advance(25 * HOUR);
    app.restart().await;
    app.advance(25 * HOUR);
    alice.wait_for_status(&first, "delivered").await;
    app.stop().await;
}

/// RFC 8461 §3.1, §3.3: a new id tells of a new policy; with the same one nothing is fetched.
#[tokio::test]
async fn a_new_id_brings_the_new_policy() {
    let (mut app, alice) = app().await;
    good_sink(&app, "remote.test").await;
    let old = policy("enforce", &["old.remote.test"]);
    let host = PolicyHost::start(&app, "remote.test", &old).await;
    let first = attempt(&alice, "remote.test").await;
    assert_eq!(result(&first), ("deferred", "4.7.1"), "{first}");
    host.serve(&policy("enforce", &["mx.remote.test"]));
    app.restart().await;
    let second = attempt(&alice, "remote.test").await;
    assert_eq!((result(&second), host.requests().len()), (("deferred", "4.7.1"), 1), "{second}");
    publish(&app, "remote.test", "2");
    app.restart().await;
    let third = attempt(&alice, "remote.test").await;
    assert_eq!((result(&third), host.requests().len()), (("delivered", "2.0.0"), 2), "{third}");
    // A new one that cannot be had leaves the old one in force.
    publish(&app, "remote.test", "3");
    host.answer("500 Oh", "", "");
    app.start_sink("mx.remote.test", Script::new()).await;
    app.restart().await;
    let fourth = attempt(&alice, "remote.test").await;
    assert_eq!((result(&fourth), host.requests().len()), (("deferred", "4.7.4"), 3), "{fourth}");
    let shown = stored(&app, "remote.test").await;
    assert_eq!(
        [&shown["record_id"], &shown["error"]],
        ["2", "the answer is 500 Internal Server Error"]
    );
    app.stop().await;
}

/// RFC 8461 §3.2, §3.3: what is not such a policy is none; mail goes as without.
#[tokio::test]
async fn what_is_no_policy_is_not_taken_for_one() {
    let (app, alice) = app().await;
    let good = policy("enforce", &["nowhere.test"]);
    let plain = "Content-Type: text/plain\r\n";
    let elsewhere = "Location: https://mta-sts.good.test/\r\nContent-Type: text/plain\r\n";
    let large = format!("{good}x: {}\r\n", "y".repeat(64 * 1024));
    let other = PolicyHost::start(&app, "good.test", &good).await;
    for (domain, status, fields, body, error) in [
        ("moved.test", "301 Moved", elsewhere, good.as_str(), "301"),
        ("found.test", "302 Found", elsewhere, "", "302"),
        ("html.test", "200 OK", "Content-Type: text/html\r\n", &good, "media type"),
        ("bare.test", "200 OK", "", &good, "media type"),
        ("gone.test", "404 Not Found", plain, &good, "404"),
        ("large.test", "200 OK", plain, &large, "more than 65536 octets"),
        ("odd.test", "200 OK", plain, "mode: enforce\n", "version"),
    ] {
        let sink = app.start_sink(&format!("mx.{domain}"), Script::new()).await;
        let host = PolicyHost::start(&app, domain, "").await;
        host.answer(status, fields, body);
        let delivery = attempt(&alice, domain).await;
        assert_eq!(result(&delivery), ("delivered", "2.0.0"), "{delivery}");
        assert_eq!((sink.count(), host.requests().len()), (1, 1), "{domain}");
        let shown = stored(&app, domain).await;
        assert!(shown["error"].as_str().unwrap().contains(error), "{shown}");
        assert_eq!(shown["mode"], Value::Null);
    }
    assert!(other.requests().is_empty(), "no redirect is followed");
    let found = alice.http.get("/v1/queue/preview?recipient=x@odd.test").await.expect(200);
    assert_eq!(found["mta_sts"]["mode"], Value::Null);
    assert!(found["mta_sts"]["error"].as_str().unwrap().contains("version"));
    app.stop().await;
}

/// RFC 8461 §3.3: the web server has to prove that it is `mta-sts` of the domain.
#[tokio::test]
async fn a_web_server_that_cannot_prove_its_name_gives_no_policy() {
    let (app, alice) = app().await;
    for (domain, tls) in [
        ("name.test", certificates::trusted(&app, "name.test")),
        ("expired.test", certificates::expired(&app, "mta-sts.expired.test")),
        ("own.test", certificates::untrusted("mta-sts.own.test")),
    ] {
        app.start_sink(&format!("mx.{domain}"), Script::new()).await;
        let host = PolicyHost::start_with(&app, domain, tls).await;
        host.serve(&policy("enforce", &["nowhere.test"]));
        let delivery = attempt(&alice, domain).await;
        assert_eq!(result(&delivery), ("delivered", "2.0.0"), "{delivery}");
        let shown = stored(&app, domain).await;
        assert!(shown["error"].as_str().unwrap().contains("certificate"), "{shown}");
        assert!(host.requests().is_empty());
    }
    app.stop().await;
}

#[tokio::test]
async fn a_failed_fetch_is_not_tried_again_for_five_minutes() {
    let (mut app, alice) = app().await;
    app.start_sink("mx.remote.test", Script::new()).await;
    let host = PolicyHost::start(&app, "remote.test", "nonsense").await;
    for (wait, requests) in [(0, 1), (200, 1), (101, 2)] {
        app.advance(Duration::from_secs(wait));
        app.restart().await;
        let delivery = attempt(&alice, "remote.test").await;
        assert_eq!((result(&delivery).0, host.requests().len()), ("delivered", requests));
    }
    app.stop().await;
}

#[tokio::test]
async fn a_web_server_that_hangs_does_not_hold_up_mail_of_others() {
    let (app, alice) = app().await;
    for domain in ["slow.test", "quick.test"] {
        app.start_sink(&format!("mx.{domain}"), Script::new()).await;
    }
    let host = PolicyHost::start(&app, "slow.test", "").await;
    host.hang();
    let slow = alice.send(&["bob@slow.test"], "x").await.id();
    eventually("a request", async || (!host.requests().is_empty()).then_some(())).await;
    let quick = alice.send(&["bob@quick.test"], "x").await.id();
    alice.wait_for_status(&quick, "delivered").await;
    assert_eq!(alice.statuses(&slow).await, ["queued"]);
    drop(host);
    alice.wait_for_status(&slow, "delivered").await;
    assert_eq!(stored(&app, "slow.test").await["mode"], Value::Null);
    app.stop().await;
}

#[tokio::test]
async fn no_policy_is_fetched_from_a_private_network() {
    let app = App::test().configure(|config| config.policy_hosts.allowed_networks.clear());
    let app = app.start().await;
    let alice = app.account("alice@example.test").await;
    app.start_sink("mx.remote.test", Script::new()).await;
    let host = PolicyHost::start(&app, "remote.test", &policy("enforce", &["x.test"])).await;
    let delivery = attempt(&alice, "remote.test").await;
    assert_eq!(result(&delivery).0, "delivered", "{delivery}");
    assert!(host.requests().is_empty());
    let error = "the host has no address that requests may be sent to";
    assert_eq!(stored(&app, "remote.test").await["error"], error);
    app.stop().await;
}

/// RFC 8461 §10.2, E5: policies hold on without mail, as long as they are used at times.
#[tokio::test]
async fn policies_are_fetched_again_each_day_and_forgotten_in_the_end() {
    let (app, alice) = app().await;
    let mut hosts = Vec::new();
    for (domain, mode) in [("one.test", "enforce"), ("two.test", "none"), ("three.test", "none")] {
        let mx = format!("mx.{domain}");
        good_sink(&app, domain).await;
        hosts.push(PolicyHost::start(&app, domain, &policy(mode, &[&mx])).await);
        attempt(&alice, domain).await;
    }
    let count = || hosts.iter().map(|host| host.requests().len()).collect::<Vec<_>>();
    app.refresh_policies().await;
    assert_eq!(count(), [1, 1, 1]);
    let before = stored(&app, "one.test").await;
    app.dns().remove("_mta-sts.three.test");
    app.advance(28 * HOUR);
    app.refresh_policies().await;
    assert_eq!(count(), [2, 2, 1]);
    let after = stored(&app, "one.test").await;
    assert!(after["expires_at"].as_str() > before["expires_at"].as_str(), "{after}");
    assert_eq!(after["last_used_at"], before["last_used_at"]);
    assert_eq!(stored(&app, "three.test").await, Value::Null, "given up in order");
    // Nobody has written to them for half a year.
    app.advance(181 * 24 * HOUR);
    app.refresh_policies().await;
    assert_eq!(count(), [2, 2, 1]);
    app.clean_up().await;
    assert_eq!(stored(&app, "one.test").await, Value::Null);
    app.stop().await;
}
