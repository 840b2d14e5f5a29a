//! Mail to those who are at home here: through the queue, without DNS and SMTP.

use posthouse_tests::app::App;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn mail_between_accounts_here_needs_no_dns() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let message = alice.send(&["bob+tag@example.test"], "Neighbour").await;
    alice.wait_for_status(&message.id(), "delivered").await;
    let deliveries = alice.deliveries(&message.id()).await;
    assert_eq!(deliveries[0]["attempts"][0]["mx_host"], "local");
    assert_eq!(deliveries[0]["attempts"][0]["smtp_code"], 250);
    let mail = bob.wait_for_mail("Neighbour").await;
    assert_eq!(mail["reception"]["rcpt_to"], "bob+tag@example.test");
    assert_eq!(mail["reception"]["mail_from"], "alice@example.test");
    assert!(alice.inbox().await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn an_answer_of_a_neighbour_refers_to_what_it_answers() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let message = alice.send(&["bob@example.test"], "Neighbour").await;
    let mail = bob.wait_for_mail("Neighbour").await;
    assert_eq!(mail["refers_to"], Value::Null, "it answers nothing");
    let path = format!("/v1/mail/{}/reply", mail["id"].as_str().unwrap());
    bob.http.post(&path, json!({"text": "Yes."})).await.expect(202);
    let answer = alice.wait_for_mail("Re: Neighbour").await;
    assert_eq!(answer["refers_to"], message["id"]);
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_neighbour_fails_and_is_reported() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["nobody@example.test"], "Anybody there?").await;
    alice.wait_for_status(&message.id(), "failed").await;
    let report = alice.wait_for_mail("Your message could not be delivered").await;
    assert_eq!(report["refers_to"], message["id"]);
    let kinds = alice.event_types_of(&message.id()).await;
    let expected = ["message.accepted", "delivery.failed", "suppression.created"];
    assert_eq!(kinds, expected, "the failure before its consequence");
    app.stop().await;
}

#[tokio::test]
async fn a_subject_that_no_database_can_hold_is_cleaned() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let raw = "From: alice@example.test\r\nTo: alice@example.test\r\n\
        Subject: =?utf-8?q?a=00b?=\r\n\r\nHello\0\r\n";
    let request = alice.http.request(Method::POST, "/v1/messages/raw");
    let taken = request.body("message/rfc822", raw).send().await.expect(202);
    alice.wait_for_status(&taken.id(), "delivered").await;
    alice.wait_for_mail("a\u{fffd}b").await;
    app.stop().await;
}
