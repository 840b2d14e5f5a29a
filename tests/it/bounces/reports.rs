//! Delivery status notifications and what they change.

use std::time::Duration;

use posthouse_tests::{
    app::App,
    sink::{Script, Stage},
};
use serde_json::Value;

use super::{answer, app, deliver, dsn, events, failed, message_id, told};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_bounce_marks_the_delivery_tells_of_it_and_suppresses_the_address() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
    answer(&app, &sender, &dsn(&failed("bob@remote.test"), "<unknown@elsewhere.test>")).await;

    let delivery = alice.deliveries(&message.id()).await.remove(0);
    assert_eq!(delivery["status"], "delivered", "what has ended stays as it was");
    assert!(delivery["bounced_at"].is_string() && delivery["complained_at"].is_null());
    let bounced = events(&alice, &message, "delivery.bounced").await.remove(0);
    let data = &bounced["data"];
    assert_eq!((&data["smtp_code"], &data["enhanced_code"]), (&550.into(), &"5.1.1".into()));
    assert_eq!(data["reply"], "550 5.1.1 No such user");
    assert_eq!(data["remote_mta"], "inner.remote.test");
    assert_eq!((&data["recipient"], &data["attempt"]), (&"bob@remote.test".into(), &1.into()));
    assert_eq!(data["delivery_id"], delivery["id"]);
    assert_eq!(data["suppressing"], true);
    let mail = alice.inbox().await.remove(0);
    assert_eq!(data["report"]["mail_id"], mail["id"]);
    assert_eq!(data["report"]["authenticated"], true);
    let received = alice.wait_for_event("mail.received").await;
    assert_eq!(received["data"]["refers_to"], message["id"]);
    assert_eq!(received["data"]["dsn"], true);
    let suppression = alice.wait_for_event("suppression.created").await;
    assert_eq!(suppression["data"]["address"], "bob@remote.test");
    assert_eq!(suppression["data"]["reason"], "bounce");
    assert_eq!(suppression["data"]["delivery_id"], delivery["id"]);
    let again = alice.send(&["bob@remote.test"], "Again").await;
    alice.wait_for_status(&again.id(), "suppressed").await;
    app.stop().await;
}

#[tokio::test]
async fn the_same_report_again_changes_nothing() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
    let delayed = "Final-Recipient: rfc822; bob@remote.test\nAction: delayed\nStatus: 4.4.1\n\n";
    let reports = [dsn(delayed, "<a@b>"), dsn(&failed("bob@remote.test"), "<a@b>")];
    for report in reports.iter().chain(&reports) {
        answer(&app, &sender, report).await;
    }
    let kinds = ["delivery.deferred", "delivery.bounced", "suppression.created"];
    assert_eq!(told(&alice, &message).await, kinds);
    assert_eq!(alice.inbox().await.len(), 4, "the mails are there");
    app.stop().await;
}

#[tokio::test]
async fn a_report_without_a_token_is_matched_by_message_id_and_recipient() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, _) = deliver(&app, &alice, &["Bob@remote.test"]).await;
    let report = dsn(&failed("bob@remote.test"), message_id(&message));
    answer(&app, "alice@example.test", &report).await;
    let bounced = events(&alice, &message, "delivery.bounced").await.remove(0);
    assert_eq!(bounced["data"]["report"]["authenticated"], false);
    assert_eq!(bounced["data"]["recipient"], "Bob@remote.test");
    assert!(alice.deliveries(&message.id()).await[0]["bounced_at"].is_string());
    app.stop().await;
}

