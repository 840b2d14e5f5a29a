//! Lanes: how fast destinations are used, and what becomes of mail for those that do not answer.

use std::time::{Duration, Instant};

use posthouse_tests::{app::App, dns::zone, person::Person, sink::Script};
use serde_json::{Value, json};

const REMOTE: &str = "mx.remote.test";
const RULES: &str = "/v1/queue/lane-rules";

/// The delivery of a new message after its first attempt.
async fn attempt(alice: &Person, to: &str) -> Value {
    let message = alice.send(&[to], "x").await.id();
    alice.wait_for_attempts(&message, 1).await
}

fn reply(delivery: &Value, attempt: usize) -> &str {
    delivery["attempts"][attempt]["reply"].as_str().unwrap()
}

#[tokio::test]
async fn a_dead_destination_rests_and_then_mail_for_it_is_put_off_until_somebody_asks() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    app.add_host(REMOTE);
    let first = attempt(&alice, "bob@remote.test").await;
    assert!(reply(&first, 0).contains("failed at the connection"), "{first}");
    // Another domain with the same exchanger waits for the rest to end, but not one with another.
    app.dns().set(zone("other.test").mx(10, &format!("{REMOTE}.")));
    app.start_sink("mx.third.test", Script::new()).await;
    let waits = alice.send(&["bob@other.test"], "x").await.id();
    assert_eq!(attempt(&alice, "bob@third.test").await["status"], "delivered");
    assert_eq!(alice.statuses(&waits).await, ["queued"]);
    app.advance(Duration::from_millis(5100));
    let second = alice.wait_for_attempts(&waits, 1).await;
    assert!(reply(&second, 0).contains("failed at the connection"), "{second}");
    app.advance(Duration::from_millis(10_100));
    attempt(&alice, "bob@remote.test").await;
    let fourth = attempt(&alice, "bob@other.test").await;
    assert!(reply(&fourth, 0).starts_with("not tried, and not for another 20 s: mx.remote.test"));
    assert_eq!(fourth["attempts"][0]["enhanced_code"], "4.4.1");
    assert_eq!(fourth["attempts"][0]["smtp_code"], Value::Null);

    app.start_sink(REMOTE, Script::new()).await;
    let message = fourth["message_id"].as_str().unwrap();
    alice.http.post(&format!("/v1/messages/{message}/retry"), json!({})).await.expect(200);
    alice.wait_for_status(message, "delivered").await;
    assert_eq!(attempt(&alice, "bob@remote.test").await["status"], "delivered", "it lives");
    app.stop().await;
}

#[tokio::test]
async fn somebody_who_asks_does_not_wait_for_the_rest_to_end() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    app.add_host(REMOTE);
    attempt(&alice, "bob@remote.test").await;
    let waits = alice.send(&["bob@remote.test"], "x").await.id();
    app.start_sink(REMOTE, Script::new()).await;
    alice.http.post(&format!("/v1/messages/{waits}/retry"), json!({})).await.expect(200);
    alice.wait_for_status(&waits, "delivered").await;
    app.stop().await;
}

#[tokio::test]
async fn the_last_attempt_is_always_made() {
    let app = App::test().retry_schedule(&[Duration::from_secs(1); 5]).start().await;
    let alice = app.account("alice@example.test").await;
    app.add_host(REMOTE);
    let message = alice.send(&["bob@remote.test"], "x").await.id();
    alice.wait_for_attempts(&message, 1).await;
    for (attempts, wait) in [(2, 5100), (3, 10_100), (4, 1100), (5, 1100), (6, 1100)] {
        app.advance(Duration::from_millis(wait));
        alice.wait_for_attempts(&message, attempts).await;
    }
    let delivery = alice.deliveries(&message).await.remove(0);
    assert_eq!(delivery["status"], "failed");
    for (attempt, is_tried) in [true, true, true, false, false, true].into_iter().enumerate() {
        assert_eq!(
            reply(&delivery, attempt).starts_with(REMOTE),
            is_tried,
            "{attempt}: {delivery}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn rules_hold_for_all_domains_behind_the_exchangers_that_they_name() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    app.dns().set(zone("other.test").mx(10, &format!("{REMOTE}.")));
    let domains = ["remote.test", "other.test"];
    let six = async || {
        for number in 0..6 {
            let to = format!("bob@{}", domains[number % 2]);
            assert_eq!(attempt(&alice, &to).await["status"], "delivered");
        }
    };
    six().await;
    assert_eq!(app.sink(REMOTE).connections(), 1, "one is used again and again");
    let preview = "/v1/queue/preview?recipient=bob@other.test";
    assert_eq!(alice.http.get(preview).await.expect(200)["lane_rule"], Value::Null);

    let rule = json!({"name": "slow", "mx": ["*.REMOTE.test"], "connections": 1,
                      "messages_per_second": 5, "messages_per_connection": 2});
    let set = app.admin().put(RULES, json!({"rules": [rule]})).await.expect(200);
    assert_eq!(
        (&set["is_default"], &set["rules"][0]["mx"][0]),
        (&json!(false), &json!("*.remote.test"))
    );
    assert_eq!(alice.http.get(preview).await.expect(200)["lane_rule"], "slow");
    let started = Instant::now();
    six().await;
    // The one of before has had six, so it ends with the first.
    assert_eq!(app.sink(REMOTE).connections(), 1 + 3);
    assert!(started.elapsed() > Duration::from_millis(950), "{:?}", started.elapsed());
    app.stop().await;
}

#[tokio::test]
async fn rules_are_for_administrators_and_checked() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    alice.http.get(RULES).await.expect_problem(403, "forbidden");
    alice.http.put(RULES, json!({"rules": []})).await.expect_problem(403, "forbidden");
    let defaults = app.admin().get(RULES).await.expect(200);
    assert_eq!(defaults["is_default"], true);
    assert!(defaults["rules"].as_array().unwrap().iter().any(|rule| rule["name"] == "google"));
    let wrong = json!({"rules": [
        {"name": "a b", "mx": []},
        {"name": "x", "mx": ["*", "*.x.*", "x.test"], "connections": 0},
        {"name": "X", "mx": ["x.test"], "messages_per_second": 10_001, "messages_per_connection": 0},
    ]});
    let refused = app.admin().put(RULES, wrong).await.expect(422);
    let at = |number: usize, field: &str| format!("/rules/{number}/{field}");
    let expected = [
        at(0, "name"),
        at(0, "mx"),
        at(1, "mx/0"),
        at(1, "mx/1"),
        at(1, "connections"),
        at(2, "name"),
        at(2, "messages_per_second"),
        at(2, "messages_per_connection"),
    ];
    assert_eq!(refused.pointers(), expected);
    app.admin().put(RULES, json!({"rules": []})).await.expect(200);
    assert_eq!(app.admin().get(RULES).await.expect(200)["rules"], json!([]));
    let reset = app.admin().delete(RULES).await.expect(200);
    assert_eq!(reset["rules"], defaults["rules"]);
    let log = app.admin().get("/v1/audit-log?limit=2").await.expect(200);
    let actions: Vec<_> = (0..2).map(|at| log["data"][at]["action"].clone()).collect();
    assert_eq!(actions, ["reset_lane_rules", "set_lane_rules"]);
    app.stop().await;
}
