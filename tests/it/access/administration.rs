//! Audit log and conditional changes.

use posthouse_tests::{app::App, client::Answer};
use reqwest::Method;
use serde_json::{Value, json};

async fn conditional(app: &App, method: Method, path: &str, tag: &str) -> Answer {
    let request = app.admin().request(method.clone(), path).header("If-Match", tag);
    let request = if method == Method::PATCH { request.json(&json!({})) } else { request };
    request.send().await
}

#[tokio::test]
async fn what_has_changed_since_is_not_changed_again() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    app.domain("empty.test").await;
    let domain = app.admin().get("/v1/domains").await.expect(200)["data"][0]["id"].clone();
    let key = alice.http.get("/v1/api-keys").await.expect(200)["data"][0]["id"].clone();
    let webhook = json!({"url": "http://127.0.0.1:9/", "event_types": ["*"]});
    let webhook = app.admin().post("/v1/webhooks", webhook).await.expect(201).id();
    let transport = json!({"name": "x", "type": "fail"});
    let transport = app.admin().post("/v1/transports", transport).await.expect(201).id();
    let route = json!({"transport_id": transport});
    let route = app.admin().post("/v1/routes", route).await.expect(201).id();
    for (path, change) in [
        (format!("/v1/routes/{route}"), json!({"description": "new"})),
        (format!("/v1/transports/{transport}"), json!({"code": 550})),
        (format!("/v1/webhooks/{webhook}"), json!({"description": "new"})),
        (format!("/v1/domains/{}", domain.as_str().unwrap()), json!({"description": "new"})),
        (format!("/v1/api-keys/{}", key.as_str().unwrap()), json!({"name": "new"})),
        (format!("/v1/accounts/{}", alice.account_id), json!({"full_name": "new"})),
    ] {
        let seen = app.admin().get(&path).await.expect(200);
        let seen = seen.header("etag").unwrap().to_owned();
        assert!(seen.starts_with('"') && seen.ends_with('"'), "{seen}");
        conditional(&app, Method::PATCH, &path, &seen).await.expect(200);
        let changed = app.admin().patch(&path, change).await.expect(200);
        let now = changed.header("etag").unwrap().to_owned();
        assert_ne!(seen, now, "{path}");
        let weak = format!("W/{now}");
        for tag in [seen.as_str(), weak.as_str(), "\"\"", "x", ""] {
            for method in [Method::PATCH, Method::DELETE] {
                let refused = conditional(&app, method, &path, tag).await;
                refused.expect_problem(412, "precondition_failed");
            }
        }
        assert_eq!(app.admin().get(&path).await.expect(200).header("etag"), Some(now.as_str()));
        conditional(&app, Method::PATCH, &path, "*").await.expect(200);
        conditional(&app, Method::PATCH, &path, &format!("{seen}, {now}")).await.expect(200);
        conditional(&app, Method::DELETE, &path, &now).await.expect(204);
    }
    app.stop().await;
}

#[tokio::test]
async fn the_audit_log_tells_who_did_what_to_whom() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    alice.http.get("/v1/audit-log").await.expect_problem(403, "forbidden");
    let name = json!({"full_name": "Alice"});
    app.advance(std::time::Duration::from_mins(1));
    let since = posthouse_core::time::rfc3339(app.now());
    alice.http.patch("/v1/account", name.clone()).await.expect(200);
    let path = format!("/v1/accounts/{}", alice.account_id);
    let by_admin = app.admin().patch(&path, name).await.expect(200);
    let all = async |filter: &str| app.admin().all(&format!("/v1/audit-log?{filter}")).await;
    let [last, first] = <[Value; 2]>::try_from(all(&format!("since={since}")).await).unwrap();
    assert_eq!(
        (&last["action"], &first["action"]),
        (&json!("update_account"), &json!("update_own_account"))
    );
    assert_eq!(last["account_id"], alice.account_id);
    assert_ne!(last["actor_account_id"], alice.account_id);
    assert_eq!(last["request_id"].as_str(), by_admin.header("request-id"));
    assert_eq!(first["actor_account_id"], alice.account_id);
    assert!(first["credential"].as_str().unwrap().starts_with("key_"), "{first}");
    let own = all(&format!("actor_account_id={}", alice.account_id)).await;
    assert_eq!(own, std::slice::from_ref(&first));
    assert_eq!(all("action=update_account&limit=1").await, std::slice::from_ref(&last));
    let about = all(&format!("account_id={}&limit=1", alice.account_id)).await;
    assert_eq!(about[..2], [last, first]);
    assert!(about.len() > 2, "{about:?}");
    assert_eq!(all(&format!("until={since}")).await.len(), all("").await.len() - 2);
    let odd = app.admin().get("/v1/audit-log?account_id=x&since=y&z=1").await;
    assert_eq!(odd.expect_problem(422, "invalid_input").faults().len(), 3);
    app.stop().await;
}

