//! Nobody gets in without a credential, without the scope, or to what is somebody else's
//! (THREATS 22). Walks the OpenAPI document: there is no list to forget an operation in.

use posthouse_core::Scope;
use posthouse_tests::{
    app::App,
    client::{Answer, Client},
    wait::eventually,
};
use reqwest::Method;
use serde_json::{Value, json};

/// One operation of the document.
struct Operation {
    id: String,
    method: Method,
    path: String,
    /// Scopes that let somebody in, any of them; none: open to everybody.
    scopes: Option<Vec<String>>,
    content_type: Option<String>,
    example: Option<Value>,
}

impl Operation {
    fn read(document: &Value, method: &str, path: &str, operation: &Value) -> Self {
        let requirements = operation["security"].as_array().unwrap();
        let is_open = requirements.iter().any(|one| one.as_object().unwrap().is_empty());
        let scopes = requirements.iter().filter_map(|one| one["api_key"].as_array()).flatten();
        let scopes = scopes.map(|scope| scope.as_str().unwrap().to_owned()).collect();
        let content = operation["requestBody"]["content"].as_object();
        let content = content.and_then(|content| content.iter().next());
        Self {
            id: operation["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            path: path.to_owned(),
            scopes: (!is_open).then_some(scopes),
            content_type: content.map(|(kind, _)| kind.clone()),
            example: content.and_then(|(_, content)| example(document, content)),
        }
    }

    /// The path with `id` in place of a parameter of that name, and something for the others.
    fn place(&self, id: &str) -> String {
        self.path.replace("{id}", id).replace("{path}", "1").replace("{selector}", "s1")
    }

    /// Asks with a body that is full of faults, if there is one.
    async fn ask_wrongly(&self, client: &Client, id: &str) -> Option<Answer> {
        let kind = self.content_type.as_deref()?;
        let body = r#"{"from": 7, "name": "", "url": "http://10.0.0.1/", "x": 1}"#;
        let path = format!("{}?x=1", self.place(id));
        let request = client.request(self.method.clone(), &path);
        Some(request.header("Idempotency-Key", "").body(kind, body).send().await)
    }

    async fn ask(&self, client: &Client, id: &str) -> Answer {
        let mut path = self.place(id);
        if path.ends_with("/wait") {
            path.push_str("?timeout_seconds=0");
        }
        let request = client.request(self.method.clone(), &path);
        match (&self.example, &self.content_type) {
            (Some(Value::String(text)), Some(kind)) => request.body(kind, text.clone()),
            (Some(example), _) => request.json(example),
            (None, Some(kind)) => request.body(kind, ""),
            (None, None) => request,
        }
        .send()
        .await
    }

    fn has_id(&self) -> bool {
        self.path.contains("{id}")
    }
}

fn example(document: &Value, content: &Value) -> Option<Value> {
    if !content["example"].is_null() {
        return Some(content["example"].clone());
    }
    let target = content["schema"]["$ref"].as_str()?.strip_prefix('#')?;
    let example = document.pointer(target)?.get("example")?;
    Some(example.clone())
}

async fn operations(app: &App) -> Vec<Operation> {
    let document = app.anonymous().get("/openapi.json").await.expect(200).json;
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations.push(Operation::read(&document, method, path, operation));
        }
    }
    assert!(operations.len() > 30);
    operations
}

