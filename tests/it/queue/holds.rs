//! Rules that hold deliveries, and pauses.

use std::time::Duration;

use posthouse_tests::{app::App, sink::Script, wait::eventually};
use serde_json::{Value, json};

use super::{REMOTE, change, each, scheduled};

const HOLDS: &str = "/v1/queue/holds";

#[tokio::test]
async fn a_rule_holds_what_waits_and_what_comes() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let waits = scheduled(&app, &alice, &["bob@remote.test", "bob@other.test"], 1).await;
    let rule = json!({"recipient_domain": "REMOTE.test", "sender": "Alice@example.test",
                      "reason": "they move"});
    let rule = alice.http.post(HOLDS, rule).await.expect(201);
    assert_eq!(rule["recipient_domain"], "remote.test");
    eventually("what waits is held", async || {
        (alice.statuses(&waits).await == ["on_hold", "scheduled"]).then_some(())
    })
    .await;
    let new = alice.send(&["BOB@remote.test"], "x").await.id();
    assert_eq!(alice.statuses(&new).await, ["on_hold"]);
    let events = alice.events_of(&new).await;
    assert_eq!(alice.event_types_of(&new).await, ["message.accepted", "delivery.held"]);
    let reason = events[1]["data"]["reply"].as_str().unwrap();
    assert!(reason.contains(&rule.id()) && reason.ends_with(": they move"), "{reason}");
    // Everything that is given must match.
    let other = json!({"mail_from": "", "to": ["bob@remote.test"], "subject": "x", "text": "x"});
    let other = alice.post_message(other).await.expect(202).id();
    alice.wait_for_status(&other, "delivered").await;

    alice.http.delete(&format!("{HOLDS}/{}", rule.id())).await.expect(204);
    assert_eq!(alice.statuses(&new).await, ["on_hold"], "it stays");
    let free = alice.send(&["bob@remote.test"], "x").await.id();
    alice.wait_for_status(&free, "delivered").await;
    change(&alice, &new, "release").await.expect(200);
    alice.wait_for_status(&new, "delivered").await;
    app.stop().await;
}

#[tokio::test]
async fn rules_end_and_belong_to_their_account() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let mallory = app.account("mallory@example.test").await;
    let end = posthouse_core::time::rfc3339(app.now() + Duration::from_mins(10));
    let rule = alice.http.post(HOLDS, json!({"expires_at": end})).await.expect(201);
    let place = format!("{HOLDS}/{}", rule.id());
    assert_eq!(alice.http.get(&place).await.expect(200).json, rule.json);
    mallory.http.get(&place).await.expect_problem(404, "not_found");
    mallory.http.delete(&place).await.expect_problem(404, "not_found");
    let free = mallory.send(&["bob@remote.test"], "x").await.id();
    mallory.wait_for_status(&free, "delivered").await;
    let held = alice.send(&["bob@remote.test"], "x").await.id();
    assert_eq!(alice.statuses(&held).await, ["on_hold"]);
    app.advance(Duration::from_mins(11));
    let free = alice.send(&["bob@remote.test"], "x").await.id();
    alice.wait_for_status(&free, "delivered").await;

    let all = json!({"scope": "all", "sender_domain": "example.test"});
    alice.http.post(HOLDS, all.clone()).await.expect_problem(403, "forbidden");
    app.admin().post(HOLDS, all).await.expect(201);
    let held = mallory.send(&["bob@remote.test"], "x").await.id();
    assert_eq!(mallory.statuses(&held).await, ["on_hold"]);
    assert_eq!(app.admin().all(&format!("{HOLDS}?scope=all&limit=1")).await.len(), 2);
    assert_eq!(alice.http.all(HOLDS).await.len(), 1);
    let wrong = json!({"scope": "x", "sender": "no", "recipient_domain": ".",
                       "reason": "\n", "expires_at": "2020-01-01T00:00:00Z"});
    let wrong = alice.http.post(HOLDS, wrong).await.expect(422);
    let expected = ["/sender", "/recipient_domain", "/scope", "/reason", "/expires_at"];
    assert_eq!(wrong.pointers(), expected);
    app.stop().await;
}