/// Operations of administration, in an order in which all can be done.
const ADMINISTRATION: [(&str, &str, &str); 10] = [
    ("POST", "/v1/domains", r#"{"name": "new.test"}"#),
    ("PATCH", "/v1/domains/{id}", r#"{"description": "x"}"#),
    ("POST", "/v1/accounts", r#"{"name": "new", "addresses": ["new@new.test"]}"#),
    ("PATCH", "/v1/accounts/{id}", r#"{"full_name": "x"}"#),
    ("POST", "/v1/api-keys", r#"{"name": "new", "scopes": ["send"]}"#),
    ("PATCH", "/v1/api-keys/{id}", r#"{"name": "x"}"#),
    ("DELETE", "/v1/api-keys/{id}", ""),
    ("PATCH", "/v1/accounts/{id}", r#"{"addresses": []}"#),
    ("DELETE", "/v1/accounts/{id}", ""),
    ("DELETE", "/v1/domains/{id}", ""),
];

#[tokio::test]
async fn every_administrative_change_is_in_the_audit_log() {
    let app = App::test().start().await;
    let mut made = std::collections::HashMap::new();
    for (method, template, body) in ADMINISTRATION {
        let noun = template.split('/').nth(2).unwrap();
        let path = template.replace("{id}", made.get(noun).map_or("", String::as_str));
        let request = app.admin().request(method.parse().unwrap(), &path);
        let request =
            if body.is_empty() { request } else { request.body("application/json", body) };
        let answer = request.send().await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        if method == "POST" {
            made.insert(noun, answer.id());
        }
        assert!(is_recorded(&app, answer.header("request-id").unwrap()).await, "{method} {path}");
    }
    // Nothing that only administrators change is missing above: if what is new works with its
    // example, it is in the log; else it is to be added.
    let document = app.anonymous().get("/openapi.json").await.expect(200).json;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let scopes = operation["security"].as_array().unwrap();
            let changes = method != "get"
                && scopes.iter().any(|one| one["api_key"] == json!(["admin:write"]));
            let known =
                |(m, p, _): &(&str, &str, &str)| m.eq_ignore_ascii_case(method) && p == path;
            if !changes || ADMINISTRATION.iter().any(known) {
                continue;
            }
            let id = first_of(&app, path).await;
            let request = app
                .admin()
                .request(method.to_uppercase().parse().unwrap(), &path.replace("{id}", &id));
            let answer = match example(&document, operation) {
                Some(body) => request.json(&body),
                None => request,
            };
            let answer = answer.send().await;
            if (200..300).contains(&answer.status) {
                let recorded = is_recorded(&app, answer.header("request-id").unwrap()).await;
                assert!(recorded, "{method} {path} is not in the log");
            }
        }
    }
    app.stop().await;
}

async fn first_of(app: &App, path: &str) -> String {
    let Some((list, _)) = path.split_once("/{id}") else { return String::new() };
    let first = app.admin().get(list).await.json["data"][0]["id"].clone();
    first.as_str().unwrap_or("none").to_owned()
}

fn example(document: &Value, operation: &Value) -> Option<Value> {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let target = schema["$ref"].as_str()?.strip_prefix('#')?;
    document.pointer(target)?.get("example").cloned()
}

async fn is_recorded(app: &App, request_id: &str) -> bool {
    let found: i64 = sqlx::query_scalar("SELECT count(*) FROM audit_log WHERE request_id = $1")
        .bind(request_id)
        .fetch_one(app.db())
        .await
        .unwrap();
    found > 0
}
