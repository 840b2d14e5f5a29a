//! Making, finding, checking and deleting entries.

use posthouse_tests::app::App;
use reqwest::Method;
use serde_json::{Value, json};

use super::{events, key, suppress};

#[tokio::test]
async fn an_entry_is_made_found_and_deleted_with_its_events() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let end = time::OffsetDateTime::format(
        app.now() + time::Duration::days(1),
        &time::format_description::well_known::Rfc3339,
    );
    let new = json!({"address": "Bob.B+x@GMail.com", "reason": "complaint", "topic": "news",
                     "detail": "by phone", "expires_at": end.unwrap()});
    let made = alice.http.post("/v1/suppressions", new.clone()).await.expect(201);
    let path = format!("/v1/suppressions/{}", made.id());
    assert_eq!(made.header("location"), Some(path.as_str()));
    let expected = ["Bob.B+x@gmail.com", "bobb@gmail.com", "complaint", "news", "by phone"];
    let fields = ["address", "base_address", "reason", "topic", "detail"];
    assert_eq!(fields.map(|field| made[field].as_str().unwrap()), expected);
    assert_eq!(alice.http.get(&path).await.expect(200).json, made.json);
    let created = events(&alice, "suppression.created").await;
    assert_eq!(created.len(), 1);
    assert_eq!(created[0]["suppression_id"], made["id"]);
    assert_eq!(created[0]["expires_at"], made["expires_at"]);

    // Another spelling of the same recipient.
    let again = json!({"address": "b.obb@gmail.com", "topic": "news"});
    alice.http.post("/v1/suppressions", again).await.expect_problem(409, "already_exists");
    // Another topic is another entry.
    alice.http.post("/v1/suppressions", json!({"address": "bobb@gmail.com"})).await.expect(201);

    alice.http.delete(&path).await.expect(204);
    alice.http.get(&path).await.expect_problem(404, "not_found");
    alice.http.delete(&path).await.expect_problem(404, "not_found");
    let deleted = events(&alice, "suppression.deleted").await;
    assert_eq!(deleted.len(), 1);
    assert_eq!(deleted[0], created[0]);
    app.stop().await;
}

