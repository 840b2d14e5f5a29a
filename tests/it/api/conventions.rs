//! Request ids, problems, security header fields, unknown things, lists and their cursors.

use posthouse_tests::{app::App, client::Answer};
use reqwest::Method;
use serde_json::{Value, json};

fn assert_common(answer: &Answer) {
    let request_id = answer.header("request-id").unwrap();
    assert!(request_id.starts_with("req_") && request_id.len() == 30, "{request_id}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    if answer.status >= 400 {
        assert_eq!(answer["request_id"], request_id);
        assert_eq!(answer["status"], answer.status);
        let code = answer["code"].as_str().unwrap();
        assert_eq!(answer["type"], format!("/problems/{code}"));
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_is_closed() {
    let app = App::test().start().await;
    let http = app.anonymous();
    for path in
        ["/healthz", "/readyz", "/version", "/openapi.json", "/docs", "/nothing", "/v1/mail"]
    {
        assert_common(&http.get(path).await);
    }
    let given = "req_01k6h3v9x8e7ktq2w5m4n1r0sa";
    let answer = http.request(Method::GET, "/nothing").header("Request-Id", given).send().await;
    assert_eq!(answer.expect_problem(404, "not_found")["request_id"], given);
    for bad in ["x", "req_", "msg_01k6h3v9x8e7ktq2w5m4n1r0sa"] {
        let answer = http.request(Method::GET, "/healthz").header("Request-Id", bad).send().await;
        assert_common(&answer);
        assert_ne!(answer.header("request-id"), Some(bad));
    }
    app.stop().await;
}

#[tokio::test]
async fn wrong_paths_methods_and_types_are_problems() {
    let app = App::test().start().await;
    let http = app.admin();
    http.get("/v1/nothing").await.expect_problem(404, "not_found");
    let answer = http.request(Method::PUT, "/v1/domains").send().await;
    let answer = answer.expect_problem(405, "method_not_allowed");
    let allow = answer.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    for kind in ["text/plain", "application/xml", "application/jsonx"] {
        let request = http.request(Method::POST, "/v1/domains").body(kind, r#"{"name":"a.test"}"#);
        request.send().await.expect_problem(415, "unsupported_media_type");
    }
    let request = http.request(Method::POST, "/v1/messages/raw").body("application/json", "{}");
    request.send().await.expect_problem(415, "unsupported_media_type");
    app.stop().await;
}

#[tokio::test]
async fn every_code_has_a_page() {
    let app = App::test().start().await;
    let http = app.anonymous();
    let page = http.get("/problems/invalid_input").await.expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let json =
        http.request(Method::GET, "/problems/not_found").header("Accept", "application/json");
    let json = json.send().await.expect(200);
    assert_eq!((&json["code"], &json["status"]), (&json!("not_found"), &json!(404)));
    http.get("/problems/%3Cscript%3E").await.expect_problem(404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn basic_authentication_and_acting_for_others() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let basic = |password: &str| {
        let plain = format!("{}:{password}", alice.address);
        format!("Basic {}", base64::Engine::encode(&base64::prelude::BASE64_STANDARD, plain))
    };
    let ask = |value: String| {
        let request = app.anonymous().request(Method::GET, "/v1/mailboxes");
        request.header("Authorization", &value).send()
    };
    ask(basic(&alice.password)).await.expect(200);
    ask(basic("wrong password")).await.expect_problem(401, "invalid_credentials");
    for odd in ["Basic !", "Basic", "Digest x", "Bearer", "Bearer phk_x", "Basic YQ=="] {
        ask(odd.to_owned()).await.expect_problem(401, "invalid_credentials");
    }
    let act = |account: String| {
        let request = app.admin().request(Method::GET, "/v1/mailboxes");
        request.header("Posthouse-Account", &account).send()
    };
    let own = alice.http.get("/v1/mailboxes").await.expect(200);
    assert_eq!(act(alice.account_id.clone()).await.expect(200).json, own.json);
    act("acc_01k6h3v9x8e7ktq2w5m4n1r000".to_owned()).await.expect_problem(404, "not_found");
    act("x".to_owned()).await.expect_problem(404, "not_found");
    let bob = app.account("bob@example.test").await;
    let request = bob.http.request(Method::GET, "/v1/mailboxes");
    let answer = request.header("Posthouse-Account", &alice.account_id).send().await;
    answer.expect_problem(403, "forbidden");
    app.stop().await;
}

#[tokio::test]
async fn lists_go_both_ways_and_cursors_cannot_be_forged() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let mut sent = Vec::new();
    for number in 0..5 {
        sent.push(alice.send(&["bob@remote.test"], &number.to_string()).await.id());
    }
    sent.reverse();
    let ids = |page: &Answer| -> Vec<String> {
        let id = |item: &Value| item["id"].as_str().unwrap().to_owned();
        page["data"].as_array().unwrap().iter().map(id).collect()
    };
    let page = |cursor: &str| format!("/v1/messages?limit=2&cursor={cursor}");
    let first = alice.http.get("/v1/messages?limit=2").await.expect(200);
    assert_eq!((&first["object"], &first["has_more"]), (&json!("list"), &json!(true)));
    assert_eq!(ids(&first), sent[..2]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = alice.http.get(&page(cursor)).await.expect(200);
    assert_eq!(ids(&second), sent[2..4]);
    let back = alice.http.get(&page(second["prev_cursor"].as_str().unwrap())).await.expect(200);
    assert_eq!(ids(&back), sent[..2]);

    let mut forged = cursor.to_owned();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.push(last);
    for bad in [forged.as_str(), "x", "", "%00"] {
        let answer = alice.http.get(&page(bad)).await.expect_problem(422, "invalid_input");
        assert_eq!(answer.pointers(), ["/cursor"]);
    }
    // Of another list, and of another account.
    let answer = alice.http.get(&format!("/v1/events?cursor={cursor}")).await;
    answer.expect_problem(422, "invalid_input");
    let bob = app.account("bob@example.test").await;
    bob.http.get(&page(cursor)).await.expect_problem(422, "invalid_input");
    app.stop().await;
}

#[tokio::test]
async fn parameters_are_checked_all_at_once() {
    let app = App::test().start().await;
    let query = "limit=0&cursor=a&cursor=b&status=gone&since=yesterday&colour=red&to=%00";
    let answer = app.admin().get(&format!("/v1/messages?{query}")).await;
    let answer = answer.expect_problem(422, "invalid_input");
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/colour", "/cursor", "/since", "/status", "/to"]);
    for (path, pointer) in [
        ("/v1/messages?limit=0", "/limit"),
        ("/v1/messages?limit=201", "/limit"),
        ("/v1/messages?limit=-1", "/limit"),
        ("/v1/events?types=delivery.deliverd", "/types"),
        ("/v1/queue?scope=everything", "/scope"),
        ("/v1/mail?mailbox_id=msg_01k6h3v9x8e7ktq2w5m4n1r000", "/mailbox_id"),
        ("/v1/sandbox/messages/wait?timeout_seconds=61", "/timeout_seconds"),
    ] {
        let answer = app.admin().get(path).await.expect_problem(422, "invalid_input");
        assert_eq!(answer.pointers(), [pointer], "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn merge_patches_change_what_they_name() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let place = format!("/v1/accounts/{}", alice.account_id);
    let patch = json!({"quota_bytes": 1000, "login_disabled": "Moved", "full_name": "Alice"});
    let answer = app.admin().patch(&place, patch).await.expect(200);
    assert_eq!((&answer["quota_bytes"], &answer["full_name"]), (&json!(1000), &json!("Alice")));
    alice.http.get("/v1/mail").await.expect_problem(403, "login_disabled");
    let patch = json!({"quota_bytes": null, "login_disabled": null});
    let answer = app.admin().patch(&place, patch).await.expect(200);
    assert_eq!((&answer["quota_bytes"], &answer["full_name"]), (&Value::Null, &json!("Alice")));
    alice.http.get("/v1/mail").await.expect(200);
    let patch = json!({"full_name": null, "addresses": null, "name": "x"});
    let answer = app.admin().patch(&place, patch).await.expect_problem(422, "invalid_input");
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/addresses", "/full_name", "/name"]);
    app.stop().await;
}
