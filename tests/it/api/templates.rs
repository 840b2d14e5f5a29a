//! Stored templates: versions, previews, and messages made from them.

use posthouse_tests::{app::App, client::Answer, sink::Script};
use serde_json::{Value, json};

const REMOTE: &str = "mx.remote.test";

fn welcome() -> Value {
    json!({"name": "welcome", "subject": "Welcome, {{ user.name }}",
           "text": "Hello {{ user.name }}{% for item in items %}\n- {{ item }}{% endfor %}",
           "html": "<p title=\"{{ user.name }}\">Hello {{ user.name }}</p>"})
}

fn message(template: Value) -> Value {
    let mut message = json!({"from": "alice@example.test", "to": "bob@remote.test"});
    message["template"] = template;
    message
}

#[tokio::test]
async fn a_message_is_made_from_a_template_and_values_cannot_break_out() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let template = alice.http.post("/v1/templates", welcome()).await.expect(201);
    let name = "Eve \"<script>\"";
    let variables = json!({"user": {"name": name}, "items": [1, "two"]});
    let by_id = message(json!({"id": template.id(), "variables": variables}));
    let id = alice.http.post("/v1/messages", by_id.clone()).await.expect(202).id();
    alice.wait_for_status(&id, "delivered").await;
    let shown = alice.http.get(&format!("/v1/messages/{id}")).await.expect(200);
    assert_eq!(shown["subject"], format!("Welcome, {name}"));
    let raw = alice.http.get(&format!("/v1/messages/{id}/raw")).await.expect(200).text();
    assert!(raw.contains("Hello Eve \"<script>\"\r\n- 1\r\n- two"), "{raw}");
    assert!(raw.contains("&lt;script&gt;") && raw.contains("&quot;"), "{raw}");
    // By name, and with a name that would end the header.
    for evil in ["a\r\nBcc: x@remote.test", "a\u{2028}b", "a\0", "=?utf-8?q?=0d=0aBcc:_x?="] {
        let variables = json!({"user": {"name": evil}, "items": []});
        let by_name = message(json!({"name": "welcome", "variables": variables}));
        let answer = alice.http.post("/v1/messages", by_name).await;
        let answer = answer.expect_problem(422, "invalid_input");
        let faults = answer.faults();
        let is_told =
            |(at, code): &(&str, &str)| at.starts_with("/template") && *code == "control_character";
        assert!(faults.iter().any(is_told), "{evil:?}: {faults:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn every_missing_variable_is_a_fault_with_a_pointer() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let id = alice.http.post("/v1/templates", welcome()).await.expect(201).id();
    let render = async |variables: Value| {
        let body = json!({"variables": variables});
        alice.http.post(&format!("/v1/templates/{id}/render"), body).await
    };
    let missing = |answer: Answer, place: &str, names: &[&str]| {
        let answer = answer.expect_problem(422, "invalid_input");
        let found: Vec<String> = answer.pointers().into_iter().map(str::to_owned).collect();
        let expected: Vec<String> = names.iter().map(|name| format!("{place}/{name}")).collect();
        assert_eq!(found, expected, "{answer:?}");
        assert!(answer.faults().iter().all(|(_, code)| *code == "missing_variable"));
    };
    missing(render(json!({"user": {}})).await, "/variables", &["user/name", "items"]);
    let message = message(json!({"name": "welcome", "variables": {"user": {"name": "B"}}}));
    let answer = alice.http.post("/v1/messages", message).await;
    missing(answer, "/template/variables", &["items"]);
    let done = render(json!({"user": {"name": "B"}, "items": ["x"]})).await.expect(200);
    assert_eq!((&done["subject"], &done["version"]), (&json!("Welcome, B"), &json!(1)));
    assert_eq!(done["text"], "Hello B\n- x");
    app.stop().await;
}

#[tokio::test]
async fn messages_use_the_published_version_unless_they_name_one() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let id = alice.http.post("/v1/templates", welcome()).await.expect(201).id();
    let versions = format!("/v1/templates/{id}/versions");
    let second = json!({"subject": "Second", "text": "Hi"});
    let second = alice.http.post(&versions, second).await.expect(201);
    assert_eq!((&second["version"], &second["published_version"]), (&json!(2), &json!(1)));
    let variables = json!({"user": {"name": "B"}, "items": []});
    let subject = async |template: Value| {
        let sent = alice.http.post("/v1/messages", message(template)).await.expect(202).id();
        alice.http.get(&format!("/v1/messages/{sent}")).await["subject"].clone()
    };
    let published = json!({"id": id, "variables": variables});
    assert_eq!(subject(published.clone()).await, "Welcome, B");
    assert_eq!(subject(json!({"id": id, "version": 2})).await, "Second");
    let publish = format!("/v1/templates/{id}/publish");
    let now = alice.http.post(&publish, json!({})).await.expect(200);
    assert_eq!(now["published_version"], 2);
    assert_eq!(subject(published).await, "Second");
    let wrong = alice.http.post(&publish, json!({"version": 3})).await;
    assert_eq!(wrong.expect_problem(422, "invalid_input").pointers(), ["/version"]);
    let listed = alice.http.get(&versions).await.expect(200);
    let numbers: Vec<_> =
        listed["data"].as_array().unwrap().iter().map(|one| &one["version"]).collect();
    assert_eq!(numbers, [2, 1]);
    let first = alice.http.get(&format!("/v1/templates/{id}?version=1")).await.expect(200);
    assert_eq!(first["text"], welcome()["text"]);
    for wrong in [json!({"id": id, "version": 9}), json!({"name": "nothing"})] {
        let answer = alice.http.post("/v1/messages", message(wrong)).await;
        assert_eq!(
            answer.expect_problem(422, "invalid_input").faults(),
            [("/template", "unknown_template")]
        );
    }
    alice.http.delete(&format!("/v1/templates/{id}")).await.expect(204);
    alice.http.get(&format!("/v1/templates/{id}")).await.expect_problem(404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn names_are_unique_and_templates_are_the_accounts_own() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let id = alice.http.post("/v1/templates", welcome()).await.expect(201).id();
    alice.http.post("/v1/templates", welcome()).await.expect_problem(409, "already_exists");
    let mut other = welcome();
    other["name"] = json!("other");
    let other = alice.http.post("/v1/templates", other).await.expect(201).id();
    let taken =
        alice.http.patch(&format!("/v1/templates/{other}"), json!({"name": "welcome"})).await;
    taken.expect_problem(409, "already_exists");
    let changed = json!({"name": "hello", "description": "Says hello"});
    alice.http.patch(&format!("/v1/templates/{other}"), changed).await.expect(200);
    bob.http.post("/v1/templates", welcome()).await.expect(201);
    let mut stolen = message(json!({"id": id, "variables": {}}));
    stolen["from"] = json!("bob@example.test");
    let answer = bob.http.post("/v1/messages", stolen).await.expect_problem(422, "invalid_input");
    assert_eq!(answer.faults(), [("/template", "unknown_template")]);
    let listed = alice.http.all("/v1/templates?limit=1").await;
    let mut names: Vec<_> = listed.iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["hello", "welcome"]);
    app.stop().await;
}

