//! THREATS 2: STARTTLS, implicit TLS, and what is allowed before.

use posthouse_smtp_gateway::{ListenerKind, SmtpConfig};
use posthouse_tests::smtp_client::SmtpClient;

use super::Gateway;

#[tokio::test]
async fn starttls_makes_a_login_possible() {
    let gateway = Gateway::start(ListenerKind::Submission, SmtpConfig::default()).await;
    let mut client = SmtpClient::connect(gateway.address).await;
    client.reply().await.expect("220");
    let offer = client.command("EHLO client.test").await.expect("250");
    assert!(offer.offers("STARTTLS") && !offer.offers("AUTH"), "{offer}");
    client.auth_plain("a@example.test", "x").await.expect("538 5.7.11");
    client.command("STARTTLS").await.expect("220");
    client.handshake().await;
    client.command("MAIL FROM:<a@example.test>").await.expect("503");
    let offer = client.command("EHLO client.test").await.expect("250");
    assert!(offer.offers("AUTH") && !offer.offers("STARTTLS"), "{offer}");
    client.command("MAIL FROM:<a@example.test>").await.expect("530 5.7.0");
}

#[tokio::test]
async fn implicit_tls_needs_no_starttls() {
    let gateway = Gateway::start(ListenerKind::Submissions, SmtpConfig::default()).await;
    let mut client = SmtpClient::connect_tls(gateway.address).await;
    client.reply().await.expect("220");
    let offer = client.command("EHLO client.test").await.expect("250");
    assert!(offer.offers("AUTH") && !offer.offers("STARTTLS"), "{offer}");
}

#[tokio::test]
async fn passwords_in_plain_text_are_for_loopback_only_where_allowed() {
    let config = SmtpConfig { plain_login_on_loopback: true, ..SmtpConfig::default() };
    let gateway = Gateway::start(ListenerKind::Submission, config.clone()).await;
    let mut client = SmtpClient::connect(gateway.address).await;
    client.reply().await.expect("220");
    assert!(client.command("EHLO client.test").await.offers("AUTH"));
    let gateway = Gateway::start(ListenerKind::Mx, config).await;
    let mut client = SmtpClient::connect(gateway.address).await;
    client.reply().await.expect("220");
    assert!(!client.command("EHLO client.test").await.offers("AUTH"));
}
