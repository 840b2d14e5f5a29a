//! Wishes about how a message is sent, and asking what would happen.

use posthouse_tests::{app::App, sink::Script, wait::eventually};
use serde_json::{Value, json};

const REMOTE: &str = "mx.remote.test";

async fn count(app: &App, table: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(app.db()).await.unwrap()
}

fn message(more: Value) -> Value {
    let mut message = json!({"from": "alice@example.test", "to": ["bob@remote.test"],
                             "subject": "Hi", "text": "Hello"});
    let Value::Object(more) = more else { panic!("{more} is no object") };
    message.as_object_mut().unwrap().extend(more);
    message
}

#[tokio::test]
async fn a_dry_run_checks_everything_and_stores_nothing() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let dry = message(json!({"dry_run": true, "save_to_sent": true}));
    let answer = alice.http.post("/v1/messages", dry).await.expect(200);
    assert_eq!((&answer["dry_run"], answer.header("location")), (&json!(true), None));
    alice.http.get(&format!("/v1/messages/{}", answer.id())).await.expect(404);
    let bad = message(json!({"dry_run": true, "subject": "a\nb", "stream": "a b"}));
    let bad = alice.http.post("/v1/messages", bad).await.expect_problem(422, "invalid_input");
    assert_eq!(bad.faults(), [("/stream", "invalid_stream"), ("/subject", "control_character")]);
    let foreign = message(json!({"dry_run": true, "from": "bob@remote.test"}));
    alice.http.post("/v1/messages", foreign).await.expect_problem(403, "sender_not_allowed");
    let raw = alice.http.request(reqwest::Method::POST, "/v1/messages/raw?dry_run=true");
    let raw = raw.body("message/rfc822", "From: alice@example.test\r\nTo: b@c.test\r\n\r\nx\r\n");
    raw.send().await.expect(200);
    for table in ["messages", "queue", "blobs", "events", "idempotency"] {
        assert_eq!(count(&app, table).await, 0, "{table}");
    }
    app.stop().await;
}

#[tokio::test]
async fn validation_shows_the_message_that_would_go_out() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let listed = json!({"address": "bob@remote.test"});
    alice.http.post("/v1/suppressions", listed).await.expect(201);
    let new = message(json!({"cc": "carol@remote.test", "headers": {"X-Ref": "7"},
                             "attachments": [{"filename": "a.txt", "content": "SGVsbG8="}]}));
    let answer = alice.http.post("/v1/messages/validate", new.clone()).await.expect(200);
    assert_eq!(answer["suppressed"], json!(["bob@remote.test"]));
    assert_eq!(answer["submission"]["deliveries"].as_array().unwrap().len(), 2);
    let mime = answer["mime"].as_str().unwrap();
    for part in ["X-Ref: 7\r\n", "Subject: Hi\r\n", "SGVsbG8=", "Received: "] {
        assert!(mime.contains(part), "{part}: {mime}");
    }
    assert_eq!(answer["dkim_signed"], mime.contains("DKIM-Signature:"));
    assert_eq!(count(&app, "messages").await, 0);
    let mut bad = new;
    (bad["to"], bad["tags"]) = (json!("nobody"), json!([""]));
    let bad = alice.http.post("/v1/messages/validate", bad).await;
    let bad = bad.expect_problem(422, "invalid_input");
    assert_eq!(bad.faults(), [("/tags/0", "invalid_tag"), ("/to", "invalid_address")]);
    app.stop().await;
}

#[tokio::test]
async fn a_suppressed_recipient_is_skipped_or_stops_the_message() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let listed = json!({"address": "carol@remote.test", "topic": "bulk"});
    alice.http.post("/v1/suppressions", listed).await.expect(201);
    let new = |stream: &str, wish: &str| {
        message(json!({"cc": ["dave@remote.test"], "bcc": "Carol@remote.test", "stream": stream,
                       "on_suppressed": wish}))
    };
    let refused = alice.http.post("/v1/messages", new("bulk", "refuse")).await;
    let refused = refused.expect_problem(422, "invalid_input");
    assert_eq!(refused.faults(), [("/bcc", "suppressed")]);
    assert_eq!(count(&app, "messages").await, 0);
    // The list is about another stream.
    alice.http.post("/v1/messages", new("news", "refuse")).await.expect(202);
    let skipped = alice.http.post("/v1/messages", new("bulk", "skip")).await.expect(202).id();
    let all = ["delivered", "delivered", "suppressed"];
    eventually("carol is skipped, the others are not", async || {
        let deliveries = alice.deliveries(&skipped).await;
        deliveries.iter().map(|one| &one["status"]).eq(all.iter()).then_some(())
    })
    .await;
    let found = alice.http.get("/v1/messages?stream=bulk").await.expect(200);
    assert_eq!(found["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&found["data"][0]["id"], &found["data"][0]["stream"]),
        (&json!(skipped), &json!("bulk"))
    );
    app.stop().await;
}

#[tokio::test]
async fn tls_can_be_waived_by_field_or_header_but_not_both() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let waived = message(json!({"require_tls": false}));
    let id = alice.http.post("/v1/messages", waived).await.expect(202).id();
    alice.wait_for_status(&id, "delivered").await;
    let raw = alice.http.get(&format!("/v1/messages/{id}/raw")).await.expect(200).text();
    assert!(raw.contains("\r\nTLS-Required: No\r\n"), "{raw}");
    let shown = alice.http.get(&format!("/v1/messages/{id}")).await.expect(200);
    assert_eq!(shown["require_tls"], false);
    let both = message(json!({"require_tls": true, "headers": {"tls-required": "No"}}));
    let both = alice.http.post("/v1/messages", both).await.expect_problem(422, "invalid_input");
    let expected = [("/headers/tls-required", "conflicting_header")];
    assert_eq!(both.faults(), expected);
    app.stop().await;
}
