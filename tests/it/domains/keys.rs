//! DKIM keys: rotation, import, and that a domain is not left without one.

use std::time::Duration;

use mail_auth::DkimResult;
use posthouse_tests::{app::App, sink::Script};
use serde_json::{Value, json};

use super::{DOMAIN, app, ask, events, publish, records, verify};
use crate::delivery::signatures;

const DAY: Duration = Duration::from_hours(24);

/// Keys of the domain as `selector state`.
async fn keys(app: &App, place: &str) -> Vec<String> {
    let keys = app.admin().all(&format!("{place}/dkim-keys")).await;
    let text = |key: &Value, field: &str| key[field].as_str().unwrap().to_owned();
    keys.iter().map(|key| format!("{} {}", text(key, "selector"), text(key, "state"))).collect()
}

/// Selectors of the signatures of a message that is sent now; all have to verify.
async fn signatures(app: &App) -> Vec<String> {
    let sink = app.start_sink("mx.remote.test", Script::new()).await;
    let alice = app.account_with(&["alice@example.test"]).await;
    let message = alice.send(&["bob@remote.test"], "Signed").await.id();
    alice.wait_for_status(&message, "delivered").await;
    let message = sink.messages().remove(0);
    for (name, result) in signatures::verify(app.dns(), &message.data).await {
        assert_eq!(result, DkimResult::Pass, "{name}: {}", message.text());
    }
    app.admin().delete(&format!("/v1/accounts/{}", alice.account_id)).await.expect(204);
    let text = message.text();
    let parts = text.split("; s=").skip(1);
    let mut selectors: Vec<String> =
        parts.map(|part| part.split(';').next().unwrap().to_owned()).collect();
    selectors.sort();
    selectors
}

