//! Domains, tags, and not every repeated `delivery.deferred`.

use std::time::Duration;

use posthouse_tests::{
    app::App,
    receiver::{Received, Receiver},
    sink::{Script, Stage},
};
use serde_json::{Value, json};

fn subjects(receiver: &Receiver) -> Vec<String> {
    let subject = |one: &Received| one.event()["data"]["subject"].as_str().unwrap().to_owned();
    let mut subjects: Vec<String> = receiver.received().iter().map(subject).collect();
    subjects.sort_unstable();
    subjects
}

#[tokio::test]
async fn only_wanted_tags_and_domains_come() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let (tagged, ours, theirs) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let make = async |receiver: &Receiver, field: &str, value: Value| {
        let mut new = json!({"url": receiver.url(), "event_types": ["message.*", "delivery.*"]});
        new[field] = value;
        alice.http.post("/v1/webhooks", new).await.expect(201)
    };
    make(&tagged, "tags", json!(["welcome", "bill"])).await;
    let webhook = make(&ours, "domains", json!(["EXAMPLE.test"])).await;
    assert_eq!(webhook["domains"], json!(["example.test"]));
    let other = make(&theirs, "domains", json!(["other.test"])).await;
    for (subject, tags) in [("a", json!(["welcome", "x"])), ("b", json!(["x"])), ("c", json!([]))] {
        let message = json!({"to": "bob@remote.test", "subject": subject, "text": "Hello.\n",
            "tags": tags});
        alice.post_message(message).await.expect(202);
    }
    ours.wait_for(6).await;
    tagged.wait_for(2).await;
    assert_eq!(subjects(&ours), ["a", "a", "b", "b", "c", "c"]);
    assert_eq!(subjects(&tagged), ["a", "a"]);
    assert_eq!(theirs.received().len(), 0);

    let path = format!("/v1/webhooks/{}", other.id());
    let changed = alice.http.patch(&path, json!({"domains": []})).await.expect(200);
    assert_eq!(changed["domains"], json!([]));
    alice.send(&["bob@remote.test"], "d").await;
    theirs.wait_for(2).await;
    assert_eq!(subjects(&theirs), ["d", "d"]);
    let wrong = json!({"domains": ["a b"], "tags": ["\n"], "deferred_interval_seconds": -1});
    let refused = alice.http.patch(&path, wrong).await.expect_problem(422, "invalid_input");
    let pointers = ["/domains/0", "/tags/0", "/deferred_interval_seconds"];
    assert_eq!(refused.pointers(), pointers);
    app.stop().await;
}

#[tokio::test]
async fn repeated_deferrals_are_told_each_second_hour() {
    const FIFTY_MINUTES: Duration = Duration::from_mins(50);
    let script = Script::new().reply(Stage::Mail, "451 4.3.0 Busy");
    let app = App::test().sink("mx.remote.test", script).retry_schedule(&[FIFTY_MINUTES; 8]);
    let app = app.start().await;
    let alice = app.account("alice@example.test").await;
    let (usual, all) = (Receiver::start().await, Receiver::start().await);
    let made = alice.webhook(&usual, &["delivery.deferred"]).await;
    assert_eq!(made["deferred_interval_seconds"], 7200);
    let new = json!({"url": all.url(), "event_types": ["delivery.deferred"],
        "deferred_interval_seconds": 0});
    alice.http.post("/v1/webhooks", new).await.expect(201);
    let message = alice.send(&["bob@remote.test"], "Busy").await.id();
    for attempt in 1..=6 {
        alice.wait_for_attempts(&message, attempt).await;
        all.wait_for(attempt).await;
        app.advance(FIFTY_MINUTES + Duration::from_secs(70));
    }
    let attempts = |receiver: &Receiver| {
        let attempt = |one: &Received| one.event()["data"]["attempt"].as_i64().unwrap();
        receiver.received().iter().map(attempt).collect::<Vec<_>>()
    };
    // At 0, 51, 102, 153, 204 and 255 minutes.
    assert_eq!(attempts(&all)[..6], [1, 2, 3, 4, 5, 6]);
    usual.wait_for(3).await;
    assert_eq!(attempts(&usual)[..3], [1, 4, 6]);
    app.stop().await;
}
