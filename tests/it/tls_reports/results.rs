//! What is counted: each way in which TLS comes about, or does not, under each policy.

use posthouse_tests::{
    app::App,
    certificates::{self, Chain},
    dns::zone,
    policy_host::{PolicyHost, policy},
    sink::Script,
};
use serde_json::{Value, json};

use super::{app, ask_for_reports, sent, sleep, with, write_to};

const RUA: &str = "mailto:tls@reports.test";

/// `sts validation-failure/mx-mismatch` for each policy and failure, with the sessions of each
/// policy as `sts +0 -1`.
fn shown(report: &Value) -> Vec<String> {
    let mut shown = Vec::new();
    for result in report["report"]["policies"].as_array().unwrap() {
        let kind = result["policy"]["policy-type"].as_str().unwrap();
        let count = |key: &str| result["summary"][key].as_u64().unwrap();
        let (good, bad) =
            (count("total-successful-session-count"), count("total-failure-session-count"));
        shown.push(format!("{kind} +{good} -{bad}"));
        for failure in result["failure-details"].as_array().into_iter().flatten() {
            let of = |key: &str| failure[key].as_str().unwrap_or_default().to_owned();
            let (result, reason) = (of("result-type"), of("failure-reason-code"));
            shown.push(format!("{result}/{reason} {}", failure["failed-session-count"]));
        }
    }
    shown
}

async fn reported(app: &App, domain: &str) -> Vec<String> {
    let reports = sent(app, domain).await;
    assert_eq!(reports.len(), 1, "{domain}: {reports:?}");
    assert_eq!(reports[0]["status"], "sent", "{domain}: {reports:?}");
    shown(&reports[0])
}

/// RFC 8460 §4.3.1.
#[tokio::test]
async fn without_a_policy_only_tls_itself_counts() {
    let (app, alice) = app().await;
    let untrusted = || Script::new().starttls(certificates::untrusted("mx.x.test"));
    for (domain, script) in [
        ("plain.test", Script::new()),
        ("broken.test", Script::new().broken_starttls()),
        ("any.test", untrusted()),
    ] {
        app.start_sink(&format!("mx.{domain}"), script).await;
        ask_for_reports(&app, domain, RUA);
    }
    write_to(&alice, &["plain.test", "plain.test", "broken.test", "any.test"]).await;
    sleep(&app);
    app.send_tls_reports().await;
    // The second message to plain.test took the connection of the first.
    let plain = ["no-policy-found +0 -1", "starttls-not-supported/ 1"];
    assert_eq!(reported(&app, "plain.test").await, plain);
    let broken = ["no-policy-found +0 -1", "validation-failure/tls-error 1"];
    assert_eq!(reported(&app, "broken.test").await, broken);
    let any = &sent(&app, "any.test").await[0];
    assert_eq!((&any["status"], &any["error"]), (&json!("skipped"), &json!("no session failed")));
    assert_eq!([&any["successful_sessions"], &any["failed_sessions"]], [1, 0]);

    let report = &sent(&app, "plain.test").await[0]["report"];
    let policy = json!({"policy-type": "no-policy-found", "policy-domain": "plain.test"});
    assert_eq!(report["policies"][0]["policy"], policy);
    let failure = &report["policies"][0]["failure-details"][0];
    assert_eq!(failure["receiving-mx-hostname"], "mx.plain.test");
    for key in ["sending-mta-ip", "receiving-ip"] {
        assert!(failure[key].as_str().unwrap().starts_with("127."), "{failure}");
    }
    app.stop().await;
}

/// RFC 8460 §4.3, RFC 8461 §5: in mode testing mail goes, and it is told what would not have.
#[tokio::test]
async fn what_a_policy_asks_for_counts_in_both_modes() {
    let (app, alice) = app().await;
    let script = |tls| Script::new().starttls(tls);
    let good = |host: &str| script(certificates::trusted(&app, host));
    let cases = [
        ("good", "mx", None),
        ("name", "mx", Some("certificate-host-mismatch/ 1")),
        ("old", "mx", Some("certificate-expired/ 1")),
        ("own", "mx", Some("certificate-not-trusted/ 1")),
        ("plain", "mx", Some("starttls-not-supported/ 1")),
        ("other", "mail", Some("validation-failure/mx-mismatch 1")),
    ];
    let mut hosts = Vec::new();
    for mode in ["enforce", "testing"] {
        for (case, mx, failure) in &cases {
            let domain = format!("{case}-{mode}.test");
            let host = format!("mx.{domain}");
            let script = match *case {
                "name" => good("mx.elsewhere.test"),
                "old" => script(certificates::expired(&app, &host)),
                "own" => script(certificates::untrusted(&host)),
                "plain" => Script::new(),
                _ => good(&host),
            };
            app.start_sink(&host, script).await;
            let rules = policy(mode, &[&format!("{mx}.{domain}")]);
            hosts.push(PolicyHost::start(&app, &domain, &rules).await);
            ask_for_reports(&app, &domain, RUA);
            write_to(&alice, &[&domain]).await;
            let delivered = app.sink(&host).count();
            assert_eq!(delivered == 1, mode == "testing" || failure.is_none(), "{domain}");
        }
    }
    sleep(&app);
    app.send_tls_reports().await;
    for mode in ["enforce", "testing"] {
        for (case, _, failure) in &cases {
            let domain = format!("{case}-{mode}.test");
            match failure {
                Some(failure) => {
                    assert_eq!(reported(&app, &domain).await, ["sts +0 -1", failure], "{domain}");
                }
                None => assert_eq!(sent(&app, &domain).await[0]["successful_sessions"], 1),
            }
        }
    }
    let report = &sent(&app, "other-testing.test").await[0]["report"];
    let lines =
        ["version: STSv1", "mode: testing", "mx: mail.other-testing.test", "max_age: 86400"];
    assert_eq!(report["policies"][0]["policy"]["policy-string"], json!(lines));
    assert_eq!(report["policies"][0]["policy"]["mx-host"], json!(["mail.other-testing.test"]));
    app.stop().await;
}

