//! Routes that post the mail itself to an endpoint.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use posthouse_tests::{
    client::Answer,
    dns::zone,
    person::Person,
    receiver::{Received, Receiver, Reply},
    wait::eventually,
};
use serde_json::json;

use super::{
    app, message,
    routes::{ROUTES, bring, events, route},
};

async fn endpoint(person: &Person, url: &str) -> Answer {
    let new = json!({"url": url, "payload": "message"});
    person.http.post("/v1/webhooks", new).await.expect(201)
}

/// Verifies `v1` as the scheme says; nothing of ours is asked.
fn is_signed(secret: &str, request: &Received) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let (id, at) = (request.header("webhook-id"), request.header("webhook-timestamp"));
    let content = [format!("{id}.{at}.").as_bytes(), &request.body[..]].concat();
    let signature = request.header("webhook-signature").strip_prefix("v1,").unwrap();
    hmac::verify(&key, &content, &STANDARD.decode(signature).unwrap()).is_ok()
}

#[tokio::test]
async fn the_mail_itself_is_posted_signed_until_it_is_taken() {
    let app = app().configure(|config| {
        config.webhook_retry_schedule = vec![Duration::from_hours(100)];
    });
    let app = app.start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let hook = endpoint(&alice, &receiver.url()).await;
    let post = json!([{"type": "http_post", "webhook_id": hook.id()}, {"type": "drop"}]);
    route(&alice, json!({"recipient": "alice+post@*"}), post).await;
    receiver.next(Reply::status(500));
    bring(&app, "alice@example.test", &message("Not this")).await.expect("250");
    bring(&app, "alice+post@example.test", &message("This")).await.expect("250");
    receiver.wait_for(1).await;
    alice.wait_for_webhook_deliveries(&hook.id(), 1).await;
    // Nothing but the call that is to come keeps it.
    for _ in 0..2 {
        app.advance(Duration::from_hours(25));
        app.clean_up().await;
    }
    app.advance(Duration::from_hours(75));
    let requests = receiver.wait_for(2).await;
    let text = String::from_utf8(requests[1].body.to_vec()).unwrap();
    assert!(
        text.starts_with("Delivered-To: alice+post@example.test\r\nReturn-Path: <bob@"),
        "{text}"
    );
    assert!(text.ends_with(&message("This")), "{text}");
    assert_eq!(requests[1].header("content-type"), "message/rfc822");
    assert!(requests.iter().all(|one| is_signed(hook["secret"].as_str().unwrap(), one)));
    let dropped = events(&alice, "mail.dropped").await.remove(0);
    assert_eq!(dropped["id"], requests[1].header("webhook-id"));
    assert_eq!(dropped["data"]["routing"]["http_post_webhook_ids"], json!([hook.id()]));
    let calls = alice.wait_for_webhook_deliveries(&hook.id(), 2).await;
    let came: Vec<_> = calls.iter().map(|call| call["response_status"].as_i64()).collect();
    assert_eq!(came, [Some(500), Some(200)]);
    assert!(calls[1]["request_body"].as_str().unwrap().starts_with("Delivered-To: "));
    assert_eq!(requests[0].body, requests[1].body);
    app.stop().await;
}

#[tokio::test]
async fn a_large_mail_that_is_kept_is_posted_whole() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (receiver, json) = (Receiver::start().await, Receiver::start().await);
    let hook = endpoint(&alice, &receiver.url()).await;
    alice.webhook(&json, &["mail.received"]).await;
    route(&alice, json!({}), json!([{"type": "http_post", "webhook_id": hook.id()}])).await;
    let large = format!("{}{}", message("Large"), "0123456789abcdef\r\n".repeat(60_000));
    bring(&app, "alice@example.test", &large).await.expect("250");
    let request = receiver.wait_for(1).await.remove(0);
    assert!(request.body.ends_with(large.as_bytes()));
    assert_eq!(alice.inbox().await.len(), 1);
    assert_eq!(json.wait_for(1).await[0].event()["data"]["subject"], "Large");
    let test = format!("/v1/webhooks/{}/test", hook.id());
    alice.http.request(reqwest::Method::POST, &test).send().await.expect(202);
    assert_eq!(receiver.wait_for(2).await[1].kind(), "webhook.test");
    app.stop().await;
}

#[tokio::test]
async fn nothing_is_posted_into_networks_that_are_not_public() {
    let inside = zone("inside.test").address("hook", [10, 1, 2, 3]);
    let app = app().dns(inside).configure(|config| config.webhook_allowed_networks.clear());
    let app = app.start().await;
    let alice = app.account("alice@example.test").await;
    let bad = json!({"url": "http://127.0.0.1/", "payload": "message"});
    assert_eq!(alice.http.post("/v1/webhooks", bad).await.expect(422).pointers(), ["/url"]);
    let hook = endpoint(&alice, "http://hook.inside.test/").await;
    route(&alice, json!({}), json!([{"type": "http_post", "webhook_id": hook.id()}])).await;
    bring(&app, "alice@example.test", &message("Secret")).await.expect("250");
    let call = eventually("the call", async || alice.webhook_deliveries(&hook.id()).await.pop());
    let call = call.await;
    assert_eq!(call["error"], "the host has no address that requests may be sent to");
    assert_eq!(alice.inbox().await.len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn each_action_has_its_kind_of_endpoint() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let server = Receiver::start().await;
    let (raw, json) = (endpoint(&alice, &server.url()).await, alice.webhook(&server, &["*"]).await);
    assert_eq!((&raw["payload"], &json["payload"]), (&"message".into(), &"event".into()));
    let actions = json!([{"type": "webhook", "webhook_id": raw.id()},
        {"type": "http_post", "webhook_id": json.id()}]);
    let new = json!({"name": "x", "actions": actions});
    assert_eq!(
        alice.http.post(ROUTES, new).await.expect(422).faults(),
        [
            ("/actions/0/webhook_id", "unfitting_webhook"),
            ("/actions/1/webhook_id", "unfitting_webhook"),
        ]
    );
    let post = json!([{"type": "http_post", "webhook_id": raw.id()}, {"type": "drop"}]);
    route(&alice, json!({}), post).await;
    alice.http.delete(&format!("/v1/webhooks/{}", raw.id())).await.expect(204);
    bring(&app, "alice@example.test", &message("Kept")).await.expect("250");
    let received = events(&alice, "mail.received").await.remove(0);
    let skipped = json!([{"action": "http_post", "reason": "webhook_gone"}]);
    assert_eq!(received["data"]["routing"]["skipped"], skipped);
    app.stop().await;
}
