//! What mail programs want to be told, and are told (RFC 3461, RFC 3464).

use std::time::Duration;

use posthouse_tests::{
    app::{App, Builder},
    person::Person,
    sink::{Script, Stage},
    smtp_client::SmtpClient,
    wait::{PATIENCE, eventually},
};
use serde_json::json;
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

const MINUTE: Duration = Duration::from_mins(1);
const NO: &str = "550 5.1.1 No such user";

/// A server, and `remote.test` with a sink.
fn app(script: Script) -> Builder {
    App::test().sink("mx.remote.test", script)
}

/// Submits a message with these parameters of MAIL, to recipients with theirs.
async fn submit(person: &Person, mail: &str, recipients: &[(&str, &str)]) -> String {
    let text = "From: alice@example.test\r\nSubject: Hello\r\n\r\nThe body.\r\n";
    submit_text(person.submission().await, mail, recipients, text).await
}

async fn submit_text(
    mut client: SmtpClient,
    mail: &str,
    recipients: &[(&str, &str)],
    text: &str,
) -> String {
    client.command(&format!("MAIL FROM:<alice@example.test>{mail}")).await.expect("250");
    for (address, parameters) in recipients {
        client.command(&format!("RCPT TO:<{address}>{parameters}")).await.expect("250");
    }
    let reply = client.data(text).await.expect("250 2.0.0 Queued as msg_");
    reply.text().rsplit(' ').next().unwrap().to_owned()
}

/// The mails in the Inbox, oldest first.
async fn inbox(person: &Person) -> Vec<String> {
    let mut all = Vec::new();
    for mail in person.inbox().await {
        all.push(person.raw_mail(mail["id"].as_str().unwrap()).await);
    }
    all
}

/// The only report, which is there since the delivery ended.
async fn report(person: &Person) -> String {
    let mut all = inbox(person).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

/// Has these texts, each once.
#[track_caller]
fn assert_says(report: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(report.matches(text).count(), 1, "{text:?} in:\n{report}");
    }
}

#[tokio::test]
async fn who_asks_for_it_is_told_of_a_delivery_to_a_mailbox_here() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    for name in ["bob", "carol"] {
        app.account(&format!("{name}@example.test")).await;
    }
    let wish = " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bx@elsewhere.test";
    let recipients = [("bob@example.test", wish), ("carol@example.test", "")];
    let id = submit(&alice, " RET=FULL ENVID=QQ+2B+201", &recipients).await;
    alice.wait_for_status(&id, "delivered").await;
    let report = report(&alice).await;
    let message = alice.http.get(&format!("/v1/messages/{id}")).await.expect(200);
    let original = message["message_id"].as_str().unwrap();
    assert_says(
        &report,
        &[
            "Return-Path: <>\r\n",
            &format!("References: {original}\r\n"),
            &format!("In-Reply-To: {original}\r\n"),
            "Original-Envelope-Id: QQ+ 1\r\n",
            "Original-Recipient: rfc822;b+x@elsewhere.test\r\n",
            "Final-Recipient: rfc822; bob@example.test\r\n",
            "Action: delivered\r\nStatus: 2.0.0\r\n",
            "Arrival-Date: ",
            "Content-Type: text/rfc822-headers\r\n",
        ],
    );
    for absent in ["carol@", "The body.", "Remote-MTA", "Diagnostic-Code", "Will-Retry"] {
        assert!(!report.contains(absent), "{absent} in:\n{report}");
    }
    let shown = alice.inbox().await.remove(0);
    assert_eq!(shown["refers_to"], id.as_str());
    app.stop().await;
}

