//! Who gets in, and how (RFC 4954, RFC 4616, RFC 7677).

use posthouse_tests::{app::App, sink::Script, smtp_client::SmtpClient};

const MESSAGE: &str = "From: alice@example.test\r\nTo: bob@remote.test\r\nSubject: x\r\n\r\nx\r\n";

#[tokio::test]
async fn every_mechanism_lets_the_right_password_in() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    for (number, mechanism) in ["PLAIN", "LOGIN", "SCRAM-SHA-256"].into_iter().enumerate() {
        let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
        let (user, password) = (&alice.address, &alice.password);
        let reply = match mechanism {
            "PLAIN" => client.auth_plain(user, password).await,
            "LOGIN" => client.auth_login(user, password).await,
            _ => client.auth_scram(user, password).await,
        };
        reply.expect("235");
        let reply = client.send_mail("alice@example.test", "bob@remote.test", MESSAGE).await;
        reply.expect("250 2.0.0");
        let sink = app.sink("mx.remote.test");
        sink.wait_for(number + 1, posthouse_tests::wait::PATIENCE).await.unwrap();
    }
    app.stop().await;
}

#[tokio::test]
async fn wrong_passwords_and_unknown_users_get_the_same_answer() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let mut replies = Vec::new();
    for (user, password) in [
        (alice.address.as_str(), "wrong"),
        ("nobody@example.test", alice.password.as_str()),
        ("nobody@elsewhere.test", "x"),
    ] {
        // Fewer than what slows down those who guess.
        for mechanism in ["PLAIN", "SCRAM"] {
            let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
            let reply = match mechanism {
                "PLAIN" => client.auth_plain(user, password).await,
                _ => client.auth_scram(user, password).await,
            };
            replies.push(reply.to_string());
        }
    }
    replies.dedup();
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert!(replies[0].starts_with("535 5.7.8"), "{replies:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_login_works_with_any_address_of_the_account_in_any_case() {
    let app = App::test().start().await;
    app.domain("example.test").await;
    let alice = app.account_with(&["alice@example.test", "a.smith@example.test"]).await;
    for user in ["ALICE@example.test", "a.smith@example.test", "alice+phone@example.test"] {
        let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
        client.auth_plain(user, &alice.password).await.expect("235");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_disabled_login_is_told_so_only_with_the_right_password() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let path = format!("/v1/accounts/{}", alice.account_id);
    let change = serde_json::json!({"login_disabled": "Please call the office"});
    app.admin().patch(&path, change).await.expect(200);
    let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
    client.auth_plain(&alice.address, "wrong").await.expect("535 5.7.8");
    let reply = client.auth_plain(&alice.address, &alice.password).await.expect("525 5.7.13");
    assert!(reply.text().contains("Please call the office"), "{reply}");
    app.stop().await;
}

#[tokio::test]
async fn nothing_is_done_for_strangers() {
    let app = App::test().start().await;
    app.account("alice@example.test").await;
    let mut client = SmtpClient::open(app.submission_addr()).await;
    client.command("MAIL FROM:<alice@example.test>").await.expect("530 5.7.0");
    client.starttls().await;
    client.command("MAIL FROM:<alice@example.test>").await.expect("530 5.7.0");
    client.command("RCPT TO:<alice@example.test>").await.expect("530 5.7.0");
    client.command("DATA").await.expect("530 5.7.0");
    app.stop().await;
}

#[tokio::test]
async fn a_password_is_not_taken_in_plain_text() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let mut client = SmtpClient::open(app.submission_addr()).await;
    let reply = client.auth_plain(&alice.address, &alice.password).await;
    assert!(reply.begins("538 5.7.11") || reply.begins("530 5.7.0"), "{reply}");
    app.stop().await;
}

#[tokio::test]
async fn neither_passwords_nor_keys_nor_contents_are_in_the_log() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let mut client = SmtpClient::open_tls(app.submissions_addr()).await;
    client.auth_plain(&alice.address, "wrong-password-7").await.expect("535");
    client.auth_plain(&alice.address, &alice.password).await.expect("235");
    let message = MESSAGE.replace("\r\n\r\nx", "\r\n\r\nsecret-content-7");
    client.send_mail("alice@example.test", "bob@remote.test", &message).await.expect("250");
    app.sink("mx.remote.test").wait_for(1, posthouse_tests::wait::PATIENCE).await.unwrap();
    let log = posthouse_tests::logs::text();
    assert!(!log.is_empty());
    for secret in [alice.password.as_str(), "wrong-password-7", "secret-content-7", "phk_"] {
        assert!(!log.contains(secret), "{secret:?} is in the log");
    }
    app.stop().await;
}
