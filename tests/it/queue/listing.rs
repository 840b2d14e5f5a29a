//! Deliveries of all messages together.

use posthouse_tests::{
    app::App,
    sink::{Script, Stage},
};

use super::{REMOTE, each, scheduled};

#[tokio::test]
async fn deliveries_that_wait_and_that_have_ended_are_one_list() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let mallory = app.account("mallory@example.test").await;
    let done = alice.send(&["a@remote.test"], "Now").await.id();
    alice.wait_for_status(&done, "delivered").await;
    let later = scheduled(&app, &alice, &["b@remote.test", "c@other.test"], 1).await;
    scheduled(&app, &mallory, &["d@remote.test"], 1).await;

    let all = alice.http.get("/v1/deliveries").await.expect(200);
    assert_eq!(each(&all, "recipient"), ["c@other.test", "b@remote.test", "a@remote.test"]);
    assert_eq!(each(&all, "message_id"), [&later, &later, &done]);
    assert_eq!(all["data"][2]["attempts"][0]["smtp_code"], 250);
    assert_eq!(alice.http.all("/v1/deliveries?limit=1").await.len(), 3);
    for (filter, expected) in [
        ("status=scheduled&domain=remote.test", "b@remote.test"),
        ("recipient=c@other.test", "c@other.test"),
        ("status=delivered", "a@remote.test"),
        ("domain=OTHER.test", "c@other.test"),
    ] {
        let found = alice.http.get(&format!("/v1/deliveries?{filter}")).await.expect(200);
        assert_eq!(each(&found, "recipient"), [expected], "{filter}");
    }
    let id = all["data"][0]["id"].as_str().unwrap();
    let one = alice.http.get(&format!("/v1/deliveries/{id}")).await.expect(200);
    assert_eq!(one.json, all["data"][0]);
    mallory.http.get(&format!("/v1/deliveries/{id}")).await.expect_problem(404, "not_found");
    let wrong = alice.http.get("/v1/deliveries?status=gone&domain=.").await.expect(422);
    assert_eq!(wrong.pointers(), ["/status", "/domain"]);
    app.stop().await;
}

#[tokio::test]
async fn destinations_tell_what_waits_and_why() {
    let script = Script::new().reply(Stage::Rcpt, "451 4.7.1 Greylisted");
    let app = App::test().sink(REMOTE, script).start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let message = alice.send(&["a@remote.test", "b@remote.test"], "x").await.id();
    let waits = alice.wait_for_status(&message, "deferred").await;
    let later = scheduled(&app, &alice, &["c@other.test"], 1).await;
    super::change(&alice, &later, "hold").await.expect(200);
    scheduled(&app, &bob, &["d@other.test", "e@other.test"], 1).await;
    let found = alice.http.get("/v1/queue/destinations").await.expect(200);
    assert_eq!(each(&found, "domain"), ["remote.test", "other.test"]);
    let (remote, other) = (&found["data"][0], &found["data"][1]);
    assert_eq!([&remote["waiting"], &remote["deferred"], &remote["due"]], [2, 2, 0]);
    assert_eq!(remote["last_error"], "Greylisted");
    let next = waits.iter().map(|one| one["next_attempt_at"].as_str()).min().unwrap();
    assert_eq!(remote["next_attempt_at"].as_str(), next);
    assert_eq!([&other["waiting"], &other["on_hold"]], [1, 1]);
    assert_eq!(other["last_error"], serde_json::Value::Null);
    let all = "/v1/queue/destinations?scope=all&limit=1";
    let all = app.admin().get(all).await.expect(200);
    assert_eq!(each(&all, "waiting"), [&serde_json::json!(3)]);
    let wrong = alice.http.get("/v1/queue/destinations?limit=0").await.expect(422);
    assert_eq!(wrong.pointers(), ["/limit"]);
    app.stop().await;
}
