//! `POST /v1/messages/batch`: each message for itself, all in one transaction.

use posthouse_tests::{app::App, client::Answer, sink::Script};
use reqwest::Method;
use serde_json::{Value, json};

const REMOTE: &str = "mx.remote.test";

fn message(number: usize) -> Value {
    json!({"from": "alice@example.test", "to": [format!("r{number}@remote.test")],
           "subject": format!("Number {number}"), "text": "Hello"})
}

async fn post(app: &posthouse_tests::client::Client, key: &str, messages: &Value) -> Answer {
    let request = app.request(Method::POST, "/v1/messages/batch");
    request.header("Idempotency-Key", key).json(&json!({"messages": messages})).send().await
}

fn statuses(answer: &Answer) -> Vec<u64> {
    let results = answer["data"].as_array().unwrap().iter();
    results.map(|result| result["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn bad_messages_do_not_hurt_the_others() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let mut messages: Vec<Value> = (0..8).map(message).collect();
    messages[1]["subject"] = json!("a\r\nBcc: x@remote.test");
    messages[2]["to"] = json!("nobody");
    messages[3]["from"] = json!("bob@remote.test");
    messages[4]["dry_run"] = json!(true);
    messages[5]["too"] = json!(7);
    messages[6] = json!(7);
    let messages = json!(messages);
    let answer = post(&alice.http, "k", &messages).await.expect(200);
    assert_eq!(statuses(&answer), [202, 422, 422, 403, 200, 422, 422, 202]);
    let pointer = |number: usize| &answer["data"][number]["problem"]["errors"][0]["pointer"];
    assert_eq!([pointer(1), pointer(2), pointer(5)], ["/subject", "/to", "/too"]);
    assert_eq!(answer["data"][3]["problem"]["code"], "sender_not_allowed");
    assert_eq!((&answer["accepted_count"], &answer["refused_count"]), (&json!(3), &json!(5)));
    let ids = [0, 7].map(|number| answer["data"][number]["message"]["id"].as_str().unwrap());
    for id in ids {
        alice.wait_for_status(id, "delivered").await;
    }
    assert_eq!(app.sink(REMOTE).count(), 2);
    // The same again: the same answer, refusals and all, but for the id of the request.
    let again = post(&alice.http, "k", &messages).await.expect(200);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again["data"][0], answer["data"][0]);
    assert_eq!(again["data"][2]["problem"]["errors"], answer["data"][2]["problem"]["errors"]);
    assert_eq!(alice.http.all("/v1/messages").await.len(), 2);
    post(&alice.http, "k", &json!([message(1)]))
        .await
        .expect_problem(422, "idempotency_key_reused");
    app.stop().await;
}

#[tokio::test]
async fn five_hundred_are_one_transaction_and_more_are_refused() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let many: Vec<Value> = (0..501).map(message).collect();
    for wrong in [json!([]), json!(many)] {
        let answer = post(&alice.http, "a", &wrong).await.expect_problem(422, "invalid_input");
        assert_eq!(answer.faults(), [("/messages", "out_of_range")]);
    }
    let answer = post(&alice.http, "a", &json!(many[..500])).await.expect(200);
    assert_eq!(answer["accepted_count"], 500);
    let transactions: i64 = sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM messages")
        .fetch_one(app.db())
        .await
        .unwrap();
    assert_eq!(transactions, 1);
    assert_eq!(alice.http.all("/v1/messages?limit=200").await.len(), 500);
    app.stop().await;
}

#[tokio::test]
async fn a_batch_with_another_shape_is_refused_as_a_whole() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let body = json!({"messages": [message(1)], "message": 1});
    let answer = alice.http.post("/v1/messages/batch", body).await;
    let answer = answer.expect_problem(422, "invalid_input");
    assert_eq!(answer.faults(), [("/message", "unknown_field")]);
    let answer = post(&alice.http, "", &json!(7)).await.expect_problem(422, "invalid_input");
    let expected = [("", "invalid_idempotency_key"), ("/messages", "wrong_type")];
    assert_eq!(answer.faults(), expected);
    assert!(alice.http.all("/v1/messages").await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn suppressions_of_a_batch_are_each_messages_own() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let listed = json!({"address": "r1@remote.test"});
    alice.http.post("/v1/suppressions", listed).await.expect(201);
    let mut messages: Vec<Value> = (0..3).map(message).collect();
    for message in &mut messages {
        message["on_suppressed"] = json!("refuse");
    }
    let answer = post(&alice.http, "k", &json!(messages)).await.expect(200);
    assert_eq!(statuses(&answer), [202, 422, 202]);
    assert_eq!(answer["data"][1]["problem"]["errors"][0]["code"], "suppressed");
    app.stop().await;
}
