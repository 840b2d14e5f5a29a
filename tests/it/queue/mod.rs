//! Looking at what waits, and changing it.

mod actions;
mod bulk;
mod holds;
mod listing;
mod preview;

use posthouse_tests::{app::App, client::Answer, person::Person};
use serde_json::{Value, json};

const REMOTE: &str = "mx.remote.test";

/// A message for later.
async fn scheduled(app: &App, person: &Person, to: &[&str], hours: i64) -> String {
    let at = posthouse_core::time::rfc3339(app.now() + time::Duration::hours(hours));
    let message = json!({"to": to, "subject": "Later", "text": "x", "scheduled_at": at});
    person.post_message(message).await.expect(202).id()
}

/// Asks for a change of a message or delivery.
async fn change(person: &Person, id: &str, action: &str) -> Answer {
    let noun = if id.starts_with("msg_") { "messages" } else { "deliveries" };
    person.http.post(&format!("/v1/{noun}/{id}/{action}"), json!({})).await
}

/// A field of every item of a list.
fn each<'a>(list: &'a Answer, field: &str) -> Vec<&'a Value> {
    list["data"].as_array().unwrap().iter().map(|item| &item[field]).collect()
}