#[tokio::test]
async fn every_operation_refuses_strangers() {
    let app = App::test().start().await;
    let wrong = app.anonymous().with_key("phk_0000000000000000000000000000000000000000000");
    for operation in operations(&app).await {
        if operation.scopes.is_none() {
            continue;
        }
        let id = "msg_01k6h3v9x8e7ktq2w5m4n1r000";
        let answer = operation.ask(&app.anonymous(), id).await;
        let answer = answer.expect_problem(401, "unauthenticated");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
        operation.ask(&wrong, id).await.expect_problem(401, "invalid_credentials");
        if let Some(answer) = operation.ask_wrongly(&wrong, id).await {
            answer.expect_problem(401, "invalid_credentials");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn every_operation_needs_its_scope_and_says_which() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let things = Things::of(&app, &alice.http, &alice.account_id).await;
    for operation in operations(&app).await {
        let Some(scopes) = operation.scopes.as_ref().filter(|scopes| !scopes.is_empty()) else {
            continue;
        };
        let all = Scope::ALL.iter().map(|scope| scope.as_str());
        let others: Vec<_> = all.filter(|scope| !scopes.iter().any(|one| one == scope)).collect();
        let name = format!("without {}", operation.id);
        let key = json!({"name": name, "scopes": others});
        let key = app.admin().post("/v1/api-keys", key).await.expect(201);
        let client = app.anonymous().with_key(key["key"].as_str().unwrap());
        let answer = operation.ask(&client, things.fitting(&operation)).await;
        let answer = answer.expect_problem(403, "forbidden");
        let detail = answer["detail"].as_str().unwrap();
        let named = scopes.iter().any(|scope| detail.contains(scope.as_str()));
        assert!(named, "{}: {detail}", operation.id);
        // Nor does it tell the faults of what they sent.
        if let Some(answer) = operation.ask_wrongly(&client, things.fitting(&operation)).await {
            answer.expect_problem(403, "forbidden");
        }
    }
    app.stop().await;
}

#[tokio::test]
async fn what_belongs_to_others_does_not_exist() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let mallory = app.account("mallory@example.test").await;
    let things = Things::of(&app, &alice.http, &alice.account_id).await;
    for operation in operations(&app).await.iter().filter(|operation| operation.has_id()) {
        let foreign = operation.ask(&mallory.http, things.fitting(operation)).await;
        if foreign.status == 403 {
            // Only administrators have such things at all.
            let detail = foreign["detail"].as_str().unwrap();
            assert!(detail.contains("admin:"), "{}: {foreign:?}", operation.id);
            continue;
        }
        let foreign = foreign.expect_problem(404, "not_found");
        let missing = operation.ask(&mallory.http, &things.missing(operation)).await;
        let missing = missing.expect_problem(404, "not_found");
        assert_eq!(foreign["detail"], missing["detail"], "{}", operation.id);
        for malformed in ["x", "msg_", "msg_zzzzzzzzzzzzzzzzzzzzzzzzzz", "%00", "..%2f..%2fetc"] {
            operation.ask(&mallory.http, malformed).await.expect_problem(404, "not_found");
        }
    }
    app.stop().await;
}

/// Ids of things of one account.
struct Things(Vec<(&'static str, String)>);

impl Things {
    async fn of(app: &App, http: &Client, account: &str) -> Self {
        let message = json!({"from": "alice@example.test", "to": "alice@example.test",
                             "subject": "Mine", "text": "Mine", "save_to_sent": true});
        let first_message = http.post("/v1/messages", message.clone()).await.expect(202);
        let delivery = first_message["deliveries"][0]["id"].as_str().unwrap().to_owned();
        let mail = http.get("/v1/mail").await.expect(200);
        let mailboxes = http.get("/v1/mailboxes").await.expect(200);
        let threads = http.get("/v1/threads").await.expect(200);
        let keys = http.get("/v1/api-keys").await.expect(200);
        let domains = app.admin().get("/v1/domains").await.expect(200);
        let webhook = json!({"url": "http://127.0.0.1:9/", "event_types": ["*"]});
        let webhook = http.post("/v1/webhooks", webhook).await;
        let webhook = webhook.json["id"].as_str().unwrap_or("whk_none").to_owned();
        let suppression = json!({"address": "bob@remote.test"});
        let device = http.post("/v1/account/app-passwords", json!({"name": "x"})).await.expect(201);
        let suppression = http.post("/v1/suppressions", suppression).await.expect(201);
        let replay = json!({"since": "2020-01-01T00:00:00Z"});
        let replay = http.post(&format!("/v1/webhooks/{webhook}/replay"), replay).await;
        http.post("/v1/messages", message).await.expect(202);
        let calls = format!("/v1/webhooks/{webhook}/deliveries");
        let call = eventually("a webhook call", async || {
            http.all(&calls).await.pop().map(|call| call["id"].as_str().unwrap().to_owned())
        });
        let template = json!({"name": "mine", "text": "Mine"});
        let template = http.post("/v1/templates", template).await.expect(201);
        let route = json!({"name": "mine", "actions": [{"type": "drop"}], "enabled": false});
        let route = http.post("/v1/inbound-routes", route).await.expect(201);
        let hold = http.post("/v1/queue/holds", json!({"sender": "x@x.test"})).await.expect(201);
        let login = json!({"grant_type": "password", "address": "alice@example.test",
                           "password": posthouse_tests::app::PASSWORD});
        app.anonymous().post("/v1/auth/token", login).await.expect(200);
        let sessions = http.get("/v1/account/sessions").await.expect(200);
        let upload = http.request(Method::POST, "/v1/uploads").body("a/b", "Mine").send().await;
        let events = http.get("/v1/events?limit=1").await.expect(200);
        let first = |list: &Answer| list["data"][0]["id"].as_str().unwrap().to_owned();
        let mut all = of_administrators(app).await;
        all.extend([
            ("/messages/", first_message.id()),
            ("/mail/", first(&mail)),
            ("/threads/", first(&threads)),
            ("/mailboxes/", first(&mailboxes)),
            ("/api-keys/", first(&keys)),
            ("/domains/", first(&domains)),
            ("/app-passwords/", device.id()),
            ("/sessions/", first(&sessions)),
            ("/accounts/", account.to_owned()),
            ("/webhooks/deliveries/", call.await),
            ("/webhooks/replays/", replay.expect(202).id()),
            ("/webhooks/", webhook),
            ("/deliveries/", delivery),
            ("/suppressions/", suppression.id()),
            ("/templates/", template.id()),
            ("/holds/", hold.id()),
            ("/uploads/", upload.expect(201).id()),
            ("/inbound-routes/", route.id()),
            ("/v1/events/", first(&events)),
        ]);
        Self(all)
    }

    fn fitting(&self, operation: &Operation) -> &str {
        let found = self.0.iter().find(|(place, _)| operation.path.contains(place));
        found.map_or("none", |(_, id)| id.as_str())
    }

    /// An id of the right kind that nobody has.
    fn missing(&self, operation: &Operation) -> String {
        let (kind, _) = self.fitting(operation).split_once('_').unwrap();
        format!("{kind}_01k6h3v9x8e7ktq2w5m4n1r000")
    }
}

/// Ids of things that only administrators have.
async fn of_administrators(app: &App) -> Vec<(&'static str, String)> {
    let transport = json!({"name": "mine", "type": "fail"});
    let transport = app.admin().post("/v1/transports", transport).await.expect(201).id();
    let route = json!({"transport_id": transport, "to_domains": ["nowhere.test"]});
    let route = app.admin().post("/v1/routes", route).await.expect(201).id();
    let uri = json!({"uri": "mailto:tls@remote.test"});
    let suppression = app.admin().post("/v1/reports/tls/suppressions", uri).await.expect(201).id();
    vec![
        ("/transports/", transport),
        ("/routes/", route),
        ("/reports/tls/suppressions/", suppression),
        ("/reports/tls/outgoing/", "tlo_01k6h3v9x8e7ktq2w5m4n1r0sa".to_owned()),
    ]
}
