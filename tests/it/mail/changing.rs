//! One mail is marked, moved, deleted, added.

use std::time::Duration;

use posthouse_tests::app::App;
use reqwest::Method;
use serde_json::{Value, json};

use super::{append, fill, key, mail_events, mailbox, mailbox_id, make, verify};

#[tokio::test]
async fn a_mail_is_marked_and_moved_in_one_change() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let mail = fill(&alice, 1).await.remove(0);
    let place = format!("/v1/mail/{mail}");
    let inbox = mailbox_id(&alice.http, "Inbox").await;
    let archive = mailbox_id(&alice.http, "Archive").await;
    let patch = json!({"add_flags": ["\\seen", "$Junk"], "add_keywords": ["Work", "a"],
                       "mailbox_id": archive});
    let state = alice.http.patch(&place, patch.clone()).await.expect(200);
    assert_eq!(
        (&state["flags"], &state["keywords"]),
        (&json!(["\\Seen", "$Junk"]), &json!(["a", "work"]))
    );
    assert_eq!((&state["mailbox_id"], &state["uid"]), (&json!(archive), &json!(1)));
    assert_eq!(state.header("etag"), Some(format!("\"{}\"", state["modseq"]).as_str()));
    let found = alice.http.get(&place).await.expect(200);
    for field in ["flags", "keywords", "mailbox_id", "uid", "modseq"] {
        assert_eq!(found[field], state[field], "{field}");
    }
    // Again: nothing changes.
    let again = alice.http.patch(&place, patch).await.expect(200);
    assert_eq!(again["modseq"], state["modseq"]);
    let events = mail_events(&alice).await;
    assert_eq!(events.len(), 2);
    let data = &events[1]["data"];
    assert_eq!((&events[1]["type"], &data["moved_from"]), (&json!("mail.updated"), &json!(inbox)));
    assert_eq!(
        (&data["mailbox"], &data["flags"]),
        (&json!("Archive"), &json!(["\\Seen", "$Junk"]))
    );

    let patch = json!({"flags": ["\\Flagged"], "remove_keywords": ["WORK"]});
    let state = alice.http.patch(&place, patch).await.expect(200);
    assert_eq!((&state["flags"], &state["keywords"]), (&json!(["\\Flagged"]), &json!(["a"])));
    let counts = mailbox(&alice.http, "Archive").await;
    assert_eq!((&counts["total"], &counts["unseen"]), (&json!(1), &json!(1)));
    verify(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn a_change_is_made_to_the_known_state_only() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let mail = fill(&alice, 1).await.remove(0);
    let path = format!("/v1/mail/{mail}");
    let change = async |method: Method, tag: &str, body: Option<Value>| {
        let request = alice.http.request(method, &path).header("If-Match", tag);
        match body {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        }
    };
    let first = alice.http.get(&path).await.expect(200).header("etag").unwrap().to_owned();
    let seen = || Some(json!({"add_flags": ["\\Seen"]}));
    let state = change(Method::PATCH, &first, seen()).await.expect(200);
    for stale in [first.as_str(), "\"999999\"", "W/\"1\"", "x"] {
        let flagged = Some(json!({"flags": ["\\Flagged"]}));
        let refused = change(Method::PATCH, stale, flagged).await;
        refused.expect_problem(412, "precondition_failed");
        change(Method::DELETE, stale, None).await.expect_problem(412, "precondition_failed");
    }
    let now = alice.http.get(&path).await.expect(200);
    assert_eq!((&now["flags"], &now["modseq"]), (&json!(["\\Seen"]), &state["modseq"]));
    change(Method::PATCH, "*", seen()).await.expect(200);
    change(Method::DELETE, state.header("etag").unwrap(), None).await.expect(204);
    app.stop().await;
}

