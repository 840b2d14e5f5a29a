//! Both doors lead to the same operation: the same scenario leaves the same rows and events.

use posthouse_tests::{
    app::App,
    person::Person,
    sink::{Script, Stage},
};
use serde_json::{Map, Value, json};

const RAW: &str = "From: Alice <alice@example.test>\r\nTo: Bob <bob@remote.test>\r\n\
                   Cc: carol@remote.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\
                   Date: Mon, 2 Mar 2026 10:00:00 +0100\r\nMIME-Version: 1.0\r\n\
                   Content-Type: text/plain; charset=utf-8\r\n\
                   Content-Transfer-Encoding: 8bit\r\n\r\nGrüße, Bob.\r\n.\r\nEnd\r\n";

fn raw(id: &str) -> String {
    format!("Message-ID: <{id}@example.test>\r\n{RAW}")
}

async fn by_http(alice: &Person, raw: &str) {
    let path = "/v1/messages/raw?from=alice@example.test&to=bob@remote.test&to=carol@remote.test";
    let request = alice.http.request(reqwest::Method::POST, path);
    request.body("message/rfc822", raw.to_owned()).send().await.expect(202);
}

async fn by_smtp(alice: &Person, raw: &str) {
    let mut client = alice.submission().await;
    client.command("MAIL FROM:<alice@example.test> BODY=8BITMIME").await.expect("250");
    client.command("RCPT TO:<bob@remote.test>").await.expect("250");
    client.command("RCPT TO:<carol@remote.test>").await.expect("250");
    client.data(raw).await.expect("250");
}

/// Removes what must differ: identifiers, times, addresses of the connection.
fn without_identity(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let differs = |name: &str| {
                name == "id"
                    || name.ends_with("_id")
                    || name.ends_with("_at")
                    || matches!(name, "seq" | "timestamp" | "remote_address")
            };
            let kept = fields.iter().filter(|(name, _)| !differs(name));
            let kept: Map<_, _> =
                kept.map(|(name, value)| (name.clone(), without_identity(value))).collect();
            Value::Object(kept)
        }
        Value::Array(items) => items.iter().map(without_identity).collect(),
        other => other.clone(),
    }
}

/// Everything a message left behind, as one comparable value.
async fn traces(app: &App, alice: &Person, id: &str) -> Value {
    let internet_id = format!("<{id}@example.test>");
    let messages = alice.http.all("/v1/messages").await;
    let message = posthouse_tests::wait::eventually("the message", async || {
        let mine = |message: &&Value| message["message_id"] == internet_id.as_str();
        messages.iter().find(mine).cloned()
    })
    .await;
    let message_id = message["id"].as_str().unwrap();
    posthouse_tests::wait::eventually("the end of both deliveries", async || {
        let statuses = alice.statuses(message_id).await;
        let ended = ["delivered", "failed"];
        statuses.iter().all(|status| ended.contains(&status.as_str())).then_some(())
    })
    .await;
    let row: Value = sqlx::query_scalar(
        "SELECT to_json(row) FROM (SELECT mail_from, header_from, subject, recipients,
            size_bytes - length(prefix) AS own_bytes,
            smtputf8, eight_bit, sandbox, tags, metadata, length(prefix) > 0 AS has_prefix,
            blob_hash IS NOT NULL AS has_blob
         FROM messages WHERE internet_message_id = $1) AS row",
    )
    .bind(&internet_id)
    .fetch_one(app.db())
    .await
    .unwrap();
    let mut deliveries = alice.deliveries(message_id).await;
    deliveries.sort_by_key(|delivery| delivery["recipient"].to_string());
    for delivery in &mut deliveries {
        for attempt in delivery["attempts"].as_array_mut().unwrap() {
            attempt["duration_ms"] = Value::Null;
            attempt["local_address"] = Value::Null;
        }
    }
    let mut events: Vec<_> = alice.events_of(message_id).await;
    events[1..].sort_by_key(|event| event["data"]["recipient"].to_string());
    let all = json!({"row": row, "deliveries": deliveries, "events": events});
    without_identity(&all)
}

/// The message as it arrived, without what tells one from the other.
fn content(text: &str) -> String {
    let (header, body) = text.split_once("\r\n\r\n").unwrap();
    let unfolded = header.replace("\r\n ", " ").replace("\r\n\t", " ");
    let own = |line: &&str| {
        !["Authentication-Results:", "Received:", "DKIM-Signature:", "Message-ID:"]
            .iter()
            .any(|name| line.starts_with(name))
    };
    let header: Vec<_> = unfolded.split("\r\n").filter(own).collect();
    format!("{}\r\n\r\n{body}", header.join("\r\n"))
}

#[tokio::test]
async fn a_delivered_message_leaves_the_same_behind_at_both_doors() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    by_http(&alice, &raw("one-http")).await;
    by_smtp(&alice, &raw("one-smtp")).await;
    let http = traces(&app, &alice, "one-http").await;
    let smtp = traces(&app, &alice, "one-smtp").await;
    assert_eq!(http, smtp);
    let received = app.sink("mx.remote.test").messages();
    assert_eq!(received.len(), 2);
    assert_eq!(content(&received[0].text()), content(&received[1].text()));
    app.stop().await;
}

#[tokio::test]
async fn a_refused_recipient_leaves_the_same_behind_at_both_doors() {
    let script = Script::new().refuse_rcpt("carol@remote.test", "554 5.5.0 Not today");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    by_http(&alice, &raw("two-http")).await;
    by_smtp(&alice, &raw("two-smtp")).await;
    let http = traces(&app, &alice, "two-http").await;
    let smtp = traces(&app, &alice, "two-smtp").await;
    assert_eq!(http, smtp);
    app.stop().await;
}

#[tokio::test]
async fn what_one_door_refuses_the_other_refuses_too() {
    let app = App::test()
        .sink("mx.remote.test", Script::new().reply(Stage::Rcpt, "250 2.1.5 OK"))
        .configure(|config| config.message_size_limit = 50_000)
        .start()
        .await;
    let alice = app.account("alice@example.test").await;
    app.account("carol@example.test").await;
    let large = format!("{}{}", raw("large"), "All work and no play.\r\n".repeat(3000));
    let foreign = raw("foreign").replace("alice@", "carol@");
    for (text, status, reply) in [(large, 413, "552 5.3.4"), (foreign, 403, "550 5.7.1")] {
        let path = "/v1/messages/raw?from=alice@example.test&to=bob@remote.test";
        let request = alice.http.request(reqwest::Method::POST, path);
        request.body("message/rfc822", text.clone()).send().await.expect(status);
        let mut client = alice.submission().await;
        client.envelope("alice@example.test", &["bob@remote.test"]).await;
        client.data(&text).await.expect(reply);
    }
    assert!(alice.http.all("/v1/messages").await.is_empty());
    app.stop().await;
}
