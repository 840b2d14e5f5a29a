//! Changes since a modseq, as pages and as a stream, and waiting for mail.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use posthouse_tests::{app::App, client::Client};
use reqwest::Method;
use serde_json::{Value, json};

use super::{append, fill, key, mailbox_id, make};

/// A client that keeps the ids of what is there.
pub(super) struct Replica {
    http: Client,
    pub(super) since: i64,
    pub(super) mail: BTreeSet<String>,
    pub(super) mailboxes: BTreeSet<String>,
    /// Told as changed by the last call.
    pub(super) touched: BTreeSet<String>,
}

impl Replica {
    pub(super) fn new(http: &Client) -> Self {
        let none = BTreeSet::new();
        Self {
            http: http.clone(),
            since: 0,
            mail: none.clone(),
            mailboxes: none.clone(),
            touched: none,
        }
    }

    /// Reads all pages. What is told as updated must be known.
    pub(super) async fn follow(&mut self, limit: usize) {
        self.touched.clear();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/mail/changes?since={}&limit={limit}{cursor}", self.since);
            let page = self.http.get(&path).await.expect(200);
            apply(&mut self.mail, &page["mail"], &mut self.touched);
            apply(&mut self.mailboxes, &page["mailboxes"], &mut BTreeSet::new());
            let Some(next) = page["next_cursor"].as_str() else {
                assert_eq!(page["has_more"], false);
                self.since = page["modseq"].as_i64().unwrap();
                return;
            };
            cursor = format!("&cursor={next}");
        }
    }
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

fn apply(known: &mut BTreeSet<String>, changes: &Value, touched: &mut BTreeSet<String>) {
    for id in ids(&changes["created"]) {
        touched.insert(id.clone());
        known.insert(id);
    }
    for id in ids(&changes["updated"]) {
        assert!(known.contains(&id), "{id} was updated, but never created");
        touched.insert(id);
    }
    for id in ids(&changes["destroyed"]) {
        touched.insert(id.clone());
        known.remove(&id);
    }
}

#[tokio::test]
async fn changes_are_told_since_a_modseq() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let ids = fill(&alice, 5).await;
    let mut replica = Replica::new(&alice.http);
    replica.follow(2).await;
    assert_eq!(replica.mail, ids.iter().cloned().collect());
    assert_eq!(replica.mailboxes.len(), 6);
    let since = |since: i64| format!("/v1/mail/changes?since={since}");
    let nothing = alice.http.get(&since(replica.since)).await.expect(200);
    assert_eq!(nothing["mail"], json!({"created": [], "updated": [], "destroyed": []}));

    let other = make(&alice.http, "other").await;
    let patch = json!({"mailbox_id": other});
    alice.http.patch(&format!("/v1/mail/{}", ids[0]), patch).await.expect(200);
    alice.http.delete(&format!("/v1/mail/{}?permanent=true", ids[1])).await.expect(204);
    let new = append(&alice.http, &other, "new", "").await.expect(201).id();
    let brief = append(&alice.http, &other, "brief", "").await.expect(201).id();
    alice.http.delete(&format!("/v1/mail/{brief}?permanent=true")).await.expect(204);
    let changes = alice.http.get(&since(replica.since)).await.expect(200);
    // A moved mail is the same mail, and what came and went was never there.
    let expected = json!({"created": [new], "updated": [ids[0]], "destroyed": [ids[1]]});
    assert_eq!(changes["mail"], expected);
    let mailboxes = &changes["mailboxes"];
    assert_eq!(mailboxes["created"], json!([other]));
    assert_eq!(mailboxes["updated"], json!([mailbox_id(&alice.http, "Inbox").await]));
    let deleted = alice.http.delete(&format!("/v1/mailboxes/{other}")).await;
    deleted.expect(204);
    let changes = alice.http.get(&since(replica.since)).await.expect(200);
    let expected = json!({"created": [], "updated": [], "destroyed": [ids[1], ids[0]]});
    assert_eq!(changes["mail"], expected);
    assert_eq!(changes["mailboxes"]["created"], json!([]));
    app.stop().await;
}

#[tokio::test]
async fn what_is_forgotten_is_said_to_be_too_old() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let ids = fill(&alice, 2).await;
    let mut replica = Replica::new(&alice.http);
    replica.follow(50).await;
    let before = replica.since;
    alice.http.delete(&format!("/v1/mail/{}?permanent=true", ids[0])).await.expect(204);
    replica.follow(50).await;
    app.clean_up().await;
    for days in [364, 2] {
        alice.http.get(&format!("/v1/mail/changes?since={before}")).await.expect(200);
        app.advance(Duration::from_secs(days * 86_400));
        app.clean_up().await;
        app.clean_up().await;
    }
    let path = format!("/v1/mail/changes?since={before}");
    let too_old = alice.http.get(&path).await.expect_problem(410, "since_too_old");
    assert_eq!(too_old["retryable"], false);
    alice.http.get(&path.replace("changes", "stream")).await.expect_problem(410, "since_too_old");
    alice.http.get("/v1/mail/changes?since=9999999").await.expect_problem(410, "since_too_old");
    alice.http.get(&format!("/v1/mail/changes?since={}", replica.since)).await.expect(200);
    let all = alice.http.get("/v1/mail/changes?since=0").await.expect(200);
    assert_eq!(all["mail"]["created"], json!([ids[1]]));
    app.stop().await;
}