#[tokio::test]
async fn a_rotation_goes_on_as_soon_as_its_records_are_seen() {
    let (app, place) = app().await;
    publish(&app, &place).await;
    let old = signatures(&app).await;
    assert_eq!(old.len(), 2);
    let rotate = format!("{place}/dkim-keys/rotate");
    let fresh = app.admin().post(&rotate, json!({})).await.expect(201);
    let fresh: Vec<_> = fresh["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["selector"].as_str().unwrap())
        .map(str::to_owned)
        .collect();
    app.admin().post(&rotate, json!({})).await.expect_problem(409, "in_use");

    // Nothing changes before the records are there.
    verify(&app, &place).await;
    assert_eq!(signatures(&app).await, old);
    publish(&app, &place).await;
    app.advance(Duration::from_mins(11));
    app.check_domains().await;
    let mut now = signatures(&app).await;
    now.sort();
    assert_eq!(now, fresh);
    assert_eq!(events(&app).await, ["domain.verified", "dkim.rotated"]);

    // What the old keys have signed is on its way for a week.
    let old_key = format!("{place}/dkim-keys/{}", old[0]);
    let is_published = async || {
        records(&app, &place)
            .await
            .iter()
            .any(|record| record["name"].as_str().unwrap().starts_with(&format!("{}.", old[0])))
    };
    app.admin().delete(&old_key).await.expect_problem(409, "in_use");
    assert!(is_published().await);
    app.advance(8 * DAY);
    assert!(!is_published().await);
    app.admin().delete(&old_key).await.expect(204);
    app.admin().get(&old_key).await.expect_problem(404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn a_domain_keeps_a_key_that_signs() {
    let (app, place) = app().await;
    let before = keys(&app, &place).await;
    let [first, second] = [0, 1].map(|at: usize| before[at].split(' ').next().unwrap().to_owned());
    let key = |selector: &str, action: &str| format!("{place}/dkim-keys/{selector}{action}");
    app.admin().delete(&key(&first, "")).await.expect_problem(409, "in_use");
    let retired = ask(&app, "POST", &key(&first, "/retire")).await.expect(200);
    assert_eq!((&retired["state"], &retired["active"]), (&json!("retired"), &json!(false)));
    ask(&app, "POST", &key(&first, "/retire")).await.expect_problem(409, "in_use");
    ask(&app, "POST", &key(&second, "/retire")).await.expect_problem(409, "in_use");
    ask(&app, "POST", &key(&second, "/retire?force=maybe"))
        .await
        .expect_problem(422, "invalid_input");
    ask(&app, "POST", &key(&second, "/retire?force=true")).await.expect(200);
    assert_eq!(signatures(&app).await, Vec::<String>::new());
    let rotate = app.admin().post(&key("rotate", ""), json!({})).await;
    rotate.expect_problem(409, "in_use");

    // Back again, by its record in DNS or by force.
    ask(&app, "POST", &key(&first, "/activate")).await.expect_problem(409, "in_use");
    publish(&app, &place).await;
    let active = ask(&app, "POST", &key(&first, "/activate")).await.expect(200);
    assert_eq!((&active["state"], &active["removable_at"]), (&json!("active"), &Value::Null));
    assert_eq!(signatures(&app).await, std::slice::from_ref(&first));
    app.dns().set(posthouse_tests::dns::zone(DOMAIN));
    ask(&app, "POST", &key(&second, "/activate?force=true")).await.expect(200);
    assert_eq!(keys(&app, &place).await, before);
    app.stop().await;
}

/// RFC 8463 appendix A.2, as PKCS #8.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";

#[tokio::test]
async fn a_key_of_another_system_signs_on() {
    let (app, place) = app().await;
    let at = format!("{place}/dkim-keys");
    let brought = json!({"selector": "brisbane", "private_key": PEM});
    let key = app.admin().post(&at, brought.clone()).await.expect(201);
    assert_eq!((&key["algorithm"], &key["state"]), (&json!("ed25519"), &json!("pending")));
    assert!(
        key["record"].as_str().unwrap().ends_with("p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    );
    assert!(!key.text().contains("private") && !key.text().contains("nWGx"));
    app.admin().post(&at, brought).await.expect_problem(409, "already_exists");
    publish(&app, &place).await;
    verify(&app, &place).await;
    assert!(keys(&app, &place).await.contains(&"brisbane published".to_owned()));
    ask(&app, "POST", &format!("{at}/brisbane/activate")).await.expect(200);
    let signatures = signatures(&app).await;
    assert!(signatures.len() == 3 && signatures.contains(&"brisbane".to_owned()), "{signatures:?}");

    for (body, fault) in [
        (json!({}), "/algorithm"),
        (json!({"algorithm": "rsa-1024"}), "/algorithm"),
        (json!({"algorithm": "rsa-2048", "private_key": PEM}), "/algorithm"),
        (json!({"private_key": "secret"}), "/private_key"),
        (json!({"algorithm": "ed25519", "selector": "a_b"}), "/selector"),
    ] {
        let refused = app.admin().post(&at, body).await.expect_problem(422, "invalid_input");
        assert_eq!(refused.pointers(), [fault]);
        assert!(!refused.text().contains("secret"));
    }
    app.stop().await;
}

#[tokio::test]
async fn a_domain_says_how_it_signs() {
    let (app, place) = app().await;
    publish(&app, &place).await;
    let settings = json!({"canonicalization": "simple/relaxed", "expires_in_seconds": 0,
                          "oversigned_headers": ["From", "Subject"]});
    let domain = app.admin().patch(&place, json!({"dkim": settings})).await.expect(200);
    assert_eq!(domain["dkim"]["oversigned_headers"], json!(["From", "Subject"]));
    assert_eq!(domain["dkim"]["overlap_seconds"], 604_800);
    assert_eq!(signatures(&app).await.len(), 2);
    let sent = app.sink("mx.remote.test").messages().remove(0).text();
    assert!(sent.contains("c=simple/relaxed;") && !sent.contains("; x="), "{sent}");
    assert!(sent.contains("h=From:From:Subject:Subject:"), "{sent}");
    for (dkim, fault) in [
        (json!({"canonicalization": "nowsp/simple"}), "/dkim/canonicalization"),
        (json!({"expires_in_seconds": 60}), "/dkim/expires_in_seconds"),
        (json!({"oversigned_headers": ["To"]}), "/dkim/oversigned_headers"),
        (json!({"expires_in_seconds": 604_800}), "/dkim/overlap_seconds"),
        (json!({"overlap_seconds": 1}), "/dkim/overlap_seconds"),
    ] {
        let refused = app.admin().patch(&place, json!({"dkim": dkim})).await;
        assert_eq!(refused.expect_problem(422, "invalid_input").pointers(), [fault]);
    }
    let usual = json!({"dkim": {"oversigned_headers": []}});
    let domain = app.admin().patch(&place, usual).await.expect(200);
    assert_eq!(domain["dkim"]["oversigned_headers"].as_array().unwrap().len(), 12);
    app.stop().await;
}
