//! Routes that send mail on.

use posthouse_tests::{app::Builder, sink::Script, wait::eventually};
use serde_json::{Value, json};

use super::{
    message,
    routes::{ROUTES, bring, events, route},
};

const HOST: &str = "mx.elsewhere.test";

fn app() -> Builder {
    super::app().sink(HOST, Script::new())
}

fn forward(addresses: &[&str]) -> Value {
    json!([{"type": "forward", "addresses": addresses}])
}

fn bounce(of: &str) -> String {
    let text = format!(
        "From: Mail System <mailer-daemon@elsewhere.test>\nTo: alice@example.test\n\
         Subject: Report\nMIME-Version: 1.0\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=x\n\n\
         --x\nContent-Type: text/plain\n\nIt is so.\n\
         --x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; {HOST}\n\n\
         Final-Recipient: rfc822; {of}\nAction: failed\nStatus: 5.1.1\n\n--x--\n"
    );
    text.replace('\n', "\r\n")
}

#[tokio::test]
async fn mail_goes_on_as_it_is_and_what_bounces_comes_back() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let to = ["x@elsewhere.test", "y@elsewhere.test"];
    let made = route(&alice, json!({}), forward(&to)).await;
    bring(&app, "alice@example.test", &message("On")).await.expect("250");
    let dropped = events(&alice, "mail.dropped").await.pop().unwrap();
    let id = dropped["data"]["routing"]["forwarded_message_id"].as_str().unwrap().to_owned();
    let deliveries = alice.wait_for_status(&id, "delivered").await;
    let recipients: Vec<&Value> = deliveries.iter().map(|one| &one["recipient"]).collect();
    assert_eq!(recipients, to);
    let sent = app.sink(HOST).messages().remove(0);
    let (sender, text) = (sent.mail_from.clone(), sent.text());
    assert!(sender.starts_with("alice+") && sender.ends_with("@example.test"), "{sender}");
    assert!(text.ends_with(&message("On")), "{text}");
    assert!(text.starts_with("Posthouse-Forwarded: "), "{text}");
    assert!(text.contains("Received: from client.test") && !text.contains("Delivered-To"));
    let accepted = events(&alice, "message.accepted").await.remove(0);
    assert_eq!(accepted["data"]["metadata"], json!({"inbound_route_id": made.id()}));
    assert!(alice.http.all("/v1/mail").await.is_empty());

    let mut client = app.smtp().await;
    client.send_mail("", &sender, &bounce(to[0])).await.expect("250");
    let bounced = events(&alice, "delivery.bounced").await.remove(0);
    assert_eq!(
        (&bounced["data"]["message_id"], &bounced["data"]["recipient"]),
        (&id.into(), &to[0].into())
    );
    assert_eq!(bounced["data"]["report"]["authenticated"], true);
    assert_eq!(alice.inbox().await[0]["subject"], "Report", "it is kept and not sent on");
    // The address is suppressed now, and whatever has no sender goes on without one.
    client.send_mail("", "alice@example.test", &message("Nobody")).await.expect("250");
    let last = eventually("the next one", async || app.sink(HOST).messages().into_iter().nth(1));
    let last = last.await;
    assert_eq!((last.mail_from.as_str(), last.rcpt_to), ("", vec![to[1].to_owned()]));
    app.stop().await;
}

#[tokio::test]
async fn mail_does_not_go_round_in_circles() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let carol = app.account("carol@example.test").await;
    route(&alice, json!({}), forward(&["carol@example.test"])).await;
    route(&carol, json!({}), forward(&["alice@example.test"])).await;
    bring(&app, "alice@example.test", &message("Round")).await.expect("250");
    alice.wait_for_mail("Round").await;
    assert_eq!(events(&alice, "message.accepted").await.len(), 1);
    let received = events(&alice, "mail.received").await.remove(0);
    let skipped = json!([{"action": "forward", "reason": "mail_loop"}]);
    assert_eq!(received["data"]["routing"]["skipped"], skipped);
    assert!(carol.inbox().await.is_empty());
    let hop = "Received: from a.test by b.test; Mon, 2 Mar 2026 10:00:00 +0100\r\n";
    let far = format!("{}{}", hop.repeat(51), message("Far"));
    bring(&app, "alice@example.test", &far).await.expect("250");
    let received = events(&alice, "mail.received").await.pop().unwrap();
    assert_eq!(received["data"]["routing"]["skipped"], skipped);
    assert_eq!(alice.inbox().await.len(), 2);
    app.stop().await;
}

#[tokio::test]
async fn another_action_keeps_a_copy() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let sent = alice.http.all("/v1/mailboxes").await;
    let archive = sent.iter().find(|mailbox| mailbox["role"] == "archive").unwrap();
    let mut actions = forward(&["x@elsewhere.test"]);
    let keep = json!({"type": "mailbox", "mailbox_id": archive["id"]});
    actions.as_array_mut().unwrap().push(keep);
    route(&alice, json!({}), actions).await;
    bring(&app, "alice@example.test", &message("Copy")).await.expect("250");
    assert_eq!(alice.mail_in("Archive").await.len(), 1);
    let received = events(&alice, "mail.received").await.remove(0);
    let id = received["data"]["routing"]["forwarded_message_id"].as_str().unwrap();
    alice.wait_for_status(id, "delivered").await;
    app.stop().await;
}

#[tokio::test]
async fn what_may_not_be_sent_now_is_kept() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let place = format!("/v1/accounts/{}/limits", alice.account_id);
    let limits = json!({"recipients_per_day": 1});
    app.admin().patch(&place, limits).await.expect(200);
    route(&alice, json!({}), forward(&["x@elsewhere.test"])).await;
    bring(&app, "alice@example.test", &message("1")).await.expect("250");
    bring(&app, "alice@example.test", &message("2")).await.expect("250");
    assert_eq!(alice.inbox().await.remove(0)["subject"], "2");
    let received = events(&alice, "mail.received").await.remove(0);
    let skipped = &received["data"]["routing"]["skipped"][0];
    assert_eq!(*skipped, json!({"action": "forward", "reason": "sending_limit"}));
    app.stop().await;
}

#[tokio::test]
async fn only_who_may_send_has_mail_sent_on() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let key =
        json!({"name": "k", "account_id": alice.account_id, "scopes": ["mail:read", "mail:write"]});
    let key = app.admin().post("/v1/api-keys", key).await.expect(201);
    let weak = app.anonymous().with_key(key["key"].as_str().unwrap());
    let new = json!({"name": "x", "actions": forward(&["x@elsewhere.test"])});
    let refused = weak.post(ROUTES, new.clone()).await.expect_problem(403, "forbidden");
    assert!(refused["detail"].as_str().unwrap().contains("send"));
    let own = route(&alice, json!({}), json!([{"type": "drop"}])).await;
    let place = format!("{ROUTES}/{}", own.id());
    weak.patch(&place, json!({"actions": new["actions"]})).await.expect_problem(403, "forbidden");
    weak.patch(&place, json!({"name": "y"})).await.expect(200);
    let none = json!({"name": "x", "actions": forward(&[])});
    assert_eq!(
        alice.http.post(ROUTES, none).await.expect(422).pointers(),
        ["/actions/0/addresses"]
    );
    let bad = json!({"name": "x", "actions": forward(&["x@elsewhere.test", "y"])});
    assert_eq!(
        alice.http.post(ROUTES, bad).await.expect(422).pointers(),
        ["/actions/0/addresses/1"]
    );
    app.stop().await;
}