#[tokio::test]
async fn requests_for_changes_are_checked() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    fill(&alice, 3).await;
    let page = alice.http.get("/v1/mail/changes?since=0&limit=2").await.expect(200);
    let cursor = page["next_cursor"].as_str().unwrap();
    for (query, pointer) in [
        ("", "/since"),
        ("?since=x", "/since"),
        ("?since=-1", "/since"),
        ("?since=0&limit=0", "/limit"),
        ("?since=0&cursor=x", "/cursor"),
        (&format!("?since=1&cursor={cursor}"), "/cursor"),
    ] {
        let answer = alice.http.get(&format!("/v1/mail/changes{query}")).await;
        assert_eq!(answer.expect_problem(422, "invalid_input").pointers(), [pointer], "{query}");
    }
    let foreign = bob.http.get(&format!("/v1/mail/changes?since=0&cursor={cursor}")).await;
    foreign.expect_problem(422, "invalid_input");
    let own = bob.http.get("/v1/mail/changes?since=0").await.expect(200);
    assert_eq!(own["mail"]["created"], json!([]));
    let writer = key(&app, &alice, "mail:write").await;
    for path in ["changes?since=0", "stream", "wait?timeout_seconds=0"] {
        writer.get(&format!("/v1/mail/{path}")).await.expect_problem(403, "forbidden");
    }
    app.stop().await;
}

/// The next block with data of a stream, as id and data.
async fn next(response: &mut reqwest::Response, text: &mut String) -> (Option<i64>, Value) {
    loop {
        while let Some((block, rest)) = text.split_once("\n\n") {
            let (block, rest) = (block.to_owned(), rest.to_owned());
            *text = rest;
            let field = |name: &str| {
                block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            if let Some(data) = field("data") {
                assert_eq!(field("event"), Some("changes"));
                let id = field("id").map(|id| id.parse().unwrap());
                return (id, serde_json::from_str(data).unwrap());
            }
        }
        let chunk = tokio::time::timeout(Duration::from_secs(20), response.chunk());
        let chunk = chunk.await.expect("changes within 20 s").unwrap().expect("no end");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
}

#[tokio::test]
async fn changes_stream_and_resume() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let first = fill(&alice, 1).await.remove(0);
    let open = async |last: Option<i64>| {
        let mut request = alice.http.request(Method::GET, "/v1/mail/stream");
        if let Some(last) = last {
            request = request.header("Last-Event-ID", &last.to_string());
        }
        let response = request.into_inner().send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        response
    };
    let mut live = open(None).await;
    let mut text = String::new();
    let patch = json!({"flags": ["\\Seen"]});
    let state = alice.http.patch(&format!("/v1/mail/{first}"), patch).await.expect(200);
    let (mut id, mut data) = next(&mut live, &mut text).await;
    if id != state["modseq"].as_i64() {
        // Mailboxes are read after mails: who looks while a change commits hears of its mailbox first.
        assert_eq!(data["mail"]["updated"], json!([]));
        assert_ne!(data["mailboxes"]["updated"], json!([]));
        (id, data) = next(&mut live, &mut text).await;
    }
    assert_eq!((id, &data["mail"]["updated"]), (state["modseq"].as_i64(), &json!([first])));
    drop(live);
    // More than a page while nobody listens; only the last page has an id.
    let many = fill(&alice, 203).await;
    let mut resumed = open(id).await;
    let mut text = String::new();
    let (none, page) = next(&mut resumed, &mut text).await;
    assert_eq!((none, &page["has_more"]), (None, &json!(true)));
    let (id, rest) = next(&mut resumed, &mut text).await;
    assert_eq!(id, rest["modseq"].as_i64());
    let mut told = ids(&page["mail"]["created"]);
    told.extend(ids(&rest["mail"]["created"]));
    assert_eq!(told, many);
    app.stop().await;
}

#[tokio::test]
async fn waiting_ends_when_mail_comes() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let path = "/v1/mail/wait?subject=Hello&timeout_seconds=0";
    alice.http.get(path).await.expect_problem(404, "not_found");
    let started = Instant::now();
    let http = alice.http.clone();
    let waiting = tokio::spawn(async move { http.get("/v1/mail/wait?subject=Hello").await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let inbox = mailbox_id(&alice.http, "Inbox").await;
    append(&alice.http, &inbox, "Other", "").await.expect(201);
    let mail = append(&alice.http, &inbox, "Hello", "").await.expect(201);
    assert_eq!(waiting.await.unwrap().expect(200).id(), mail.id());
    assert!(started.elapsed() < Duration::from_secs(9));
    alice.http.get("/v1/mail/wait?timeout_seconds=61").await.expect(422);
    app.stop().await;
}