/// RFC 8460 §4.3.2.2.
#[tokio::test]
async fn a_policy_that_cannot_be_had_is_a_failure_of_its_own() {
    let (app, alice) = app().await;
    let mut hosts = Vec::new();
    for (domain, result) in [
        ("gone.test", "sts-policy-fetch-error"),
        ("wrong.test", "sts-policy-invalid"),
        ("web.test", "sts-webpki-invalid"),
    ] {
        app.start_sink(&format!("mx.{domain}"), Script::new()).await;
        let host = if domain == "web.test" {
            let tls = certificates::untrusted("mta-sts.web.test");
            PolicyHost::start_with(&app, domain, tls).await
        } else {
            PolicyHost::start(&app, domain, "version: STSv2").await
        };
        if domain == "gone.test" {
            host.answer("404 Not Found", "", "");
        }
        hosts.push(host);
        ask_for_reports(&app, domain, RUA);
        write_to(&alice, &[domain]).await;
        sleep(&app);
        app.send_tls_reports().await;
        let failure = format!("{result}/ 1");
        assert_eq!(reported(&app, domain).await, ["sts +0 -1", &failure]);
    }
    app.stop().await;
}

/// RFC 8460 §4.3.2.1: TLSA records and an MTA-STS policy are told apart, and a mail exchanger that
/// asks for reports gets those about its records.
#[tokio::test]
async fn tlsa_records_count_for_the_domain_and_for_the_host() {
    let (app, alice) = with(App::test().dnssec().start().await).await;
    let at = format!("_{}._tcp.mx", app.delivery_port());
    let (chain, other) = (Chain::new("mx.x.test"), Chain::new("mx.x.test"));
    let tlsa = |chain: &Chain| chain.tlsa([3, 1, 1]);
    let mut hosts = Vec::new();
    for (domain, data, kind) in [
        ("good.test", tlsa(&chain), [3, 1, 1]),
        ("other.test", tlsa(&other), [3, 1, 1]),
        ("unusable.test", tlsa(&chain), [1, 1, 1]),
        ("bogus.test", tlsa(&chain), [3, 1, 1]),
        ("both.test", tlsa(&chain), [3, 1, 1]),
    ] {
        let remote = zone(domain).signed().mx(10, "mx").tlsa(&at, kind, &data);
        let remote = if domain == "bogus.test" { remote.forged(&at) } else { remote };
        app.dns().set(remote);
        let host = format!("mx.{domain}");
        app.start_sink(&host, Script::new().starttls(chain.server.clone())).await;
        if domain == "both.test" {
            hosts.push(PolicyHost::start(&app, domain, &policy("testing", &[&host])).await);
        }
        ask_for_reports(&app, domain, RUA);
        ask_for_reports(&app, &host, RUA);
        write_to(&alice, &[domain]).await;
    }
    sleep(&app);
    app.send_tls_reports().await;
    assert_eq!(sent(&app, "good.test").await[0]["successful_sessions"], 1);
    for (domain, failure) in [
        ("other.test", "validation-failure/tlsa-mismatch 1"),
        ("unusable.test", "tlsa-invalid/ 1"),
        ("bogus.test", "dnssec-invalid/ 1"),
    ] {
        let host = format!("mx.{domain}");
        assert_eq!(reported(&app, domain).await, ["tlsa +0 -1", failure], "{domain}");
        assert_eq!(reported(&app, &host).await, ["tlsa +0 -1", failure], "{domain}");
        let policy = &sent(&app, domain).await[0]["report"]["policies"][0]["policy"];
        assert_eq!(policy["policy-domain"], *host);
    }
    // The certificate is the one of the TLSA records, but nobody has issued it.
    let both = ["sts +0 -1", "certificate-not-trusted/ 1", "tlsa +1 -0"];
    assert_eq!(reported(&app, "both.test").await, both);
    let host = &sent(&app, "mx.both.test").await[0];
    assert_eq!((&host["status"], &host["successful_sessions"]), (&json!("skipped"), &json!(1)));
    app.stop().await;
}