#[tokio::test]
async fn a_rule_gets_another_end_and_one_that_had_ended_holds_again() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let mallory = app.account("mallory@example.test").await;
    let end = |minutes| posthouse_core::time::rfc3339(app.now() + Duration::from_mins(minutes));
    let rule = json!({"recipient_domain": "remote.test", "expires_at": end(10)});
    let rule = alice.http.post(HOLDS, rule).await.expect(201);
    let place = format!("{HOLDS}/{}", rule.id());
    let change = |tag: String, patch: Value| {
        let request = alice.http.request(reqwest::Method::PATCH, &place).header("If-Match", &tag);
        request.json(&patch).send()
    };
    let first = alice.http.get(&place).await.expect(200).header("etag").unwrap().to_owned();
    let renamed = change(first.clone(), json!({"reason": "they move"})).await.expect(200);
    assert_eq!(
        (&renamed["reason"], &renamed["expires_at"]),
        (&json!("they move"), &rule["expires_at"])
    );
    change(first.clone(), json!({"reason": "x"})).await.expect_problem(412, "precondition_failed");
    let request = alice.http.request(reqwest::Method::DELETE, &place).header("If-Match", &first);
    request.send().await.expect_problem(412, "precondition_failed");
    mallory.http.patch(&place, json!({"reason": "x"})).await.expect_problem(404, "not_found");

    app.advance(Duration::from_mins(11));
    let waits = scheduled(&app, &alice, &["bob@remote.test"], 1).await;
    assert_eq!(alice.statuses(&waits).await, ["scheduled"]);
    let again = alice.http.patch(&place, json!({"expires_at": end(10)})).await.expect(200);
    assert_ne!(again["expires_at"], rule["expires_at"]);
    alice.wait_for_status(&waits, "on_hold").await;
    let new = alice.send(&["bob@remote.test"], "x").await.id();
    assert_eq!(alice.statuses(&new).await, ["on_hold"]);
    // A change that does not bring it back touches nothing that waits.
    super::change(&alice, &waits, "release").await.expect(200);
    let for_ever = alice.http.patch(&place, json!({"expires_at": null})).await.expect(200);
    assert_eq!(for_ever["expires_at"], Value::Null);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(alice.statuses(&waits).await, ["scheduled"]);
    let wrong = json!({"expires_at": "2020-01-01T00:00:00Z", "reason": "\n", "sender": "x"});
    let wrong = alice.http.patch(&place, wrong).await.expect(422);
    let expected = [
        ("/expires_at", "in_the_past"),
        ("/reason", "invalid_reason"),
        ("/sender", "unknown_field"),
    ];
    assert_eq!(wrong.faults(), expected);
    app.stop().await;
}

#[tokio::test]
async fn who_is_paused_sends_nothing_until_it_is_resumed() {
    let mut app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let paused = alice.http.post("/v1/queue/pause", json!({})).await.expect(200);
    assert_eq!(paused.json, json!({"paused": true, "all_paused": false}));
    let waits = alice.send(&["x@remote.test"], "x").await.id();
    let free = bob.send(&["x@remote.test"], "x").await.id();
    bob.wait_for_status(&free, "delivered").await;
    app.restart().await;
    let free = bob.send(&["x@remote.test"], "x").await.id();
    bob.wait_for_status(&free, "delivered").await;
    assert_eq!(alice.statuses(&waits).await, ["queued"]);
    assert_eq!(alice.http.get("/v1/queue").await.expect(200)["paused"], true);
    let held = change(&alice, &waits, "hold").await.expect(200);
    assert_eq!(each(&held, "pending_action"), [&Value::Null], "it can be changed");
    change(&alice, &waits, "release").await.expect(200);
    alice.http.post("/v1/queue/resume", json!({})).await.expect(200);
    alice.wait_for_status(&waits, "delivered").await;

    let all = "/v1/queue/pause?scope=all";
    alice.http.post(all, json!({})).await.expect_problem(403, "forbidden");
    app.admin().post(all, json!({})).await.expect(200);
    let waits = bob.send(&["x@remote.test"], "x").await.id();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(bob.statuses(&waits).await, ["queued"]);
    app.admin().post("/v1/queue/resume?scope=all", json!({})).await.expect(200);
    bob.wait_for_status(&waits, "delivered").await;
    assert_eq!(app.sink(REMOTE).count(), 4);
    app.stop().await;
}
