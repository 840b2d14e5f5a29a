//! Header and SMTP injection through every field of a message (THREATS 10): refused with a
//! pointer, nothing stored; and what is taken parses back to the fields that were given.

use posthouse_tests::app::App;
use serde_json::{Value, json};

const EVIL: [&str; 9] = [
    "\r\n",
    "\n",
    "\r",
    "\0",
    "\u{2028}",
    "\u{85}",
    "\r\n.\r\nMAIL FROM:<x@y>",
    "=?utf-8?q?=0d=0aBcc:_x?=",
    "\u{7f}",
];

fn base() -> Value {
    json!({"from": "Alice <alice@example.test>", "to": ["bob@remote.test"], "subject": "Hi",
           "text": "Hello"})
}

/// Each case: where the fault is expected, and the message with `text` there.
fn cases(text: &str) -> Vec<(&'static str, Value)> {
    let set = |field: &str, value: Value| {
        let mut message = base();
        message[field] = value;
        message
    };
    let file = |field: &str, value: String| {
        set("attachments", json!([{"content": "AA==", "filename": "a", field: value}]))
    };
    let mut header = base();
    header["headers"] = json!({format!("X-A{text}"): "x"});
    vec![
        (
            "/from/name",
            set("from", json!({"email": "alice@example.test", "name": format!("A{text}B")})),
        ),
        ("/to/0/name", set("to", json!([{"email": "bob@remote.test", "name": format!("{text}")}]))),
        ("/cc/0", set("cc", json!([format!("C{text} <c@remote.test>")]))),
        ("/bcc", set("bcc", json!(format!("{text}@remote.test")))),
        ("/reply_to", set("reply_to", json!(format!("r <r@re{text}mote.test>")))),
        ("/sender", set("sender", json!(format!("S{text} <alice@example.test>")))),
        ("/mail_from", set("mail_from", json!(format!("alice@example.test{text}")))),
        ("/subject", set("subject", json!(format!("Hi{text}there")))),
        ("/message_id", set("message_id", json!(format!("<a{text}@b>")))),
        ("/in_reply_to", set("in_reply_to", json!(format!("<a@b>{text}")))),
        ("/references/0", set("references", json!([format!("<a@b{text}>")]))),
        ("/headers/X-A", set("headers", json!({"X-A": format!("a{text}b")}))),
        ("/headers", header),
        ("/attachments/0/filename", file("filename", format!("a{text}.txt"))),
        ("/attachments/0/content_id", file("content_id", format!("a{text}"))),
        ("/attachments/0/content_type", file("content_type", format!("text/plain{text}; a=b"))),
        ("/tags/0", set("tags", json!([format!("t{text}")]))),
        ("/metadata", set("metadata", json!({format!("k{text}"): "v"}))),
    ]
}

#[tokio::test]
async fn nothing_breaks_out_of_any_field() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    for text in EVIL {
        for (pointer, message) in cases(text) {
            let label = text.starts_with("=?") || text == "\u{2028}";
            if label && matches!(pointer, "/tags/0" | "/metadata" | "/mail_from" | "/bcc") {
                // Labels never come near a header; local parts are not decoded (RFC 2047 §5).
                continue;
            }
            let answer = alice.http.post("/v1/messages", message).await;
            let answer = answer.expect_problem(422, "invalid_input");
            let found = answer.pointers();
            let fits = |found: &&str| {
                !found.is_empty() && (found.starts_with(pointer) || pointer.starts_with(*found))
            };
            assert!(found.iter().any(fits), "{pointer} with {text:?}: {found:?}");
        }
    }
    for table in ["messages", "queue", "events"] {
        let sql = format!("SELECT count(*) FROM {table}");
        let rows: i64 =
            sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(app.db()).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    app.stop().await;
}

#[tokio::test]
async fn reserved_header_fields_are_refused() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    for name in [
        "Bcc",
        "To",
        "from",
        "SUBJECT",
        "Received",
        "Return-Path",
        "DKIM-Signature",
        "MIME-Version",
        "Content-Type",
        "Message-ID",
        "Date",
        "Sender",
        "Bcc\r\n",
        ":",
        "X Y",
        "",
    ] {
        let mut message = base();
        message["headers"] = json!({name: "x"});
        let answer = alice.http.post("/v1/messages", message).await;
        let answer = answer.expect_problem(422, "invalid_input");
        assert!(answer.pointers()[0].starts_with("/headers/"), "{name:?}: {answer:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn faults_of_every_kind_come_at_once() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "from": "alice@example.test", "to": ["bob@remote.test", "nobody"], "cc": "x y",
        "subject": "a\nb", "attachments": [{"content": "?"}], "tags": [""],
        "scheduled_at": "2020-01-01T00:00:00Z", "headers": {"To": "x"},
    });
    let answer = alice.http.post("/v1/messages", message).await;
    let answer = answer.expect_problem(422, "invalid_input");
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    let expected = [
        "/attachments/0/content",
        "/cc",
        "/headers/To",
        "/scheduled_at",
        "/subject",
        "/tags/0",
        "/to/1",
    ];
    assert_eq!(pointers, expected);
    let answer = alice.http.post("/v1/messages", json!({"from": "alice@example.test"})).await;
    let answer = answer.expect_problem(422, "invalid_input");
    assert!(answer.pointers().contains(&"/to"), "{answer:?}");
    app.stop().await;
}

#[tokio::test]
async fn odd_but_harmless_text_comes_back_as_it_was() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let names =
        ["Bob \"the\\builder\"", "Bøb, Ünïcode (x)", "a:b;c", "日本語の名前", "=? not encoded"];
    for name in names {
        let subject = format!("{name} =?x 🎉 \t end");
        let message = json!({"to": [{"email": "bob@remote.test", "name": name}], "subject": subject,
                             "text": ".\r\n..\nFrom here\n.", "headers": {"X-Note": name}});
        let id = alice.post_message(message).await.expect(202).id();
        alice.wait_for_status(&id, "delivered").await;
        let mail = alice.http.get("/v1/mail?limit=1").await.expect(200).json["data"][0].clone();
        assert_eq!(mail["subject"], subject.replace('\t', " "));
        assert_eq!(mail["to"], json!([{"name": name, "email": "bob@remote.test"}]));
        assert_eq!(mail["from"][0]["email"], "alice@example.test");
    }
    app.stop().await;
}
