//! Deliveries of all messages together.

use posthouse_tests::{app::App, sink::Script};

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
