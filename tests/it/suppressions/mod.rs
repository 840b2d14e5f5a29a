//! The suppression list over the API, what it does to mail, and unsubscribing.

mod effect;
mod files;
mod list;
mod unsubscribe;

use posthouse_tests::{app::App, client::Client, person::Person};
use serde_json::{Value, json};

/// Puts a recipient on the list of `person`; gives its id.
async fn suppress(person: &Person, address: &str) -> String {
    person.http.post("/v1/suppressions", json!({"address": address})).await.expect(201).id()
}

/// A client with one scope.
async fn key(app: &App, person: &Person, scope: &str) -> Client {
    let key = json!({"name": "few", "account_id": person.account_id, "scopes": [scope]});
    let key = app.admin().post("/v1/api-keys", key).await.expect(201);
    app.anonymous().with_key(key["key"].as_str().unwrap())
}

/// The data of all events of this type, in order.
async fn events(person: &Person, kind: &str) -> Vec<Value> {
    let all = person.events().await;
    all.into_iter().filter(|event| event["type"] == kind).map(|mut e| e["data"].take()).collect()
}