#[tokio::test]
async fn a_mail_goes_to_the_trash_and_then_for_good() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let ids = fill(&alice, 2).await;
    let path = format!("/v1/mail/{}", ids[0]);
    alice.http.delete(&path).await.expect(204);
    assert_eq!(mailbox(&alice.http, "Trash").await["total"], 1);
    alice.http.get(&path).await.expect(200);
    alice.http.delete(&path).await.expect(204);
    alice.http.get(&path).await.expect_problem(404, "not_found");
    alice.http.delete(&path).await.expect_problem(404, "not_found");
    alice.http.patch(&path, json!({"flags": []})).await.expect_problem(404, "not_found");
    let path = format!("/v1/mail/{}", ids[1]);
    alice.http.delete(&format!("{path}?permanent=perhaps")).await.expect(422);
    alice.http.delete(&format!("{path}?permanent=true")).await.expect(204);
    let kinds: Vec<_> = mail_events(&alice).await.iter().map(|e| e["type"].clone()).collect();
    let expected = ["created", "created", "updated", "deleted", "deleted"];
    assert_eq!(kinds, expected.map(|kind| json!(format!("mail.{kind}"))));
    verify(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn what_a_deleted_mail_said_is_erased_later() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let ids = fill(&alice, 2).await;
    let archive = mailbox_id(&alice.http, "Archive").await;
    let copy = json!({"ids": [ids[0]], "action": "copy", "mailbox_id": archive});
    alice.http.post("/v1/mail/bulk", copy).await.expect(200);
    for id in &ids {
        alice.http.delete(&format!("/v1/mail/{id}?permanent=true")).await.expect(204);
    }
    let contents = async || {
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM mail_contents");
        count.fetch_one(app.db()).await.unwrap()
    };
    app.clean_up().await;
    assert_eq!(contents().await, 2);
    app.advance(Duration::from_secs(3700));
    app.clean_up().await;
    // The copy still says it.
    assert_eq!(contents().await, 1);
    let copy = alice.mail_in("Archive").await.remove(0);
    assert!(alice.raw_mail(copy["id"].as_str().unwrap()).await.contains("Subject: 0"));
    verify(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn a_message_is_added_as_it_is() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let drafts = make(&alice.http, "Import").await;
    let path = format!(
        "/v1/mail?mailbox_id={drafts}&flags=%5CSeen,%5CDraft&keywords=Later\
                        &received_at=2001-02-03T04:05:06Z"
    );
    let message = "Message-ID: <1@x.test>\nFrom: a@x.test\nSubject: Old\n\nText.\n";
    let post = async |key: &str| {
        let request = alice.http.request(Method::POST, &path).header("Idempotency-Key", key);
        request.body("message/rfc822", message).send().await
    };
    let made = post("k").await.expect(201);
    assert_eq!(made.header("location"), Some(format!("/v1/mail/{}", made.id()).as_str()));
    assert_eq!((&made["uid"], &made["mailbox_id"]), (&json!(1), &json!(drafts)));
    let replayed = post("k").await.expect(201);
    assert_eq!((replayed.id(), replayed.header("idempotent-replayed")), (made.id(), Some("true")));
    assert_eq!(alice.raw_mail(&made.id()).await, message.replace('\n', "\r\n"));
    let found = alice.http.get(&format!("/v1/mail/{}", made.id())).await.expect(200);
    assert_eq!(
        (&found["flags"], &found["keywords"]),
        (&json!(["\\Seen", "\\Draft"]), &json!(["later"]))
    );
    assert_eq!(found["received_at"], "2001-02-03T04:05:06.000Z");
    assert_eq!((&found["modseq"], &found["thread_id"]), (&made["modseq"], &made["thread_id"]));
    // A second one with the same Message-ID is of the same conversation.
    assert_eq!(post("l").await.expect(201)["thread_id"], made["thread_id"]);
    let counts = mailbox(&alice.http, "Import").await;
    assert_eq!(
        (&counts["total"], &counts["unseen"], &counts["uidnext"]),
        (&json!(2), &json!(0), &json!(3))
    );
    let event = &mail_events(&alice).await[0];
    assert_eq!(
        (&event["type"], &event["data"]["subject"]),
        (&json!("mail.created"), &json!("Old"))
    );
    verify(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn faults_of_an_added_message_are_told_at_once() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let path =
        "/v1/mail?mailbox_id=mbx_01k6h3v9x8e7ktq2w5m4n1r000&flags=%5CRecent&keywords=a%20b&x=1";
    let send = async |path: &str, kind: &str, body: &'static str| {
        alice.http.request(Method::POST, path).body(kind, body).send().await
    };
    let refused = send(path, "message/rfc822", "no header").await;
    let refused = refused.expect_problem(422, "invalid_input");
    let mut pointers = refused.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["", "/flags/0", "/keywords/0", "/x"]);
    let refused = send("/v1/mail", "message/rfc822", "A: b\n\n").await;
    assert_eq!(refused.expect_problem(422, "invalid_input").pointers(), ["/mailbox_id"]);
    let path = "/v1/mail?mailbox_id=mbx_01k6h3v9x8e7ktq2w5m4n1r000";
    let refused = send(path, "message/rfc822", "A: b\n\n").await;
    assert_eq!(refused.expect_problem(422, "invalid_input").pointers(), ["/mailbox_id"]);
    let refused = send(path, "message/rfc822", "A: b\rc\n\n").await;
    assert_eq!(refused.expect_problem(422, "invalid_input").pointers(), [""]);
    send(path, "text/plain", "A: b\n\n").await.expect_problem(415, "unsupported_media_type");
    app.stop().await;
}

