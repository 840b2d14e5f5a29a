//! THREATS 3: this server is no open relay, however the address is spelled.

use serde_json::json;

use super::{app, message};

/// Forward-paths that lead, or look as if they led, to somebody elsewhere.
const ELSEWHERE: &[&str] = &[
    "<victim@foreign.test>",
    "<victim%foreign.test@example.test>",
    "<@example.test:victim@foreign.test>",
    "<@example.test,@other.test:victim@foreign.test>",
    "<victim@[127.0.0.1]>",
    "<victim@[IPv6:::1]>",
    "<alice@[127.0.0.1]>",
    "<\"victim@foreign.test\"@example.test>",
    "<victim@example.test@foreign.test>",
    "<victim@foreign.test@example.test>",
    "<foreign.test!victim@example.test>",
    "<foreign.test!victim>",
    "<victim@foreign.test.>",
    "<alice@example.test.foreign.test>",
    "<victim@foreign.test\0@example.test>",
    "<alice@example.test\0.foreign.test>",
    "<alice@example.test >",
    "<alice@exаmple.test>",
    "<alice@xn--exmple-4nf.test>",
    "<alice@example.test>,<victim@foreign.test>",
    "victim@foreign.test",
    "<>",
    "<postmaster@foreign.test>",
    "<\"alice@example.test> RCPT TO:<victim\"@foreign.test>",
];

#[tokio::test]
async fn nobody_elsewhere_is_reached_from_outside() {
    let app = app().sink("mx.foreign.test", posthouse_tests::sink::Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    for path in ELSEWHERE {
        let mut client = app.smtp().await;
        client.command("MAIL FROM:<bob@remote.test> SMTPUTF8").await.expect("250");
        let reply = client.command(&format!("RCPT TO:{path}")).await;
        assert_eq!(reply.code / 100, 5, "RCPT TO:{path} got {reply}");
        let data = client.command("DATA").await;
        assert_eq!(data.code / 100, 5, "DATA after {path} got {data}");
    }
    let queued: i64 =
        sqlx::query_scalar("SELECT count(*) FROM queue").fetch_one(app.db()).await.unwrap();
    assert_eq!(queued, 0);
    assert_eq!(alice.inbox().await.len(), 0);
    assert_eq!(app.sink("mx.foreign.test").connections(), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_catch_all_keeps_percent_and_bang_addresses_at_home() {
    let app = app().sink("mx.foreign.test", posthouse_tests::sink::Script::new()).start().await;
    app.domain("example.test").await;
    let all = app.account_with(&["@example.test"]).await;
    let paths = ["victim%foreign.test@example.test", "foreign.test!victim@example.test"];
    for (number, path) in paths.iter().enumerate() {
        let mut client = app.smtp().await;
        client.send_mail("bob@remote.test", path, &message("x")).await.expect("250");
        assert_eq!(all.inbox().await.len(), number + 1);
    }
    assert_eq!(app.sink("mx.foreign.test").connections(), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_refusal_is_not_forgotten_after_rset_or_a_failed_login() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let mut client = app.smtp().await;
    assert!(!client.command("EHLO again.test").await.offers("AUTH"));
    let auth = client.auth_plain(&alice.address, &alice.password).await;
    assert_eq!(auth.code / 100, 5, "AUTH on port 25: {auth}");
    for _ in 0..3 {
        client.command("MAIL FROM:<alice@example.test>").await;
        let reply = client.command("RCPT TO:<victim@foreign.test>").await;
        assert_eq!(reply.code / 100, 5, "{reply}");
        client.command("RSET").await.expect("250");
    }

    let mut client =
        posthouse_tests::smtp_client::SmtpClient::open_tls(app.submissions_addr()).await;
    client.auth_plain(&alice.address, "wrong").await.expect("535 5.7.8");
    client.command("MAIL FROM:<alice@example.test>").await.expect("530 5.7.0");
    client.command("RCPT TO:<victim@foreign.test>").await.expect("530");
    client.command("RSET").await;
    client.command("MAIL FROM:<alice@example.test>").await.expect("530 5.7.0");
    app.stop().await;
}

#[tokio::test]
async fn a_key_without_the_right_to_send_sends_nothing() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let key = json!({"name": "reader", "scopes": ["messages:read", "mail:read"]});
    let key = alice.http.post("/v1/api-keys", key).await.expect(201);
    let reader = app.anonymous().with_key(key["key"].as_str().unwrap());
    let message = json!({
        "from": "alice@example.test", "to": ["victim@foreign.test"], "subject": "x", "text": "x",
    });
    let refused = reader.post("/v1/messages", message.clone()).await.expect(403);
    assert!(refused.text().contains("send"), "names the scope: {refused:?}");
    app.anonymous().post("/v1/messages", message).await.expect(401);
    assert!(alice.http.all("/v1/messages").await.is_empty());
    app.stop().await;
}
