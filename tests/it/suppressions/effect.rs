//! What entries do to mail, also to mail that waits, on every node.

use std::time::Duration;

use posthouse_tests::{
    app::App,
    sink::{Script, Stage},
    wait::eventually,
};
use serde_json::json;

use super::{events, suppress};

const REMOTE: &str = "mx.remote.test";

#[tokio::test]
async fn an_entry_stops_mail_and_its_deletion_lets_it_go() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let id = suppress(&alice, "bob@remote.test").await;
    let message = alice.send(&["BOB@remote.test"], "No").await.id();
    alice.wait_for_status(&message, "suppressed").await;
    alice.http.delete(&format!("/v1/suppressions/{id}")).await.expect(204);
    let message = alice.send(&["bob@remote.test"], "Yes").await.id();
    alice.wait_for_status(&message, "delivered").await;
    assert_eq!(app.sink(REMOTE).count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn an_expired_entry_does_not_suppress_and_can_be_made_anew() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let end = (app.now() + Duration::from_mins(1))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let new = json!({"address": "bob@remote.test", "expires_at": end});
    let first = alice.http.post("/v1/suppressions", new).await.expect(201).id();
    let message = alice.send(&["bob@remote.test"], "No").await.id();
    alice.wait_for_status(&message, "suppressed").await;
    app.advance(Duration::from_secs(61));
    let check = json!({"addresses": ["bob@remote.test"]});
    let checked = alice.http.post("/v1/suppressions/check", check).await.expect(200);
    assert_eq!(checked["data"][0]["suppressed"], false);
    let message = alice.send(&["bob@remote.test"], "Yes").await.id();
    alice.wait_for_status(&message, "delivered").await;
    assert_ne!(suppress(&alice, "bob@remote.test").await, first);
    let message = alice.send(&["bob@remote.test"], "No").await.id();
    alice.wait_for_status(&message, "suppressed").await;
    assert_eq!(events(&alice, "suppression.created").await.len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn a_message_that_was_scheduled_before_is_stopped_and_let_go() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let listed = suppress(&alice, "carol@remote.test").await;
    let at = (app.now() + Duration::from_mins(10))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let schedule = async |to: &str| {
        let message = json!({"to": to, "subject": "x", "text": "x", "scheduled_at": at});
        alice.post_message(message).await.expect(202).id()
    };
    let (bob, carol) = (schedule("bob@remote.test").await, schedule("carol@remote.test").await);
    suppress(&alice, "bob@remote.test").await;
    alice.http.delete(&format!("/v1/suppressions/{listed}")).await.expect(204);
    app.advance(Duration::from_mins(11));
    alice.wait_for_status(&bob, "suppressed").await;
    alice.wait_for_status(&carol, "delivered").await;
    app.stop().await;
}

/// The slots of a lane are taken by servers that hang: what stands behind them is asked about again
/// when its turn comes.
#[tokio::test]
async fn an_entry_made_by_another_node_stops_what_waits_for_its_turn() {
    let script = Script::new().slow(Duration::from_millis(400));
    let app = App::test()
        .sink(REMOTE, script)
        .configure(|config| config.connections_per_destination = 1)
        .start()
        .await;
    let alice = app.account("alice@example.test").await;
    let node = app.node("second").await;
    let there = node.as_person(&alice);
    let first = alice.send(&["first@remote.test"], "First").await.id();
    eventually("the first is being delivered", async || {
        (app.sink(REMOTE).connections() > 0).then_some(())
    })
    .await;
    let behind = alice.send(&["behind@remote.test"], "Behind").await.id();
    suppress(&there, "behind@remote.test").await;
    alice.wait_for_status(&first, "delivered").await;
    alice.wait_for_status(&behind, "suppressed").await;
    assert_eq!(app.sink(REMOTE).count(), 1);
    node.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn an_entry_for_a_topic_stops_messages_of_the_topic_only() {
    let mut app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let new = json!({"address": "bob@remote.test", "topic": "news"});
    alice.http.post("/v1/suppressions", new).await.expect(201);
    let send = async |topic: Option<&str>| {
        let unsubscribe = topic.map(|topic| json!({"topic": topic}));
        let message = json!({"to": "bob@remote.test", "subject": "x", "text": "x",
                             "unsubscribe": unsubscribe});
        alice.post_message(message).await.expect(202).id()
    };
    for (topic, status) in
        [(Some("news"), "suppressed"), (Some("other"), "delivered"), (None, "delivered")]
    {
        let message = send(topic).await;
        alice.wait_for_status(&message, status).await;
    }
    // Also when the queue is read from the database.
    let at = (app.now() + Duration::from_mins(10))
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap();
    let message = json!({"to": "bob@remote.test", "subject": "x", "text": "x", "scheduled_at": at,
                         "unsubscribe": {"topic": "news"}});
    let later = alice.post_message(message).await.expect(202).id();
    app.restart().await;
    app.advance(Duration::from_mins(11));
    alice.wait_for_status(&later, "suppressed").await;
    app.stop().await;
}

#[tokio::test]
async fn a_recipient_that_is_taken_off_the_list_is_not_back_after_one_more_failure() {
    let script = Script::new().reply(Stage::EndOfData, "554 5.6.0 I do not like this message");
    let app = App::test().sink(REMOTE, script).start().await;
    let alice = app.account("alice@example.test").await;
    let fail = async || {
        let message = alice.send(&["bob@remote.test"], "x").await.id();
        alice.wait_for_status(&message, "failed").await;
    };
    for _ in 0..3 {
        fail().await;
    }
    alice.wait_for_event("suppression.created").await;
    let entry = alice.http.all("/v1/suppressions").await.remove(0);
    assert_eq!(entry["reason"], "bounce");
    assert!(entry["detail"].as_str().unwrap().contains("I do not like"), "{entry}");
    assert!(entry["delivery_id"].as_str().unwrap().starts_with("dlv_"), "{entry}");
    let path = format!("/v1/suppressions/{}", entry["id"].as_str().unwrap());
    alice.http.delete(&path).await.expect(204);
    fail().await;
    assert_eq!(events(&alice, "suppression.created").await.len(), 1);
    app.stop().await;
}
