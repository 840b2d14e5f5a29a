//! THREATS 2: nothing from before TLS counts after it.

use super::app;

#[tokio::test]
async fn commands_behind_starttls_are_never_answered() {
    let app = app().start().await;
    app.account("alice@example.test").await;
    let addresses = [app.smtp_addr(), app.submission_addr()];
    for address in addresses {
        let mut client = posthouse_tests::smtp_client::SmtpClient::open(address).await;
        client.send("STARTTLS\r\nMAIL FROM:<bob@remote.test>\r\nNOOP\r\n").await;
        let reply = client.reply().await;
        if reply.code == 220 {
            client.handshake().await;
            let quiet = client.is_quiet_for(std::time::Duration::from_millis(200)).await;
            assert!(quiet, "an injected command was answered");
        } else {
            assert_eq!(reply.code / 100, 5, "{reply}");
            assert!(client.is_closed().await);
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn the_state_of_the_session_is_forgotten() {
    let app = app().start().await;
    app.account("alice@example.test").await;
    let mut client = app.smtp().await;
    client.envelope("bob@remote.test", &["alice@example.test"]).await;
    client.command("STARTTLS").await.expect("220");
    client.handshake().await;
    client.command("DATA").await.expect("503");
    client.command("MAIL FROM:<bob@remote.test>").await.expect("503");
    let hello = client.command("EHLO client.test").await.expect("250");
    assert!(!hello.offers("STARTTLS"));
    client.command("RCPT TO:<alice@example.test>").await.expect("503");
    client.command("STARTTLS").await.expect("503");
    app.stop().await;
}

#[tokio::test]
async fn a_message_over_tls_says_so_in_its_received_field() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let mut client = app.smtp().await;
    client.starttls().await;
    let message = super::message("Safe");
    client.send_mail("bob@remote.test", "alice@example.test", &message).await.expect("250");
    let mail = alice.wait_for_mail("Safe").await;
    let raw = alice.raw_mail(mail["id"].as_str().unwrap()).await;
    assert!(raw.contains("with ESMTPS"), "{raw}");
    assert!(raw.contains("TLS1.3") || raw.contains("TLSv1.3"), "{raw}");
    app.stop().await;
}

#[tokio::test]
async fn authentication_is_offered_only_under_tls_and_only_to_mail_programs() {
    let app = app().start().await;
    let mut client = app.smtp().await;
    client.starttls().await;
    assert!(!client.command("EHLO client.test").await.offers("AUTH"));
    let address = app.submission_addr();
    let mut client = posthouse_tests::smtp_client::SmtpClient::open(address).await;
    assert!(!client.command("EHLO client.test").await.offers("AUTH"));
    client.starttls().await;
    assert!(client.command("EHLO client.test").await.offers("AUTH"));
    app.stop().await;
}
