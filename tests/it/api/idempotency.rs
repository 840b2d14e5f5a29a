//! Idempotency-Key: the same request is done once, another one with the same key is refused.

use posthouse_tests::{
    app::App,
    client::{Answer, Client},
};
use reqwest::Method;
use serde_json::{Value, json};

async fn post(http: &Client, path: &str, key: &str, body: &Value) -> Answer {
    http.request(Method::POST, path).header("Idempotency-Key", key).json(body).send().await
}

fn message(subject: &str) -> Value {
    json!({"from": "alice@example.test", "to": "bob@remote.test", "subject": subject, "text": "x"})
}

#[tokio::test]
async fn the_same_request_is_done_once() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let first = post(&alice.http, "/v1/messages", "k-1", &message("One")).await.expect(202);
    assert_eq!(first.header("idempotent-replayed"), None);
    let again = post(&alice.http, "/v1/messages", "k-1", &message("One")).await.expect(202);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.json, again.json);
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(alice.http.all("/v1/messages").await.len(), 1);

    let other = post(&alice.http, "/v1/messages", "k-1", &message("Two")).await;
    other.expect_problem(422, "idempotency_key_reused");
    let other = alice.http.request(Method::POST, "/v1/messages/raw?to=b@remote.test");
    let other = other.header("Idempotency-Key", "k-1");
    let other = other.body("message/rfc822", "From: alice@example.test\r\n\r\nx\r\n").send().await;
    other.expect_problem(422, "idempotency_key_reused");
    // Keys are the account's own.
    let bob = app.account("bob@example.test").await;
    let mut theirs = message("Mine");
    theirs["from"] = json!("bob@example.test");
    post(&bob.http, "/v1/messages", "k-1", &theirs).await.expect(202);
    app.stop().await;
}

#[tokio::test]
async fn keys_and_domains_are_made_once_too() {
    let app = App::test().start().await;
    let domain = json!({"name": "once.test"});
    let first = post(&app.admin(), "/v1/domains", "d", &domain).await.expect(201);
    let again = post(&app.admin(), "/v1/domains", "d", &domain).await.expect(201);
    assert_eq!(first.json, again.json);
    post(&app.admin(), "/v1/domains", "e", &domain).await.expect_problem(409, "already_exists");
    let key = json!({"name": "ci", "scopes": ["send"]});
    let first = post(&app.admin(), "/v1/api-keys", "k", &key).await.expect(201);
    let again = post(&app.admin(), "/v1/api-keys", "k", &key).await.expect(201);
    assert_eq!(first["key"], again["key"]);
    app.stop().await;
}

#[tokio::test]
async fn refusals_are_not_kept() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let mut bad = message("One");
    bad["to"] = json!("nobody");
    post(&alice.http, "/v1/messages", "k", &bad).await.expect_problem(422, "invalid_input");
    post(&alice.http, "/v1/messages", "k", &message("One")).await.expect(202);
    for key in ["", &"k".repeat(256), "k\u{e4}"] {
        let answer = post(&alice.http, "/v1/messages", key, &message("One")).await;
        answer.expect_problem(422, "invalid_input");
    }
    app.stop().await;
}

#[tokio::test]
async fn of_many_at_once_one_does_it() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let one = message("One");
    let tries = (0..8).map(|_| post(&alice.http, "/v1/messages", "k", &one));
    let mut ids = std::collections::HashSet::new();
    for answer in futures_util::future::join_all(tries).await {
        if answer.status == 202 {
            ids.insert(answer.id());
            continue;
        }
        let answer = answer.expect_problem(409, "idempotency_in_flight");
        assert!(answer.header("retry-after").is_some());
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(alice.http.all("/v1/messages").await.len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn multipart_requests_are_the_same_under_another_boundary() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let form = |boundary: &str, octets: &str| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\n{}\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\
             Content-Type: text/plain\r\n\r\n{octets}\r\n--{boundary}--\r\n",
            message("Form")
        )
    };
    let post = |boundary: &str, octets: &str| {
        let kind = format!("multipart/form-data; boundary={boundary}");
        let request = alice.http.request(Method::POST, "/v1/messages/multipart");
        request.header("Idempotency-Key", "f").body(&kind, form(boundary, octets)).send()
    };
    let first = post("one", "Hello").await.expect(202);
    let again = post("two", "Hello").await.expect(202);
    assert_eq!(first.json, again.json);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    post("two", "Hallo").await.expect_problem(422, "idempotency_key_reused");
    let raw = alice.http.get(&format!("/v1/messages/{}/raw", first.id())).await.expect(200).text();
    assert!(raw.contains("filename=a.txt") || raw.contains("filename=\"a.txt\""), "{raw}");
    app.stop().await;
}
