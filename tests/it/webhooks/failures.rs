//! What happens when a receiver does not take what it gets.

use std::time::Duration;

use posthouse_tests::{
    app::App,
    dns::zone,
    logs,
    receiver::{Receiver, Reply},
    wait::{eventually, until_equal},
};
use serde_json::{Value, json};

const DAY: Duration = Duration::from_hours(24);

async fn retries(app: &App) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM webhook_retries");
    count.fetch_one(app.db()).await.unwrap()
}

#[tokio::test]
async fn a_refused_event_is_tried_again_and_delays_no_other() {
    let app = App::test().sandbox().configure(|config| {
        config.webhook_retry_schedule = vec![Duration::from_hours(1); 3];
    });
    let app = app.start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    receiver.next(Reply::status(500).body("out of\0order"));
    let id = alice.webhook(&receiver, &["delivery.delivered"]).await.id();
    alice.send(&["bob@remote.test"], "first").await;
    alice.wait_for_webhook_deliveries(&id, 1).await;
    alice.send(&["bob@remote.test"], "second").await;
    let calls = alice.wait_for_webhook_deliveries(&id, 2).await;
    assert_eq!(calls[0]["response_body"], "out of\u{fffd}order");
    assert_eq!((&calls[0]["succeeded"], &calls[1]["succeeded"]), (&json!(false), &json!(true)));
    assert!(calls[0]["next_attempt_at"].is_string());
    assert_eq!(retries(&app).await, 1);

    app.advance(Duration::from_mins(75));
    let calls = alice.wait_for_webhook_deliveries(&id, 3).await;
    assert_eq!((&calls[2]["attempt"], &calls[2]["succeeded"]), (&json!(2), &json!(true)));
    assert_eq!(calls[2]["event_id"], calls[0]["event_id"]);
    let requests = receiver.received();
    assert_eq!(requests[0].body, requests[2].body, "the same octets each time");
    assert_eq!(requests[0].header("webhook-id"), requests[2].header("webhook-id"));
    assert_ne!(requests[0].header("webhook-signature"), requests[2].header("webhook-signature"));
    until_equal(0, async || retries(&app).await).await;
    app.stop().await;
}

#[tokio::test]
async fn redirects_are_not_followed_and_retry_after_is_honoured() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let (receiver, elsewhere) = (Receiver::start().await, Receiver::start().await);
    receiver.next(Reply::status(307).header("location", elsewhere.url()));
    receiver.next(Reply::status(503).header("retry-after", "3600"));
    let id = alice.webhook(&receiver, &["delivery.delivered"]).await.id();
    alice.send(&["bob@remote.test"], "one").await;
    let calls = alice.wait_for_webhook_deliveries(&id, 1).await;
    assert_eq!(
        (&calls[0]["succeeded"], &calls[0]["response_status"]),
        (&json!(false), &json!(307))
    );
    app.advance(Duration::from_secs(7));
    alice.wait_for_webhook_deliveries(&id, 2).await;
    // The schedule alone would be over after at most 360 s.
    app.advance(Duration::from_secs(400));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(alice.webhook_deliveries(&id).await.len(), 2);
    app.advance(Duration::from_mins(55));
    let calls = alice.wait_for_webhook_deliveries(&id, 3).await;
    assert_eq!(calls[2]["succeeded"], true);
    assert_eq!(elsewhere.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn the_last_attempt_is_the_last() {
    let app = App::test().sandbox().configure(|config| {
        config.webhook_retry_schedule = vec![Duration::from_secs(5); 2];
    });
    let app = app.start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    receiver.always(Reply::status(500));
    let id = alice.webhook(&receiver, &["delivery.delivered"]).await.id();
    alice.send(&["bob@remote.test"], "one").await;
    for attempts in 1..=3 {
        let calls = alice.wait_for_webhook_deliveries(&id, attempts).await;
        assert_eq!(calls[attempts - 1]["attempt"], attempts);
        assert_eq!(calls[attempts - 1]["next_attempt_at"].is_null(), attempts == 3);
        app.advance(Duration::from_secs(7));
    }
    until_equal(0, async || retries(&app).await).await;
    assert_eq!(receiver.received().len(), 3);
    app.stop().await;
}

#[tokio::test]
async fn gone_disables_and_enabling_goes_on_where_it_stopped() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let (receiver, watcher) = (Receiver::start().await, Receiver::start().await);
    receiver.next(Reply::status(410));
    let id = alice.webhook(&receiver, &["delivery.delivered"]).await.id();
    alice.webhook(&watcher, &["webhook.*"]).await;
    alice.send(&["bob@remote.test"], "one").await;
    let told = watcher.wait_for_kind("webhook.disabled").await.event();
    assert_eq!(told["data"]["webhook_id"], id);
    let path = format!("/v1/webhooks/{id}");
    let webhook = alice.http.get(&path).await.expect(200);
    assert_eq!(webhook["enabled"], false);
    assert_eq!(webhook["disabled_reason"], "the endpoint answered 410 Gone");

    alice.send(&["bob@remote.test"], "two").await;
    alice.wait_for_event("delivery.delivered").await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receiver.received().len(), 1);
    alice.http.patch(&path, json!({"enabled": true})).await.expect(200);
    app.advance(Duration::from_secs(7));
    // What was refused is tried again, and what happened meanwhile comes too.
    let requests = receiver.wait_for(3).await;
    let mut subjects: Vec<Value> =
        requests.iter().map(|one| one.event()["data"]["subject"].clone()).collect();
    subjects.sort_by_key(ToString::to_string);
    assert_eq!(subjects, ["one", "one", "two"]);
    assert!(alice.http.get(&path).await.expect(200)["disabled_reason"].is_null());
    app.stop().await;
}

