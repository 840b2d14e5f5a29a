//! Cancel, hold, release, retry, fail and another time: exact, on every node, and also while an
//! attempt is in progress.

use std::time::Duration;

use posthouse_tests::{
    app::App,
    sink::{Script, Stage},
    wait::eventually,
};
use serde_json::{Value, json};

use super::{REMOTE, change, each, scheduled};

const PAUSE: Duration = Duration::from_millis(1500);

#[tokio::test]
async fn a_canceled_message_never_leaves() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = scheduled(&app, &alice, &["a@remote.test", "b@remote.test"], 3).await;
    let canceled = change(&alice, &message, "cancel").await.expect(200);
    assert_eq!(each(&canceled, "status"), ["canceled", "canceled"]);
    assert_eq!(each(&canceled, "pending_action"), [&Value::Null, &Value::Null]);
    let again = change(&alice, &message, "cancel").await.expect(200);
    assert_eq!(again.json, canceled.json);
    for action in ["hold", "release", "retry"] {
        change(&alice, &message, action).await.expect_problem(409, "not_waiting");
    }
    app.advance(Duration::from_hours(4));
    tokio::time::sleep(PAUSE).await;
    assert_eq!(app.sink(REMOTE).connections(), 0);
    let kinds = alice.event_types_of(&message).await;
    assert_eq!(kinds, ["message.scheduled", "delivery.canceled", "delivery.canceled"]);
    let event = &alice.events_of(&message).await[1]["data"];
    assert_eq!(event["recipient"], "a@remote.test");
    assert_eq!(event["attempt"], 0);
    assert_eq!(event["reply"], "canceled by request");
    assert!(alice.inbox().await.is_empty(), "nobody gets a report");
    app.stop().await;
}