#[tokio::test]
async fn what_could_be_large_or_read_files_is_no_template() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    for text in [
        "{{ 'x' * 1000000000 }}",
        "{{ a ~ a }}",
        "{{ a + a }}",
        "{% set a = b %}",
        "{% include '/etc/passwd' %}",
        "{% for a in b recursive %}{% endfor %}",
        "{% macro a() %}{% endmacro %}",
        "{{ a|replace('a', b) }}",
        "{{ range(100000) }}",
        "{{ ''.__class__ ",
        "{{ 'a'",
    ] {
        let new = json!({"name": "bad", "subject": "{% if %}", "text": text});
        let answer = alice.http.post("/v1/templates", new.clone()).await;
        if answer.status == 422 {
            assert_eq!(answer.faults()[0], ("/subject", "invalid_template"), "{text}");
        }
        // Unknown filters and functions may show only when it is rendered.
        let mut alone = new;
        alone["subject"] = json!("");
        let made = alice.http.post("/v1/templates", alone).await;
        if made.status == 201 {
            let render = format!("/v1/templates/{}/render", made.id());
            let body = json!({"variables": {"a": "a", "b": "b"}});
            alice.http.post(&render, body).await.expect_problem(422, "invalid_input");
            alice.http.delete(&format!("/v1/templates/{}", made.id())).await.expect(204);
        } else {
            assert_eq!(made.faults(), [("/text", "invalid_template")], "{text}");
        }
    }
    // Much to do, and much to print.
    let endless =
        "{% for a in l %}{% for b in l %}{% for c in l %}{% endfor %}{% endfor %}{% endfor %}";
    for text in [endless, "{% for a in l %}{{ s }}{% endfor %}"] {
        let new = json!({"name": "bad", "text": text});
        let id = alice.http.post("/v1/templates", new).await.expect(201).id();
        let variables = json!({"l": vec![0; 2000], "s": "x".repeat(50_000)});
        let render = format!("/v1/templates/{id}/render");
        let answer = alice.http.post(&render, json!({"variables": variables})).await;
        let answer = answer.expect_problem(422, "invalid_input");
        assert_eq!(answer.faults(), [("", "template_too_long")], "{text}");
        alice.http.delete(&format!("/v1/templates/{id}")).await.expect(204);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_batch_has_values_for_each_recipient() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    alice.http.post("/v1/templates", welcome()).await.expect(201);
    let one = |name: &str| {
        let variables = json!({"user": {"name": name}, "items": []});
        message(json!({"name": "welcome", "variables": variables}))
    };
    let wrong = message(json!({"name": "welcome", "id": "tpl_1"}));
    let body =
        json!({"messages": [one("Bob"), message(json!({"name": "welcome"})), one("Carol"), wrong]});
    let answer = alice.http.post("/v1/messages/batch", body).await.expect(200);
    let statuses: Vec<_> =
        answer["data"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(statuses, [202, 422, 202, 422]);
    let mut subjects: Vec<Value> =
        alice.http.all("/v1/messages").await.iter().map(|one| one["subject"].clone()).collect();
    subjects.sort_by_key(ToString::to_string);
    assert_eq!(subjects, ["Welcome, Bob", "Welcome, Carol"]);
    let conflict = json!({"from": "alice@example.test", "to": "bob@remote.test", "subject": "x",
                          "html": "y", "template": {}});
    let conflict =
        alice.http.post("/v1/messages", conflict).await.expect_problem(422, "invalid_input");
    let expected = [
        ("/html", "conflicting_field"),
        ("/subject", "conflicting_field"),
        ("/template", "missing_field"),
    ];
    assert_eq!(conflict.faults(), expected);
    app.stop().await;
}
