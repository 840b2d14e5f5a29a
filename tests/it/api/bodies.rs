//! Bodies that cannot be read, are too large, or do not have the right shape: nothing is stored.

use posthouse_tests::app::App;
use reqwest::Method;
use serde_json::json;

async fn messages(app: &App) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(app.db()).await.unwrap()
}

#[tokio::test]
async fn what_is_not_json_is_refused() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"{\"from\": \"\\ud800\"}",
        b"{\"from\": \"\xff\xfe\"}",
        b"{} {}",
        b"nul",
        // The shape is wrong before that.
        b"{\"from\": 7, \"to\": [",
        deep.as_bytes(),
        b"{\"from\": \"a\nb\"}",
    ];
    for body in bodies {
        let request = alice.http.request(Method::POST, "/v1/messages");
        let answer = request.body("application/json", body.to_vec()).send().await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
        let answer = answer.expect_problem(400, "unreadable_body");
        assert!(!answer.pointers().is_empty(), "{shown}");
    }
    assert_eq!(messages(&app).await, 0);
    app.stop().await;
}

#[tokio::test]
async fn large_bodies_are_refused_before_they_are_read() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let large =
        format!("{{\"from\": \"alice@example.test\", \"text\": \"{}\"}}", "x".repeat(50 << 20));
    for path in ["/v1/messages", "/v1/messages/raw?to=b@remote.test", "/v1/messages/multipart"] {
        let kind = match path {
            "/v1/messages" => "application/json",
            "/v1/messages/multipart" => "multipart/form-data; boundary=x",
            _ => "message/rfc822",
        };
        let request = alice.http.request(Method::POST, path).body(kind, large.clone());
        // The server answers and hangs up; some of what it did not read may still be under way.
        if let Ok(answer) = request.try_send().await {
            answer.expect_problem(413, "body_too_large");
        }
    }
    // Without a length too.
    let chunks = (0..40).map(|_| Ok::<_, std::io::Error>(vec![b' '; 1 << 20]));
    let stream = reqwest::Body::wrap_stream(TestStream(chunks.collect()));
    let request = alice.http.request(Method::POST, "/v1/messages").into_inner();
    let sent = request.header("content-type", "application/json").body(stream).send().await;
    if let Ok(answer) = sent {
        assert_eq!(answer.status(), 413);
    }
    assert_eq!(messages(&app).await, 0);
    app.admin().get("/readyz").await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn endless_lists_are_refused() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let many = vec!["a@b.test"; 60_000];
    let message = json!({"from": "alice@example.test", "to": many, "text": "x"});
    let answer = alice.http.post("/v1/messages", message).await;
    answer.expect_problem(422, "invalid_input");
    let many = vec!["a@b.test"; 1001];
    let many: Vec<_> = many.iter().enumerate().map(|(n, to)| format!("{n}{to}")).collect();
    let message = json!({"from": "alice@example.test", "to": many, "text": "x"});
    let answer = alice.http.post("/v1/messages", message).await;
    answer.expect_problem(422, "too_many_recipients");
    assert_eq!(messages(&app).await, 0);
    app.stop().await;
}

#[tokio::test]
async fn faults_of_shape_come_with_pointers() {
    let app = App::test().start().await;
    let body = json!({"name": 7, "dkim": {"algorithms": ["rsa-2048"], "bits": 1}, "colour": "red",
                      "separators": "+"});
    let answer = app.admin().post("/v1/domains", body).await.expect_problem(422, "invalid_input");
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/colour", "/dkim/bits", "/name", "/separators"]);
    let body = json!({"name": "a b", "dkim": {"algorithms": ["ed25519", "md5", "ed25519"]}});
    let answer = app.admin().post("/v1/domains", body).await.expect_problem(422, "invalid_input");
    assert_eq!(answer.pointers(), ["/name", "/dkim/algorithms/1", "/dkim/algorithms/2"]);
    app.stop().await;
}

/// Chunks of a body.
struct TestStream(std::collections::VecDeque<Result<Vec<u8>, std::io::Error>>);

impl futures_util::Stream for TestStream {
    type Item = Result<Vec<u8>, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}