#[tokio::test]
async fn who_asks_for_it_is_told_that_nobody_else_will_report() {
    let app = app(Script::new().refuse_rcpt("no@*", NO)).start().await;
    let alice = app.account("alice@example.test").await;
    let all = " NOTIFY=SUCCESS,FAILURE,DELAY";
    let recipients = [("bob@remote.test", all), ("no@remote.test", all), ("c@remote.test", "")];
    let id = submit(&alice, " ENVID=x", &recipients).await;
    eventually("the end", async || {
        (alice.statuses(&id).await == ["delivered", "failed", "delivered"]).then_some(())
    })
    .await;
    assert_eq!(app.sink("mx.remote.test").commands("MAIL").len(), 1, "one transaction");
    assert!(!app.sink("mx.remote.test").commands("RCPT").concat().contains("NOTIFY"));
    let all = eventually("both", async || {
        let all = inbox(&alice).await;
        (all.len() == 2).then_some(all)
    })
    .await;
    let relayed = all.iter().find(|report| report.contains("Action: relayed")).unwrap();
    assert_says(
        relayed,
        &[
            "Final-Recipient: rfc822; bob@remote.test\r\nAction: relayed\r\nStatus: 2.0.0\r\n",
            "Remote-MTA: dns; mx.remote.test\r\n",
            "Diagnostic-Code: smtp; 250 2.0.0",
            "Final-Recipient",
        ],
    );
    let failed = all.iter().find(|report| report.contains("Action: failed")).unwrap();
    assert_says(failed, &["Final-Recipient: rfc822; no@remote.test\r\n", "Final-Recipient"]);
    app.stop().await;
}

#[tokio::test]
async fn a_server_with_dsn_reports_itself_and_its_report_is_no_bounce() {
    let app = app(Script::new().capability("DSN")).start().await;
    let alice = app.account("alice@example.test").await;
    let recipients = [
        ("bob@remote.test", " NOTIFY=SUCCESS ORCPT=rfc822;robert@elsewhere.test"),
        ("carol@remote.test", " NOTIFY=NEVER"),
        ("dave@remote.test", ""),
    ];
    let id = submit(&alice, " RET=FULL ENVID=mine", &recipients).await;
    alice.wait_for_status(&id, "delivered").await;
    assert_eq!(inbox(&alice).await, [""; 0]);
    let sink = app.sink("mx.remote.test");
    let sender = sink.messages()[0].mail_from.clone();
    let token = sender.split(['+', '@']).nth(1).unwrap();
    let mail = sink.commands("MAIL").remove(0);
    assert!(mail.ends_with(&format!(" RET=FULL ENVID={token}")), "{mail}");
    assert_eq!(
        sink.commands("RCPT"),
        [
            "RCPT TO:<bob@remote.test> NOTIFY=SUCCESS ORCPT=rfc822;robert@elsewhere.test",
            "RCPT TO:<carol@remote.test> NOTIFY=NEVER ORCPT=rfc822;carol@remote.test",
            "RCPT TO:<dave@remote.test> ORCPT=rfc822;dave@remote.test",
        ]
    );
    // Of three recipients it is the one that the sender has called so.
    let report = format!(
        "From: Mail System <mailer-daemon@remote.test>\r\nTo: {sender}\r\nSubject: Done\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n\
         --x\r\nContent-Type: text/plain\r\n\r\nDelivered, not undeliverable.\r\n\
         --x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; in.test\r\n\
         Original-Envelope-Id: {token}\r\n\r\n\
         Original-Recipient: rfc822;robert@elsewhere.test\r\n\
         Final-Recipient: rfc822; b.inner@remote.test\r\nAction: delivered\r\nStatus: 2.1.5\r\n\
         \r\n--x--\r\n"
    );
    app.smtp().await.send_mail("", &sender, &report).await.expect("250 2.0.0");
    assert_eq!(inbox(&alice).await.len(), 1, "it reaches who has asked for it");
    let events = alice.events_of(&id).await;
    let told: Vec<_> = events.iter().filter(|it| it["data"]["report"].is_object()).collect();
    assert_eq!(told.len(), 1, "{events:?}");
    assert_eq!(told[0]["type"], "delivery.delivered");
    assert_eq!(told[0]["data"]["recipient"], "bob@remote.test");
    assert_eq!(told[0]["data"]["suppressing"], false);
    for delivery in alice.deliveries(&id).await {
        assert!(delivery["bounced_at"].is_null(), "{delivery}");
    }
    assert!(alice.http.all("/v1/suppressions").await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn failures_are_told_only_to_who_wants_that() {
    let app = app(Script::new().reply(Stage::Rcpt, NO)).start().await;
    let alice = app.account("alice@example.test").await;
    let recipients = [
        ("never@remote.test", " NOTIFY=NEVER"),
        ("success@remote.test", " NOTIFY=SUCCESS"),
        ("delay@remote.test", " NOTIFY=DELAY"),
        ("failure@remote.test", " NOTIFY=FAILURE"),
        ("usual@remote.test", ""),
    ];
    let id = submit(&alice, "", &recipients).await;
    alice.wait_for_status(&id, "failed").await;
    eventually("both are reported", async || {
        let all = inbox(&alice).await.concat();
        for wanted in ["failure", "usual"] {
            let block = format!("Final-Recipient: rfc822; {wanted}@remote.test\r\n");
            if all.matches(&block).count() != 1 {
                return None;
            }
        }
        assert_eq!(all.matches("Final-Recipient").count(), 2, "{all}");
        assert!(!all.contains("Original-Envelope-Id") && !all.contains("Original-Recipient"));
        Some(())
    })
    .await;
    let kinds = alice.event_types_of(&id).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "delivery.failed").count(), 5, "all are told");
    app.stop().await;
}

