//! An account of the server under test, with everything that gets in: API key and password.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::{
    client::{Answer, Client},
    smtp_client::SmtpClient,
    wait::eventually,
};

/// Somebody with an account.
#[derive(Clone)]
pub struct Person {
    /// The first address.
    pub address: String,
    /// The password for mail programs.
    pub password: String,
    /// `acc_…`
    pub account_id: String,
    /// Calls the API with a key of the account that has every right of a user.
    pub http: Client,
    pub(crate) submission: SocketAddr,
}

impl Person {
    /// Sends a small message and returns the answer; fails the test unless it is taken.
    pub async fn send(&self, to: &[&str], subject: &str) -> Answer {
        self.post_message(json!({"to": to, "subject": subject, "text": "Hello.\n"}))
            .await
            .expect(202)
    }

    /// POSTs a message; `from` is this person unless it says otherwise.
    pub async fn post_message(&self, mut message: Value) -> Answer {
        if message.get("from").is_none() {
            message["from"] = self.address.clone().into();
        }
        self.http.post("/v1/messages", message).await
    }

    /// The deliveries of a message, with their attempts.
    pub async fn deliveries(&self, message_id: &str) -> Vec<Value> {
        self.http.all(&format!("/v1/messages/{message_id}/deliveries")).await
    }

    /// The status of each delivery of a message, in order.
    pub async fn statuses(&self, message_id: &str) -> Vec<String> {
        let deliveries = self.deliveries(message_id).await;
        let status = |delivery: &Value| delivery["status"].as_str().unwrap().to_owned();
        deliveries.iter().map(status).collect()
    }

    /// Waits until every delivery of the message has this status, and returns the deliveries.
    pub async fn wait_for_status(&self, message_id: &str, status: &str) -> Vec<Value> {
        eventually(&format!("{message_id} is {status}"), async || {
            let deliveries = self.deliveries(message_id).await;
            let all = deliveries.iter().all(|delivery| delivery["status"] == status);
            (all && !deliveries.is_empty()).then_some(deliveries)
        })
        .await
    }

    /// Waits until the only delivery of the message has had so many attempts, and returns it.
    pub async fn wait_for_attempts(&self, message_id: &str, attempts: usize) -> Value {
        eventually(&format!("attempt {attempts} of {message_id}"), async || {
            let delivery = self.deliveries(message_id).await.remove(0);
            let made = delivery["attempts"].as_array().map_or(0, Vec::len);
            (made >= attempts).then_some(delivery)
        })
        .await
    }

    /// The events of a message, in order.
    pub async fn events_of(&self, message_id: &str) -> Vec<Value> {
        let mut events = self.http.all(&format!("/v1/messages/{message_id}/events")).await;
        events.sort_by_key(|event| event["seq"].as_i64());
        events
    }

    /// The types of the events of a message, in order.
    pub async fn event_types_of(&self, message_id: &str) -> Vec<String> {
        let events = self.events_of(message_id).await;
        events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// All events of the account, in order.
    pub async fn events(&self) -> Vec<Value> {
        let mut events = self.http.all("/v1/events?limit=200").await;
        events.sort_by_key(|event| event["seq"].as_i64());
        events
    }

    /// Waits for the first event of this type in the account.
    pub async fn wait_for_event(&self, kind: &str) -> Value {
        eventually(kind, async || {
            self.events().await.into_iter().find(|event| event["type"] == kind)
        })
        .await
    }

    /// All mail of a mailbox, oldest first.
    pub async fn mail_in(&self, mailbox: &str) -> Vec<Value> {
        let mailboxes = self.http.all("/v1/mailboxes").await;
        let mailbox = mailboxes.iter().find(|found| found["name"] == mailbox).unwrap();
        let id = mailbox["id"].as_str().unwrap();
        let mut mail = self.http.all(&format!("/v1/mail?mailbox_id={id}&limit=200")).await;
        mail.sort_by_key(|mail| mail["uid"].as_i64());
        mail
    }

    /// All mail of the Inbox, oldest first.
    pub async fn inbox(&self) -> Vec<Value> {
        self.mail_in("Inbox").await
    }

    /// Waits for mail in the Inbox whose subject contains `subject`.
    pub async fn wait_for_mail(&self, subject: &str) -> Value {
        eventually(&format!("mail about {subject:?}"), async || {
            let contains = |mail: &Value| mail["subject"].as_str().unwrap_or("").contains(subject);
            self.inbox().await.into_iter().find(contains)
        })
        .await
    }

    /// The bytes of a mail.
    pub async fn raw_mail(&self, mail_id: &str) -> String {
        self.http.get(&format!("/v1/mail/{mail_id}/raw")).await.expect(200).text()
    }

    /// Connects to the submission port over STARTTLS and logs in.
    pub async fn submission(&self) -> SmtpClient {
        let mut client = SmtpClient::open(self.submission).await;
        client.starttls().await;
        client.auth_plain(&self.address, &self.password).await.expect("235");
        client
    }

    /// Submits a small message over SMTP and returns the reply to its end.
    pub async fn submit(&self, to: &[&str], subject: &str) -> crate::smtp_client::Reply {
        let mut client = self.submission().await;
        client.envelope(&self.address, to).await;
        let (from, to) = (&self.address, to.join(", "));
        let message = format!("From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nHello.\r\n");
        client.data(&message).await
    }
}
