//! Answers look as the OpenAPI document says: every field is described, every required one there.

use posthouse_tests::app::App;
use serde_json::Value;

#[tokio::test]
async fn answers_fit_the_document() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "Hello").await.id();
    alice.wait_for_status(&message, "delivered").await;
    let mail = alice.wait_for_mail("Hello").await;
    let mail = mail["id"].as_str().unwrap();
    let document = app.anonymous().get("/openapi.json").await.expect(200).json;
    let cases = [
        ("/v1/messages", "/v1/messages".to_owned()),
        ("/v1/messages/{id}", format!("/v1/messages/{message}")),
        ("/v1/messages/{id}/deliveries", format!("/v1/messages/{message}/deliveries")),
        ("/v1/messages/{id}/events", format!("/v1/messages/{message}/events")),
        ("/v1/events", "/v1/events".to_owned()),
        ("/v1/event-types", "/v1/event-types".to_owned()),
        ("/v1/queue", "/v1/queue".to_owned()),
        ("/v1/mailboxes", "/v1/mailboxes".to_owned()),
        ("/v1/mail", "/v1/mail".to_owned()),
        ("/v1/mail/{id}", format!("/v1/mail/{mail}")),
        ("/v1/sandbox/messages", "/v1/sandbox/messages".to_owned()),
        ("/v1/api-keys", "/v1/api-keys".to_owned()),
        ("/v1/accounts/{id}", format!("/v1/accounts/{}", alice.account_id)),
        ("/healthz", "/healthz".to_owned()),
        ("/version", "/version".to_owned()),
    ];
    for (template, path) in cases {
        let answer = alice.http.get(&path).await.expect(200).json;
        let content = &document["paths"][template]["get"]["responses"]["200"]["content"];
        let schema = &content["application/json"]["schema"];
        assert!(!schema.is_null(), "{template}");
        compare(&document, schema, &answer, template);
    }
    for (template, path) in [("/v1/accounts", "/v1/accounts"), ("/v1/domains", "/v1/domains")] {
        let answer = app.admin().get(path).await.expect(200).json;
        let content = &document["paths"][template]["get"]["responses"]["200"]["content"];
        compare(&document, &content["application/json"]["schema"], &answer, template);
    }
    app.stop().await;
}

/// Objects have the fields of their schema and no others.
fn compare(document: &Value, schema: &Value, value: &Value, place: &str) {
    let schema = match schema["$ref"].as_str() {
        Some(target) => document.pointer(target.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    };
    if let Value::Array(items) = value {
        for item in items {
            compare(document, &schema["items"], item, place);
        }
        return;
    }
    let Some(object) = value.as_object() else { return };
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
    let parts = schema["allOf"].as_array().cloned().unwrap_or_else(|| vec![schema.clone()]);
    for part in &parts {
        let part = match part["$ref"].as_str() {
            Some(target) => document.pointer(target.strip_prefix('#').unwrap()).unwrap(),
            None => part,
        };
        let Some(described) = part["properties"].as_object() else { continue };
        properties.extend(described.clone());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    if properties.is_empty() {
        return;
    }
    for (key, value) in object {
        let described = properties.get(key);
        let described = described.unwrap_or_else(|| panic!("{place}: {key} is not described"));
        compare(document, described, value, &format!("{place}/{key}"));
    }
    for name in required {
        assert!(object.contains_key(name.as_str().unwrap()), "{place}: {name} is missing");
    }
}
