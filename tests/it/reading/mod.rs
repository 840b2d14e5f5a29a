//! Reading mail: searching, showing, conversations, answers.

mod answers;
mod search;
mod showing;
mod threads;

use posthouse_tests::{
    app::{App, Builder},
    dns::zone,
    person::Person,
};
use serde_json::Value;

/// A server, and `remote.test`, whose mail it takes.
fn app() -> Builder {
    App::test().dns(zone("remote.test").mx(10, "mx").address("mx", [127, 0, 0, 1]))
}

/// Brings a message to `person`, and gives the mail that it became.
async fn receive(app: &App, person: &Person, header: &str, body: &str) -> Value {
    let before = person.inbox().await.len();
    let text = format!("{header}\r\nDate: Mon, 2 Mar 2026 10:00:00 +0100\r\n\r\n{body}\r\n");
    let mut client = app.smtp().await;
    client.send_mail("bob@remote.test", &person.address, &text).await.expect("250");
    let mut inbox = person.inbox().await;
    assert_eq!(inbox.len(), before + 1);
    inbox.pop().unwrap()
}

/// `/v1/mail/{id}`
fn path(mail: &Value) -> String {
    format!("/v1/mail/{}", mail["id"].as_str().unwrap())
}