#[tokio::test]
async fn five_days_of_failure_disable() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    receiver.always(Reply::status(500));
    let id = alice.webhook(&receiver, &["delivery.delivered"]).await.id();
    let path = format!("/v1/webhooks/{id}");
    alice.send(&["bob@remote.test"], "one").await;
    let mut calls = alice.wait_for_webhook_deliveries(&id, 1).await.len();
    for day in 1..=5 {
        assert_eq!(alice.http.get(&path).await.expect(200)["enabled"], true, "day {day}");
        app.advance(DAY);
        calls += 1;
        alice.wait_for_webhook_deliveries(&id, calls).await;
    }
    eventually("the endpoint is disabled", async || {
        let webhook = alice.http.get(&path).await.expect(200);
        (webhook["enabled"] == false).then_some(())
    })
    .await;
    let event = alice.wait_for_event("webhook.disabled").await;
    assert_eq!(event["data"]["reason"], "nothing but failures for five days");
    app.stop().await;
}

#[tokio::test]
async fn a_name_that_leads_inside_is_never_connected_to() {
    let only_two = |config: &mut posthouse_core::Config| {
        config.webhook_allowed_networks = vec!["127.0.0.2/32".to_owned()];
    };
    let inside = zone("inside.test").address("@", [127, 0, 0, 1]);
    let app = App::test().sandbox().dns(inside).configure(only_two).start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let url = format!("http://inside.test:{}/", receiver.port());
    let webhook = alice.http.post("/v1/webhooks", json!({"url": url})).await.expect(201);
    alice.send(&["bob@remote.test"], "one").await;
    let calls = alice.wait_for_webhook_deliveries(&webhook.id(), 1).await;
    assert_eq!(calls[0]["error"], "the host has no address that requests may be sent to");
    let local = format!("http://localhost:{}/", receiver.port());
    let refused = alice.http.post("/v1/webhooks", json!({"url": local})).await;
    assert_eq!(refused.expect_problem(422, "invalid_input").pointers(), ["/url"]);
    assert_eq!(receiver.received().len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn secrets_are_not_logged() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    receiver.next(Reply::status(500).body("answer-Xq7"));
    let new = json!({"url": format!("{}?token=url-Xq7", receiver.url()),
        "headers": {"Authorization": "Bearer header-Xq7"}});
    let webhook = alice.http.post("/v1/webhooks", new).await.expect(201);
    let dead = json!({"url": "http://127.0.0.1:9/?token=url-Xq7"});
    let dead = alice.http.post("/v1/webhooks", dead).await.expect(201).id();
    alice.http.get(&format!("/v1/webhooks/{}/secret", webhook.id())).await.expect(200);
    alice.send(&["bob@remote.test"], "subject-Xq7").await;
    alice.wait_for_webhook_deliveries(&webhook.id(), 1).await;
    let calls = alice.wait_for_webhook_deliveries(&dead, 1).await;
    assert!(calls[0]["error"].as_str().unwrap().starts_with("could not connect"));
    app.stop().await;
    let log = logs::text();
    assert!(!log.contains("Xq7"), "{log}");
    let secret = webhook["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap();
    assert!(!log.contains(secret));
}
