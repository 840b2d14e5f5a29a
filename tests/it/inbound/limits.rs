//! Sizes, loops, and clients that ask for too much.

use std::time::Duration;

use posthouse_tests::smtp_client::SmtpClient;

use super::{app, message};

const LIMIT: usize = 100_000;

#[tokio::test]
async fn a_message_that_is_too_large_is_refused_and_the_next_one_is_taken() {
    let app = app()
        .configure(|config| config.message_size_limit = LIMIT.try_into().unwrap())
        .start()
        .await;
    let alice = app.account("alice@example.test").await;
    let mut client = app.smtp().await;
    assert!(client.command("EHLO client.test").await.offers(&format!("SIZE {LIMIT}")));
    let declared = format!("MAIL FROM:<bob@remote.test> SIZE={}", LIMIT + 1);
    client.command(&declared).await.expect("552 5.3.4");
    let line = format!("{}\r\n", "x".repeat(78));
    let large = format!("{}{}", message("Large"), line.repeat(LIMIT / 80 + 1));
    client.send_mail("bob@remote.test", "alice@example.test", &large).await.expect("552 5.3.4");
    client
        .send_mail("bob@remote.test", "alice@example.test", &message("Small"))
        .await
        .expect("250");
    assert_eq!(alice.inbox().await.len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_mail_loop_is_ended() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let hop = "Received: from a.test by b.test; Mon, 2 Mar 2026 10:00:00 +0100\r\n";
    let mut client = app.smtp().await;
    let looping = format!("{}{}", hop.repeat(101), message("Loop"));
    let reply = client.send_mail("bob@remote.test", "alice@example.test", &looping).await;
    assert_eq!(reply.code, 550, "{reply}");
    let long_way = format!("{}{}", hop.repeat(90), message("Far"));
    client.send_mail("bob@remote.test", "alice@example.test", &long_way).await.expect("250");
    assert_eq!(alice.inbox().await.len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_command_line_without_end_closes_the_connection() {
    let app = app().start().await;
    let mut client = app.smtp().await;
    // The server may close while we still send.
    drop(client.try_send(vec![b'a'; 1_000_000]).await);
    let reply = client.try_reply().await;
    assert!(reply.is_none_or(|reply| reply.code / 100 == 5));
    let still_open = client.try_send("NOOP\r\n").await.is_ok();
    assert!(!still_open || client.try_reply().await.is_none());
    app.stop().await;
}

#[tokio::test]
async fn a_program_that_speaks_http_is_sent_away() {
    let app = app().start().await;
    let mut client = SmtpClient::connect(app.smtp_addr()).await;
    client.reply().await.expect("220");
    client.command("GET / HTTP/1.1").await.expect("500");
    assert!(client.is_closed().await);
    app.stop().await;
}

#[tokio::test]
async fn a_thousand_recipients_are_taken_and_no_more() {
    let app = app().start().await;
    app.domain("example.test").await;
    let all = app.account_with(&["@example.test"]).await;
    let mut client = app.smtp().await;
    client.command("MAIL FROM:<bob@remote.test>").await.expect("250");
    for block in 0..10 {
        let command = |number| format!("RCPT TO:<u{block}x{number}@example.test>\r\n");
        let commands: Vec<_> = (0..100).map(command).collect();
        client.send(commands.concat()).await;
        for _ in 0..100 {
            client.reply().await.expect("250");
        }
    }
    client.command("RCPT TO:<one-more@example.test>").await.expect("452 4.5.3");
    client.data(&message("Many")).await.expect("250");
    assert!(!all.inbox().await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn talk_in_pipelines_is_answered_in_order() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let mut client = app.smtp().await;
    let text = message("Pipeline");
    client
        .send(
            "MAIL FROM:<bob@remote.test>\r\nRCPT TO:<nobody@example.test>\r\n\
             RCPT TO:<alice@example.test>\r\nDATA\r\n",
        )
        .await;
    for code in ["250", "550 5.1.1", "250", "354"] {
        client.reply().await.expect(code);
    }
    client.send(format!("{text}.\r\nNOOP\r\nQUIT\r\n")).await;
    for code in ["250", "250", "221"] {
        client.reply().await.expect(code);
    }
    assert!(client.is_closed().await);
    assert_eq!(alice.inbox().await.len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn many_connections_at_once_are_served_or_told_to_come_back() {
    let app = app().start().await;
    app.account("alice@example.test").await;
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(SmtpClient::connect(app.smtp_addr()).await);
    }
    let mut served = 0;
    for client in &mut clients {
        match client.try_reply().await {
            Some(reply) if reply.code == 220 => served += 1,
            Some(reply) => assert_eq!(reply.code, 421, "{reply}"),
            None => {}
        }
    }
    assert!(served >= 10, "{served} connections were served");
    drop(clients);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut client = app.smtp().await;
    client.command("NOOP").await.expect("250");
    app.stop().await;
}
