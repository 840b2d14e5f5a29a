//! `POST /v1/mail/{id}/reply` and `/forward`.

use posthouse_tests::sink::Script;
use reqwest::Method;
use serde_json::{Value, json};

use super::{app, path, receive};

const HEADER: &str = "From: Bob <bob@remote.test>\r\nTo: alice@example.test, Carol <carol@remote.test>\r\n\
    Subject: RE: Plan\r\nMessage-ID: <2@x>\r\nReferences: <1@x>";

#[tokio::test]
async fn an_answer_is_sent_as_a_mail_program_would() {
    let app = app().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let mail = receive(&app, &alice, HEADER, "One?").await;
    let reply = json!({"text": "Yes.", "html": "<p>Yes.</p>", "reply_all": true, "tags": ["a"]});
    let place = format!("{}/reply", path(&mail));
    let request = || {
        let request = alice.http.request(Method::POST, &place).json(&reply);
        request.header("Idempotency-Key", "one").send()
    };
    let sent = request().await.expect(202);
    assert_eq!(sent["deliveries"].as_array().unwrap().len(), 2);
    assert_eq!(request().await.expect(202)["id"], sent["id"], "the same answer once only");
    let copies = alice.mail_in("Sent").await;
    assert_eq!(copies.len(), 1);
    let copy = &copies[0];
    assert_eq!(copy["subject"], "Re: Plan");
    assert_eq!(copy["from"][0]["email"], "alice@example.test");
    assert_eq!(copy["to"][0]["email"], "bob@remote.test");
    assert_eq!(copy["cc"][0]["email"], "carol@remote.test");
    assert_eq!(copy["in_reply_to"], json!(["<2@x>"]));
    assert_eq!(copy["references"], json!(["<1@x>", "<2@x>"]));
    assert_eq!(copy["thread_id"], mail["thread_id"]);
    let text = alice.http.get(&format!("{}/text", path(copy))).await.text();
    assert!(text.starts_with("Yes.\n\nOn Mon") && text.contains("\n> One?"), "{text}");
    let now = alice.http.get(&path(&mail)).await.expect(200);
    assert_eq!(now["flags"], json!(["\\Answered"]));
    let updated = |event: &Value| event["type"] == "mail.updated";
    assert_eq!(alice.events().await.into_iter().filter(updated).count(), 1);
    alice.wait_for_status(&sent.id(), "delivered").await;
    assert_eq!(app.sink("mx.remote.test").count(), 1);
    bob.http.post(&place, json!({"text": "x"})).await.expect_problem(404, "not_found");
    app.stop().await;
}

#[tokio::test]
async fn a_mail_is_forwarded_with_its_files() {
    let app = app().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let header = format!("{HEADER}\r\nContent-Type: multipart/mixed; boundary=b");
    let body = "--b\r\n\r\nOne?\r\n--b\r\nContent-Type: application/pdf; name=a.pdf\r\n\
        Content-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--b--";
    let mail = receive(&app, &alice, &header, body).await;
    let place = format!("{}/forward", path(&mail));
    let forward = json!({"to": "dave@remote.test", "text": "Look."});
    alice.http.post(&place, forward).await.expect(202);
    let whole = json!({"to": ["dave@remote.test"], "text": "Look.", "as_attachment": true});
    alice.http.post(&place, whole).await.expect(202);
    let copies = alice.mail_in("Sent").await;
    assert_eq!(copies[0]["subject"], "Fwd: RE: Plan");
    let file = alice.http.get(&format!("{}/parts/2", path(&copies[0]))).await.expect(200);
    assert_eq!(
        (file.text().as_str(), file.header("content-type")),
        ("%PDF-", Some("application/pdf"))
    );
    let text = alice.http.get(&format!("{}/text", path(&copies[0]))).await.text();
    assert!(text.contains("Look.") && text.contains("From: Bob <bob@remote.test>"), "{text}");
    assert_eq!(copies[1]["attachments"][0]["content_type"], "message/rfc822");
    let file = alice.http.get(&format!("{}/parts/2", path(&copies[1]))).await.expect(200);
    assert_eq!(file.text().trim(), alice.raw_mail(mail["id"].as_str().unwrap()).await.trim());
    let now = alice.http.get(&path(&mail)).await.expect(200);
    assert_eq!(now["flags"], json!(["$Forwarded"]));
    app.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_answer_is_told_and_marks_nothing() {
    let app = app().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let mail = receive(&app, &alice, HEADER, "One?").await;
    let post = async |place: &str, body: Value| {
        alice.http.post(&format!("{}/{place}", path(&mail)), body).await
    };
    for (place, body, pointer) in [
        ("reply", json!({}), ""),
        ("reply", json!({"text": "x", "to": "nobody"}), "/to"),
        ("reply", json!({"text": "x", "subject": "a\r\nBcc: b@c.test"}), "/subject"),
        ("reply", json!({"text": "x", "colour": "red"}), "/colour"),
        ("forward", json!({}), "/to"),
        ("forward", json!({"to": [], "as_attachment": "yes"}), "/as_attachment"),
    ] {
        let answer = post(place, body).await.expect_problem(422, "invalid_input");
        assert_eq!(answer["errors"][0]["pointer"], pointer, "{answer:?}");
    }
    let foreign = json!({"text": "x", "from": "bob@remote.test"});
    post("reply", foreign).await.expect_problem(403, "sender_not_allowed");
    let now = alice.http.get(&path(&mail)).await.expect(200);
    assert_eq!(now["flags"], json!([]));
    assert!(alice.mail_in("Sent").await.is_empty());
    app.stop().await;
}
