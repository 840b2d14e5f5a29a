//! Changing many deliveries at once.

use std::time::Duration;

use posthouse_tests::{
    app::App,
    sink::{Script, Stage},
    wait::eventually,
};
use reqwest::Method;
use serde_json::json;

use super::{REMOTE, change, scheduled};

const BULK: &str = "/v1/queue/bulk";

#[tokio::test]
async fn a_filter_says_what_is_changed() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let mine = scheduled(&app, &alice, &["a@remote.test", "b@other.test"], 1).await;
    let theirs = scheduled(&app, &bob, &["a@remote.test"], 1).await;
    let hold = |dry_run: bool| {
        let filter = json!({"recipient_domain": "remote.test", "sender_domain": "example.test",
                            "status": "scheduled"});
        json!({"filter": filter, "action": "hold", "dry_run": dry_run})
    };
    let dry = alice.http.post(BULK, hold(true)).await.expect(200);
    assert_eq!(dry.json, json!({"matched": 1, "dry_run": true}));
    assert_eq!(alice.statuses(&mine).await, ["scheduled", "scheduled"]);
    let post = || {
        let request = alice.http.request(Method::POST, BULK).header("Idempotency-Key", "7");
        request.json(&hold(false)).send()
    };
    assert_eq!(post().await.expect(200)["matched"], 1);
    let again = post().await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again["matched"], 1);
    eventually("it is held", async || {
        (alice.statuses(&mine).await == ["on_hold", "scheduled"]).then_some(())
    })
    .await;
    assert_eq!(bob.statuses(&theirs).await, ["scheduled"]);
    assert_eq!(alice.http.post(BULK, hold(false)).await.expect(200)["matched"], 0);

    let all = json!({"filter": {"scope": "all"}, "action": "cancel"});
    alice.http.post(BULK, all.clone()).await.expect_problem(403, "forbidden");
    assert_eq!(app.admin().post(BULK, all).await.expect(200)["matched"], 3);
    alice.wait_for_status(&mine, "canceled").await;
    bob.wait_for_status(&theirs, "canceled").await;
    let wrong = json!({"filter": {"scope": "x", "status": "failed", "sender": "no"},
                       "action": "drop"});
    let wrong = alice.http.post(BULK, wrong).await.expect(422);
    let expected = ["/filter/scope", "/filter/status", "/filter/sender", "/action"];
    assert_eq!(wrong.pointers(), expected);
    app.stop().await;
}

#[tokio::test]
async fn each_action_does_to_many_what_it_does_to_one() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let goes = scheduled(&app, &alice, &["a@remote.test"], 1).await;
    let actions = [("hold", "on_hold"), ("release", "scheduled"), ("retry_now", "delivered")];
    for (action, status) in actions {
        let body = json!({"filter": {}, "action": action});
        assert_eq!(alice.http.post(BULK, body).await.expect(200)["matched"], 1, "{action}");
        alice.wait_for_status(&goes, status).await;
    }
    let fails = scheduled(&app, &alice, &["b@remote.test"], 1).await;
    let body = json!({"filter": {}, "action": "fail"});
    assert_eq!(alice.http.post(BULK, body).await.expect(200)["matched"], 1);
    alice.wait_for_status(&fails, "failed").await;
    assert_eq!(app.sink(REMOTE).count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn many_are_put_off_whatever_was_attempted() {
    let script = Script::new().reply(Stage::Rcpt, "451 4.7.1 Greylisted");
    let app = App::test().sink(REMOTE, script).start().await;
    let alice = app.account("alice@example.test").await;
    let tried = alice.send(&["a@remote.test"], "x").await.id();
    alice.wait_for_status(&tried, "deferred").await;
    let waits = scheduled(&app, &alice, &["a@remote.test"], 1).await;
    let held = scheduled(&app, &alice, &["a@remote.test"], 1).await;
    change(&alice, &held, "hold").await.expect(200);
    let end = posthouse_core::time::rfc3339(app.now() + Duration::from_hours(2));
    let ends = json!({"to": ["a@remote.test"], "subject": "x", "text": "x", "expires_at": end,
                      "scheduled_at": posthouse_core::time::rfc3339(app.now() + Duration::from_hours(1))});
    let ends = alice.post_message(ends).await.expect(202).id();
    let at = posthouse_core::time::rfc3339(app.now() + Duration::from_hours(3));
    let body = |at: &str| json!({"filter": {}, "action": "schedule", "scheduled_at": at});
    assert_eq!(alice.http.post(BULK, body(&at)).await.expect(200)["matched"], 3);
    for (message, status) in [(&tried, "deferred"), (&waits, "scheduled"), (&held, "on_hold")] {
        eventually("it is put off", async || {
            let found = alice.deliveries(message).await.remove(0);
            (found["next_attempt_at"] == *at && found["status"] == status).then_some(())
        })
        .await;
    }
    assert_ne!(alice.deliveries(&ends).await[0]["next_attempt_at"], *at, "it would be too late");
    app.start_sink(REMOTE, Script::new()).await;
    app.advance(Duration::from_mins(61));
    alice.wait_for_status(&ends, "delivered").await;
    assert_eq!(alice.statuses(&tried).await, ["deferred"], "its own time has not come");
    app.advance(Duration::from_mins(121));
    alice.wait_for_status(&tried, "delivered").await;
    alice.wait_for_status(&waits, "delivered").await;

    let past = body("2020-01-01T00:00:00Z");
    assert_eq!(alice.http.post(BULK, past).await.expect(422).pointers(), ["/scheduled_at"]);
    for (action, at) in [("schedule", json!(null)), ("hold", json!(at))] {
        let wrong = json!({"filter": {}, "action": action, "scheduled_at": at});
        assert_eq!(alice.http.post(BULK, wrong).await.expect(422).pointers(), ["/scheduled_at"]);
    }
    app.stop().await;
}

#[tokio::test]
async fn thousands_are_changed_in_steps() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let to: Vec<String> = (0..1000).map(|number| format!("a{number}@remote.test")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    for _ in 0..5 {
        scheduled(&app, &alice, &to, 1).await;
    }
    let cancel = json!({"filter": {}, "action": "cancel"});
    assert_eq!(alice.http.post(BULK, cancel).await.expect(200)["matched"], 5000);
    eventually("all are canceled", async || {
        let left = sqlx::query("SELECT 1 FROM queue UNION ALL SELECT 1 FROM queue_wishes");
        left.fetch_all(app.db()).await.unwrap().is_empty().then_some(())
    })
    .await;
    let ended = "SELECT 1 FROM deliveries WHERE status = 'canceled'";
    assert_eq!(sqlx::query(ended).fetch_all(app.db()).await.unwrap().len(), 5000);
    let told = "SELECT 1 FROM events WHERE type = 'delivery.canceled'";
    assert_eq!(sqlx::query(told).fetch_all(app.db()).await.unwrap().len(), 5000);
    app.stop().await;
}
