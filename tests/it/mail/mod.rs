//! Mailboxes and mail changed over the API, and the feed of changes.

mod bulk;
mod changing;
mod feed;
mod mailboxes;
mod model;
mod quota;

use posthouse_tests::{
    app::App,
    client::{Answer, Client},
    person::Person,
};
use reqwest::Method;
use serde_json::{Value, json};

/// The mailbox with this name.
async fn mailbox(http: &Client, name: &str) -> Value {
    let all = http.all("/v1/mailboxes").await;
    let found = all.into_iter().find(|mailbox| mailbox["name"] == name);
    found.unwrap_or_else(|| panic!("no mailbox {name}"))
}

async fn mailbox_id(http: &Client, name: &str) -> String {
    mailbox(http, name).await["id"].as_str().unwrap().to_owned()
}

/// Makes a mailbox.
async fn make(http: &Client, name: &str) -> String {
    http.post("/v1/mailboxes", json!({"name": name})).await.expect(201).id()
}

/// Puts a small message into a mailbox; `more` are more parameters.
async fn append(http: &Client, mailbox: &str, subject: &str, more: &str) -> Answer {
    let message = format!("From: bob@example.net\r\nSubject: {subject}\r\n\r\nHello.\r\n");
    let path = format!("/v1/mail?mailbox_id={mailbox}{more}");
    http.request(Method::POST, &path).body("message/rfc822", message).send().await
}

/// Puts so many messages into the Inbox, and gives their ids.
async fn fill(person: &Person, count: usize) -> Vec<String> {
    let inbox = mailbox_id(&person.http, "Inbox").await;
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(append(&person.http, &inbox, &number.to_string(), "").await.expect(201).id());
    }
    ids
}

/// A client of the account with this scope only.
async fn key(app: &App, person: &Person, scope: &str) -> Client {
    let key = json!({"name": "few", "account_id": person.account_id, "scopes": [scope]});
    let key = app.admin().post("/v1/api-keys", key).await.expect(201);
    app.anonymous().with_key(key["key"].as_str().unwrap())
}

/// The kinds of the events about mail, in order, without those that come in.
async fn mail_events(person: &Person) -> Vec<Value> {
    let mut events = person.events().await;
    events.retain(|event| {
        let kind = event["type"].as_str().unwrap();
        kind.starts_with("mail.") && kind != "mail.received"
    });
    events
}

/// Everything that is counted, counted again.
async fn verify(app: &App) {
    let wrong: Vec<String> = sqlx::query_scalar(
        "SELECT format('%s: %s', b.name, row(b.total, b.deleted, b.unseen, b.unread, b.size_bytes,
             b.uidnext, b.modseq))
         FROM mailboxes AS b
         JOIN account_counters AS c ON c.account_id = b.account_id,
           LATERAL (SELECT count(*) FILTER (WHERE flags & 8 = 0 AND NOT expunged) AS total,
               count(*) FILTER (WHERE flags & 8 <> 0 AND NOT expunged) AS deleted,
               count(*) FILTER (WHERE flags & 1 = 0 AND NOT expunged) AS unseen,
               count(*) FILTER (WHERE flags & 9 = 0 AND NOT expunged) AS unread,
               coalesce(sum(size_bytes) FILTER (WHERE NOT expunged), 0) AS size_bytes,
               coalesce(max(uid), 0) AS uid, coalesce(max(modseq), 0) AS modseq,
               coalesce(max((SELECT max(k) FROM unnest(m.keywords) AS k)), 0) AS keyword,
               bool_or(expunged AND (flags <> 0 OR keywords <> '{}' OR expunged_at IS NULL)) AS odd
             FROM mails AS m
             WHERE m.account_id = b.account_id AND m.mailbox_id = b.mailbox_id) AS found
         WHERE (b.total, b.deleted, b.unseen, b.unread, b.size_bytes)
             IS DISTINCT FROM (found.total, found.deleted, found.unseen, found.unread,
               found.size_bytes)
           OR b.uidnext <= found.uid OR b.modseq < found.modseq OR c.modseq < b.modseq
           OR found.keyword > cardinality(b.keywords) OR found.odd
           OR b.expunged AND found.total + found.deleted > 0",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    assert_eq!(wrong, Vec::<String>::new());
    let accounts: Vec<String> = sqlx::query_scalar(
        "SELECT format('%s', c.mail_bytes) FROM account_counters AS c
         WHERE c.mail_bytes <> (SELECT coalesce(sum(size_bytes), 0) FROM mails AS m
           WHERE m.account_id = c.account_id AND NOT m.expunged)
           OR EXISTS (SELECT 1 FROM mails AS m WHERE m.account_id = c.account_id
             AND NOT m.expunged AND NOT EXISTS (SELECT 1 FROM mail_contents AS t
               WHERE t.account_id = m.account_id AND t.content_id = m.content_id))",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    assert_eq!(accounts, Vec::<String>::new());
}
