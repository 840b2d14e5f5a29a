//! Large messages: on disk while they come, in memory only when there is room to work on them.

use std::time::Duration;

use posthouse_core::Config;
use posthouse_tests::{
    app::App,
    dns::zone,
    person::Person,
    smtp_client::{Reply, SmtpClient},
};
use serde_json::json;

const KIB: usize = 1024;

async fn app(change: impl FnOnce(&mut Config) + Send + 'static) -> (App, Person) {
    let friend = zone("friend.test").mx(10, "mx").address("mx", [127, 0, 0, 1]);
    let app = App::test().dns(friend).configure(change).start().await;
    let alice = app.account("alice@example.test").await;
    (app, alice)
}

/// A message of about `size` octets.
fn message(subject: &str, size: usize) -> String {
    let line = format!("{}\r\n", "x".repeat(62));
    format!("From: bob@friend.test\r\nSubject: {subject}\r\n\r\n{}", line.repeat(size / 64))
}

/// A client that has sent a message up to its last line.
async fn in_the_middle(app: &App, message: &str) -> SmtpClient {
    let mut client = app.smtp().await;
    client.envelope("bob@friend.test", &["alice@example.test"]).await;
    client.command("DATA").await.expect("354");
    client.send(message).await;
    client
}

async fn finish(client: &mut SmtpClient) -> Reply {
    client.command(".").await
}

async fn deliver(app: &App, message: &str) -> Reply {
    let mut client = app.smtp().await;
    client.send_mail("bob@friend.test", "alice@example.test", message).await
}

#[tokio::test]
async fn slow_senders_of_large_messages_hold_no_memory() {
    let (app, alice) = app(|config| config.memory_bytes = 512 * 1024).await;
    let slow = message("Slow", 500 * KIB);
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(in_the_middle(&app, &slow).await);
    }
    let quick = message("Quick", 400 * KIB);
    deliver(&app, &quick).await.expect("250");
    let stored = alice.wait_for_mail("Quick").await;
    assert!(alice.raw_mail(stored["id"].as_str().unwrap()).await.ends_with(&quick));
    for client in &mut waiting {
        finish(client).await.expect("250");
    }
    for mail in alice.inbox().await.iter().filter(|mail| mail["subject"] == "Slow") {
        assert!(alice.raw_mail(mail["id"].as_str().unwrap()).await.ends_with(&slow));
    }
    assert_eq!(alice.inbox().await.len(), 5);
    app.stop().await;
}

#[tokio::test]
async fn a_large_message_waits_for_memory() {
    let (app, alice) = app(|config| config.memory_bytes = 512 * 1024).await;
    let all = app.hold_memory().await;
    let mut large = in_the_middle(&app, &message("Large", 200 * KIB)).await;
    large.send(".\r\n").await;
    let body =
        json!({"to": ["alice@example.test"], "subject": "Post", "text": "x".repeat(200 * KIB)});
    let mut post = Box::pin(alice.post_message(body));
    assert!(large.is_quiet_for(Duration::from_millis(300)).await);
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut post).await.is_err());
    // Small ones are not held up.
    deliver(&app, &message("Small", 10 * KIB)).await.expect("250");
    alice.send(&["alice@example.test"], "Small post").await;
    drop(all);
    large.reply().await.expect("250");
    post.await.expect(202);
    app.stop().await;
}

#[tokio::test]
async fn a_full_spool_refuses_large_messages_for_now() {
    let (app, alice) = app(|config| config.spool.bytes = 2 * 1024 * 1024).await;
    let large = message("Large", 1100 * KIB);
    let mut first = in_the_middle(&app, &large).await;
    // Until the server has read it.
    assert!(first.is_quiet_for(Duration::from_secs(1)).await);
    deliver(&app, &large).await.expect("452 4.3.1");
    let body = json!({"to": ["alice@example.test"], "subject": "Post", "text": large});
    let refused = alice.post_message(body.clone()).await.expect_problem(503, "storage_full");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    deliver(&app, &message("Small", 10 * KIB)).await.expect("250");
    finish(&mut first).await.expect("250");
    deliver(&app, &large).await.expect("250");
    alice.post_message(body).await.expect(202);
    // A client that hangs up leaves nothing behind either.
    drop(in_the_middle(&app, &large).await);
    for _ in 0..50 {
        if deliver(&app, &large).await.begins("250") {
            return app.stop().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the spool is not emptied");
}

#[tokio::test]
async fn many_recipients_of_a_large_text_get_it_in_one_transaction() {
    let (app, alice) = app(|_| ()).await;
    let mut people = vec![alice];
    for number in 0..12 {
        people.push(app.account(&format!("p{number}@example.test")).await);
    }
    let text = message("To all", 900 * KIB);
    let mut client = app.smtp().await;
    let addresses: Vec<&str> = people.iter().map(|person| person.address.as_str()).collect();
    client.envelope("bob@friend.test", &addresses).await;
    client.data(&text).await.expect("250");
    for person in &people {
        let mail = person.wait_for_mail("To all").await;
        assert!(person.raw_mail(mail["id"].as_str().unwrap()).await.ends_with(&text));
        let event = person.wait_for_event("mail.received").await;
        assert_eq!(event["data"]["mail_id"], mail["id"], "{event}");
    }
    app.stop().await;
}
