//! Which reverse-path goes out.

use std::time::Duration;

use posthouse_tests::{app::App, sink::Script};
use serde_json::json;

use super::{answer, app, deliver, dsn, events, failed};

#[tokio::test]
async fn recipients_of_a_message_share_a_token_and_messages_do_not() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (_, first) = deliver(&app, &alice, &["bob@remote.test", "carol@remote.test"]).await;
    assert_eq!(app.sink("mx.remote.test").commands("MAIL").len(), 1, "one transaction");
    let (_, second) = deliver(&app, &alice, &["bob@remote.test"]).await;
    assert_ne!(first, second);
    for sender in [&first, &second] {
        let token = sender.strip_prefix("alice+").unwrap().strip_suffix("@example.test").unwrap();
        assert_eq!(token.len(), 40, "{sender}");
        assert!(token.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{sender}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_later_attempt_has_the_same_token() {
    let script = Script::new().defer_once("451 4.7.1 Come back later");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "Again").await.id();
    alice.wait_for_status(&message, "deferred").await;
    app.advance(Duration::from_mins(8));
    alice.wait_for_status(&message, "delivered").await;
    let senders = app.sink("mx.remote.test").commands("MAIL");
    let path = |command: &str| command.split('>').next().unwrap().to_owned();
    assert_eq!(path(&senders[0]), path(&senders[1]), "or greylisting never ends");
    assert!(senders[0].contains("alice+"), "{senders:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_token_survives_systems_that_change_case() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
    answer(&app, &sender.to_uppercase(), &dsn(&failed("bob@remote.test"), "<a@b>")).await;
    assert_eq!(events(&alice, &message, "delivery.bounced").await.len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn senders_without_room_and_domains_that_do_not_want_it_stay_as_they_are() {
    let app = app().start().await;
    let long = app.account("a.very.long.name.indeed.x@example.test").await;
    assert_eq!(deliver(&app, &long, &["bob@remote.test"]).await.1, long.address);
    let alice = app.account("alice@example.test").await;
    let (_, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
    assert!(sender.starts_with("alice+"), "{sender}");
    let domain = app.admin().all("/v1/domains").await.remove(0);
    assert_eq!(domain["bounce_tokens"], true);
    let path = format!("/v1/domains/{}", domain["id"].as_str().unwrap());
    let patched = app.admin().patch(&path, json!({"bounce_tokens": false})).await.expect(200);
    assert_eq!(patched["bounce_tokens"], false);
    assert_eq!(deliver(&app, &alice, &["bob@remote.test"]).await.1, "alice@example.test");
    app.stop().await;
}

#[tokio::test]
async fn what_the_recipient_sees_and_what_is_signed_stays_the_same() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, _) = deliver(&app, &alice, &["bob@remote.test"]).await;
    let text = app.sink("mx.remote.test").messages()[0].text();
    assert!(!text.contains("alice+"), "{text}");
    let event = events(&alice, &message, "delivery.delivered").await.remove(0);
    assert_eq!(event["data"]["sender"], "alice@example.test");
    app.stop().await;
}

#[tokio::test]
async fn servers_with_dsn_are_told_what_to_name_message_and_recipient_by() {
    let script = Script::new().capability("DSN");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let (message, sender) = deliver(&app, &alice, &["bob+list@remote.test"]).await;
    let sink = app.sink("mx.remote.test");
    let token = sender.split(['+', '@']).nth(1).unwrap();
    let mail = sink.commands("MAIL").remove(0);
    assert!(mail.ends_with(&format!(" RET=HDRS ENVID={token}")), "{mail}");
    let recipient = sink.commands("RCPT").remove(0);
    assert_eq!(recipient, "RCPT TO:<bob+list@remote.test> ORCPT=rfc822;bob+2Blist@remote.test");
    // A report that comes to the plain address is known by the ENVID that it has.
    let block = failed("robert@inner.test");
    let block = format!("Original-Recipient: rfc822;bob+list@remote.test\n{block}");
    let report = dsn(&block, "<a@b>");
    let report = report
        .replace("\n\nReporting-MTA", &format!("\n\nOriginal-Envelope-Id: {token}\nReporting-MTA"));
    answer(&app, "alice@example.test", &report).await;
    let bounced = events(&alice, &message, "delivery.bounced").await.remove(0);
    assert_eq!(bounced["data"]["report"]["authenticated"], true);
    app.stop().await;
}
