//! Who gets in, with what, how often, and what is noted of it.

mod administration;
mod api_keys;
mod app_passwords;
mod forged_tokens;
mod limits;
mod logins;
mod oidc;
mod tokens;

use std::time::Duration;

use posthouse_tests::{app::App, client::Client, person::Person};
use serde_json::{Value, json};

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// Sets the clock to the beginning of the next minute or day, where counts begin anew.
fn next(app: &App, window: u64) {
    let now = u64::try_from(app.now().unix_timestamp()).unwrap();
    app.advance(Duration::from_secs(window - now % window));
}

/// A client with a new key of `person` that `fields` say more of.
async fn key_of(app: &App, person: &Person, fields: Value) -> Client {
    let made = person.http.post("/v1/api-keys", named(fields)).await.expect(201);
    app.anonymous().with_key(made["key"].as_str().unwrap())
}

fn named(mut fields: Value) -> Value {
    if fields.get("name").is_none() {
        fields["name"] = "test".into();
    }
    if fields.get("scopes").is_none() {
        fields["scopes"] = json!(["send", "account:read", "account:write"]);
    }
    fields
}