#[tokio::test]
async fn a_delay_is_told_once_with_the_time_of_the_last_attempt_or_the_end_of_the_message() {
    let script = Script::new().reply(Stage::Rcpt, "451 4.2.0 Later");
    let app = app(script).retry_schedule(&[10 * MINUTE, 20 * MINUTE, 40 * MINUTE]);
    let app = app.configure(|config| config.delivery.delay_notice_after = 1).start().await;
    let alice = app.account("alice@example.test").await;
    let recipients = [("failure@remote.test", " NOTIFY=FAILURE"), ("usual@remote.test", "")];
    let start = app.now();
    let id = submit(&alice, " RET=FULL", &recipients).await;
    alice.wait_for_status(&id, "deferred").await;
    let until = |report: &str| {
        let text = report.split("Will-Retry-Until: ").nth(1).unwrap();
        let at = OffsetDateTime::parse(text.lines().next().unwrap(), &Rfc2822).unwrap();
        (at - start).whole_minutes()
    };
    let told = report(&alice).await;
    assert_says(&told, &["Action: delayed\r\nStatus: 4.2.0\r\n", "Final-Recipient"]);
    assert!(told.contains("usual@") && !told.contains("failure@"), "{told}");
    assert!(!told.contains("The body."), "{told}");
    assert!((68..=72).contains(&until(&told)), "10 + 20 + 40 minutes, not {}", until(&told));
    app.advance(11 * MINUTE);
    eventually("a second attempt", async || {
        let all = alice.deliveries(&id).await;
        all.iter().all(|one| one["attempts"].as_array().unwrap().len() == 2).then_some(())
    })
    .await;
    assert_eq!(inbox(&alice).await.len(), 1, "once");

    // What expires before that is not tried until then.
    let expires = app.now() + Duration::from_mins(30);
    let expires = expires.format(&time::format_description::well_known::Rfc3339).unwrap();
    let message = json!({"to": ["usual@remote.test"], "subject": "x", "text": "x",
                         "expires_at": expires});
    let id = alice.post_message(message).await.expect(202).id();
    alice.wait_for_status(&id, "deferred").await;
    let all = inbox(&alice).await;
    assert_eq!(all.len(), 2);
    assert!((39..=42).contains(&until(&all[1])), "11 + 30 minutes, not {}", until(&all[1]));
    app.stop().await;
}

#[tokio::test]
async fn the_whole_message_comes_back_to_who_wants_it_unless_it_is_large_or_requires_tls() {
    let app = app(Script::new().reply(Stage::Rcpt, NO)).start().await;
    let alice = app.account("alice@example.test").await;
    let large = "The body.\r\n".repeat(30_000);
    let head = "From: alice@example.test\r\nSubject: Hello\r\n";
    for (mail, header, body, expected) in [
        (" RET=FULL", "", "The body.\r\n", "message/rfc822"),
        (" RET=FULL SMTPUTF8", "X-Note: ü\r\n", "The body.\r\n", "message/global"),
        (" RET=HDRS", "", "The body.\r\n", "text/rfc822-headers"),
        ("", "", "The body.\r\n", "text/rfc822-headers"),
        (" RET=FULL", "", &large, "text/rfc822-headers"),
        (" RET=FULL REQUIRETLS", "", "The body.\r\n", "text/rfc822-headers"),
    ] {
        let before = alice.inbox().await.len();
        let text = format!("{head}{header}\r\n{body}");
        let to = format!("no{before}@remote.test");
        let recipients = [(to.as_str(), "")];
        let id = submit_text(alice.submission().await, mail, &recipients, &text).await;
        alice.wait_for_status(&id, "failed").await;
        let report = inbox(&alice).await.pop().unwrap();
        assert_eq!(alice.inbox().await.len(), before + 1);
        assert_says(&report, &[&format!("Content-Type: {expected}\r\n"), "Subject: Hello\r\n"]);
        let is_whole = expected.starts_with("message/");
        assert_eq!(report.contains("The body.\r\n"), is_whole, "{mail}: {report}");
        // As it went out, with what we have added.
        assert!(report.contains("\r\nReceived: "), "{report}");
        assert_eq!(report.contains("5.7.30"), mail.contains("REQUIRETLS"));
    }
    app.stop().await;
}

