//! Files that are uploaded once and attached by their id.

use std::{path::Path, time::Duration};

use posthouse_tests::{
    app::App,
    client::{Answer, Client},
};
use reqwest::Method;
use serde_json::{Value, json};

const KIB: usize = 1024;
const DAY: Duration = Duration::from_hours(24);

/// Octets that do not compress, so that large ones are objects of the blob store.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let mut octet = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| octet()).collect()
}

async fn upload(http: &Client, query: &str, kind: &str, content: &[u8]) -> Answer {
    let request = http.request(Method::POST, &format!("/v1/uploads{query}"));
    request.body(kind, content.to_vec()).send().await
}

fn message(attachments: &Value) -> Value {
    json!({"from": "alice@example.test", "to": "bob@remote.test", "subject": "Files", "text": "x",
           "attachments": attachments})
}

/// Name, type and octets of the files of a message.
async fn files(http: &Client, message: &str) -> Vec<(Value, Value, Vec<u8>)> {
    let path = format!("/v1/messages/{message}/attachments");
    let mut files = Vec::new();
    for file in http.all(&path).await {
        let octets = http.get(&format!("{path}/{}", file["path"].as_str().unwrap())).await;
        let octets = octets.expect(200).bytes.to_vec();
        files.push((file["filename"].clone(), file["content_type"].clone(), octets));
    }
    files
}

fn objects(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { objects(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn an_upload_is_attached_as_often_as_one_likes() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let large = noise(400 * KIB, 1);
    let made = upload(&alice.http, "?filename=gr%C3%BC%C3%9Fe.bin", "image/x-own; a=b", &large);
    let made = made.await.expect(201);
    let path = format!("/v1/uploads/{}", made.id());
    assert_eq!(made.header("location"), Some(path.as_str()));
    assert_eq!(made["size_bytes"], large.len());
    assert_eq!(alice.http.get(&path).await.expect(200).json, made.json);
    let small = upload(&alice.http, "?filename=a.txt", "application/octet-stream", b"Hello").await;
    let small = small.expect(201);
    assert_eq!(small["content_type"], "text/plain");
    let hash = "185f8db32271fe25f561a6fc938b2e264306ec304eda518007d1764826381969";
    assert_eq!(small["sha256"], hash);

    let both = json!([
        {"upload_id": made.id()}, {"filename": "b.txt", "content": "Yg=="},
        {"upload_id": small.id(), "filename": "c.md", "content_type": "text/x-own"},
    ]);
    let expected = [
        (json!("grüße.bin"), json!("image/x-own"), large.clone()),
        (json!("b.txt"), json!("text/plain"), b"b".to_vec()),
        (json!("c.md"), json!("text/x-own"), b"Hello".to_vec()),
    ];
    let sent = alice.http.post("/v1/messages", message(&both)).await.expect(202);
    assert_eq!(files(&alice.http, &sent.id()).await, expected);
    let batch = json!({"messages": [message(&both), message(&both)]});
    let batch = alice.http.post("/v1/messages/batch", batch).await.expect(200);
    for result in batch["data"].as_array().unwrap() {
        let id = result["message"]["id"].as_str().unwrap();
        assert_eq!(files(&alice.http, id).await, expected);
    }
    let shown = alice.http.post("/v1/messages/validate", message(&both)).await.expect(200);
    assert!(shown["mime"].as_str().unwrap().contains("SGVsbG8="), "c.md");
    app.stop().await;
}

#[tokio::test]
async fn answers_and_forms_of_the_body_take_uploads_too() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let made = upload(&alice.http, "?filename=a.ics", "text/calendar", b"BEGIN").await.expect(201);
    let one = json!([{"upload_id": made.id()}]);
    let mut first = message(&json!([{"filename": "b.txt", "content": "Yg=="}]));
    (first["to"], first["alternatives"]) = (json!("alice@example.test"), one.clone());
    alice.http.post("/v1/messages", first).await.expect(202);
    let mail = alice.wait_for_mail("Files").await;
    let mail = format!("/v1/mail/{}", mail["id"].as_str().unwrap());
    assert!(alice.http.get(&format!("{mail}/raw")).await.text().contains("QkVHSU4="));
    let forward = json!({"to": "bob@remote.test", "attachments": one});
    let forward = alice.http.post(&format!("{mail}/forward"), forward).await.expect(202);
    let names: Vec<_> =
        files(&alice.http, &forward.id()).await.into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names.last(), Some(&json!("a.ics")), "{names:?}");
    assert!(names.contains(&json!("b.txt")), "{names:?}");
    let gone = json!([{"content": ""}, {"upload_id": "upl_01k6h3v9x8e7ktq2w5m4n1r000"}]);
    let reply = json!({"text": "x", "attachments": gone});
    let refused = alice.http.post(&format!("{mail}/reply"), reply).await;
    let refused = refused.expect_problem(422, "invalid_input");
    assert_eq!(refused.faults(), [("/attachments/1/upload_id", "unknown_upload")]);
    app.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_uploads_is_told_all_at_once() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let made = upload(&alice.http, "", "text/plain", b"").await.expect(201);
    assert_eq!(made["filename"], Value::Null);
    let bad = json!([
        {"upload_id": made.id(), "content": "AA=="}, {"filename": "a"},
        {"upload_id": "msg_01k6h3v9x8e7ktq2w5m4n1r000"}, {"upload_id": 7},
    ]);
    let refused = alice.http.post("/v1/messages", message(&bad)).await;
    let refused = refused.expect_problem(422, "invalid_input");
    let mut faults = refused.faults();
    faults.sort_unstable();
    let expected = [
        ("/attachments/0/upload_id", "conflicting_field"),
        ("/attachments/1/content", "missing_field"),
        ("/attachments/2/upload_id", "invalid_value"),
        ("/attachments/3/upload_id", "wrong_type"),
    ];
    assert_eq!(faults, expected);
    let evil = upload(&alice.http, "?filename=a%0D%0Ab&x=1", "multipart/mixed", b"x").await;
    let evil = evil.expect_problem(422, "invalid_input");
    let mut faults = evil.faults();
    faults.sort_unstable();
    let expected = [
        ("/content_type", "invalid_content_type"),
        ("/filename", "control_character"),
        ("/x", "unknown_parameter"),
    ];
    assert_eq!(faults, expected);
    app.stop().await;
}

