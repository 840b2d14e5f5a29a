//! Permanent failures: the report to the sender, and the suppression of the address.

use posthouse_tests::{
    app::App,
    sink::{Script, Stage},
    wait::eventually,
};
use serde_json::json;

#[tokio::test]
async fn a_refused_recipient_gives_the_sender_a_report_that_refers_to_the_message() {
    let script = Script::new().reply(Stage::Rcpt, "550 5.1.1 No such user here");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["nobody@remote.test"], "Lost cause").await;
    let failed = alice.wait_for_status(&message.id(), "failed").await.remove(0);
    assert_eq!(failed["attempts"][0]["smtp_code"], 550);
    assert_eq!(failed["attempts"][0]["enhanced_code"], "5.1.1");
    let kinds = alice.event_types_of(&message.id()).await;
    assert_eq!(kinds[0], "message.accepted");
    assert!(kinds.contains(&"delivery.failed".to_owned()), "{kinds:?}");

    let mail = eventually("the report", async || alice.inbox().await.pop()).await;
    let raw = alice.raw_mail(mail["id"].as_str().unwrap()).await;
    let message_id = message["message_id"].as_str().unwrap();
    for part in [
        "Return-Path: <>\r\n",
        "Auto-Submitted: auto-replied\r\n",
        &format!("References: {message_id}\r\n"),
        "multipart/report; report-type=delivery-status",
        "Content-Type: message/delivery-status",
        "Final-Recipient: rfc822; nobody@remote.test\r\n",
        "Action: failed\r\n",
        "Status: 5.1.1\r\n",
        "Remote-MTA: dns; mx.remote.test\r\n",
        "Diagnostic-Code: smtp; 550 5.1.1 No such user here\r\n",
        "Subject: Lost cause",
    ] {
        let found = raw.to_lowercase().contains(&part.to_lowercase().replace("; ", ";"))
            || raw.to_lowercase().contains(&part.to_lowercase());
        assert!(found, "no {part:?} in:\n{raw}");
    }
    // The report is not itself a message in the queue.
    let sent = alice.http.all("/v1/messages").await;
    assert_eq!(sent.len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn an_address_that_does_not_exist_is_suppressed_and_not_tried_again() {
    let script = Script::new().refuse_rcpt("nobody@remote.test", "550 5.1.1 No such user");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let first = alice.send(&["nobody@remote.test"], "One").await.id();
    alice.wait_for_status(&first, "failed").await;
    alice.wait_for_event("suppression.created").await;
    let failed = alice.events_of(&first).await;
    let failed = failed.iter().find(|event| event["type"] == "delivery.failed").unwrap();
    assert_eq!(failed["data"]["suppressing"], true, "{failed}");
    let connections = app.sink("mx.remote.test").connections();
    let commands = app.sink("mx.remote.test").commands("RCPT").len();

    let second = alice.send(&["nobody@remote.test"], "Two").await.id();
    alice.wait_for_status(&second, "suppressed").await;
    let kinds = alice.event_types_of(&second).await;
    assert_eq!(kinds, ["message.accepted", "delivery.suppressed"]);
    assert_eq!(app.sink("mx.remote.test").connections(), connections);
    assert_eq!(app.sink("mx.remote.test").commands("RCPT").len(), commands);

    // Another account may still try: suppressions belong to an account.
    let carol = app.account("carol@example.test").await;
    let third = carol.send(&["nobody@remote.test"], "Three").await.id();
    carol.wait_for_status(&third, "failed").await;
    app.stop().await;
}

#[tokio::test]
async fn only_the_separator_part_is_ignored_when_suppressions_are_compared() {
    let script = Script::new().refuse_rcpt("no.body@remote.test", "550 5.1.1 No such user");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let first = alice.send(&["no.body@remote.test"], "One").await.id();
    alice.wait_for_status(&first, "failed").await;
    alice.wait_for_event("suppression.created").await;
    let other = alice.send(&["nobody@remote.test"], "Two").await.id();
    alice.wait_for_status(&other, "delivered").await;
    app.stop().await;
}

#[tokio::test]
async fn a_refusal_that_says_nothing_about_the_address_suppresses_on_the_third_time() {
    let script = Script::new().reply(Stage::EndOfData, "554 5.6.0 I do not like this message");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    for number in 1..=3 {
        assert!(alice.events().await.iter().all(|event| event["type"] != "suppression.created"));
        let message = alice.send(&["bob@remote.test"], &format!("Number {number}")).await.id();
        alice.wait_for_status(&message, "failed").await;
    }
    alice.wait_for_event("suppression.created").await;
    app.stop().await;
}

#[tokio::test]
async fn one_report_tells_about_each_recipient_that_failed_and_no_other() {
    let script = Script::new().refuse_rcpt("no*", "550 5.1.1 No such user");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let to = ["bob@remote.test", "no1@remote.test", "no2@remote.test"];
    let message = alice.send(&to, "Some").await.id();
    eventually("all ended", async || {
        let statuses = alice.statuses(&message).await;
        (statuses == ["delivered", "failed", "failed"]).then_some(())
    })
    .await;
    eventually("reports", async || {
        let mut all = String::new();
        for mail in alice.inbox().await {
            all.push_str(&alice.raw_mail(mail["id"].as_str().unwrap()).await);
        }
        let failed = all.matches("Action: failed").count();
        assert!(!all.contains("bob@remote.test\r\nAction"), "{all}");
        (failed == 2).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn nobody_is_told_about_a_message_from_the_null_sender() {
    let script = Script::new().reply(Stage::Rcpt, "550 5.1.1 No such user");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let mut client = alice.submission().await;
    client.envelope("", &["nobody@remote.test"]).await;
    let message = "From: alice@example.test\r\nTo: nobody@remote.test\r\nSubject: x\r\n\r\nx\r\n";
    client.data(message).await.expect("250");
    alice.wait_for_event("delivery.failed").await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(alice.inbox().await, Vec::<serde_json::Value>::new());
    app.stop().await;
}

#[tokio::test]
async fn a_hostile_reply_does_no_harm_in_events_and_reports() {
    let reply = "550 5.1.1 \u{1b}[31mred\u{1b}[0m\0 text\r";
    let script = Script::new().reply(Stage::Rcpt, reply);
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["nobody@remote.test"], "x").await.id();
    let failed = eventually("an end or a deferral", async || {
        let delivery = alice.deliveries(&message).await.remove(0);
        matches!(delivery["status"].as_str(), Some("failed" | "deferred")).then_some(delivery)
    })
    .await;
    let text = failed["attempts"][0]["reply"].as_str().unwrap();
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    for mail in alice.inbox().await {
        let raw = alice.raw_mail(mail["id"].as_str().unwrap()).await;
        assert!(!raw.contains(['\u{1b}', '\0']), "{raw:?}");
    }
    app.stop().await;
}

#[tokio::test]
async fn the_caller_can_see_the_failure_in_the_list_of_messages() {
    let script = Script::new().refuse_rcpt("nobody@*", "550 5.1.1 No such user");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let bad = alice.send(&["nobody@remote.test"], "Bad").await.id();
    let good = alice.send(&["bob@remote.test"], "Good").await.id();
    alice.wait_for_status(&bad, "failed").await;
    alice.wait_for_status(&good, "delivered").await;
    let failed = alice.http.all("/v1/messages?status=failed").await;
    let ids: Vec<_> = failed.iter().map(|message| message["id"].clone()).collect();
    assert_eq!(ids, [json!(bad)]);
    app.stop().await;
}

#[tokio::test]
async fn mail_does_not_go_round_in_circles() {
    let app = App::test().start().await;
    app.receive_at("mx.remote.test").await;
    let alice = app.account("alice@example.test").await;
    let id = alice.send(&["bob@remote.test"], "x").await.id();
    let failed = alice.wait_for_status(&id, "failed").await.remove(0);
    assert_eq!(failed["attempts"][0]["enhanced_code"], "5.4.6", "{failed}");
    let reply = failed["attempts"][0]["reply"].as_str().unwrap();
    assert_eq!(reply, "mx.remote.test: the server is this one, and the mail is not for it");
    app.stop().await;
}
