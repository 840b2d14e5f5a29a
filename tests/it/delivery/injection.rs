//! THREATS 10: no field of a request becomes a header field, a recipient or a command of its own.

use posthouse_tests::{app::App, sink::Script};
use serde_json::{Value, json};

const HOSTILE: &[&str] = &[
    "x\r\nX-Injected: yes",
    "x\nX-Injected: yes",
    "x\rX-Injected: yes",
    "x\r\n X-Injected: yes",
    "x\0X-Injected: yes",
    "x\u{2028}X-Injected: yes",
    "x\u{85}X-Injected: yes",
    "x\u{b}X-Injected: yes",
    "=?utf-8?q?x=0d=0aX-Injected:_yes?=",
    "x\r\n\r\nX-Injected: yes",
    "x\r\n.\r\nMAIL FROM:<victim@foreign.test>\r\nX-Injected: yes",
    "\"><X-Injected: yes>",
];

type Put = fn(&mut Value, &str);

/// Where text of the caller goes into the message or into SMTP.
const FIELDS: &[(&str, Put)] = &[
    ("from name", |m, t| m["from"] = json!({"email": "alice@example.test", "name": t})),
    ("from address", |m, t| m["from"] = json!(format!("alice@example.test{t}"))),
    ("to name", |m, t| m["to"] = json!([{"email": "bob@remote.test", "name": t}])),
    ("to address", |m, t| m["to"] = json!([format!("bob@remote.test{t}")])),
    ("to local part", |m, t| m["to"] = json!([{"email": format!("bob{t}@remote.test")}])),
    ("cc name", |m, t| m["cc"] = json!([{"email": "bob@remote.test", "name": t}])),
    ("reply-to name", |m, t| m["reply_to"] = json!([{"email": "alice@example.test", "name": t}])),
    ("subject", |m, t| m["subject"] = json!(t)),
    ("header value", |m, t| m["headers"] = json!({"X-Own": t})),
    ("header name", |m, t| m["headers"] = json!({t: "value"})),
    ("file name", |m, t| m["attachments"][0]["filename"] = json!(t)),
    ("content type", |m, t| m["attachments"][0]["content_type"] = json!(format!("text/plain{t}"))),
    ("content id", |m, t| m["attachments"][0]["content_id"] = json!(t)),
    ("tag", |m, t| m["tags"] = json!([t])),
    ("metadata", |m, t| m["metadata"] = json!({"key": t})),
    ("in-reply-to", |m, t| m["in_reply_to"] = json!(format!("<a@b>{t}"))),
    ("references", |m, t| m["references"] = json!([format!("<a@b>{t}")])),
    ("message-id", |m, t| m["message_id"] = json!(format!("<a@example.test>{t}"))),
    ("disposition", |m, t| m["attachments"][0]["disposition"] = json!(format!("inline{t}"))),
];

fn message() -> Value {
    json!({
        "from": "alice@example.test", "to": ["bob@remote.test"], "subject": "plain", "text": "text",
        "attachments": [{"filename": "a.txt", "content_type": "text/plain", "content": "YQ=="}],
    })
}

#[tokio::test]
async fn hostile_text_is_refused_with_a_pointer_or_stays_where_it_belongs() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let mut taken = Vec::new();
    for (field, put) in FIELDS {
        let long = "long ".repeat(2000);
        for text in HOSTILE.iter().copied().chain([long.as_str()]) {
            let mut message = message();
            put(&mut message, text);
            let answer = alice.http.post("/v1/messages", message).await;
            match answer.status {
                202 => taken.push((field, text.to_owned(), answer.id())),
                403 if field.starts_with("from") => {}
                422 => assert!(!answer.pointers().is_empty(), "{field} {text:?}: {answer:?}"),
                _ => panic!("{field} {text:?}: {answer:?}"),
            }
        }
    }
    assert_eq!(alice.http.all("/v1/messages?limit=200").await.len(), taken.len());
    for (_, _, id) in &taken {
        alice.wait_for_status(id, "delivered").await;
    }
    let sink = app.sink("mx.remote.test");
    for message in sink.messages() {
        assert_eq!(message.rcpt_to, ["bob@remote.test"]);
        let (local, domain) = message.mail_from.split_once('@').unwrap();
        assert_eq!(domain, "example.test");
        assert!(local.starts_with("alice+") && local.len() == 46, "{local}");
        let text = message.text();
        let lines = text.split(['\r', '\n', '\u{2028}', '\u{85}', '\u{b}', '\0']);
        for line in lines {
            let injected = line.to_lowercase().starts_with("x-injected");
            assert!(!injected, "{text}");
        }
        assert_eq!(text.matches("\r\nSubject: ").count(), 1, "{text}");
        let longest = text.split("\r\n").map(str::len).max();
        assert!(longest < Some(999), "a line of {longest:?} octets:\n{text}");
    }
    app.stop().await;
}
