//! The good case: a message is taken, delivered and told about.

use posthouse_tests::{app::App, sink::Script};
use serde_json::json;

#[tokio::test]
async fn a_posted_message_reaches_the_mail_exchanger_and_tells_how() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice
        .post_message(json!({
            "from": "Alice <alice@example.test>", "to": ["Bob <bob@remote.test>"],
            "subject": "Grüße", "text": "Hello Bob.\n", "html": "<p>Hello Bob.</p>",
            "headers": {"X-Ref": "7"}, "tags": ["welcome"], "metadata": {"user": "42"},
        }))
        .await
        .expect(202);
    assert_eq!(message["deliveries"][0]["recipient"], "bob@remote.test");
    assert_eq!(message["deliveries"][0]["status"], "queued");

    let deliveries = alice.wait_for_status(&message.id(), "delivered").await;
    let attempt = &deliveries[0]["attempts"][0];
    assert_eq!(attempt["smtp_code"], 250);
    assert_eq!(attempt["enhanced_code"], "2.0.0");
    assert_eq!(attempt["reply"], "Taken");
    assert_eq!(attempt["mx_host"], "mx.remote.test");
    let sink = app.sink("mx.remote.test");
    assert_eq!(attempt["remote_address"], sink.addr().ip().to_string());

    let received = sink.messages();
    assert_eq!(received.len(), 1);
    assert!(received[0].mail_from.ends_with("@example.test"), "{}", received[0].mail_from);
    assert_eq!(received[0].rcpt_to, ["bob@remote.test"]);
    assert_eq!(received[0].helo, "mail.posthouse.test");
    let text = received[0].text();
    for header in ["From: Alice <alice@example.test>", "X-Ref: 7", "MIME-Version: 1.0"] {
        assert!(text.contains(&format!("\r\n{header}\r\n")), "no {header} in:\n{text}");
    }
    assert!(text.contains(&format!("\r\nMessage-ID: {}", message["message_id"].as_str().unwrap())));
    assert!(text.starts_with("Received: ") || text.starts_with("DKIM-Signature: "), "{text}");
    app.stop().await;
}

#[tokio::test]
async fn events_come_in_order_and_carry_what_the_caller_gave() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "to": ["bob@remote.test"], "subject": "Order", "text": "x",
        "tags": ["welcome"], "metadata": {"user": "42"},
    });
    let message = alice.post_message(message).await.expect(202);
    alice.wait_for_status(&message.id(), "delivered").await;

    let events = alice.events_of(&message.id()).await;
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["message.accepted", "delivery.delivered"]);
    let delivered = &events[1]["data"];
    assert_eq!(delivered["message_id"], message["id"]);
    assert_eq!(delivered["delivery_id"], message["deliveries"][0]["id"]);
    assert_eq!(delivered["recipient"], "bob@remote.test");
    assert_eq!(delivered["subject"], "Order");
    assert_eq!(delivered["tags"], json!(["welcome"]));
    assert_eq!(delivered["metadata"], json!({"user": "42"}));
    assert_eq!(delivered["smtp_code"], 250);
    assert_eq!(delivered["enhanced_code"], "2.0.0");
    assert_eq!(delivered["attempt"], 1);
    app.stop().await;
}

#[tokio::test]
async fn recipients_in_one_domain_share_a_transaction_and_get_their_own_results() {
    let script = Script::new()
        .refuse_rcpt("nobody@remote.test", "550 5.1.1 No such user")
        .refuse_rcpt("full@remote.test", "452 4.2.2 Mailbox full");
    let app = App::test()
        .sink("mx.remote.test", script)
        .sink("mx.other.test", Script::new())
        .start()
        .await;
    let alice = app.account("alice@example.test").await;
    let to = ["bob@remote.test", "nobody@remote.test", "carol@remote.test", "full@remote.test"];
    let message = alice
        .post_message(json!({"to": to, "cc": ["dave@other.test"], "subject": "All", "text": "x"}))
        .await
        .expect(202)
        .id();
    posthouse_tests::wait::until_equal(
        vec!["delivered", "failed", "delivered", "deferred", "delivered"],
        async || {
            let statuses = alice.statuses(&message).await;
            let known = ["delivered", "failed", "deferred", "queued"];
            let known = |status: &String| known.into_iter().find(|known| known == status);
            statuses.iter().map(|status| known(status).unwrap_or("other")).collect()
        },
    )
    .await;
    let received = app.sink("mx.remote.test").messages();
    assert_eq!(received.len(), 1, "one transaction for the domain");
    assert_eq!(received[0].rcpt_to, ["bob@remote.test", "carol@remote.test"]);
    assert_eq!(app.sink("mx.remote.test").commands("MAIL").len(), 1);
    assert_eq!(app.sink("mx.other.test").messages()[0].rcpt_to, ["dave@other.test"]);
    app.stop().await;
}

#[tokio::test]
async fn bcc_recipients_get_the_message_without_a_trace_in_its_header() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "to": ["bob@remote.test"], "bcc": ["secret@remote.test"], "subject": "x", "text": "x",
    });
    let message = alice.post_message(message).await.expect(202);
    alice.wait_for_status(&message.id(), "delivered").await;
    let received = app.sink("mx.remote.test").messages();
    let recipients: Vec<_> = received.iter().flat_map(|message| &message.rcpt_to).collect();
    assert_eq!(recipients.len(), 2);
    for message in &received {
        assert!(!message.text().contains("secret"), "{}", message.text());
    }
    app.stop().await;
}

#[tokio::test]
async fn the_same_recipient_twice_gets_the_message_once() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "to": ["bob@remote.test", "Bob <bob@Remote.TEST>"], "subject": "x", "text": "x",
    });
    let message = alice.post_message(message).await.expect(202);
    assert_eq!(message["deliveries"].as_array().unwrap().len(), 1);
    alice.wait_for_status(&message.id(), "delivered").await;
    assert_eq!(app.sink("mx.remote.test").count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_message_that_ends_in_dots_arrives_unchanged() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let body = "first\r\n\r\n.\r\n..\r\n.hidden\r\n\r\n.\r\n";
    let raw =
        format!("From: alice@example.test\r\nTo: bob@remote.test\r\nSubject: dots\r\n\r\n{body}");
    let message = alice
        .http
        .request(
            reqwest::Method::POST,
            "/v1/messages/raw?from=alice@example.test&to=bob@remote.test",
        )
        .body("message/rfc822", raw)
        .send()
        .await
        .expect(202);
    alice.wait_for_status(&message.id(), "delivered").await;
    let text = app.sink("mx.remote.test").messages()[0].text();
    assert!(text.ends_with(&format!("\r\n\r\n{body}")), "{text:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_large_message_goes_through_the_blob_store_and_arrives_whole() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    // Does not compress, so it is as large in the store.
    let noise: Vec<u8> = (0..1_000_000_u64)
        .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0])
        .collect();
    let content = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &noise);
    let message = json!({
        "to": ["bob@remote.test"], "subject": "Large", "text": "see attachment",
        "attachments": [{"filename": "noise.bin", "content_type": "application/octet-stream",
                         "content": content}],
    });
    let message = alice.post_message(message).await.expect(202);
    alice.wait_for_status(&message.id(), "delivered").await;
    let text = app.sink("mx.remote.test").messages()[0].text();
    let joined = text.replace("\r\n", "");
    assert!(joined.contains(&content), "the attachment is not whole");
    app.stop().await;
}