#[tokio::test]
async fn the_quota_holds_and_deleting_makes_room() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let ids = fill(&alice, 1).await;
    let inbox = mailbox_id(&alice.http, "Inbox").await;
    let size = mailbox(&alice.http, "Inbox").await["size_bytes"].as_i64().unwrap();
    let place = format!("/v1/accounts/{}", alice.account_id);
    app.admin().patch(&place, json!({"quota_bytes": 2 * size})).await.expect(200);
    append(&alice.http, &inbox, "1", "").await.expect(201);
    append(&alice.http, &inbox, "2", "").await.expect_problem(507, "quota_exceeded");
    let copy = json!({"ids": ids, "action": "copy", "mailbox_id": inbox});
    alice.http.post("/v1/mail/bulk", copy.clone()).await.expect_problem(507, "quota_exceeded");
    // In the Trash it still counts.
    let last = alice.inbox().await.pop().unwrap();
    let path = format!("/v1/mail/{}", last["id"].as_str().unwrap());
    alice.http.delete(&path).await.expect(204);
    alice.http.post("/v1/mail/bulk", copy.clone()).await.expect_problem(507, "quota_exceeded");
    alice.http.delete(&path).await.expect(204);
    alice.http.post("/v1/mail/bulk", copy).await.expect(200);
    assert_eq!(mailbox(&alice.http, "Inbox").await["total"], 2);
    verify(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn mail_of_others_is_not_there_and_scopes_are_asked() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let mail = fill(&alice, 1).await.remove(0);
    let path = format!("/v1/mail/{mail}");
    let foreign = mailbox_id(&bob.http, "Inbox").await;
    bob.http.patch(&path, json!({"flags": []})).await.expect_problem(404, "not_found");
    bob.http.delete(&path).await.expect_problem(404, "not_found");
    let refused = alice.http.patch(&path, json!({"mailbox_id": foreign})).await;
    assert_eq!(refused.expect_problem(422, "invalid_input").pointers(), ["/mailbox_id"]);
    append(&alice.http, &foreign, "x", "").await.expect_problem(422, "invalid_input");
    let reader = key(&app, &alice, "mail:read").await;
    reader.patch(&path, json!({"flags": []})).await.expect_problem(403, "forbidden");
    reader.delete(&path).await.expect_problem(403, "forbidden");
    append(&reader, &foreign, "x", "").await.expect_problem(403, "forbidden");
    // Whoever may only write learns nothing of what mails say.
    let writer = key(&app, &alice, "mail:write").await;
    let state = writer.patch(&path, json!({"flags": ["\\Seen"]})).await.expect(200);
    assert!(state.json.get("subject").is_none());
    app.stop().await;
}

#[tokio::test]
async fn a_mailbox_has_a_bounded_number_of_keywords() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let path = format!("/v1/mail/{}", fill(&alice, 1).await[0]);
    for round in 0..10 {
        let words: Vec<_> = (0..100).map(|number| format!("k{round}-{number}")).collect();
        alice.http.patch(&path, json!({"keywords": words})).await.expect(200);
    }
    let one_more = alice.http.patch(&path, json!({"keywords": ["more"]})).await;
    one_more.expect_problem(422, "policy_rejected");
    let known = alice.http.patch(&path, json!({"keywords": ["K0-0"]})).await.expect(200);
    assert_eq!(known["keywords"], json!(["k0-0"]));
    assert_eq!(mailbox(&alice.http, "Inbox").await["keywords"].as_array().unwrap().len(), 1000);
    app.stop().await;
}
