//! History of calls, calling again, statistics, enabling and disabling.

use std::time::Duration;

use posthouse_tests::{
    app::App,
    receiver::{Receiver, Reply},
    wait::{eventually, until_equal},
};
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn calls_are_filtered() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    receiver.next(Reply::status(500).body("not now"));
    let id = alice.webhook(&receiver, &["message.accepted", "delivery.*"]).await.id();
    alice.send(&["bob@remote.test"], "one").await;
    let all = alice.wait_for_webhook_deliveries(&id, 2).await;
    let since = all[0]["started_at"].as_str().unwrap();
    let event = all[1]["event_id"].as_str().unwrap();
    let count = async |query: &str| {
        alice.http.all(&format!("/v1/webhooks/{id}/deliveries?{query}")).await.len()
    };
    assert_eq!(count("succeeded=false").await, 1);
    assert_eq!(count("succeeded=true&event_type=delivery.*").await, 1);
    assert_eq!(count("succeeded=true&event_type=message.accepted").await, 0);
    assert_eq!(count("event_type=message.accepted,delivery.delivered").await, 2);
    assert_eq!(count(&format!("event_id={event}")).await, 1);
    assert_eq!(count(&format!("since={since}")).await, 2);
    assert_eq!(count(&format!("until={since}")).await, 0);
    for wrong in ["succeeded=perhaps", "event_type=nope", "event_id=msg_1", "since=today"] {
        let path = format!("/v1/webhooks/{id}/deliveries?{wrong}");
        alice.http.get(&path).await.expect_problem(422, "invalid_input");
    }
    let failed = all.iter().find(|call| call["succeeded"] == false).unwrap();
    let path = format!("/v1/webhooks/deliveries/{}", failed["id"].as_str().unwrap());
    let shown = alice.http.get(&path).await.expect(200);
    assert_eq!(&shown.json, failed);
    assert_eq!(shown["response_body"], "not now");
    let sent: Value = serde_json::from_str(shown["request_body"].as_str().unwrap()).unwrap();
    assert_eq!(sent["id"], shown["event_id"]);
    app.stop().await;
}

#[tokio::test]
async fn a_call_is_made_again_when_somebody_asks() {
    let app = App::test().sandbox().configure(|config| {
        config.webhook_retry_schedule = vec![Duration::from_hours(1)];
    });
    let app = app.start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    receiver.next(Reply::status(500));
    let id = alice.webhook(&receiver, &["delivery.delivered"]).await.id();
    alice.send(&["bob@remote.test"], "one").await;
    let failed = alice.wait_for_webhook_deliveries(&id, 1).await.remove(0);
    let path = format!("/v1/webhooks/deliveries/{}/retry", failed["id"].as_str().unwrap());
    let retry = async || alice.http.request(Method::POST, &path).send().await;
    assert_eq!(retry().await.expect(202)["event_id"], failed["event_id"]);
    let calls = alice.wait_for_webhook_deliveries(&id, 2).await;
    assert_eq!((&calls[1]["attempt"], &calls[1]["succeeded"]), (&json!(2), &json!(true)));
    // One that was taken can be told again, too.
    retry().await.expect(202);
    let calls = alice.wait_for_webhook_deliveries(&id, 3).await;
    assert_eq!(calls[2]["event_id"], failed["event_id"]);
    let requests = receiver.received();
    assert_eq!(requests[0].body, requests[2].body, "the same octets each time");
    let waiting = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM webhook_retries");
    assert_eq!(waiting.fetch_one(app.db()).await.unwrap(), 0);

    alice
        .http
        .request(Method::POST, &format!("/v1/webhooks/{id}/disable"))
        .send()
        .await
        .expect(200);
    retry().await.expect_problem(422, "policy_rejected");
    app.stop().await;
}

