//! Telling of mail once more, and looking at messages that were never stored.

use posthouse_tests::{person::Person, receiver::Receiver, sink::Script};
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    app, message,
    routes::{bring, events, route},
};

async fn parse(person: &Person, message: &str) -> Value {
    let request = person.http.request(Method::POST, "/v1/inbound/parse");
    request.body("message/rfc822", message.to_owned()).send().await.expect(200).json
}

#[tokio::test]
async fn a_mail_is_told_again_to_all_or_to_one() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let mallory = app.account("mallory@example.test").await;
    let (one, other) = (Receiver::start().await, Receiver::start().await);
    let hook = alice.webhook(&one, &["mail.received"]).await.id();
    alice.webhook(&other, &["mail.received"]).await;
    bring(&app, "alice+x@example.test", &message("Again")).await.expect("250");
    let first = one.wait_for(1).await.remove(0).event();
    let mail = alice.inbox().await.remove(0)["id"].as_str().unwrap().to_owned();
    let place = format!("/v1/mail/{mail}/redeliver");
    let again = alice.http.request(Method::POST, &place).header("Idempotency-Key", "k");
    let again = again.json(&json!({})).send().await.expect(202);
    let replayed = alice.http.request(Method::POST, &place).header("Idempotency-Key", "k");
    assert_eq!(replayed.json(&json!({})).send().await.expect(202).json, again.json);
    let second = one.wait_for(2).await.remove(1).event();
    assert_eq!(second["id"], again["event_id"]);
    let mut same = second["data"].clone();
    assert_eq!(same["redelivered"], true);
    same["redelivered"] = false.into();
    assert_eq!(same, first["data"], "it says the same");
    other.wait_for(2).await;

    alice.http.post(&place, json!({"webhook_id": hook})).await.expect(202);
    one.wait_for(3).await;
    bring(&app, "alice@example.test", &message("Last")).await.expect("250");
    let told = other.wait_for(3).await;
    assert_eq!(told[2].event()["data"]["subject"], "Last", "the one before was not for it");

    let foreign = mallory.webhook(&one, &["*"]).await.id();
    let refused = alice.http.post(&place, json!({"webhook_id": foreign})).await.expect(422);
    assert_eq!(refused.faults(), [("/webhook_id", "unknown_webhook")]);
    mallory.http.post(&place, json!({})).await.expect_problem(404, "not_found");
    let sent =
        json!({"to": ["alice@example.test"], "subject": "S", "text": "t", "save_to_sent": true});
    alice.post_message(sent).await.expect(202);
    let sent = alice.mail_in("Sent").await.remove(0)["id"].as_str().unwrap().to_owned();
    let refused = alice.http.post(&format!("/v1/mail/{sent}/redeliver"), json!({})).await;
    assert_eq!(refused.expect(422).faults(), [("", "not_received")]);
    app.stop().await;
}

#[tokio::test]
async fn with_routes_it_is_sent_on_and_stays() {
    let app = app().sink("mx.elsewhere.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    bring(&app, "alice@example.test", &message("Later")).await.expect("250");
    let actions = json!([{"type": "forward", "addresses": ["x@elsewhere.test"]}, {"type": "drop"}]);
    route(&alice, json!({}), actions).await;
    let mail = alice.inbox().await.remove(0)["id"].as_str().unwrap().to_owned();
    let place = format!("/v1/mail/{mail}/redeliver");
    alice.http.post(&place, json!({})).await.expect(202);
    let told = events(&alice, "mail.received").await.pop().unwrap();
    assert_eq!(told["data"]["routing"], Value::Null);
    let done = alice.http.post(&place, json!({"routes": true})).await.expect(202);
    let id = done["forwarded_message_id"].as_str().unwrap();
    alice.wait_for_status(id, "delivered").await;
    let text = app.sink("mx.elsewhere.test").messages().remove(0).text();
    assert!(text.ends_with(&message("Later")) && !text.contains("Delivered-To"), "{text}");
    let told = events(&alice, "mail.received").await.pop().unwrap();
    assert_eq!(told["data"]["routing"]["forwarded_message_id"], id);
    let skipped = json!([{"action": "drop", "reason": "redelivered"}]);
    assert_eq!(told["data"]["routing"]["skipped"], skipped);
    assert_eq!(alice.inbox().await.len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn parsing_says_what_the_event_would_say() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let raw = "From: =?utf-8?q?B=C3=B6b?= <bob@remote.test>\r\nTo: alice@example.test\r\n\
         Subject: Files\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
         --x\r\nContent-Type: text/html\r\n\r\n<p>Hi</p>\r\n\
         --x\r\nContent-Type: application/pdf; name=a.pdf\r\n\
         Content-Disposition: attachment\r\n\r\nPDF\r\n--x--\r\n";
    let parsed = parse(&alice, &raw.replace("\r\n", "\n")).await;
    assert!(alice.events().await.is_empty() && alice.http.all("/v1/mail").await.is_empty());
    bring(&app, "alice@example.test", raw).await.expect("250");
    let event = events(&alice, "mail.received").await.remove(0);
    assert_eq!(parsed["attachments"][0]["path"], "2");
    for (name, value) in parsed.as_object().unwrap() {
        match name.as_str() {
            "envelope" | "tls" | "refers_to" | "routing" => assert_eq!(*value, Value::Null),
            "size_bytes" => assert_eq!(*value, raw.len()),
            _ => assert_eq!(event["data"][name], *value, "{name}"),
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn malformed_messages_are_parsed_as_far_as_they_go() {
    let app = app().configure(|config| config.message_size_limit = 100_000).start().await;
    let alice = app.account("alice@example.test").await;
    let nested = "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n".repeat(500);
    let cyclic = "Content-Type: message/rfc822\r\n\r\n".repeat(1000);
    for hostile in [
        "",
        "\r\n",
        "no header",
        "From: <<<\r\nContent-Type: ;;;\r\n\r\n\0",
        nested.as_str(),
        cyclic.as_str(),
        "Subject: =?utf-8?q?=0\r\n\r\n",
        "Content-Transfer-Encoding: base64\r\n\r\n!!!!",
    ] {
        let parsed = parse(&alice, hostile).await;
        assert!(parsed["attachments"].is_array(), "{hostile:.40}: {parsed}");
    }
    let large = "x".repeat(100_001);
    let request = |body: String, kind: &'static str| {
        alice.http.request(Method::POST, "/v1/inbound/parse").body(kind, body).send()
    };
    request(large, "message/rfc822").await.expect_problem(413, "message_too_large");
    request(String::new(), "text/plain").await.expect_problem(415, "unsupported_media_type");
    request("a\rb".to_owned(), "message/rfc822").await.expect(422);
    app.stop().await;
}
