//! The Received field of stored mail: who the client was, and an id that only we can read (A15).

use posthouse_core::{
    trace::{TraceKey, Traced},
    vault::Vault,
};
use posthouse_tests::{
    app::{App, MASTER_KEY},
    logs,
    person::Person,
    smtp_client::SmtpClient,
};

use super::{app, message};

/// The text of the only mail in the Inbox, and what the id in its Received field stands for.
async fn received(app: &App, person: &Person) -> (String, Traced) {
    let inbox = person.inbox().await;
    assert_eq!(inbox.len(), 1);
    let raw = person.raw_mail(inbox[0]["id"].as_str().unwrap()).await;
    let field = raw.split("\r\nReceived: ").nth(1).unwrap();
    let id = field.split(" id ").nth(1).unwrap().split([';', '\r']).next().unwrap();
    let key = TraceKey::new(&Vault::new(&MASTER_KEY).unwrap()).unwrap();
    let traced = key.open(id, app.now()).unwrap_or_else(|| panic!("{id} does not open"));
    (raw, traced)
}

/// Whether an id is to be read in a text; with or without what stands before `_`.
fn tells(text: &str, id: &str) -> bool {
    text.to_lowercase().contains(id.split_once('_').unwrap().1)
}

#[tokio::test]
async fn the_id_of_mail_from_outside_leads_to_the_connection_in_the_log() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let mut client = app.smtp().await;
    let reply = client.send_mail("bob@remote.test", "alice@example.test", &message("One")).await;
    let connection = reply.text().rsplit(' ').next().unwrap();
    assert!(reply.begins("250 2.0.0 Received as req_"), "{reply}");
    let (raw, traced) = received(&app, &alice).await;
    assert_eq!(traced, Traced::Connection(connection.parse().unwrap()));
    assert!(!tells(&raw, connection), "{raw}");
    assert!(logs::text().contains(&format!("message received connection.id={connection}")));
    app.stop().await;
}

#[tokio::test]
async fn the_id_of_submitted_mail_leads_to_the_message_in_the_log() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let carol = app.account("carol@example.test").await;
    let reply = alice.submit(&[&carol.address], "By SMTP").await.expect("250 2.0.0 Queued as msg_");
    let by_smtp = reply.text().rsplit(' ').next().unwrap().to_owned();
    carol.wait_for_mail("By SMTP").await;
    check_submitted(&app, &carol, &by_smtp).await;

    let dave = app.account("dave@example.test").await;
    let by_http = alice.send(&[&dave.address], "By HTTP").await.id();
    dave.wait_for_mail("By HTTP").await;
    check_submitted(&app, &dave, &by_http).await;
    app.stop().await;
}

/// Neither Received nor the Message-ID that we made tells the id.
async fn check_submitted(app: &App, recipient: &Person, message: &str) {
    let (raw, traced) = received(app, recipient).await;
    assert_eq!(traced, Traced::Message(message.parse().unwrap()));
    assert!(!tells(&raw, message), "{raw}");
    assert!(logs::text().contains(&format!("message accepted message.id={message}")));
}

#[tokio::test]
async fn the_confirmed_name_of_the_client_is_there_and_no_other() {
    let app = app().start().await;
    // The resolver takes every address of loopback for `localhost` by itself (RFC 6761 §6.3), and
    // `localhost` for 127.0.0.1.
    for (subject, from, client) in [
        ("Named", [127, 0, 0, 1], "from client.test (localhost [127.0.0.1])\r\n"),
        ("Nameless", [127, 0, 0, 3], "from client.test ([127.0.0.3])\r\n"),
    ] {
        let person = app.account(&format!("{}@example.test", subject.to_lowercase())).await;
        let mut smtp = SmtpClient::open_from(from.into(), app.smtp_addr()).await;
        let reply = smtp.send_mail("bob@remote.test", &person.address, &message(subject)).await;
        reply.expect("250");
        let (raw, _) = received(&app, &person).await;
        assert!(raw.contains(client), "{raw}");
    }
    app.stop().await;
}
