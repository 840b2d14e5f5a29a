//! Messages for later, and requests that come twice.

use std::time::Duration;

use posthouse_core::ports::Clock as _;
use posthouse_tests::{app::App, sink::Script};
use serde_json::json;
use time::format_description::well_known::Rfc3339;

fn in_hours(app: &App, hours: i64) -> String {
    (app.clock.now() + time::Duration::hours(hours)).format(&Rfc3339).unwrap()
}

#[tokio::test]
async fn a_scheduled_message_leaves_when_its_time_has_come() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "to": ["bob@remote.test"], "subject": "Later", "text": "x",
        "scheduled_at": in_hours(&app, 3),
    });
    let message = alice.post_message(message).await.expect(202);
    assert_eq!(message["deliveries"][0]["status"], "scheduled");
    app.advance(Duration::from_hours(2));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(alice.statuses(&message.id()).await, ["scheduled"]);
    assert_eq!(app.sink("mx.remote.test").connections(), 0);
    app.advance(Duration::from_secs(3700));
    alice.wait_for_status(&message.id(), "delivered").await;
    let kinds = alice.event_types_of(&message.id()).await;
    assert_eq!(kinds, ["message.scheduled", "delivery.delivered"]);
    app.stop().await;
}

#[tokio::test]
async fn a_time_in_the_past_or_too_far_away_is_refused() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    for hours in [-1, 61 * 24] {
        let message = json!({
            "to": ["bob@remote.test"], "subject": "x", "text": "x",
            "scheduled_at": in_hours(&app, hours),
        });
        let refused = alice.post_message(message).await.expect(422);
        assert_eq!(refused.pointers(), ["/scheduled_at"], "{refused:?}");
    }
    assert!(alice.http.all("/v1/messages").await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn the_same_request_twice_sends_one_message() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "from": "alice@example.test", "to": ["bob@remote.test"], "subject": "Once", "text": "x",
    });
    let post = |body: serde_json::Value| {
        let request = alice.http.request(reqwest::Method::POST, "/v1/messages");
        request.header("Idempotency-Key", "order-7").json(&body).send()
    };
    let first = post(message.clone()).await.expect(202);
    let second = post(message.clone()).await.expect(202);
    assert_eq!(first.json, second.json);
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    let mut other = message;
    other["subject"] = "Twice".into();
    post(other).await.expect_problem(422, "idempotency_key_reused");
    alice.wait_for_status(&first.id(), "delivered").await;
    assert_eq!(app.sink("mx.remote.test").count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn the_same_request_at_the_same_time_sends_one_message() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "from": "alice@example.test", "to": ["bob@remote.test"], "subject": "Once", "text": "x",
    });
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let request = alice.http.request(reqwest::Method::POST, "/v1/messages");
        let request = request.header("Idempotency-Key", "race").json(&message);
        requests.spawn(request.send());
    }
    let answers = requests.join_all().await;
    let taken: Vec<_> = answers.iter().filter(|answer| answer.status == 202).collect();
    assert!(!taken.is_empty());
    for answer in &answers {
        match answer.status {
            202 => assert_eq!(answer.json, taken[0].json),
            409 => assert_eq!(answer["code"], "idempotency_in_flight"),
            _ => panic!("{answer:?}"),
        }
    }
    assert_eq!(alice.http.all("/v1/messages").await.len(), 1);
    alice.wait_for_status(&taken[0].id(), "delivered").await;
    assert_eq!(app.sink("mx.remote.test").count(), 1);
    app.stop().await;
}