#[tokio::test]
async fn uploads_are_the_accounts_own_and_end_after_a_day() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let mallory = app.account("mallory@example.test").await;
    let made = upload(&alice.http, "", "a/b", &noise(200 * KIB, 2)).await.expect(201);
    let other = upload(&alice.http, "", "a/b", &noise(200 * KIB, 3)).await.expect(201);
    let files = json!([{"upload_id": made.id()}, {"upload_id": other.id()}]);
    let mut stolen = message(&files);
    stolen["from"] = json!("mallory@example.test");
    let stolen = mallory.http.post("/v1/messages", stolen).await;
    let stolen = stolen.expect_problem(422, "invalid_input");
    let expected = ["/attachments/0/upload_id", "/attachments/1/upload_id"];
    assert_eq!(stolen.pointers(), expected);
    alice.http.delete(&format!("/v1/uploads/{}", other.id())).await.expect(204);
    let gone = alice.http.post("/v1/messages", message(&files)).await;
    let gone = gone.expect_problem(422, "invalid_input");
    assert_eq!(gone.faults(), [("/attachments/1/upload_id", "unknown_upload")]);
    assert_eq!(objects(&app.blob_dir()), 2);

    app.advance(DAY);
    app.clean_up().await;
    alice.http.get(&format!("/v1/uploads/{}", made.id())).await.expect_problem(404, "not_found");
    let late = message(&json!([{"upload_id": made.id()}]));
    alice.http.post("/v1/messages", late).await.expect_problem(422, "invalid_input");
    for _ in 0..2 {
        app.advance(2 * DAY);
        app.clean_up().await;
    }
    assert_eq!(objects(&app.blob_dir()), 0);
    app.stop().await;
}

