//! API keys: what bounds them holds, and no key makes a stronger one (THREATS 22).

use std::time::Duration;

use posthouse_tests::app::App;
use serde_json::{Value, json};

use super::{key_of, named};

#[tokio::test]
async fn a_key_works_only_from_its_networks_until_its_end() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let away = named(json!({"allowed_cidrs": ["192.0.2.0/24", "::/0"]}));
    let away = alice.http.post("/v1/api-keys", away).await.expect(201);
    let client = app.anonymous().with_key(away["key"].as_str().unwrap());
    client.get("/v1/api-keys").await.expect_problem(401, "invalid_credentials");
    // What was refused was no use.
    let away = alice.http.get(&format!("/v1/api-keys/{}", away.id())).await.expect(200);
    assert_eq!(away["last_used_at"], Value::Null);
    let end = posthouse_core::time::rfc3339(app.now() + Duration::from_mins(10));
    let made = alice.http.post("/v1/api-keys", named(json!({"expires_at": end}))).await.expect(201);
    let here = app.anonymous().with_key(made["key"].as_str().unwrap());
    assert_eq!(made["last_used_at"], Value::Null);
    here.get("/v1/api-keys").await.expect(200);
    app.advance(Duration::from_secs(601));
    here.get("/v1/api-keys").await.expect_problem(401, "credentials_expired");
    let place = format!("/v1/api-keys/{}", made.id());
    let used = alice.http.get(&place).await.expect(200)["last_used_at"].clone();
    assert!(used.as_str().unwrap() < end.as_str(), "{used}");
    app.stop().await;
}

/// Bounds of a key, each with what is stronger, where that is told, and what is not stronger.
fn bounds() -> Vec<(Value, Value, &'static str, Value)> {
    vec![
        (
            json!({"scopes": ["send", "account:write"]}),
            json!({"scopes": ["send", "mail:read"]}),
            "/scopes/1",
            json!({"scopes": ["send"]}),
        ),
        (
            json!({"allowed_cidrs": ["127.0.0.0/8"]}),
            json!({"allowed_cidrs": []}),
            "/allowed_cidrs",
            json!({"allowed_cidrs": ["127.0.0.1"]}),
        ),
        (
            json!({"allowed_cidrs": ["127.0.0.0/8"]}),
            json!({"allowed_cidrs": ["127.1.0.0/16", "0.0.0.0/0"]}),
            "/allowed_cidrs/1",
            json!({"allowed_cidrs": ["127.0.0.0/9"]}),
        ),
        (
            json!({"allowed_senders": ["@example.test"]}),
            json!({"allowed_senders": []}),
            "/allowed_senders",
            json!({"allowed_senders": ["alice@example.test", "@Example.test"]}),
        ),
        (
            json!({"allowed_senders": ["alice@example.test"]}),
            json!({"allowed_senders": ["@example.test"]}),
            "/allowed_senders/0",
            json!({"allowed_senders": ["alice@EXAMPLE.test"]}),
        ),
        (json!({"sandbox": true}), json!({"sandbox": false}), "/sandbox", json!({"sandbox": true})),
        (
            json!({"expires_at": "2099-01-01T00:00:00Z"}),
            json!({"expires_at": null}),
            "/expires_at",
            json!({"expires_at": "2098-01-01T00:00:00Z"}),
        ),
        (
            json!({"expires_at": "2099-01-01T00:00:00Z"}),
            json!({"expires_at": "2099-01-01T00:00:01Z"}),
            "/expires_at",
            json!({"expires_at": "2099-01-01T00:00:00Z"}),
        ),
    ]
}

/// A key with these bounds and all of those in `own` that `fields` do not name.
fn with(own: &Value, fields: &Value) -> Value {
    let mut key = own.clone();
    key.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    named(key)
}

#[tokio::test]
async fn no_key_makes_a_stronger_one() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    for (own, stronger, pointer, fine) in bounds() {
        let weak = key_of(&app, &alice, own.clone()).await;
        let refused = weak.post("/v1/api-keys", with(&own, &stronger)).await;
        assert_eq!(refused.expect_problem(422, "invalid_input").pointers(), [pointer], "{own}");
        let made = weak.post("/v1/api-keys", with(&own, &fine)).await.expect(201);
        // Nor does it turn one into a stronger one, be it itself.
        let place = format!("/v1/api-keys/{}", made.id());
        let refused = weak.patch(&place, stronger.clone()).await;
        assert_eq!(refused.expect_problem(422, "invalid_input").pointers(), [pointer], "{own}");
        weak.patch(&place, json!({"name": "renamed"})).await.expect(200);
        // Who may do more may give more.
        alice.http.patch(&place, stronger).await.expect(200);
    }
    app.stop().await;
}

