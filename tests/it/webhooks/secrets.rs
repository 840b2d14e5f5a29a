//! Secrets: their rotation with overlap, and signatures with Ed25519.

use std::time::Duration;

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthouse_tests::{
    app::App,
    receiver::{Received, Receiver},
};
use serde_json::{Value, json};

use super::delivery::verify;

/// Verifies `v1a` as the scheme says; nothing of ours is asked.
fn verify_public(key: &str, request: &Received) -> bool {
    let key = STANDARD.decode(key.strip_prefix("whpk_").unwrap()).unwrap();
    let (id, at) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    let content = [format!("{id}.{at}.").as_bytes(), &request.body[..]].concat();
    let key = UnparsedPublicKey::new(&ED25519, key);
    let signatures = request.header("webhook-signature").split(' ');
    let mut ours = signatures.filter_map(|one| one.strip_prefix("v1a,"));
    ours.any(|one| key.verify(&content, &STANDARD.decode(one).unwrap()).is_ok())
}

#[tokio::test]
async fn both_secrets_sign_while_the_overlap_lasts() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let webhook = alice.webhook(&receiver, &["delivery.delivered"]).await;
    let old = webhook["secret"].as_str().unwrap();
    let path = format!("/v1/webhooks/{}/secret", webhook.id());
    let rotate = json!({"overlap_seconds": 3600});
    let rotated = alice.http.post(&format!("{path}/rotate"), rotate).await.expect(201);
    let new = rotated["secret"].as_str().unwrap();
    assert_ne!(new, old);
    assert_eq!(rotated["former"][0]["secret"], old);
    assert_eq!(alice.http.get(&path).await.expect(200).json, rotated.json);

    alice.send(&["bob@remote.test"], "during").await;
    let during = receiver.wait_for(1).await.remove(0);
    assert_eq!(during.header("webhook-signature").split(' ').count(), 2);
    assert_eq!(verify(new, &during).unwrap(), verify(old, &during).unwrap());

    app.advance(Duration::from_mins(61));
    alice.send(&["bob@remote.test"], "after").await;
    let after = receiver.wait_for(2).await.remove(1);
    // The library refuses what comes from the future: only the signatures are of interest here.
    assert_eq!(after.header("webhook-signature").split(' ').count(), 1);
    let shown = alice.http.get(&path).await.expect(200);
    assert_eq!((&shown["secret"], &shown["former"]), (&json!(new), &json!([])));
    app.stop().await;
}

#[tokio::test]
async fn a_leaked_secret_ends_at_once() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let webhook = alice.webhook(&receiver, &["delivery.delivered"]).await;
    let path = format!("/v1/webhooks/{}/secret/rotate", webhook.id());
    let first = alice.http.post(&path, json!({})).await.expect(201);
    assert!(first["former"][0]["expires_at"].is_string(), "a day is the default");
    let last = alice.http.post(&path, json!({"overlap_seconds": 0})).await.expect(201);
    assert_eq!(last["former"], json!([]));
    alice.send(&["bob@remote.test"], "one").await;
    let request = receiver.wait_for(1).await.remove(0);
    verify(last["secret"].as_str().unwrap(), &request).unwrap();
    for leaked in [&webhook, &first] {
        verify(leaked["secret"].as_str().unwrap(), &request).unwrap_err();
    }
    for _ in 0..4 {
        alice.http.post(&path, json!({})).await.expect(201);
    }
    alice.http.post(&path, json!({})).await.expect_problem(422, "policy_rejected");
    let wrong = json!({"overlap_seconds": 604_801});
    let refused = alice.http.post(&path, wrong).await.expect_problem(422, "invalid_input");
    assert_eq!(refused.pointers(), ["/overlap_seconds"]);
    app.stop().await;
}

#[tokio::test]
async fn a_repeated_rotation_is_one() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let path = format!("/v1/webhooks/{}/secret", alice.webhook(&receiver, &["*"]).await.id());
    let rotate = async || {
        let request = alice.http.request(reqwest::Method::POST, &format!("{path}/rotate"));
        request.header("Idempotency-Key", "r1").json(&json!({})).send().await.expect(201)
    };
    let (first, second) = (rotate().await, rotate().await);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.json, second.json);
    assert_eq!(alice.http.get(&path).await.expect(200)["former"].as_array().unwrap().len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_public_key_verifies_and_the_private_one_stays_here() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let new = json!({"url": receiver.url(), "event_types": ["delivery.delivered"],
        "signature_scheme": "v1a"});
    let webhook = alice.http.post("/v1/webhooks", new).await.expect(201);
    let key = webhook["secret"].as_str().unwrap();
    alice.send(&["bob@remote.test"], "public").await;
    let request = receiver.wait_for(1).await.remove(0);
    assert!(verify_public(key, &request));
    let mut forged = request.clone();
    forged.body = [&request.body[..], b" "].concat().into();
    assert!(!verify_public(key, &forged));

    let path = format!("/v1/webhooks/{}/secret/rotate", webhook.id());
    let rotated = alice.http.post(&path, json!({"signature_scheme": "v1"})).await.expect(201);
    assert!(!rotated.json.to_string().contains("whsk_"));
    alice.send(&["bob@remote.test"], "both").await;
    let request = receiver.wait_for(2).await.remove(1);
    assert!(verify_public(key, &request));
    let payload: Value = verify(rotated["secret"].as_str().unwrap(), &request).unwrap();
    assert_eq!(payload["data"]["subject"], "both");
    let shown = alice.http.get(&format!("/v1/webhooks/{}", webhook.id())).await.expect(200);
    assert_eq!(shown["signature_scheme"], "v1");
    app.stop().await;
}
