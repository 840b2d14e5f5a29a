//! What is found in DNS, and what is said of it.

use std::time::Duration;

use posthouse_tests::dns::{Zone, zone};
use serde_json::{Value, json};

use super::{ADDRESS, DOMAIN, app, events, publish, records, verify, zone_of};

fn check<'a>(found: &'a Value, name: &str) -> &'a Value {
    found["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

#[tokio::test]
async fn a_domain_is_verified_degraded_and_verified_again() {
    let (app, place) = app().await;
    let before = app.admin().get(&format!("{place}/checks")).await.expect(200);
    assert_eq!((&before["state"], &before["checks"]), (&json!("unverified"), &json!([])));
    assert_eq!(verify(&app, &place).await["state"], "unverified");
    publish(&app, &place).await;
    let found = verify(&app, &place).await;
    assert_eq!(found["state"], "verified", "{found}");
    for name in ["mx", "spf", "dkim", "dmarc", "tls_rpt", "reverse_dns"] {
        assert_eq!(check(&found, name)["status"], "ok", "{found}");
    }
    assert_eq!(app.admin().get(&format!("{place}/checks")).await.expect(200).json, found);

    // What DNS does not answer for changes nothing; what it denies does, and the next day tells.
    let good = zone_of(&records(&app, &place).await);
    app.dns().set(good.clone().servfail("_dmarc"));
    assert_eq!(verify(&app, &place).await["state"], "verified");
    app.dns().set(zone(DOMAIN).mx(10, "mx.other.test."));
    app.advance(Duration::from_hours(27));
    app.check_domains().await;
    let found = app.admin().get(&format!("{place}/checks")).await.expect(200);
    assert_eq!(found["state"], "degraded", "{found:?}");
    assert_eq!(verify(&app, &place).await["state"], "degraded");
    app.dns().set(good);
    app.advance(Duration::from_mins(61));
    app.check_domains().await;
    assert_eq!(events(&app).await, ["domain.verified", "domain.degraded", "domain.verified"]);
    app.stop().await;
}

/// A fault in DNS: what is left of the zone, the check that finds it, its status and words.
type Fault = (fn(Vec<Value>) -> Zone, &'static str, &'static str, &'static str);

/// The zone without records of this purpose.
fn without(records: Vec<Value>, purpose: &str) -> Zone {
    let rest: Vec<Value> =
        records.into_iter().filter(|record| record["purpose"] != purpose).collect();
    zone_of(&rest)
}

const FAULTS: [Fault; 18] = [
    (|all| without(all, "mx"), "mx", "error", "no MX record"),
    (|all| without(all, "mx").null_mx(), "mx", "error", "null MX"),
    (
        |all| without(all, "mx").mx(1, "mx").address("mx", [127, 1, 1, 1]),
        "mx",
        "error",
        "leads to this",
    ),
    (|all| zone_of(&all).mx(20, "gone"), "mx", "error", "gone.example.test has no addresses"),
    (
        |all| without(all, "mx").mx(1, "a").cname("a", "b").address("b", ADDRESS),
        "mx",
        "error",
        "alias",
    ),
    (|all| without(all, "spf"), "spf", "error", "no SPF record"),
    (|all| without(all, "spf").txt("@", "v=spf10 mx"), "spf", "error", "no SPF record"),
    (|all| zone_of(&all).txt("@", "v=spf1 -all"), "spf", "error", "several SPF"),
    (|all| without(all, "spf").txt("@", "v=spf1 ip4:192.0.2.1 -all"), "spf", "error", "192.0.2.25"),
    (
        |all| without(all, "spf").txt("@", "v=spf1 include:nowhere.test -all"),
        "spf",
        "error",
        "cannot be evaluated",
    ),
    (|all| without(all, "spf").txt("@", "v=spf1 +all"), "spf", "warning", "everybody"),
    (|all| without(all, "dkim"), "dkim", "error", "no such record"),
    (|all| without(all, "dmarc"), "dmarc", "error", "no record DMARC1"),
    (|all| zone_of(&all).txt("_dmarc", "v=DMARC1; p=none"), "dmarc", "error", "several"),
    (|all| without(all, "dmarc").txt("_dmarc", "v=DMARC1; p=all"), "dmarc", "error", "p=none"),
    (
        |all| without(all, "dmarc").txt("_dmarc", "v=DMARC1; p=none; rua=mailto:a@b.test"),
        "dmarc",
        "warning",
        "b.test",
    ),
    (|all| without(all, "tls_rpt"), "tls_rpt", "warning", "TLSRPTv1"),
    (|all| zone_of(&all).txt("_mta-sts", "v=STSv1; id=1"), "mta_sts", "error", "cannot fetch"),
];

#[tokio::test]
async fn every_fault_is_found_and_named() {
    let (app, place) = app().await;
    let good = records(&app, &place).await;
    for (faulty, name, status, words) in FAULTS {
        app.dns().set(faulty(good.clone()));
        let found = verify(&app, &place).await;
        let check = check(&found, name);
        assert_eq!(check["status"], status, "{words}: {check}");
        let said = if status == "error" { &check["errors"] } else { &check["warnings"] };
        assert!(said.to_string().contains(words), "{words}: {check}");
        let is_verified = found["state"] == "verified";
        assert_eq!(is_verified, status == "warning" || check["required"] == false, "{found}");
        // From the beginning again.
        sqlx::query("UPDATE domain_checks SET state = 'unverified'")
            .execute(app.db())
            .await
            .unwrap();
    }
    app.stop().await;
}

#[tokio::test]
async fn reports_go_to_a_domain_that_agrees() {
    let (app, place) = app().await;
    let all = records(&app, &place).await;
    let record = "v=DMARC1; p=reject; rua=mailto:a@reports.test";
    app.dns().set(without(all, "dmarc").txt("_dmarc", record));
    assert_eq!(check(&verify(&app, &place).await, "dmarc")["status"], "warning");
    let consent = zone("reports.test").txt("example.test._report._dmarc", "v=DMARC1");
    app.dns().set(consent);
    let found = verify(&app, &place).await;
    assert_eq!(check(&found, "dmarc")["status"], "ok", "{found}");
    app.stop().await;
}

#[tokio::test]
async fn a_key_may_be_published_by_alias_and_verified_with_the_right_to_write_alone() {
    let (app, place) = app().await;
    let mut all = without(records(&app, &place).await, "dkim");
    let mut elsewhere = zone("keys.test");
    for record in records(&app, &place).await.iter().filter(|record| record["purpose"] == "dkim") {
        let name = record["name"].as_str().unwrap();
        let selector = name.split('.').next().unwrap();
        all = all.cname(&format!("{name}."), &format!("{selector}.keys.test."));
        elsewhere = elsewhere.txt(selector, record["value"].as_str().unwrap());
    }
    app.dns().set(all);
    app.dns().set(elsewhere);
    let key = json!({"name": "writer", "scopes": ["admin:write"]});
    let key = app.admin().post("/v1/api-keys", key).await.expect(201);
    let writer = app.anonymous().with_key(key["key"].as_str().unwrap());
    let found = writer.request(reqwest::Method::POST, &format!("{place}/verify")).send().await;
    assert_eq!(found.expect(200)["state"], "verified");
    let rotate = writer.post(&format!("{place}/dkim-keys/rotate"), json!({})).await.expect(201);
    let selector = rotate["keys"][0]["selector"].as_str().unwrap();
    let activate = format!("{place}/dkim-keys/{selector}/activate?force=true");
    writer.request(reqwest::Method::POST, &activate).send().await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn addresses_that_do_not_lead_back_are_told() {
    let (app, place) = app().await;
    publish(&app, &place).await;
    for (name, status) in
        [("mail.posthouse.test.", "ok"), ("other.posthouse.test.", "error"), ("", "error")]
    {
        let back = zone("25.2.0.192.in-addr.arpa");
        app.dns().set(if name.is_empty() { back } else { back.ptr("@", name) });
        let found = verify(&app, &place).await;
        assert_eq!(check(&found, "reverse_dns")["status"], status, "{found}");
        assert_eq!(found["state"], "verified");
    }
    app.stop().await;
}