#[tokio::test]
async fn an_answer_given_again_tells_no_weaker_key_the_secret() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let weak = key_of(&app, &alice, json!({"scopes": ["account:write"]})).await;
    let new = named(json!({"scopes": ["send"]}));
    let ask = |client: &posthouse_tests::client::Client| {
        let request = client.request(reqwest::Method::POST, "/v1/api-keys");
        request.header("Idempotency-Key", "again").json(&new).send()
    };
    let made = ask(&alice.http).await.expect(201);
    assert_eq!(ask(&alice.http).await.expect(201)["key"], made["key"]);
    ask(&weak).await.expect_problem(422, "invalid_input");
    app.stop().await;
}

#[tokio::test]
async fn a_key_is_changed_at_once_and_may_only_become_weaker() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let new = named(json!({"scopes": ["mail:read", "send"], "expires_at": "2099-01-01T00:00:00Z"}));
    let made = alice.http.post("/v1/api-keys", new).await.expect(201);
    let (place, key) = (format!("/v1/api-keys/{}", made.id()), made["key"].as_str().unwrap());
    let client = app.anonymous().with_key(key);
    client.get("/v1/mailboxes").await.expect(200);
    // A key without mail:read takes it away from another, and cannot give it back.
    let weak = key_of(&app, &alice, json!({"scopes": ["account:write"]})).await;
    let changed = weak.patch(&place, json!({"scopes": ["send"], "name": "less"})).await.expect(200);
    assert_eq!((&changed["scopes"], &changed["name"]), (&json!(["send"]), &json!("less")));
    client.get("/v1/mailboxes").await.expect_problem(403, "forbidden");
    let refused = weak.patch(&place, json!({"scopes": ["send", "mail:read"]})).await;
    refused.expect_problem(422, "invalid_input");
    let endless = json!({"scopes": ["mail:read", "mail:read"], "expires_at": null});
    let changed = alice.http.patch(&place, endless).await.expect(200);
    assert_eq!(changed["expires_at"], Value::Null);
    assert_eq!(changed["scopes"], json!(["mail:read"]));
    client.get("/v1/mailboxes").await.expect(200);
    // No administrator either gives scopes that the account cannot have.
    let refused = app.admin().patch(&place, json!({"scopes": ["admin:read"]})).await;
    refused.expect_problem(422, "invalid_input");
    app.stop().await;
}

#[tokio::test]
async fn a_bound_key_sets_no_password_that_lets_in_without_the_bounds() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let few = json!({"name": "few", "scopes": ["admin:write", "admin:read"]});
    let made = app.admin().post("/v1/api-keys", few).await.expect(201);
    let few = app.anonymous().with_key(made["key"].as_str().unwrap());
    let password = json!({"password": "a new password"});
    let own = format!("/v1/accounts/{}", made["account_id"].as_str().unwrap());
    let refused = few.patch(&own, password.clone()).await.expect_problem(422, "invalid_input");
    assert_eq!(refused.pointers(), ["/password"]);
    let new = json!({"name": "root", "role": "admin", "password": "a new password"});
    few.post("/v1/accounts", new).await.expect_problem(422, "invalid_input");
    few.patch(&format!("/v1/accounts/{}", alice.account_id), password.clone()).await.expect(200);
    app.admin().patch(&own, password).await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn acting_for_somebody_shows_the_keys_of_that_account_only() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    app.account("bob@example.test").await;
    let request = app.admin().request(reqwest::Method::GET, "/v1/api-keys");
    let keys = request.header("Posthouse-Account", &alice.account_id).send().await.expect(200);
    let owners = keys["data"].as_array().unwrap().iter().map(|key| key["account_id"].as_str());
    assert_eq!(owners.collect::<Vec<_>>(), [Some(alice.account_id.as_str())]);
    // What is done then is in the log as the administrator's.
    let request = app.admin().request(reqwest::Method::PATCH, "/v1/account");
    let request = request.header("Posthouse-Account", &alice.account_id);
    request.json(&json!({"full_name": "Alice"})).send().await.expect(200);
    let admin = app.admin().get("/v1/account").await.expect(200).id();
    let entries = app.admin().all("/v1/audit-log?limit=2").await;
    for (entry, action) in entries.iter().zip(["update_own_account", "act_for_account"]) {
        assert_eq!((&entry["action"], &entry["actor_account_id"]), (&json!(action), &json!(admin)));
        assert_eq!(entry["account_id"], alice.account_id);
    }
    app.stop().await;
}
