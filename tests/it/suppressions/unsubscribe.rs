//! One-click unsubscription (RFC 8058): from the header of a message to the list.

use posthouse_tests::{
    app::App,
    client::{Answer, Client},
    sink::Script,
};
use reqwest::Method;
use serde_json::json;

use super::{events, key};
use crate::delivery::signatures::{publish, verify};

const REMOTE: &str = "mx.remote.test";

/// The path of the link in a message.
fn link(message: &str) -> String {
    let (header, _) = message.split_once("\r\n\r\n").unwrap();
    let header = header.replace("\r\n ", " ").replace("\r\n\t", " ");
    let field = header.lines().find_map(|line| line.strip_prefix("List-Unsubscribe:")).unwrap();
    let link = field.trim().strip_prefix('<').and_then(|link| link.strip_suffix('>')).unwrap();
    link.strip_prefix("https://mail.posthouse.test").unwrap().to_owned()
}

/// What a mail program does for its user.
async fn one_click(client: &Client, path: &str) -> Answer {
    let request = client.request(Method::POST, path);
    let body = "List-Unsubscribe=One-Click";
    request.body("application/x-www-form-urlencoded", body).send().await
}

#[tokio::test]
async fn a_recipient_unsubscribes_by_the_signed_link_once() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    publish(&app, "example.test").await;
    let alice = app.account_with(&["alice@example.test"]).await;
    let news = json!({"to": "bob+x@remote.test", "subject": "News", "text": "News",
                      "unsubscribe": {"topic": "news"}});
    let message = alice.post_message(news.clone()).await.expect(202);
    alice.wait_for_status(&message.id(), "delivered").await;
    let received = app.sink(REMOTE).messages().remove(0);
    let text = received.text();
    assert!(text.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"), "{text}");
    let path = link(&text);
    for clear in ["bob", "remote", "news", message.id().as_str()] {
        assert!(!path.contains(clear), "{path}");
    }
    // The signatures cover both fields.
    let results = verify(app.dns(), &received.data).await;
    let passed =
        |(_, result): &(String, mail_auth::DkimResult)| *result == mail_auth::DkimResult::Pass;
    assert_eq!(results.iter().filter(|one| passed(one)).count(), 2, "{results:?}");
    for (from, to) in [("mail.posthouse.test/u/", "evil.test/u/"), ("=One-Click", "=Other")] {
        let forged = text.replace(from, to);
        assert_ne!(forged, text);
        assert!(!verify(app.dns(), forged.as_bytes()).await.iter().any(passed), "{from}");
    }

    // Whoever only looks changes nothing.
    let anyone = app.anonymous();
    let page = anyone.get(&path).await.expect(200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; form-action 'self'"), "{policy}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(
        page.text().contains("<form method=\"post\">") && page.text().contains("bob+x@remote.test")
    );
    assert_eq!(alice.http.all("/v1/suppressions").await.len(), 0);

    for _ in 0..2 {
        let done = one_click(&anyone, &path).await.expect(200);
        assert!(done.text().contains("You have stopped"), "{done:?}");
    }
    let list = alice.http.all("/v1/suppressions").await;
    assert_eq!(list.len(), 1);
    assert_eq!((&list[0]["reason"], &list[0]["topic"]), (&json!("unsubscribe"), &json!("news")));
    assert_eq!(events(&alice, "suppression.created").await.len(), 1);
    let told = events(&alice, "recipient.unsubscribed").await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0],
        json!({
            "message_id": message.id(), "delivery_id": message["deliveries"][0]["id"],
            "recipient": "bob+x@remote.test", "topic": "news", "suppression_id": list[0]["id"],
        })
    );

    let again = alice.post_message(news).await.expect(202).id();
    alice.wait_for_status(&again, "suppressed").await;
    let other = alice.send(&["bob+x@remote.test"], "Not news").await.id();
    alice.wait_for_status(&other, "delivered").await;
    app.stop().await;
}

