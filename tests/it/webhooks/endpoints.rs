//! Endpoints over the API.

use posthouse_tests::{app::App, client::Client, receiver::Receiver};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

#[tokio::test]
async fn an_endpoint_is_made_changed_and_deleted() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let new = json!({
        "url": "https://Hooks.Example.test", "description": "orders", "event_types": ["mail.*"],
        "headers": {"Authorization": "Bearer x", "X-A": "1"}, "enabled": false,
    });
    let made = alice.http.post("/v1/webhooks", new).await.expect(201);
    let path = format!("/v1/webhooks/{}", made.id());
    assert_eq!(made.header("location"), Some(path.as_str()));
    assert_eq!(made["url"], "https://hooks.example.test/");
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let found = alice.http.get(&path).await.expect(200);
    assert!(found.json.get("secret").is_none());
    assert_eq!(found["headers"], json!({"Authorization": "Bearer x", "X-A": "1"}));
    assert_eq!(alice.http.get(&format!("{path}/secret")).await.expect(200)["secret"], secret);

    let change =
        json!({"event_types": ["*"], "headers": {"X-A": null, "X-B": "2"}, "enabled": true});
    let changed = alice.http.patch(&path, change).await.expect(200);
    assert_eq!(changed["headers"], json!({"Authorization": "Bearer x", "X-B": "2"}));
    assert_eq!((&changed["enabled"], &changed["description"]), (&json!(true), &json!("orders")));
    assert_eq!(alice.http.get(&path).await.expect(200).json, changed.json);
    assert_eq!(alice.http.all("/v1/webhooks").await, std::slice::from_ref(&changed.json));

    alice.http.delete(&path).await.expect(204);
    alice.http.get(&path).await.expect_problem(404, "not_found");
    assert_eq!(alice.http.all("/v1/webhooks").await, Vec::<Value>::new());
    app.stop().await;
}

#[tokio::test]
async fn all_faults_of_an_endpoint_are_told_at_once() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let new = json!({
        "url": "http://169.254.169.254/latest", "description": "a\u{7}", "event_types": ["nope", "mail.*"],
        "headers": {"Webhook-Id": "1", "A B": "2", "X-C": "a\r\nB: c"},
    });
    let refused = alice.http.post("/v1/webhooks", new).await.expect_problem(422, "invalid_input");
    let mut pointers = refused.pointers();
    pointers.sort_unstable();
    let expected = [
        "/description",
        "/event_types/0",
        "/headers/A B",
        "/headers/Webhook-Id",
        "/headers/X-C",
        "/url",
    ];
    assert_eq!(pointers, expected);
    let unknown = json!({"url": "https://example.test/", "secret": "whsec_x"});
    let refused =
        alice.http.post("/v1/webhooks", unknown).await.expect_problem(422, "invalid_input");
    assert_eq!(refused.pointers(), ["/secret"]);
    // The harness allows 127.0.0.0/8 and nothing else.
    for url in ["http://[::1]:80/", "http://10.0.0.1/", "http://0/", "http://user@example.test/"] {
        let refused = alice.http.post("/v1/webhooks", json!({"url": url})).await;
        assert_eq!(refused.expect_problem(422, "invalid_input").pointers(), ["/url"], "{url}");
    }
    assert_eq!(alice.http.all("/v1/webhooks").await, Vec::<Value>::new());
    app.stop().await;
}

#[tokio::test]
async fn endpoints_belong_to_their_account() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let receiver = Receiver::start().await;
    let path = format!("/v1/webhooks/{}", alice.webhook(&receiver, &["*"]).await.id());
    assert_eq!(bob.http.all("/v1/webhooks").await, Vec::<Value>::new());
    for (method, below) in all_of_one() {
        let request = bob.http.request(method.clone(), &format!("{path}{below}"));
        let request = match below {
            "/replay" => request.json(&json!({"since": "2020-01-01T00:00:00Z"})),
            "/secret/rotate" => request.json(&json!({})),
            _ if method == Method::PATCH => request.json(&json!({})),
            _ => request,
        };
        request.send().await.expect_problem(404, "not_found");
    }
    let reader = key(&app, &alice.account_id, "webhooks:read").await;
    reader.get(&path).await.expect(200);
    reader.get(&format!("{path}/secret")).await.expect_problem(403, "forbidden");
    reader.get(&format!("{path}/stats")).await.expect(200);
    reader.delete(&path).await.expect_problem(403, "forbidden");
    let other = key(&app, &alice.account_id, "mail:read").await;
    other.get("/v1/webhooks").await.expect_problem(403, "forbidden");
    app.stop().await;
}

fn all_of_one() -> [(Method, &'static str); 11] {
    [
        (Method::GET, ""),
        (Method::PATCH, ""),
        (Method::GET, "/secret"),
        (Method::POST, "/secret/rotate"),
        (Method::POST, "/enable"),
        (Method::POST, "/disable"),
        (Method::POST, "/replay"),
        (Method::GET, "/stats"),
        (Method::POST, "/test"),
        (Method::GET, "/deliveries"),
        (Method::DELETE, ""),
    ]
}

async fn key(app: &App, account_id: &str, scope: &str) -> Client {
    let key = json!({"name": "few", "account_id": account_id, "scopes": [scope]});
    let key = app.admin().post("/v1/api-keys", key).await.expect(201);
    app.anonymous().with_key(key["key"].as_str().unwrap())
}

#[tokio::test]
async fn a_repeated_request_makes_one_endpoint() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let new = json!({"url": "https://example.test/"});
    let post = async |path: &str, body: Option<&Value>| {
        let request = alice.http.request(Method::POST, path).header("Idempotency-Key", "k1");
        match body {
            Some(body) => request.json(body).send().await,
            None => request.send().await,
        }
    };
    let first = post("/v1/webhooks", Some(&new)).await.expect(201);
    let second = post("/v1/webhooks", Some(&new)).await.expect(201);
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    assert_eq!(first.json, second.json);
    assert_eq!(alice.http.all("/v1/webhooks").await.len(), 1);
    let path = format!("/v1/webhooks/{}/test", first.id());
    post(&path, None).await.expect_problem(422, "idempotency_key_reused");
    app.stop().await;
}

#[tokio::test]
async fn an_account_has_at_most_fifty_endpoints() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let new = json!({"url": "https://example.test/", "enabled": false});
    let mut requests = JoinSet::new();
    for _ in 0..55 {
        let (http, new) = (alice.http.clone(), new.clone());
        requests.spawn(async move { http.post("/v1/webhooks", new).await });
    }
    let mut refused = 0;
    for answer in requests.join_all().await {
        if answer.status != 201 {
            answer.expect_problem(422, "policy_rejected");
            refused += 1;
        }
    }
    assert_eq!(refused, 5);
    assert_eq!(alice.http.all("/v1/webhooks?limit=7").await.len(), 50);
    app.stop().await;
}
