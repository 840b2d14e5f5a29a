//! Whose name a mail program may use (B3, THREATS 12).

use posthouse_tests::{app::App, sink::Script, smtp_client::Reply};

async fn submit(app: &App, mail_from: &str, header: &str) -> Reply {
    let alice = posthouse_tests::smtp_client::SmtpClient::open_tls(app.submissions_addr());
    let mut client = alice.await;
    client.auth_plain("alice@example.test", posthouse_tests::app::PASSWORD).await.expect("235");
    let reply = client.command(&format!("MAIL FROM:<{mail_from}>")).await;
    if reply.code != 250 {
        return reply;
    }
    client.command("RCPT TO:<bob@remote.test>").await.expect("250");
    client.data(&format!("{header}\r\nTo: bob@remote.test\r\nSubject: x\r\n\r\nx\r\n")).await
}

#[tokio::test]
async fn only_addresses_of_the_account_may_be_the_sender() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    app.account("alice@example.test").await;
    app.account("carol@example.test").await;
    app.account("dave@other.test").await;
    for (mail_from, header) in [
        ("alice@example.test", "From: Alice <alice@example.test>"),
        ("alice+tag@example.test", "From: alice+list@example.test"),
        ("", "From: ALICE@example.test"),
    ] {
        submit(&app, mail_from, header).await.expect("250 2.0.0");
    }
    for (mail_from, header) in [
        ("carol@example.test", "From: alice@example.test"),
        ("alice@example.test", "From: carol@example.test"),
        ("alice@example.test", "From: dave@other.test"),
        ("dave@other.test", "From: alice@example.test"),
        ("victim@foreign.test", "From: alice@example.test"),
        ("alice@example.test", "From: victim@foreign.test"),
        ("alice@example.test", "From: alice@example.test, carol@example.test"),
        ("alice@example.test", "From: alice@example.test\r\nFrom: carol@example.test"),
        ("alice@example.test", "From: group: alice@example.test, carol@example.test;"),
        ("alice@example.test", "From : carol@example.test"),
        ("alice@example.test", "X-No-From: alice@example.test"),
        ("alice@example.test", "From: <alice@example.test>:<carol@example.test>"),
    ] {
        let reply = submit(&app, mail_from, header).await;
        assert_eq!(reply.code / 100, 5, "{mail_from} with {header:?}: {reply}");
    }
    let sent: i64 =
        sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(app.db()).await.unwrap();
    assert_eq!(sent, 3);
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_recipient_of_our_own_is_refused_at_once() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let mut client = alice.submission().await;
    client.command("MAIL FROM:<alice@example.test>").await.expect("250");
    client.command("RCPT TO:<nobody@example.test>").await.expect("550 5.1.1");
    client.command("RCPT TO:<alice@example.test>").await.expect("250");
    app.stop().await;
}

#[tokio::test]
async fn mail_to_somebody_here_goes_through_the_queue_into_the_inbox() {
    let app = App::test().start().await;
    app.receive_at("mx.example.test").await;
    let alice = app.account("alice@example.test").await;
    let carol = app.account("carol@example.test").await;
    alice.submit(&["carol@example.test"], "Neighbour").await.expect("250 2.0.0");
    let mail = carol.wait_for_mail("Neighbour").await;
    assert_eq!(mail["from"][0]["email"], "alice@example.test");
    alice.wait_for_event("delivery.delivered").await;
    app.stop().await;
}

#[tokio::test]
async fn the_clients_address_is_not_told_to_the_world() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    alice.submit(&["bob@remote.test"], "Private").await.expect("250");
    let sink = app.sink("mx.remote.test");
    let text = sink.wait_for(1, posthouse_tests::wait::PATIENCE).await.unwrap()[0].text();
    assert!(text.contains("Received: "), "{text}");
    assert!(text.contains("auth=pass (PLAIN)\r\n"), "{text}");
    assert!(!text.contains("127.0.0.1") && !text.contains("client.test"), "{text}");
    app.stop().await;
}

#[tokio::test]
async fn a_message_without_a_header_is_refused() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    for text in ["\r\nno header\r\n", "just text\r\n", "Subject: no from\r\n\r\nx\r\n"] {
        let mut client = alice.submission().await;
        client.envelope("alice@example.test", &["alice@example.test"]).await;
        let reply = client.data(text).await;
        assert_eq!(reply.code / 100, 5, "{text:?}: {reply}");
    }
    app.stop().await;
}