#[tokio::test]
async fn the_list_is_filtered_and_paged() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    for (name, reason) in
        [("a@one.test", "manual"), ("b@one.test", "bounce"), ("b@two.test", "bounce")]
    {
        let new = json!({"address": name, "reason": reason});
        alice.http.post("/v1/suppressions", new).await.expect(201);
        app.advance(std::time::Duration::from_mins(1));
    }
    let found = async |query: &str| {
        let list = alice.http.all(&format!("/v1/suppressions?limit=1&{query}")).await;
        let names = list.iter().map(|one| one["address"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(found("").await, ["b@two.test", "b@one.test", "a@one.test"]);
    assert_eq!(found("domain=ONE.test").await, ["b@one.test", "a@one.test"]);
    assert_eq!(found("reason=bounce&domain=one.test").await, ["b@one.test"]);
    assert_eq!(found("address=A@one.test").await, ["a@one.test"]);
    assert_eq!(found("topic=news").await, Vec::<String>::new());
    let middle = alice.http.get("/v1/suppressions?address=b@one.test").await.expect(200);
    let middle = middle["data"][0]["created_at"].as_str().unwrap().to_owned();
    assert_eq!(found(&format!("since={middle}")).await, ["b@two.test", "b@one.test"]);
    assert_eq!(found(&format!("until={middle}")).await, ["a@one.test"]);
    let wrong = "/v1/suppressions?address=x&domain=..&reason=no&since=x&nope=1&limit=0";
    let refused = alice.http.get(wrong).await.expect_problem(422, "invalid_input");
    assert_eq!(refused.pointers(), ["/address", "/domain", "/reason", "/since", "/nope"]);
    app.stop().await;
}

#[tokio::test]
async fn all_faults_are_told_at_once() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let new = json!({"address": "a@b@c", "topic": "a b", "detail": "x\u{0}", "stream": "x",
                     "expires_at": "2001-01-01T00:00:00Z", "reason": "hate"});
    let refused =
        alice.http.post("/v1/suppressions", new).await.expect_problem(422, "invalid_input");
    let expected = [
        ("/address", "invalid_address"),
        ("/detail", "invalid_detail"),
        ("/expires_at", "in_the_past"),
        ("/reason", "invalid_value"),
        ("/stream", "unknown_field"),
        ("/topic", "invalid_topic"),
    ];
    assert_eq!(refused.faults(), expected);
    let check = json!({"addresses": ["x", "bob@one.test", "@"], "topic": ""});
    let refused = alice.http.post("/v1/suppressions/check", check).await.expect(422);
    assert_eq!(refused.pointers(), ["/addresses/0", "/addresses/2", "/topic"]);
    let bulk = json!({"create": [{"address": "bob@one.test", "topic": "?"}, {}],
                      "delete": [{"address": "x"}]});
    let refused = alice.http.post("/v1/suppressions/bulk", bulk).await.expect(422);
    let mut pointers = refused.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/create/0/topic", "/create/1/address", "/delete/0/address"]);
    assert_eq!(alice.http.all("/v1/suppressions").await, Vec::<Value>::new());
    app.stop().await;
}

#[tokio::test]
async fn many_are_checked_at_once() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    suppress(&alice, "bob@one.test").await;
    let topic = json!({"address": "carol@one.test", "topic": "news", "reason": "unsubscribe"});
    alice.http.post("/v1/suppressions", topic).await.expect(201);
    let check = async |topic: Option<&str>| {
        let addresses = ["x@one.test", "BOB@one.test", "carol@one.test"];
        let body = json!({"addresses": addresses, "topic": topic});
        let answer = alice.http.post("/v1/suppressions/check", body).await.expect(200);
        let data = answer["data"].as_array().unwrap().clone();
        assert_eq!(data[1]["suppressions"][0]["reason"], "manual");
        data.iter().map(|one| one["suppressed"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(check(None).await, [false, true, false]);
    assert_eq!(check(Some("news")).await, [false, true, true]);
    let body = json!({"addresses": vec!["a@b.test"; 1001]});
    let refused = alice.http.post("/v1/suppressions/check", body).await.expect(422);
    assert_eq!(refused.pointers(), ["/addresses"]);
    app.stop().await;
}

#[tokio::test]
async fn many_are_changed_at_once_and_once() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let old = suppress(&alice, "old@one.test").await;
    let kept = suppress(&alice, "kept@one.test").await;
    let body = json!({
        "create": [{"address": "new@one.test"}, {"address": "kept@one.test", "reason": "bounce"},
                   {"address": "NEW@one.test"}],
        "delete": [{"address": "old@one.test"}, {"address": "kept@one.test", "topic": "news"}],
    });
    let post = || {
        let request = alice.http.request(Method::POST, "/v1/suppressions/bulk");
        request.header("Idempotency-Key", "k").json(&body).send()
    };
    let done = post().await.expect(200);
    let outcomes = |answer: &posthouse_tests::client::Answer| {
        let data = answer["data"].as_array().unwrap().clone();
        data.iter().map(|one| one["outcome"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(outcomes(&done), ["created", "existing", "existing", "deleted", "not_found"]);
    assert_eq!(done["data"][0]["id"], done["data"][2]["id"]);
    assert_eq!((&done["data"][1]["id"], &done["data"][3]["id"]), (&json!(kept), &json!(old)));
    let again = post().await.expect(200);
    assert_eq!((again.header("idempotent-replayed"), &again.json), (Some("true"), &done.json));
    let mut left = alice.http.all("/v1/suppressions").await;
    left.sort_by_key(|one| one["address"].to_string());
    let left: Vec<_> = left.iter().map(|one| (&one["address"], &one["reason"])).collect();
    let expected = [("kept@one.test", "manual"), ("new@one.test", "manual")];
    assert_eq!(
        left,
        expected.map(|(a, r)| (json!(a), json!(r))).iter().map(|(a, r)| (a, r)).collect::<Vec<_>>()
    );
    assert_eq!(events(&alice, "suppression.created").await.len(), 3);
    assert_eq!(events(&alice, "suppression.deleted").await.len(), 1);
    // What is deleted and made in one request is made anew.
    let body =
        json!({"create": [{"address": "kept@one.test"}], "delete": [{"address": "kept@one.test"}]});
    let done = alice.http.post("/v1/suppressions/bulk", body).await.expect(200);
    assert_eq!(outcomes(&done), ["created", "deleted"]);
    assert_ne!(done["data"][0]["id"], json!(kept));
    let body = json!({"create": vec![json!({"address": "a@b.test"}); 1001]});
    alice.http.post("/v1/suppressions/bulk", body).await.expect_problem(422, "invalid_input");
    app.stop().await;
}

#[tokio::test]
async fn a_list_belongs_to_its_account_and_needs_its_scope() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let mallory = app.account("mallory@example.test").await;
    let path = format!("/v1/suppressions/{}", suppress(&alice, "bob@one.test").await);
    mallory.http.get(&path).await.expect_problem(404, "not_found");
    mallory.http.delete(&path).await.expect_problem(404, "not_found");
    assert_eq!(mallory.http.all("/v1/suppressions").await, Vec::<Value>::new());
    let target = json!({"delete": [{"address": "bob@one.test"}]});
    let done = mallory.http.post("/v1/suppressions/bulk", target.clone()).await.expect(200);
    assert_eq!(done["data"][0]["outcome"], "not_found");
    let check = json!({"addresses": ["bob@one.test"]});
    let checked = mallory.http.post("/v1/suppressions/check", check.clone()).await.expect(200);
    assert_eq!(checked["data"][0]["suppressed"], false);
    let export = mallory.http.get("/v1/suppressions/export").await.expect(200);
    assert_eq!(export.text().lines().count(), 1);

    let reader = key(&app, &alice, "suppressions:read").await;
    reader.get(&path).await.expect(200);
    reader.post("/v1/suppressions/check", check.clone()).await.expect(200);
    reader.delete(&path).await.expect_problem(403, "forbidden");
    reader.post("/v1/suppressions/bulk", target).await.expect_problem(403, "forbidden");
    let csv = "address\r\nx@one.test\r\n";
    let import = reader.request(Method::POST, "/v1/suppressions/import").body("text/csv", csv);
    import.send().await.expect_problem(403, "forbidden");
    let writer = key(&app, &alice, "suppressions:write").await;
    writer.get("/v1/suppressions/export").await.expect_problem(403, "forbidden");
    writer.post("/v1/suppressions/check", check).await.expect_problem(403, "forbidden");
    alice.http.get(&path).await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn a_repeated_request_makes_one_entry() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let body = json!({"address": "bob@one.test"});
    let post = || {
        let request = alice.http.request(Method::POST, "/v1/suppressions");
        request.header("Idempotency-Key", "k").json(&body).send()
    };
    let (first, second) = (post().await.expect(201), post().await.expect(201));
    assert_eq!((second.header("idempotent-replayed"), &second.json), (Some("true"), &first.json));
    assert_eq!(events(&alice, "suppression.created").await.len(), 1);
    app.stop().await;
}
