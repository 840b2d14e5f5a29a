//! Changing many deliveries at once.

use posthouse_tests::{app::App, sink::Script, wait::eventually};
use reqwest::Method;
use serde_json::json;

use super::{REMOTE, scheduled};

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
