//! What is refused without a database, and that its absence is told as temporary.

use posthouse_smtp_gateway::{ListenerKind, SmtpConfig};

use super::Gateway;

#[tokio::test]
async fn without_postgres_everything_is_temporary() {
    let gateway = Gateway::start(ListenerKind::Mx, SmtpConfig::default()).await;
    let mut client = gateway.open().await;
    client.command("MAIL FROM:<>").await.expect("250 2.1.0");
    client.command("RCPT TO:<alice@example.test>").await.expect("451 4.3.2");
    client.command("DATA").await.expect("554 5.5.1");
    client.command("NOOP").await.expect("250");
}

#[tokio::test]
async fn wrong_addresses_need_no_postgres() {
    let gateway = Gateway::start(ListenerKind::Mx, SmtpConfig::default()).await;
    let mut client = gateway.open().await;
    client.command("MAIL FROM:<a@[192.0.2.1]>").await.expect("550 5.1.8");
    client.command("MAIL FROM:<a@example_domain.test>").await.expect("501 5.1.7");
    client.command("MAIL FROM:<a@remote.test> SIZE=1001").await.expect("552 5.3.4");
    client.command("MAIL FROM:<>").await.expect("250");
    client.command("RCPT TO:<a@[127.0.0.1]>").await.expect("550 5.1.1");
    client.command("RCPT TO:<a@xn--example-.com>").await.expect("501 5.1.3");
}

#[tokio::test]
async fn a_name_of_helo_must_be_in_the_dns() {
    let gateway = Gateway::start(ListenerKind::Mx, SmtpConfig::default()).await;
    let mut client = gateway.open().await;
    client.command("HELO nowhere.test").await.expect("550 5.7.1");
    client.command("MAIL FROM:<>").await.expect("503 5.5.1");
    let gateway = Gateway::start_with(ListenerKind::Mx, SmtpConfig::default(), |core| {
        core.sandbox = true;
    });
    gateway.await.open().await.command("HELO nowhere.test").await.expect("250");
}
