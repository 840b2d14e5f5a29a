//! Mailboxes are made, renamed and deleted.

use posthouse_tests::{app::App, client::Client};
use serde_json::{Value, json};

use super::{append, fill, key, mail_events, mailbox, mailbox_id, make, verify};

async fn names(http: &Client) -> Vec<String> {
    let all = http.all("/v1/mailboxes").await;
    all.iter().map(|mailbox| mailbox["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_mailbox_is_made_with_those_above_it() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let new = json!({"name": "inBOX/Bu\u{308}ro/2026", "subscribed": false});
    let made = alice.http.post("/v1/mailboxes", new).await.expect(201);
    assert_eq!(made.header("location"), Some(format!("/v1/mailboxes/{}", made.id()).as_str()));
    assert_eq!((&made["name"], &made["role"]), (&json!("Inbox/B\u{fc}ro/2026"), &Value::Null));
    let above = mailbox(&alice.http, "Inbox/B\u{fc}ro").await;
    assert_eq!((&made["parent_id"], &above["subscribed"]), (&above["id"], &json!(true)));
    assert_eq!(above["parent_id"], mailbox(&alice.http, "Inbox").await["id"]);
    assert_ne!(above["uidvalidity"], made["uidvalidity"]);
    let found = alice.http.get(&format!("/v1/mailboxes/{}", made.id())).await.expect(200);
    assert_eq!(found.json, made.json);
    let zero = ["total", "deleted", "unseen", "unread", "size_bytes"].map(|name| &found[name]);
    assert_eq!(zero, [&json!(0); 5]);
    let again = json!({"name": "INBOX/B\u{fc}ro"});
    alice.http.post("/v1/mailboxes", again).await.expect_problem(409, "already_exists");
    for bad in ["", "a//b", "/a", "#x", "a\u{7}b", &"x".repeat(501)] {
        let new = json!({"name": bad, "role": "flagged"});
        let refused = alice.http.post("/v1/mailboxes", new).await;
        let refused = refused.expect_problem(422, "invalid_input");
        assert_eq!(refused.pointers(), ["/name", "/role"], "{bad}");
    }
    app.stop().await;
}

#[tokio::test]
async fn a_renamed_mailbox_takes_those_below_along() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let below = make(&alice.http, "a/b/c").await;
    let b = mailbox_id(&alice.http, "a/b").await;
    make(&alice.http, "a/bb").await;
    append(&alice.http, &below, "One", "").await.expect(201);
    let path = format!("/v1/mailboxes/{b}");
    let renamed = alice.http.patch(&path, json!({"name": "x/y/z"})).await.expect(200);
    assert_eq!((&renamed["name"], &renamed["id"]), (&json!("x/y/z"), &json!(b)));
    assert_eq!(renamed["parent_id"], mailbox(&alice.http, "x/y").await["id"]);
    let moved = mailbox(&alice.http, "x/y/z/c").await;
    assert_eq!((&moved["id"], &moved["total"]), (&json!(below), &json!(1)));
    assert_eq!(names(&alice.http).await[6..], ["a", "a/bb", "x", "x/y", "x/y/z", "x/y/z/c"]);
    for (name, status, code) in [
        ("x/y/z/c/d", 422, "invalid_input"),
        ("a/bb", 409, "already_exists"),
        ("x/y", 409, "already_exists"),
        ("INBOX", 409, "already_exists"),
        ("a//b", 422, "invalid_input"),
        (&["d"; 20].join("/"), 422, "invalid_input"),
    ] {
        let answer = alice.http.patch(&path, json!({"name": name})).await;
        answer.expect_problem(status, code);
    }
    let same = alice.http.patch(&path, json!({"name": "x/y/z"})).await.expect(200);
    assert_eq!(same.json, renamed.json);
    app.stop().await;
}

#[tokio::test]
async fn the_inbox_stays_and_its_mail_goes_when_it_is_renamed() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let ids = fill(&alice, 3).await;
    let inbox = mailbox_id(&alice.http, "Inbox").await;
    let path = format!("/v1/mailboxes/{inbox}");
    let other = alice.http.patch(&path, json!({"name": "Old"})).await.expect(200);
    assert_eq!((&other["name"], &other["total"]), (&json!("Old"), &json!(3)));
    assert_eq!(mailbox(&alice.http, "Inbox").await["total"], 0);
    let moved: Vec<_> = alice.mail_in("Old").await.iter().map(|mail| mail["id"].clone()).collect();
    assert_eq!(moved, ids.iter().map(|id| json!(id)).collect::<Vec<_>>());
    alice.http.delete(&path).await.expect_problem(422, "policy_rejected");
    let role = json!({"role": "archive"});
    alice.http.patch(&path, role).await.expect_problem(422, "policy_rejected");
    verify(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn a_role_has_one_mailbox() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let new = json!({"name": "Papierkorb", "role": "trash"});
    let made = alice.http.post("/v1/mailboxes", new).await.expect(201);
    assert_eq!(made["role"], "trash");
    assert_eq!(mailbox(&alice.http, "Trash").await["role"], Value::Null);
    let path = format!("/v1/mailboxes/{}", made.id());
    let change = json!({"role": null, "subscribed": false});
    let changed = alice.http.patch(&path, change).await.expect(200);
    assert_eq!((&changed["role"], &changed["subscribed"]), (&Value::Null, &json!(false)));
    let mail = fill(&alice, 1).await.remove(0);
    // There is no Trash now.
    let place = format!("/v1/mail/{mail}");
    alice.http.delete(&place).await.expect_problem(422, "policy_rejected");
    alice.http.patch(&path, json!({"role": "trash"})).await.expect(200);
    alice.http.delete(&place).await.expect(204);
    assert_eq!(mailbox(&alice.http, "Papierkorb").await["total"], 1);
    let bad = json!({"role": "inbox", "name": null, "x": 1});
    let refused = alice.http.patch(&path, bad).await.expect_problem(422, "invalid_input");
    let mut pointers = refused.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/name", "/role", "/x"]);
    app.stop().await;
}

#[tokio::test]
async fn a_deleted_mailbox_takes_its_mail_along() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    make(&alice.http, "a/b").await;
    let a = mailbox_id(&alice.http, "a").await;
    let b = mailbox_id(&alice.http, "a/b").await;
    let mail = append(&alice.http, &b, "One", "").await.expect(201);
    let old = mailbox(&alice.http, "a/b").await;
    alice.http.delete(&format!("/v1/mailboxes/{a}")).await.expect_problem(409, "in_use");
    alice.http.delete(&format!("/v1/mailboxes/{b}")).await.expect(204);
    alice.http.get(&format!("/v1/mail/{}", mail.id())).await.expect_problem(404, "not_found");
    let path = format!("/v1/mailboxes/{b}");
    alice.http.delete(&path).await.expect_problem(404, "not_found");
    alice.http.get(&path).await.expect_problem(404, "not_found");
    append(&alice.http, &b, "Two", "").await.expect_problem(422, "invalid_input");
    alice.http.delete(&format!("/v1/mailboxes/{a}")).await.expect(204);
    let last = mail_events(&alice).await.pop().unwrap();
    assert_eq!((&last["type"], &last["data"]["mail_id"]), (&json!("mail.deleted"), &mail["id"]));
    // The name is free again, for another mailbox.
    make(&alice.http, "a/b").await;
    let new = mailbox(&alice.http, "a/b").await;
    assert!(new["id"] != old["id"] && new["uidvalidity"].as_i64() > old["uidvalidity"].as_i64());
    verify(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn a_full_mailbox_is_deleted_in_steps() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let full = make(&alice.http, "full").await;
    append(&alice.http, &full, "One", "").await.expect(201);
    // As if there were more than two steps of mail.
    sqlx::query(
        "WITH one AS (SELECT * FROM mails LIMIT 1), added AS (
             INSERT INTO mails (account_id, mail_id, mailbox_id, uid, content_id, thread_id,
                 createseq, modseq, size_bytes, received_at, saved_at)
             SELECT account_id, gen_random_uuid(), mailbox_id, n + 1, content_id, thread_id,
                 createseq, modseq, size_bytes, received_at, saved_at
             FROM one, generate_series(1, 1100) AS n RETURNING size_bytes
         ), counters AS (
             UPDATE account_counters SET mail_bytes = mail_bytes + (SELECT sum(size_bytes) FROM added)
             WHERE account_id = (SELECT account_id FROM one)
         )
         UPDATE mailboxes SET uidnext = 1102, total = 1101, unseen = 1101, unread = 1101,
             size_bytes = size_bytes + (SELECT sum(size_bytes) FROM added) WHERE name = 'full'",
    )
    .execute(app.db())
    .await
    .unwrap();
    verify(&app).await;
    alice.http.delete(&format!("/v1/mailboxes/{full}")).await.expect(204);
    let deleted = mail_events(&alice).await;
    assert_eq!(deleted.iter().filter(|event| event["type"] == "mail.deleted").count(), 1101);
    verify(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn mailboxes_belong_to_their_account_and_need_scopes() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let path = format!("/v1/mailboxes/{}", make(&alice.http, "mine").await);
    bob.http.get(&path).await.expect_problem(404, "not_found");
    bob.http.patch(&path, json!({"name": "x"})).await.expect_problem(404, "not_found");
    bob.http.delete(&path).await.expect_problem(404, "not_found");
    let reader = key(&app, &alice, "mail:read").await;
    reader.get(&path).await.expect(200);
    reader.delete(&path).await.expect_problem(403, "forbidden");
    reader.post("/v1/mailboxes", json!({"name": ""})).await.expect_problem(403, "forbidden");
    let writer = key(&app, &alice, "mail:write").await;
    writer.get(&path).await.expect_problem(403, "forbidden");
    writer.delete(&path).await.expect(204);
    app.stop().await;
}