#[tokio::test]
async fn an_endpoint_is_disabled_and_enabled() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let path = format!("/v1/webhooks/{}", alice.webhook(&receiver, &["mail.*"]).await.id());
    let act = async |verb: &str| {
        alice.http.request(Method::POST, &format!("{path}/{verb}")).send().await.expect(200)
    };
    let disabled = act("disable").await;
    assert_eq!(disabled["enabled"], false);
    assert_eq!(disabled["disabled_reason"], "switched off by its owner");
    assert_eq!(act("disable").await.json, disabled.json, "it is so already");
    let told = alice.wait_for_event("webhook.disabled").await;
    assert_eq!(told["data"]["reason"], "switched off by its owner");
    alice.send(&["bob@remote.test"], "meanwhile").await;
    let enabled = act("enable").await;
    assert_eq!((&enabled["enabled"], &enabled["disabled_reason"]), (&json!(true), &Value::Null));
    receiver.wait_for_kind("mail.received").await;
    app.stop().await;
}

#[tokio::test]
async fn the_account_gets_a_mail_when_its_endpoint_is_disabled() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    receiver.next(Reply::status(410));
    let new = json!({"url": format!("{}?key=s3cret", receiver.url()),
        "event_types": ["delivery.delivered"], "description": "the shop"});
    let id = alice.http.post("/v1/webhooks", new).await.expect(201).id();
    alice.send(&["bob@remote.test"], "one").await;
    let mail = alice.wait_for_mail("webhook endpoint was disabled").await;
    let raw = alice.raw_mail(mail["id"].as_str().unwrap()).await;
    for part in [&id, "410 Gone", "the shop", "Return-Path: <>", "Auto-Submitted: auto-generated"] {
        assert!(raw.contains(part), "{part}: {raw}");
    }
    assert!(raw.contains("To: alice@example.test") && !raw.contains("s3cret"), "{raw}");
    let shown = alice.http.get(&format!("/v1/webhooks/{id}")).await.expect(200);
    assert_eq!(shown["disabled_reason"], "the endpoint answered 410 Gone");
    // One that its owner disables needs no mail.
    let other = alice.webhook(&receiver, &["mail.*"]).await.id();
    let path = format!("/v1/webhooks/{other}/disable");
    alice.http.request(Method::POST, &path).send().await.expect(200);
    let notices = alice.inbox().await;
    let about = |mail: &&Value| mail["subject"].as_str().unwrap().contains("disabled");
    assert_eq!(notices.iter().filter(about).count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn statistics_tell_how_an_endpoint_does() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    receiver.next(Reply::status(500).after(Duration::from_millis(300)));
    receiver.next(Reply::status(404));
    let id = alice.webhook(&receiver, &["delivery.delivered"]).await.id();
    for number in 0..4 {
        alice.send(&["bob@remote.test"], &format!("{number}")).await;
    }
    alice.wait_for_webhook_deliveries(&id, 4).await;
    let path = format!("/v1/webhooks/{id}/stats");
    let stats = alice.http.get(&path).await.expect(200);
    let day = &stats["last_24_hours"];
    assert_eq!(day, &stats["last_7_days"]);
    assert_eq!((&day["calls"], &day["succeeded"]), (&json!(4), &json!(2)));
    assert_eq!((&day["answered_4xx"], &day["answered_5xx"]), (&json!(1), &json!(1)));
    let slowest = day["p99_ms"].as_i64().unwrap();
    assert!((300..=1000).contains(&slowest), "{slowest}");
    assert!(day["p50_ms"].as_i64().unwrap() < 300);
    assert_eq!((&stats["waiting_events"], &stats["waiting_retries"]), (&json!(0), &json!(2)));
    assert!(stats["next_retry_at"].is_string());

    receiver.always(Reply::status(503));
    alice
        .http
        .request(Method::POST, &format!("/v1/webhooks/{id}/disable"))
        .send()
        .await
        .expect(200);
    alice.send(&["bob@remote.test"], "waits").await;
    eventually("an event that waits", async || {
        let stats = alice.http.get(&path).await.expect(200);
        (stats["waiting_events"] == 1 && stats["oldest_waiting_at"].is_string()).then_some(())
    })
    .await;
    app.advance(Duration::from_hours(26));
    alice.http.request(Method::POST, &format!("/v1/webhooks/{id}/enable")).send().await.expect(200);
    alice.wait_for_webhook_deliveries(&id, 7).await;
    until_equal(json!([3, 7]), async || {
        let stats = alice.http.get(&path).await.expect(200);
        json!([stats["last_24_hours"]["calls"], stats["last_7_days"]["calls"]])
    })
    .await;
    assert!(alice.http.get(&path).await.expect(200)["failing_since"].is_string());
    app.stop().await;
}