#[tokio::test]
async fn what_is_held_waits_until_it_is_released() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = scheduled(&app, &alice, &["a@remote.test"], 3).await;
    let held = change(&alice, &message, "hold").await.expect(200);
    assert_eq!(each(&held, "status"), ["on_hold"]);
    change(&alice, &message, "retry").await.expect_problem(409, "not_waiting");
    app.advance(Duration::from_hours(4));
    tokio::time::sleep(PAUSE).await;
    assert_eq!(alice.statuses(&message).await, ["on_hold"]);
    change(&alice, &message, "release").await.expect(200);
    alice.wait_for_status(&message, "delivered").await;
    let kinds = alice.event_types_of(&message).await;
    let expected =
        ["message.scheduled", "delivery.held", "delivery.released", "delivery.delivered"];
    assert_eq!(kinds, expected);
    assert_eq!(app.sink(REMOTE).count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_retry_does_not_wait_for_its_time() {
    let script = Script::new().defer_once("451 4.7.1 Later");
    let app = App::test().sink(REMOTE, script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["a@remote.test"], "x").await.id();
    let id = alice.wait_for_status(&message, "deferred").await[0]["id"].clone();
    change(&alice, id.as_str().unwrap(), "retry").await.expect(200);
    let delivery = alice.wait_for_status(&message, "delivered").await.remove(0);
    assert_eq!(delivery["attempts"].as_array().unwrap().len(), 2);
    change(&alice, id.as_str().unwrap(), "retry").await.expect_problem(409, "not_waiting");
    app.stop().await;
}

#[tokio::test]
async fn a_failed_delivery_is_reported() {
    let script = Script::new().reply(Stage::Rcpt, "451 4.7.1 Later");
    let app = App::test().sink(REMOTE, script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["a@remote.test", "b@remote.test"], "x").await.id();
    let id = alice.wait_for_status(&message, "deferred").await[0]["id"].clone();
    let failed = change(&alice, id.as_str().unwrap(), "fail").await.expect(200);
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["attempts"].as_array().unwrap().len(), 1, "no attempt was made");
    assert_eq!(alice.statuses(&message).await, ["failed", "deferred"]);
    let event = alice.wait_for_event("delivery.failed").await;
    assert_eq!(event["data"]["attempt"], 1);
    let report = alice.inbox().await.remove(0);
    let report = alice.raw_mail(report["id"].as_str().unwrap()).await;
    assert!(report.contains("Final-Recipient: rfc822; a@remote.test"), "{report}");
    assert!(report.contains("Action: failed") && report.contains("Status: 5.0.0"), "{report}");
    assert!(report.contains("given up by request"), "{report}");
    assert_eq!(report.matches("Final-Recipient:").count(), 1, "{report}");
    assert!(report.contains("Subject: x"), "the header of the message");
    assert!(alice.http.all("/v1/suppressions").await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn an_attempt_in_progress_comes_first() {
    let slow = Script::new().slow(PAUSE);
    let defers = slow.clone().defer_once("451 4.7.1 Later");
    let app = App::test().sink(REMOTE, slow).sink("mx.other.test", defers).start().await;
    let alice = app.account("alice@example.test").await;
    let (now, later) = (
        alice.send(&["now@remote.test"], "x").await.id(),
        alice.send(&["later@other.test"], "x").await.id(),
    );
    for sink in [app.sink(REMOTE), app.sink("mx.other.test")] {
        eventually("it is in progress", async || (sink.connections() > 0).then_some(())).await;
    }
    for message in [&now, &later] {
        let asked = change(&alice, message, "cancel").await.expect(200);
        assert_eq!(each(&asked, "status"), ["queued"]);
        assert_eq!(each(&asked, "pending_action"), ["cancel"]);
        let asked = change(&alice, message, "hold").await.expect_problem(409, "not_waiting");
        assert!(asked["detail"].as_str().unwrap().contains("hold"));
    }
    let delivered = alice.wait_for_status(&now, "delivered").await;
    assert_eq!(delivered[0]["pending_action"], Value::Null);
    alice.wait_for_status(&later, "canceled").await;
    let kinds = alice.event_types_of(&now).await;
    assert_eq!(kinds, ["message.accepted", "delivery.delivered"]);
    let kinds = alice.event_types_of(&later).await;
    assert_eq!(kinds, ["message.accepted", "delivery.deferred", "delivery.canceled"]);
    eventually("no wish is left", async || {
        let left = sqlx::query("SELECT 1 FROM queue_wishes").fetch_all(app.db()).await.unwrap();
        left.is_empty().then_some(())
    })
    .await;
    assert_eq!([app.sink(REMOTE).count(), app.sink("mx.other.test").count()], [1, 0]);
    app.stop().await;
}

#[tokio::test]
async fn the_time_can_be_changed_until_the_first_attempt() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = scheduled(&app, &alice, &["a@remote.test"], 3).await;
    let place = format!("/v1/messages/{message}");
    let in_hours = |hours: i64| {
        let at = app.now() + time::Duration::hours(hours);
        json!({"scheduled_at": posthouse_core::time::rfc3339(at)})
    };
    for (hours, code) in [(-1, "in_the_past"), (61 * 24, "too_far")] {
        let refused = alice.http.patch(&place, in_hours(hours)).await.expect(422);
        assert_eq!(refused.faults(), [("/scheduled_at", code)]);
    }
    let later = in_hours(5);
    alice.http.patch(&place, later.clone()).await.expect(200);
    let delivery = alice.deliveries(&message).await.remove(0);
    assert_eq!(delivery["next_attempt_at"], later["scheduled_at"]);
    app.advance(Duration::from_hours(4));
    tokio::time::sleep(PAUSE).await;
    assert_eq!(alice.statuses(&message).await, ["scheduled"]);
    alice.http.patch(&place, json!({"scheduled_at": null})).await.expect(200);
    alice.wait_for_status(&message, "delivered").await;
    let late = alice.http.patch(&place, in_hours(1)).await;
    late.expect_problem(409, "not_waiting");
    alice.http.patch(&place, json!({})).await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn every_node_takes_wishes_for_every_delivery() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let second = app.node("second").await;
    let there = second.as_person(&alice);
    eventually("both nodes own half of the queue", async || {
        let owned = "SELECT 1 FROM queue_shards GROUP BY owner HAVING count(*) = 128";
        let owned = sqlx::query(owned).fetch_all(app.db()).await.unwrap();
        (owned.len() == 2).then_some(())
    })
    .await;
    let mut messages = Vec::new();
    for _ in 0..4 {
        messages.push(scheduled(&app, &alice, &["a@remote.test"], 1).await);
    }
    for (message, asked) in messages.iter().zip([&alice, &there, &alice, &there]) {
        let held = change(asked, message, "hold").await.expect(200);
        assert_eq!(each(&held, "status"), ["on_hold"]);
        let canceled = change(asked, message, "cancel").await.expect(200);
        assert_eq!(each(&canceled, "status"), ["canceled"]);
    }
    second.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_wish_outlives_the_node_that_took_it() {
    let mut app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = scheduled(&app, &alice, &["a@remote.test"], 1).await;
    // As if the node had died right after the commit, and the notification were lost.
    let written = "INSERT INTO queue_wishes (shard, delivery_id, action, reason)
         SELECT shard, delivery_id, 'cancel', 'as asked' FROM queue";
    sqlx::query(written).execute(app.db()).await.unwrap();
    app.restart().await;
    alice.wait_for_status(&message, "canceled").await;
    app.stop().await;
}

#[tokio::test]
async fn the_content_of_a_message_that_has_ended_can_be_erased() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = scheduled(&app, &alice, &["a@remote.test"], 1).await;
    let place = format!("/v1/messages/{message}");
    let content = format!("{place}/content");
    alice.http.delete(&content).await.expect_problem(409, "in_use");
    alice.http.get(&format!("{place}/raw")).await.expect(200);
    change(&alice, &message, "cancel").await.expect(200);
    alice.http.delete(&content).await.expect(204);
    alice.http.delete(&content).await.expect(204);
    alice.http.get(&format!("{place}/raw")).await.expect_problem(404, "not_found");
    let message = alice.http.get(&place).await.expect(200);
    assert_eq!([&message["has_content"], &message["subject"]], [&json!(false), &json!("Later")]);
    app.advance(Duration::from_hours(25));
    app.clean_up().await;
    app.advance(Duration::from_hours(25));
    app.clean_up().await;
    let blobs = sqlx::query("SELECT 1 FROM blobs").fetch_all(app.db()).await.unwrap();
    assert!(blobs.is_empty(), "nothing refers to it");
    app.stop().await;
}

#[tokio::test]
async fn a_message_can_be_sent_again() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let first = json!({"to": ["a@remote.test", "b@remote.test"], "subject": "Once more",
                       "text": "x", "tags": ["news"]});
    let first = alice.post_message(first).await.expect(202);
    alice.wait_for_status(&first.id(), "delivered").await;
    let place = format!("/v1/messages/{}/resend", first.id());
    let again = alice.http.post(&place, json!({})).await.expect(202);
    assert_ne!(again.id(), first.id());
    assert_eq!(again["message_id"], first["message_id"]);
    alice.wait_for_status(&again.id(), "delivered").await;
    let message = alice.http.get(&format!("/v1/messages/{}", again.id())).await.expect(200);
    assert_eq!(message["tags"], json!(["news"]));
    let other = alice.http.post(&place, json!({"to": "c@remote.test"})).await.expect(202);
    alice.wait_for_status(&other.id(), "delivered").await;
    let sent = app.sink(REMOTE).messages();
    let body = |at: usize| sent[at].text().split_once("From: alice").unwrap().1.to_owned();
    assert!(body(0) == body(1) && body(1) == body(2), "the same content");
    let recipients: Vec<_> = sent.iter().map(|message| message.rcpt_to.len()).collect();
    assert_eq!(recipients, [2, 2, 1]);
    let wrong = alice.http.post(&place, json!({"to": ["no"]})).await.expect(422);
    assert_eq!(wrong.pointers(), ["/to/0"]);
    alice.http.delete(&format!("/v1/messages/{}/content", first.id())).await.expect(204);
    alice.http.post(&place, json!({})).await.expect_problem(404, "not_found");
    app.stop().await;
}