#[tokio::test]
async fn what_needs_utf8_is_reported_in_utf8() {
    let app = app(Script::new().reply(Stage::Rcpt, NO)).start().await;
    let alice = app.account("alice@example.test").await;
    let wish = r" NOTIFY=FAILURE ORCPT=utf-8;\x{7528}\x{6237}@elsewhere.test";
    let id = submit(&alice, "", &[("no@remote.test", wish)]).await;
    alice.wait_for_status(&id, "failed").await;
    assert_says(
        &report(&alice).await,
        &[
            "Content-Type: message/global-delivery-status\r\n",
            "Content-Type: message/global-headers\r\n",
            "Original-Recipient: utf-8;用户@elsewhere.test\r\n",
            "Final-Recipient: rfc822; no@remote.test\r\n",
        ],
    );
    app.stop().await;
}

#[tokio::test]
async fn what_no_server_has_said_is_not_put_into_its_mouth() {
    let app = App::test().retry_schedule(&[]).start().await;
    app.add_host("mx.remote.test");
    let alice = app.account("alice@example.test").await;
    let id = alice.send(&["bob@remote.test"], "Down").await.id();
    let failed = alice.wait_for_status(&id, "failed").await.remove(0);
    assert_eq!(failed["attempts"][0]["mx_host"], "mx.remote.test");
    let told = report(&alice).await;
    assert_says(&told, &["Action: failed\r\nStatus: 5.4.7\r\n", "Diagnostic-Code: X-Posthouse; "]);
    assert!(!told.contains("Remote-MTA"), "{told}");
    app.stop().await;
}

