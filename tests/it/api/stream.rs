//! The event stream: live, resumable, filtered, and it ends with the server and the key.

use std::time::Duration;

use posthouse_tests::{app::App, client::Client};
use reqwest::{Method, Response};
use serde_json::Value;

/// A stream of server-sent events.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(http: &Client, query: &str, last: Option<i64>) -> Self {
        let mut request = http.request(Method::GET, &format!("/v1/events/stream{query}"));
        if let Some(last) = last {
            request = request.header("Last-Event-ID", &last.to_string());
        }
        let response = request.into_inner().send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { response, text: String::new() };
        // The greeting: from here on nothing is missed.
        let greeting = stream.block().await.unwrap();
        assert!(greeting.contains("events follow"), "{greeting}");
        // Where to resume when it breaks before the first event.
        assert!(greeting.contains("\nid: "), "{greeting}");
        stream
    }

    /// Text up to the next empty line; none when the stream has ended.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk());
            let chunk = chunk.await.expect("an event within 20 s").ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event: id, type, data.
    async fn next(&mut self) -> Option<(i64, String, Value)> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| {
                block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            let Some(data) = field("data") else { continue };
            let id = field("id").unwrap().parse().unwrap();
            let data = serde_json::from_str(data).unwrap();
            return Some((id, field("event").unwrap().to_owned(), data));
        }
    }
}

#[tokio::test]
async fn events_come_as_they_happen_and_resume_without_gaps() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let mut live = Stream::open(&alice.http, "", None).await;
    let id = alice.send(&["bob@remote.test"], "One").await.id();
    let (seq, kind, data) = live.next().await.unwrap();
    assert_eq!(kind, "message.accepted");
    assert_eq!((&data["seq"], &data["data"]["message_id"]), (&seq.into(), &id.clone().into()));
    alice.wait_for_status(&id, "delivered").await;
    drop(live);

    let all = alice.events().await;
    let mut resumed = Stream::open(&alice.http, "", Some(seq)).await;
    for expected in all.iter().filter(|event| event["seq"].as_i64() > Some(seq)) {
        assert_eq!(&resumed.next().await.unwrap().2, expected);
    }
    let mut filtered = Stream::open(&alice.http, "?after=0&types=delivery.*", None).await;
    assert_eq!(filtered.next().await.unwrap().1, "delivery.delivered");
    app.stop().await;
}

#[tokio::test]
async fn streams_show_only_the_own_account() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let mut stream = Stream::open(&bob.http, "", None).await;
    alice.send(&["x@remote.test"], "Secret").await;
    let mine = bob.send(&["x@remote.test"], "Mine").await.id();
    assert_eq!(stream.next().await.unwrap().2["data"]["message_id"], mine);
    app.stop().await;
}

#[tokio::test]
async fn streams_end_with_the_server_and_with_the_key() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let keys = alice.http.all("/v1/api-keys").await;
    let mut stream = Stream::open(&alice.http, "", None).await;
    let path = format!("/v1/api-keys/{}", keys[0]["id"].as_str().unwrap());
    alice.http.delete(&path).await.expect(204);
    assert!(stream.next().await.is_none());

    let bob = app.account("bob@example.test").await;
    let mut stream = Stream::open(&bob.http, "", None).await;
    let stopping = tokio::time::timeout(Duration::from_secs(20), app.stop());
    let (ended, stopped) = tokio::join!(stream.next(), stopping);
    assert!(ended.is_none());
    stopped.expect("open streams do not hold up the end");
}

#[tokio::test]
async fn bad_positions_are_refused() {
    let app = App::test().start().await;
    let http = app.admin();
    let request = http.request(Method::GET, "/v1/events/stream").header("Last-Event-ID", "x");
    request.send().await.expect_problem(422, "invalid_input");
    for query in ["after=x", "types=nothing", "colour=red"] {
        let answer = http.get(&format!("/v1/events/stream?{query}")).await;
        answer.expect_problem(422, "invalid_input");
    }
    app.stop().await;
}
