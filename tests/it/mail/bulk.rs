//! Many mails at once.

use posthouse_tests::{app::App, person::Person};
use reqwest::Method;
use serde_json::{Value, json};

use super::{append, fill, key, mail_events, mailbox, mailbox_id, make, verify};

async fn bulk(person: &Person, body: Value) -> posthouse_tests::client::Answer {
    person.http.post("/v1/mail/bulk", body).await
}

fn numbers(answer: &posthouse_tests::client::Answer) -> [u64; 3] {
    ["matched", "changed", "not_found"].map(|name| answer[name].as_u64().unwrap())
}

#[tokio::test]
async fn mails_are_moved_copied_and_deleted_by_their_ids() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let ids = fill(&alice, 3).await;
    let (inbox, other) = (mailbox_id(&alice.http, "Inbox").await, make(&alice.http, "other").await);
    let words = json!({"ids": ids, "action": "update", "keywords": ["x", "y"]});
    assert_eq!(numbers(&bulk(&alice, words.clone()).await.expect(200)), [3, 3, 0]);
    assert_eq!(numbers(&bulk(&alice, words).await.expect(200)), [3, 0, 0]);
    // Another order in the other mailbox's dictionary.
    append(&alice.http, &other, "first", "&keywords=y").await.expect(201);
    let nobody = "mail_01k6h3v9x8e7ktq2w5m4n1r000";
    let some =
        json!({"ids": [ids[0], ids[2], ids[0], nobody], "action": "move", "mailbox_id": other});
    let moved = bulk(&alice, some).await.expect(200);
    assert_eq!(numbers(&moved), [2, 2, 1]);
    let first = &moved["mails"][0];
    assert_eq!((&first["id"], &first["before"]["uid"]), (&json!(ids[0]), &json!(1)));
    assert_eq!(
        (&first["before"]["mailbox_id"], &first["now"]["mailbox_id"]),
        (&json!(inbox), &json!(other))
    );
    assert_eq!((&first["now"]["id"], &first["now"]["uid"]), (&json!(ids[0]), &json!(2)));
    assert_eq!(moved["uidvalidity"], mailbox(&alice.http, "other").await["uidvalidity"]);
    let there = alice.mail_in("other").await;
    assert_eq!((&there[1]["keywords"], &there[0]["keywords"]), (&json!(["y", "x"]), &json!(["y"])));

    let copy = json!({"ids": [ids[0]], "action": "copy", "mailbox_id": inbox});
    let copied = bulk(&alice, copy).await.expect(200);
    let copy = copied["mails"][0]["now"].clone();
    assert!(copy["id"] != json!(ids[0]) && copy["uid"] == 4);
    let found = alice.http.get(&format!("/v1/mail/{}", copy["id"].as_str().unwrap())).await;
    let source = alice.http.get(&format!("/v1/mail/{}", ids[0])).await.expect(200);
    assert_eq!((&found["subject"], &found["thread_id"]), (&json!("0"), &source["thread_id"]));
    assert_eq!(found["keywords"], json!(["x", "y"]));
    let event = mail_events(&alice).await.pop().unwrap();
    assert_eq!((&event["type"], &event["data"]["mail_id"]), (&json!("mail.created"), &copy["id"]));
    assert_eq!(event["data"]["subject"], "0");

    let gone = json!({"ids": [ids[0], ids[1]], "action": "delete", "permanent": true});
    let gone = bulk(&alice, gone).await.expect(200);
    assert_eq!((numbers(&gone), &gone["mails"][0]["now"]), ([2, 2, 0], &Value::Null));
    assert_eq!(mailbox(&alice.http, "Trash").await["total"], 0);
    verify(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn a_filter_says_which_mails_in_steps() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let inbox = mailbox_id(&alice.http, "Inbox").await;
    // More than a step, and some that do not fit.
    fill(&alice, 230).await;
    for _ in 0..3 {
        append(&alice.http, &inbox, "seen", "&flags=%5CSeen").await.expect(201);
    }
    let mut body = json!({"filter": {"mailbox_id": inbox, "unseen": true}, "action": "update",
                          "add_flags": ["\\Seen"], "dry_run": true});
    assert_eq!(numbers(&bulk(&alice, body.clone()).await.expect(200)), [230, 0, 0]);
    assert_eq!(mailbox(&alice.http, "Inbox").await["unseen"], 230);
    body["dry_run"] = json!(false);
    let done = bulk(&alice, body.clone()).await.expect(200);
    assert_eq!((numbers(&done), &done["has_more"]), ([230, 230, 0], &json!(false)));
    assert_eq!(mailbox(&alice.http, "Inbox").await["unseen"], 0);
    assert_eq!(numbers(&bulk(&alice, body).await.expect(200)), [0, 0, 0]);
    let updates = mail_events(&alice).await;
    assert_eq!(updates.iter().filter(|event| event["type"] == "mail.updated").count(), 230);
    // Copies into the same mailbox fit too, and are not copied again.
    let copy = json!({"filter": {"mailbox_id": inbox}, "action": "copy", "mailbox_id": inbox});
    assert_eq!(numbers(&bulk(&alice, copy).await.expect(200)), [233, 233, 0]);
    assert_eq!(mailbox(&alice.http, "Inbox").await["total"], 466);
    let delete = json!({"filter": {"subject": "seen"}, "action": "delete"});
    assert_eq!(numbers(&bulk(&alice, delete).await.expect(200)), [6, 6, 0]);
    assert_eq!(mailbox(&alice.http, "Trash").await["total"], 6);
    verify(&app).await;
    app.stop().await;
}

