//! What comes back after a delivery: a message goes out to a sink, and the test answers by SMTP.

mod complaints;
mod forged;
mod forms;
mod reports;
mod tokens;

use posthouse_tests::{
    app::{App, Builder},
    client::Answer,
    person::Person,
    sink::Script,
};
use serde_json::Value;

/// A server, and `remote.test` with a sink.
fn app() -> Builder {
    App::test().sink("mx.remote.test", Script::new())
}

/// A message that was delivered, and the reverse-path that it went out with.
async fn deliver(app: &App, person: &Person, to: &[&str]) -> (Answer, String) {
    let before = app.sink("mx.remote.test").messages().len();
    let message = person.send(to, "Hello").await;
    person.wait_for_status(&message.id(), "delivered").await;
    let sent = app.sink("mx.remote.test").messages();
    (message, sent[before].mail_from.clone())
}

/// Sends a message with LF line ends to `to`, as a mail system does: with the null sender.
async fn answer(app: &App, to: &str, message: &str) {
    let message = message.replace('\n', "\r\n");
    app.smtp().await.send_mail("", to, &message).await.expect("250 2.0.0");
}

/// A delivery status notification with these blocks of recipients, about a message.
fn dsn(blocks: &str, message_id: &str) -> String {
    format!(
        "From: Mail System <mailer-daemon@remote.test>\nTo: alice@example.test\n\
         Subject: Report\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n\
         --x\nContent-Type: text/plain\n\nIt is so.\n\
         --x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.remote.test\n\n\
         {blocks}\n\
         --x\nContent-Type: text/rfc822-headers\n\nFrom: alice@example.test\n\
         Message-ID: {message_id}\nTo: bob@remote.test\n\n--x--\n"
    )
}

/// A block of a recipient that failed.
fn failed(recipient: &str) -> String {
    format!(
        "Final-Recipient: rfc822; {recipient}\nAction: failed\nStatus: 5.1.1\n\
         Remote-MTA: dns; inner.remote.test\nDiagnostic-Code: smtp; 550 5.1.1 No such user\n\n"
    )
}

fn message_id(message: &Answer) -> &str {
    message["message_id"].as_str().unwrap()
}

/// The events of a message of one type.
async fn events(person: &Person, message: &Answer, kind: &str) -> Vec<Value> {
    let mut events = person.events_of(&message.id()).await;
    events.retain(|event| event["type"] == kind);
    events
}

/// Types of the events of a message after it was delivered.
async fn told(person: &Person, message: &Answer) -> Vec<String> {
    let kinds = person.event_types_of(&message.id()).await;
    let known = ["message.accepted", "delivery.delivered"];
    kinds.into_iter().skip_while(|kind| known.contains(&kind.as_str())).collect()
}

/// Nothing but mail came of it: no event, no mark, no suppression.
async fn assert_untouched(person: &Person, message: &Answer) {
    assert_eq!(told(person, message).await, [""; 0]);
    for delivery in person.deliveries(&message.id()).await {
        assert_eq!(delivery["bounced_at"], Value::Null, "{delivery}");
        assert_eq!(delivery["complained_at"], Value::Null, "{delivery}");
    }
    let kinds = person.events().await;
    assert!(!kinds.iter().any(|event| event["type"] == "suppression.created"), "{kinds:?}");
}