#[tokio::test]
async fn an_upload_in_use_keeps_its_content_and_one_of_each_is_stored() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let content = noise(200 * KIB, 4);
    let post = async || {
        let request = alice.http.request(Method::POST, "/v1/uploads?filename=a");
        let request = request.header("Idempotency-Key", "k").body("a/b", content.clone());
        request.send().await.expect(201)
    };
    let first = post().await;
    let again = post().await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.json, again.json);
    app.advance(Duration::from_hours(23));
    let third = upload(&alice.http, "", "a/b", &content).await.expect(201);
    assert_eq!(objects(&app.blob_dir()), 1, "the second object of the same content is gone");
    alice.http.delete(&format!("/v1/uploads/{}", first.id())).await.expect(204);
    // Old enough to be garbage, had nothing else referred to it.
    app.advance(Duration::from_hours(2));
    app.clean_up().await;
    let garbage = "SELECT count(*) FROM blobs WHERE garbage_since IS NOT NULL";
    let garbage: i64 = sqlx::query_scalar(garbage).fetch_one(app.db()).await.unwrap();
    assert_eq!(garbage, 0);
    let sent = alice.http.post("/v1/messages", message(&json!([{"upload_id": third.id()}]))).await;
    let sent = files(&alice.http, &sent.expect(202).id()).await;
    assert_eq!(sent[0].2, content);
    app.stop().await;
}

#[tokio::test]
async fn an_account_has_so_many_uploads_and_no_more() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let first = upload(&alice.http, "", "a/b", b"x").await.expect(201);
    let insert = async |size: i64, copies: i32| {
        sqlx::query(
            "INSERT INTO uploads SELECT gen_random_uuid(), account_id, filename, content_type,
                 blob_hash, $1, created_at, expires_at FROM uploads, generate_series(1, $2)",
        )
        .bind(size)
        .bind(copies)
        .execute(app.db())
        .await
        .unwrap();
    };
    insert(1024 * 1024 * 1024 - 2, 1).await;
    upload(&alice.http, "", "a/b", b"y").await.expect(201);
    let full = upload(&alice.http, "", "a/b", &noise(200 * KIB, 5)).await;
    full.expect_problem(422, "policy_rejected");
    assert_eq!(objects(&app.blob_dir()), 0, "what was refused is not kept");
    sqlx::query("DELETE FROM uploads WHERE size_bytes <> 1").execute(app.db()).await.unwrap();
    insert(0, 499).await;
    upload(&alice.http, "", "a/b", b"z").await.expect_problem(422, "policy_rejected");
    let path = format!("/v1/uploads/{}", first.id());
    alice.http.delete(&path).await.expect(204);
    upload(&alice.http, "", "a/b", b"z").await.expect(201);
    app.stop().await;
}

#[tokio::test]
async fn uploads_take_memory_in_turn_and_no_more_than_a_message_has() {
    let limits = |config: &mut posthouse_core::Config| {
        config.memory_bytes = 512 * 1024;
        config.message_size_limit = 500 * 1024;
    };
    let app = App::test().sandbox().configure(limits).start().await;
    let alice = app.account("alice@example.test").await;
    let made = upload(&alice.http, "", "a/b", &noise(200 * KIB, 6)).await.expect(201);
    let one = || json!({"upload_id": made.id()});
    let all = app.hold_memory().await;
    let mut post = Box::pin(alice.http.post("/v1/messages", message(&json!([one()]))));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut post).await.is_err());
    drop(all);
    post.await.expect(202);
    let three = alice.http.post("/v1/messages", message(&json!([one(), one(), one()]))).await;
    three.expect_problem(413, "message_too_large");
    let messages: Vec<Value> = (0..3).map(|_| message(&json!([one()]))).collect();
    let batch = alice.http.post("/v1/messages/batch", json!({"messages": messages})).await;
    let batch = batch.expect_problem(422, "invalid_input");
    assert_eq!(batch.faults(), [("/messages", "too_large")]);
    let batch = json!({"messages": messages[..2]});
    let batch = alice.http.post("/v1/messages/batch", batch).await.expect(200);
    assert_eq!(batch["accepted_count"], 2);
    app.stop().await;
}
