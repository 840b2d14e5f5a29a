//! Feedback loops: ARF (RFC 5965), also where the provider hides who complained.

use super::{answer, app, assert_untouched, deliver, events, message_id, told};

/// A complaint with these feedback fields and this header of the message.
fn arf(fields: &str, header: &str) -> String {
    format!(
        "From: fbl@provider.test\nTo: alice@example.test\nSubject: FW: Hello\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=x\n\n\
         --x\nContent-Type: text/plain\n\nNot wanted.\n\
         --x\nContent-Type: message/feedback-report\n\n{fields}User-Agent: Feedback/1.0\n\
         Version: 1\n\n--x\nContent-Type: message/rfc822\n\n{header}From: alice@example.test\n\n\
         Hello.\n--x--\n"
    )
}

#[tokio::test]
async fn a_complaint_suppresses_the_recipient() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, _) = deliver(&app, &alice, &["bob@remote.test", "carol@remote.test"]).await;
    let fields = "Feedback-Type: abuse\nOriginal-Rcpt-To: <bob@remote.test>\n";
    let report = arf(fields, &format!("Message-ID: {}\n", message_id(&message)));
    for _ in 0..2 {
        answer(&app, "alice@example.test", &report).await;
    }
    assert_eq!(told(&alice, &message).await, ["delivery.complained", "suppression.created"]);
    let complained = events(&alice, &message, "delivery.complained").await.remove(0);
    assert_eq!(complained["data"]["recipient"], "bob@remote.test");
    assert_eq!(complained["data"]["suppressing"], true);
    assert_eq!(complained["data"]["report"]["feedback_type"], "abuse");
    assert_eq!(complained["data"]["reply"], "complaint (abuse), reported by Feedback/1.0");
    let deliveries = alice.deliveries(&message.id()).await;
    assert!(deliveries[0]["complained_at"].is_string() && deliveries[0]["bounced_at"].is_null());
    assert!(deliveries[1]["complained_at"].is_null());
    let suppression = alice.wait_for_event("suppression.created").await;
    assert_eq!(suppression["data"]["reason"], "complaint");
    app.stop().await;
}

#[tokio::test]
async fn a_complaint_that_hides_who_complained_is_known_by_the_token_in_what_it_returns() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let hidden = "Feedback-Type: abuse\nOriginal-Rcpt-To: redacted\n";
    let (message, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
    let returned = format!("Return-Path: <{sender}>\n");
    answer(&app, "alice@example.test", &arf(hidden, &returned)).await;
    let complained = events(&alice, &message, "delivery.complained").await.remove(0);
    assert_eq!(complained["data"]["report"]["authenticated"], true);
    let (message, sender) = deliver(&app, &alice, &["carol@remote.test"]).await;
    let fields = format!("{hidden}Original-Mail-From: <{sender}>\n");
    answer(&app, "alice@example.test", &arf(&fields, "")).await;
    assert_eq!(events(&alice, &message, "delivery.complained").await.len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn outlook_names_who_complained_in_the_message_that_it_returns() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, _) = deliver(&app, &alice, &["bob@remote.test", "carol@remote.test"]).await;
    let id = message_id(&message);
    let report = format!(
        "From: staff@provider.test\nSubject: complaint about message from 192.0.2.1\n\
         MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x\n\n\
         --x\nContent-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: carol@remote.test\n\
         Message-ID: {id}\n\nHello.\n--x--\n"
    );
    answer(&app, "alice@example.test", &report).await;
    let complained = events(&alice, &message, "delivery.complained").await.remove(0);
    assert_eq!(complained["data"]["recipient"], "carol@remote.test");
    app.stop().await;
}

#[tokio::test]
async fn feedback_that_is_no_complaint_changes_nothing() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, _) = deliver(&app, &alice, &["bob@remote.test", "carol@remote.test"]).await;
    let header = format!("Message-ID: {}\n", message_id(&message));
    let to_both = format!("{header}To: bob@remote.test, carol@remote.test\n");
    for (fields, header) in [
        ("Feedback-Type: not-spam\nOriginal-Rcpt-To: bob@remote.test\n", &header),
        ("Feedback-Type: abuse\nOriginal-Rcpt-To: stranger@remote.test\n", &header),
        ("Feedback-Type: abuse\n", &header),
        // One of the two complained, but which?
        ("Feedback-Type: abuse\n", &to_both),
    ] {
        answer(&app, "alice@example.test", &arf(fields, header)).await;
    }
    assert_untouched(&alice, &message).await;
    assert_eq!(alice.inbox().await.len(), 4);
    app.stop().await;
}