#[tokio::test]
async fn a_repeated_copy_is_made_once() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let ids = fill(&alice, 2).await;
    let inbox = mailbox_id(&alice.http, "Inbox").await;
    for target in [json!({"ids": ids}), json!({"filter": {"mailbox_id": inbox}})] {
        let mut body = target;
        body["action"] = json!("copy");
        body["mailbox_id"] = json!(inbox);
        let before = mailbox(&alice.http, "Inbox").await["total"].as_i64().unwrap();
        let key = format!("k{before}");
        let post = async || {
            let request = alice.http.request(Method::POST, "/v1/mail/bulk");
            request.header("Idempotency-Key", &key).json(&body).send().await.expect(200)
        };
        let (first, second) = (post().await, post().await);
        assert_eq!(first.json, second.json);
        assert_eq!(second.header("idempotent-replayed"), Some("true"));
        assert_eq!(mailbox(&alice.http, "Inbox").await["total"], 2 * before);
    }
    app.stop().await;
}

#[tokio::test]
async fn ids_of_others_are_not_there_and_faults_are_told_at_once() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let ids = fill(&alice, 2).await;
    let delete = json!({"ids": ids, "action": "delete", "permanent": true});
    assert_eq!(numbers(&bulk(&bob, delete.clone()).await.expect(200)), [0, 0, 2]);
    assert_eq!(mailbox(&alice.http, "Inbox").await["total"], 2);
    let foreign = mailbox_id(&bob.http, "Inbox").await;
    let steal = json!({"ids": ids, "action": "copy", "mailbox_id": foreign});
    let refused = bulk(&alice, steal).await.expect_problem(422, "invalid_input");
    assert_eq!(refused.pointers(), ["/mailbox_id"]);
    let odd = json!({"filter": {"colour": 1, "unseen": "perhaps"}, "action": "update",
                     "add_flags": ["\\Recent"], "permanent": true, "x": 1});
    let refused = bulk(&alice, odd).await.expect_problem(422, "invalid_input");
    let mut pointers = refused.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/filter/colour", "/filter/unseen", "/permanent", "/x"]);
    let many = json!({"ids": vec![&ids[0]; 501], "action": "delete"});
    bulk(&alice, many).await.expect_problem(422, "invalid_input");
    let writer = key(&app, &alice, "mail:write").await;
    let by_filter = json!({"filter": {"unseen": true}, "action": "delete", "dry_run": true});
    let refused = writer.post("/v1/mail/bulk", by_filter).await.expect_problem(403, "forbidden");
    assert!(refused["detail"].as_str().unwrap().contains("mail:read"));
    let reader = key(&app, &alice, "mail:read").await;
    reader.post("/v1/mail/bulk", delete).await.expect_problem(403, "forbidden");
    app.stop().await;
}