#[tokio::test]
async fn wishes_survive_attempts_restarts_and_sending_again() {
    let script = Script::new().defer_once("451 4.7.1 Come back later");
    let mut app = app(script).start().await;
    let alice = app.account("alice@example.test").await;
    let wish = " NOTIFY=SUCCESS ORCPT=rfc822;robert@elsewhere.test";
    let id = submit(&alice, " ENVID=mine", &[("bob@remote.test", wish)]).await;
    alice.wait_for_status(&id, "deferred").await;
    app.restart().await;
    let bulk = json!({"filter": {}, "action": "retry_now"});
    alice.http.post("/v1/queue/bulk", bulk).await.expect(200);
    alice.wait_for_status(&id, "delivered").await;
    let again = alice.http.post(&format!("/v1/messages/{id}/resend"), json!({})).await.expect(202);
    alice.wait_for_status(&again.id(), "delivered").await;
    let all = inbox(&alice).await;
    assert_eq!(all.len(), 2, "{all:?}");
    for report in all {
        assert_says(
            &report,
            &[
                "Action: relayed\r\n",
                "Original-Envelope-Id: mine\r\n",
                "Original-Recipient: rfc822;robert@elsewhere.test\r\n",
            ],
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn who_lets_deliveries_fail_obeys_the_wish_too() {
    let script = Script::new().reply(Stage::Rcpt, "451 4.2.0 Later");
    let app = app(script).start().await;
    let alice = app.account("alice@example.test").await;
    let recipients = [
        ("never@remote.test", " NOTIFY=NEVER"),
        ("usual@remote.test", " ORCPT=rfc822;robert@elsewhere.test"),
    ];
    let id = submit(&alice, " RET=FULL ENVID=mine", &recipients).await;
    alice.wait_for_status(&id, "deferred").await;
    let bulk = json!({"filter": {}, "action": "fail"});
    alice.http.post("/v1/queue/bulk", bulk).await.expect(200);
    alice.wait_for_status(&id, "failed").await;
    let told = report(&alice).await;
    assert_says(
        &told,
        &[
            "Action: failed\r\nStatus: 5.0.0\r\n",
            "Diagnostic-Code: X-Posthouse; ",
            "Original-Envelope-Id: mine\r\n",
            "Original-Recipient: rfc822;robert@elsewhere.test\r\n",
            "The body.\r\n",
        ],
    );
    assert!(!told.contains("never@") && !told.contains("Remote-MTA"), "{told}");
    app.stop().await;
}

/// Until the recipient is named to `mx.remote.test`; the replies come a while later.
async fn wait_for_rcpt(app: &App) {
    let sink = app.sink("mx.remote.test");
    eventually("RCPT", async || (!sink.commands("RCPT").is_empty()).then_some(())).await;
}

#[tokio::test]
async fn a_report_comes_with_its_result_also_when_that_has_to_wait() {
    let script = Script::new().slow(Duration::from_millis(200));
    let app = app(script).breakable_postgres().start().await;
    let alice = app.account("alice@example.test").await;
    let id = submit(&alice, "", &[("bob@remote.test", " NOTIFY=SUCCESS")]).await;
    wait_for_rcpt(&app).await;
    app.postgres().cut().await;
    app.sink("mx.remote.test").wait_for(1, PATIENCE).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    app.postgres().restore();
    alice.wait_for_status(&id, "delivered").await;
    assert_says(&report(&alice).await, &["Action: relayed\r\n"]);
    assert_eq!(app.sink("mx.remote.test").count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn what_has_ended_elsewhere_meanwhile_is_not_reported() {
    let script = Script::new().slow(Duration::from_millis(300)).refuse_rcpt("no@*", NO);
    let app = app(script).start().await;
    let alice = app.account("alice@example.test").await;
    submit(&alice, "", &[("no@remote.test", "")]).await;
    wait_for_rcpt(&app).await;
    // As another node does that took the delivery over and has written its result.
    sqlx::query("DELETE FROM queue").execute(app.db()).await.unwrap();
    let id = submit(&alice, "", &[("bob@remote.test", " NOTIFY=SUCCESS")]).await;
    alice.wait_for_status(&id, "delivered").await;
    assert_says(&report(&alice).await, &["Action: relayed\r\n", "Final-Recipient"]);
    app.stop().await;
}

#[tokio::test]
async fn the_null_sender_is_told_nothing_whatever_it_asks_for() {
    let app = app(Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let mut client = alice.submission().await;
    client.command("MAIL FROM:<> RET=FULL ENVID=x").await.expect("250");
    client.command("RCPT TO:<bob@remote.test> NOTIFY=SUCCESS,FAILURE,DELAY").await.expect("250");
    client.data("From: alice@example.test\r\nSubject: x\r\n\r\nx\r\n").await.expect("250");
    alice.wait_for_event("delivery.delivered").await;
    assert_eq!(inbox(&alice).await, [""; 0]);
    app.stop().await;
}

#[tokio::test]
async fn what_programs_send_by_http_asks_for_nothing() {
    let app = app(Script::new().capability("DSN")).start().await;
    let alice = app.account("alice@example.test").await;
    let id = alice.send(&["bob@remote.test"], "x").await.id();
    alice.wait_for_status(&id, "delivered").await;
    let rcpt = app.sink("mx.remote.test").commands("RCPT");
    assert_eq!(rcpt, ["RCPT TO:<bob@remote.test> ORCPT=rfc822;bob@remote.test"]);
    assert_eq!(inbox(&alice).await, [""; 0]);
    app.stop().await;
}

#[tokio::test]
async fn the_sandbox_reports_success_like_a_mailbox() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let id = submit(&alice, "", &[("bob@remote.test", " NOTIFY=SUCCESS")]).await;
    alice.wait_for_status(&id, "delivered").await;
    let all = inbox(&alice).await;
    let told: Vec<_> = all.iter().filter(|mail| mail.contains("Action: delivered\r\n")).collect();
    assert_eq!(told.len(), 1, "{all:?}");
    app.stop().await;
}