#[tokio::test]
async fn each_recipient_of_a_message_gets_its_own_news() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let to = ["a@remote.test", "b@remote.test", "c@remote.test", "d@remote.test", "e@remote.test"];
    let (message, sender) = deliver(&app, &alice, &to).await;
    let block = |name: &str, action: &str| {
        format!("Final-Recipient: rfc822; {name}@remote.test\nAction: {action}\nStatus: 2.0.0\n\n")
    };
    let blocks = [
        block("a", "relayed"),
        block("b", "expanded"),
        block("c", "delayed"),
        block("d", "delivered"),
        failed("e@remote.test"),
        failed("stranger@remote.test"),
    ];
    answer(&app, &sender, &dsn(&blocks.concat(), "<a@b>")).await;
    let told = alice.events_of(&message.id()).await;
    let told = told.iter().filter(|event| event["data"]["report"].is_object());
    let told: Vec<_> = told.map(|it| (&it["type"], &it["data"]["recipient"])).collect();
    let expected = ["relayed", "expanded", "deferred", "delivered", "bounced"]
        .map(|kind| Value::from(format!("delivery.{kind}")));
    let to = to.map(Value::from);
    let expected: Vec<_> = expected.iter().zip(&to).collect();
    assert_eq!(told, expected);
    let deliveries = alice.deliveries(&message.id()).await;
    let bounced: Vec<bool> = deliveries.iter().map(|it| it["bounced_at"].is_string()).collect();
    assert_eq!(bounced, [false, false, false, false, true]);
    app.stop().await;
}

#[tokio::test]
async fn a_bounce_from_where_mail_was_forwarded_to_is_known_by_its_token() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
    answer(&app, &sender, &dsn(&failed("robert@inner.test"), "<a@b>")).await;
    let bounced = events(&alice, &message, "delivery.bounced").await.remove(0);
    assert_eq!(bounced["data"]["recipient"], "bob@remote.test");
    // Of several recipients nobody knows which it was.
    let (message, sender) = deliver(&app, &alice, &["c@remote.test", "d@remote.test"]).await;
    answer(&app, &sender, &dsn(&failed("robert@inner.test"), "<a@b>")).await;
    assert_eq!(told(&alice, &message).await, [""; 0]);
    app.stop().await;
}

#[tokio::test]
async fn a_bounce_that_comes_before_the_delivery_has_ended_is_kept() {
    let script = Script::new().reply(Stage::EndOfData, "451 4.3.0 Perhaps");
    let app = App::test().sink("mx.remote.test", script).retry_schedule(&[MINUTE]).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "Hello").await;
    alice.wait_for_status(&message.id(), "deferred").await;
    let mail = app.sink("mx.remote.test").commands("MAIL").remove(0);
    let sender = mail.split(['<', '>']).nth(1).unwrap();
    // Unclear, so that it is not suppressed and the attempts go on.
    let block =
        failed("bob@remote.test").replace("550 5.1.1", "552 5.2.2").replace("5.1.1", "5.2.2");
    answer(&app, sender, &dsn(&block, "<a@b>")).await;
    let waiting = alice.deliveries(&message.id()).await.remove(0);
    assert_eq!(waiting["status"], "deferred");
    assert!(waiting["bounced_at"].is_string(), "{waiting}");
    app.advance(2 * MINUTE);
    let ended = alice.wait_for_status(&message.id(), "failed").await.remove(0);
    assert_eq!(ended["bounced_at"], waiting["bounced_at"]);
    app.stop().await;
}

#[tokio::test]
async fn bounces_that_say_little_suppress_only_when_they_come_again() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let block =
        failed("bob@remote.test").replace("550 5.1.1", "552 5.2.2").replace("5.1.1", "5.2.2");
    for expected in [false, false, true] {
        let (message, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
        answer(&app, &sender, &dsn(&block, "<a@b>")).await;
        let bounced = events(&alice, &message, "delivery.bounced").await.remove(0);
        assert_eq!(bounced["data"]["suppressing"], expected);
    }
    app.stop().await;
}

#[tokio::test]
async fn a_reply_names_the_message_that_it_answers() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let carol = app.account("carol@example.test").await;
    let (message, _) = deliver(&app, &alice, &["bob@remote.test"]).await;
    let id = message_id(&message);
    let reply = format!(
        "From: Bob <bob@remote.test>\nTo: alice@example.test\nSubject: Re: Hello\n\
         In-Reply-To: {id}\nReferences: <older@remote.test> {id}\n\nThanks.\n"
    );
    for to in ["alice@example.test", "carol@example.test"] {
        answer(&app, to, &reply).await;
    }
    assert_eq!(alice.inbox().await[0]["refers_to"], message["id"]);
    let received = alice.wait_for_event("mail.received").await;
    assert_eq!(received["data"]["refers_to"], message["id"]);
    assert_eq!(carol.inbox().await[0]["refers_to"], Value::Null, "not her message");
    super::assert_untouched(&alice, &message).await;
    app.stop().await;
}