#[tokio::test]
async fn without_a_topic_all_mail_of_the_account_stops() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let carol = app.account("carol@example.test").await;
    let new = json!({"address": "bob@remote.test", "reason": "bounce",
                     "expires_at": "2099-01-01T00:00:00Z", "topic": "other"});
    alice.http.post("/v1/suppressions", new).await.expect(201);
    let message =
        json!({"to": ["bob@remote.test"], "subject": "x", "text": "x", "unsubscribe": {}});
    let message = alice.post_message(message).await.expect(202).id();
    alice.wait_for_status(&message, "delivered").await;
    let path = link(&app.sink(REMOTE).messages()[0].text());
    one_click(&app.anonymous(), &path).await.expect(200);
    let stopped = alice.send(&["bob@remote.test"], "x").await.id();
    alice.wait_for_status(&stopped, "suppressed").await;
    let hers = carol.send(&["bob@remote.test"], "x").await.id();
    carol.wait_for_status(&hers, "delivered").await;
    assert_eq!(events(&carol, "recipient.unsubscribed").await.len(), 0);

    // An entry for another reason becomes this one, for good; that is told, but not as a new entry.
    let entry = alice.http.all("/v1/suppressions?reason=unsubscribe").await.remove(0);
    let csv = "address,reason,expires_at\nbob@remote.test,bounce,2099-01-01T00:00:00Z\n";
    let import = alice.http.request(Method::POST, "/v1/suppressions/import").body("text/csv", csv);
    assert_eq!(import.send().await.expect(200)["updated"], 1);
    one_click(&app.anonymous(), &path).await.expect(200);
    let after = alice.http.all("/v1/suppressions?reason=unsubscribe").await.remove(0);
    assert_eq!((&after["id"], &after["expires_at"]), (&entry["id"], &json!(null)));
    assert_eq!(events(&alice, "recipient.unsubscribed").await.len(), 2);
    assert_eq!(events(&alice, "suppression.created").await.len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn a_link_that_is_not_ours_is_a_page_that_says_so() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({"to": "bob@remote.test", "subject": "x", "text": "x", "unsubscribe": {}});
    let message = alice.post_message(message).await.expect(202).id();
    alice.wait_for_status(&message, "delivered").await;
    let path = link(&app.sink(REMOTE).messages()[0].text());
    let (start, end) = path.split_at(path.len() - 4);
    let changed = format!("{start}{}", if end == "AAAA" { "BBBB" } else { "AAAA" });
    for wrong in [changed.as_str(), "/u/x", "/u/%00", "/u/bob@remote.test", start] {
        for answer in [app.anonymous().get(wrong).await, one_click(&app.anonymous(), wrong).await] {
            assert!(answer.header("content-type").unwrap().starts_with("text/html"), "{answer:?}");
            assert!(answer.expect(404).text().contains("not one of ours"), "{wrong}");
        }
    }
    assert_eq!(events(&alice, "recipient.unsubscribed").await.len(), 0);
    // Nor is a link of an account that is gone.
    app.admin().delete(&format!("/v1/accounts/{}", alice.account_id)).await.expect(204);
    one_click(&app.anonymous(), &path).await.expect(404);
    app.stop().await;
}

#[tokio::test]
async fn a_link_is_for_one_recipient_and_comes_from_one_place() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let message = json!({
        "to": ["bob@remote.test", "carol@remote.test"], "subject": "x", "text": "x",
        "headers": {"list-unsubscribe": "<https://alice.test/u>"},
        "unsubscribe": {"topic": "not a topic"},
    });
    let refused = alice.post_message(message).await.expect_problem(422, "invalid_input");
    let expected = [
        ("/headers/list-unsubscribe", "conflicting_header"),
        ("/unsubscribe", "several_recipients"),
        ("/unsubscribe/topic", "invalid_topic"),
    ];
    assert_eq!(refused.faults(), expected);
    let twice = json!({"to": ["bob@remote.test", "bob@remote.test"], "subject": "x", "text": "x",
                       "unsubscribe": {}});
    alice.post_message(twice).await.expect(202);
    // One's own fields are as good as ever without.
    let own = json!({"to": "bob@remote.test", "subject": "x", "text": "x",
                     "headers": {"List-Unsubscribe": "<https://alice.test/u>"}});
    alice.post_message(own).await.expect(202);
    let sender = key(&app, &alice, "suppressions:write").await;
    sender.post("/v1/messages", json!({"unsubscribe": {}})).await.expect(403);
    app.stop().await;
}
