//! Inbound routes: what becomes of mail that comes in, from outside and from here.

use posthouse_tests::{
    app::App, client::Answer, person::Person, receiver::Receiver, smtp_client::Reply,
};
use serde_json::{Value, json};

use super::{app, message};

pub(super) const ROUTES: &str = "/v1/inbound-routes";

/// Makes a route.
pub(super) async fn route(person: &Person, matches: Value, actions: Value) -> Answer {
    let new = json!({"name": "r", "match": matches, "actions": actions});
    person.http.post(ROUTES, new).await.expect(201)
}

async fn mailbox(person: &Person, name: &str) -> String {
    person.http.post("/v1/mailboxes", json!({"name": name})).await.expect(201).id()
}

/// Brings a message from outside.
pub(super) async fn bring(app: &App, to: &str, message: &str) -> Reply {
    app.smtp().await.send_mail("bob@remote.test", to, message).await
}

async fn subjects(person: &Person, mailbox: &str) -> Vec<String> {
    let mail = person.mail_in(mailbox).await;
    mail.iter().map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect()
}

/// The events of a type.
pub(super) async fn events(person: &Person, kind: &str) -> Vec<Value> {
    let mut events = person.events().await;
    events.retain(|event| event["type"] == kind);
    events
}

#[tokio::test]
async fn every_condition_files_mail_into_its_mailbox() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let conditions = [
        ("recipient", json!({"recipient": "Alice+*@example.test"})),
        ("header", json!({"headers": [{"name": "x-spam", "contains": "YES"}]})),
        ("pattern", json!({"headers": [{"name": "subject", "pattern": "inv*7"}]})),
        ("list", json!({"list": true})),
        ("automated", json!({"automated": true})),
        ("from", json!({"from": "*@REMOTE.test", "sender": "*eve@*"})),
        ("null", json!({"sender": "<>"})),
    ];
    for (name, matches) in &conditions {
        let mailbox = mailbox(&alice, name).await;
        route(&alice, matches.clone(), json!([{"type": "mailbox", "mailbox_id": mailbox}])).await;
    }
    let with = |field: &str, subject: &str| format!("{field}{}", message(subject));
    let to = "alice@example.test";
    bring(&app, "alice+7@example.test", &message("a")).await.expect("250");
    bring(&app, to, &with("X-Spam: =?utf-8?q?no=2C_yes?=\r\n", "b")).await.expect("250");
    bring(&app, to, &message("Invoice-7")).await.expect("250");
    bring(&app, to, &with("List-Id: <l.remote.test>\r\n", "d")).await.expect("250");
    bring(&app, to, &with("Auto-Submitted: auto-replied\r\n", "e")).await.expect("250");
    let mut client = app.smtp().await;
    client.send_mail("eve@remote.test", to, &message("f")).await.expect("250");
    bring(&app, to, &message("none")).await.expect("250");
    let found = ["a", "b", "Invoice-7", "d", "e", "f"];
    for ((name, _), subject) in conditions.iter().zip(found) {
        assert_eq!(subjects(&alice, name).await, [subject], "{name}");
    }
    assert_eq!(subjects(&alice, "Inbox").await, ["none"]);
    let received = events(&alice, "mail.received").await;
    assert_eq!(received[0]["data"]["mailbox"], "recipient");
    assert_eq!(received[0]["data"]["routing"]["routes"][0]["name"], "r");
    assert_eq!(received[6]["data"]["routing"], Value::Null);
    app.stop().await;
}

#[tokio::test]
async fn the_first_by_priority_decides_and_continue_adds_the_next() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (first, second) = (mailbox(&alice, "First").await, mailbox(&alice, "Second").await);
    let into = |id: &str| json!([{"type": "mailbox", "mailbox_id": id}]);
    let late = route(&alice, json!({}), into(&second)).await;
    let early = json!({"name": "early", "priority": 5, "actions": into(&first)});
    let early = alice.http.post(ROUTES, early).await.expect(201);
    bring(&app, "alice@example.test", &message("1")).await.expect("250");
    let place = |route: &Answer| format!("{ROUTES}/{}", route.id());
    let listed = alice.http.all(ROUTES).await;
    assert_eq!([&listed[0]["id"], &listed[1]["id"]], [&early["id"], &late["id"]]);

    alice.http.patch(&place(&early), json!({"continue": true})).await.expect(200);
    let drop = json!({"actions": [{"type": "drop"}]});
    alice.http.patch(&place(&late), drop).await.expect(200);
    bring(&app, "alice@example.test", &message("2")).await.expect("250");
    let both = events(&alice, "mail.received").await.pop().unwrap();
    assert_eq!(both["data"]["routing"]["routes"].as_array().unwrap().len(), 2);
    alice.http.patch(&place(&early), json!({"enabled": false})).await.expect(200);
    bring(&app, "alice@example.test", &message("3")).await.expect("250");
    alice.http.delete(&place(&late)).await.expect(204);
    bring(&app, "alice@example.test", &message("4")).await.expect("250");
    assert_eq!(subjects(&alice, "First").await, ["1", "2"]);
    assert_eq!(subjects(&alice, "Second").await, [""; 0]);
    assert_eq!(subjects(&alice, "Inbox").await, ["4"]);
    app.stop().await;
}

#[tokio::test]
async fn what_is_dropped_is_nowhere_but_told_completely() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let made = route(&alice, json!({"list": true}), json!([{"type": "drop"}])).await;
    let list = format!("List-Id: <l.remote.test>\r\n{}", message("News"));
    bring(&app, "alice@example.test", &list).await.expect("250 2.0.0 Received as req_");
    assert!(alice.http.all("/v1/mail").await.is_empty());
    let dropped = events(&alice, "mail.dropped").await.pop().unwrap();
    let data = &dropped["data"];
    assert_eq!((&data["subject"], &data["text"]), (&"News".into(), &"Hello Alice.\n".into()));
    assert_eq!(data["envelope"]["rcpt_to"], "alice@example.test");
    assert_eq!(data["routing"]["routes"], json!([{"id": made.id(), "name": "r"}]));
    assert!(events(&alice, "mail.received").await.is_empty());
    app.stop().await;
}

#[tokio::test]
async fn a_route_refuses_at_rcpt_or_with_the_content() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let reject = |text: &str| json!([{"type": "reject", "text": text}]);
    let by_recipient = json!({"recipient": "*+old@example.test"});
    route(&alice, by_recipient, reject("this address has moved")).await;
    route(&alice, json!({"headers": [{"name": "X-Bad"}]}), reject("not this")).await;
    let mut client = app.smtp().await;
    client.command("MAIL FROM:<bob@remote.test>").await.expect("250");
    let reply = client.command("RCPT TO:<alice+old@example.test>").await;
    assert_eq!(reply.expect("550 5.7.1").text(), "5.7.1 This address has moved");
    let bad = format!("X-Bad: 1\r\n{}", message("Bad"));
    client.command("RSET").await.expect("250");
    let reply = client.send_mail("bob@remote.test", "alice@example.test", &bad).await;
    assert_eq!(reply.expect("550 5.7.1").text(), "5.7.1 Not this");
    bring(&app, "alice@example.test", &message("Good")).await.expect("250");
    bring(&app, "postmaster@example.test", &bad).await.expect("250");
    assert_eq!(subjects(&alice, "Inbox").await, ["Good"]);

    let rejected = events(&alice, "message.rejected").await;
    assert_eq!(rejected.len(), 2);
    let [early, late] = [&rejected[0]["data"], &rejected[1]["data"]];
    assert_eq!((&early["reason"], &early["subject"]), (&"route".into(), &Value::Null));
    assert_eq!(early["recipient"], "alice+old@example.test");
    assert_eq!(early["reply"], "this address has moved");
    assert_eq!((&late["subject"], &late["helo"]), (&"Bad".into(), &"client.test".into()));
    assert_eq!(late["route"]["name"], "r");
    app.stop().await;
}

#[tokio::test]
async fn recipients_of_one_message_have_their_own_routes() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let carol = app.account("carol@example.test").await;
    let filed = mailbox(&alice, "Filed").await;
    route(&alice, json!({}), json!([{"type": "mailbox", "mailbox_id": filed}])).await;
    route(&carol, json!({}), json!([{"type": "drop"}])).await;
    let both = ["alice@example.test", "carol@example.test"];
    let mut client = app.smtp().await;
    client.envelope("bob@remote.test", &both).await;
    client.data(&message("Both")).await.expect("250");
    assert_eq!(subjects(&alice, "Filed").await, ["Both"]);
    assert!(carol.http.all("/v1/mail").await.is_empty());
    assert_eq!(events(&carol, "mail.dropped").await.len(), 1);

    // Who may refuse what the content shows gets a message of her own.
    let bad = json!({"headers": [{"name": "X-Bad"}]});
    let reject = json!({"match": bad, "actions": [{"type": "reject", "text": "no"}]});
    let place = format!("{ROUTES}/{}", carol.http.all(ROUTES).await[0]["id"].as_str().unwrap());
    carol.http.patch(&place, reject).await.expect(200);
    for [first, second] in [both, [both[1], both[0]]] {
        client.command("MAIL FROM:<bob@remote.test>").await.expect("250");
        client.command(&format!("RCPT TO:<{first}>")).await.expect("250");
        client.command(&format!("RCPT TO:<{second}>")).await.expect("452 4.5.3");
        client.data(&format!("X-Bad: 1\r\n{}", message("Bad"))).await;
    }
    assert_eq!(subjects(&alice, "Filed").await, ["Both", "Bad"]);
    assert!(carol.http.all("/v1/mail").await.is_empty());
    assert_eq!(events(&carol, "message.rejected").await.len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn mail_from_here_goes_through_the_same_routes() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let carol = app.account("carol@example.test").await;
    let filed = mailbox(&alice, "Filed").await;
    let to = |subject: &str| json!({"headers": [{"name": "Subject", "pattern": subject}]});
    route(&alice, to("file"), json!([{"type": "mailbox", "mailbox_id": filed}])).await;
    route(&alice, to("refuse"), json!([{"type": "reject", "text": "not from you"}])).await;
    let file = carol.send(&["alice@example.test"], "File").await;
    carol.wait_for_status(&file.id(), "delivered").await;
    assert_eq!(subjects(&alice, "Filed").await, ["File"]);
    let refused = carol.send(&["alice@example.test"], "Refuse").await;
    let delivery = carol.wait_for_status(&refused.id(), "failed").await.remove(0);
    let attempt = &delivery["attempts"][0];
    assert_eq!((&attempt["smtp_code"], &attempt["enhanced_code"]), (&550.into(), &"5.7.1".into()));
    assert_eq!(attempt["reply"], "not from you");
    assert_eq!(events(&alice, "message.rejected").await[0]["data"]["subject"], "Refuse");
    // What is put there by API asks nobody.
    let own = alice.http.all("/v1/mailboxes").await;
    let own = own.iter().find(|mailbox| mailbox["role"] == "inbox").unwrap();
    let path = format!("/v1/mail?mailbox_id={}", own["id"].as_str().unwrap());
    let append = alice.http.request(reqwest::Method::POST, &path);
    append.body("message/rfc822", message("refuse")).send().await.expect(201);
    assert_eq!(subjects(&alice, "Inbox").await, ["refuse"]);
    app.stop().await;
}

#[tokio::test]
async fn whatever_is_gone_nothing_is_lost() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let endpoint = Receiver::start().await;
    let (gone, hook) = (mailbox(&alice, "Gone").await, alice.webhook(&endpoint, &["mail.*"]).await);
    let drop = json!([{"type": "webhook", "webhook_id": hook.id()}, {"type": "drop"}]);
    route(&alice, json!({"list": true}), drop).await;
    route(&alice, json!({}), json!([{"type": "mailbox", "mailbox_id": gone}])).await;
    alice.http.delete(&format!("/v1/mailboxes/{gone}")).await.expect(204);
    alice.http.delete(&format!("/v1/webhooks/{}", hook.id())).await.expect(204);
    bring(&app, "alice@example.test", &message("1")).await.expect("250");
    let list = format!("List-Id: <l.remote.test>\r\n{}", message("2"));
    bring(&app, "alice@example.test", &list).await.expect("250");
    assert_eq!(subjects(&alice, "Inbox").await, ["1", "2"]);
    let received = events(&alice, "mail.received").await;
    let skipped = |index: usize| &received[index]["data"]["routing"]["skipped"][0];
    assert_eq!(*skipped(0), json!({"action": "mailbox", "reason": "mailbox_gone"}));
    assert_eq!(*skipped(1), json!({"action": "webhook", "reason": "webhook_gone"}));
    app.stop().await;
}

#[tokio::test]
async fn a_chosen_endpoint_alone_is_told() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (chosen, other) = (Receiver::start().await, Receiver::start().await);
    let hook = alice.webhook(&chosen, &["mail.received"]).await;
    alice.webhook(&other, &["mail.received"]).await;
    let action = json!([{"type": "webhook", "webhook_id": hook.id()}]);
    route(&alice, json!({"recipient": "alice+x@*"}), action).await;
    bring(&app, "alice+x@example.test", &message("chosen")).await.expect("250");
    bring(&app, "alice@example.test", &message("all")).await.expect("250");
    let told = |received: Vec<posthouse_tests::receiver::Received>| -> Vec<Value> {
        received.iter().map(|one| one.event()["data"]["subject"].clone()).collect()
    };
    assert_eq!(told(chosen.wait_for(2).await), ["chosen", "all"]);
    assert_eq!(told(other.wait_for(1).await), ["all"]);
    app.stop().await;
}

#[tokio::test]
async fn faults_are_told_all_at_once_and_others_things_do_not_exist() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let mallory = app.account("mallory@example.test").await;
    let receiver = Receiver::start().await;
    let bad = json!({"name": "", "priority": -1, "match": {"recipient": "", "from": "a\nb",
        "headers": [{"name": "a:b", "contains": ""}]}, "actions": [
        {"type": "mailbox"}, {"type": "drop", "text": "x"}, {"type": "reject", "text": "ä"}]});
    let bad = alice.http.post(ROUTES, bad).await.expect(422);
    let expected = [
        ("/actions/0/mailbox_id", "missing_field"),
        ("/actions/1/text", "unfitting_field"),
        ("/actions/1/text", "invalid_text"),
        ("/actions/1/type", "conflicting_action"),
        ("/match/from", "invalid_pattern"),
        ("/match/headers/0/contains", "invalid_pattern"),
        ("/match/headers/0/name", "invalid_header_name"),
        ("/match/recipient", "invalid_pattern"),
        ("/name", "invalid_name"),
        ("/priority", "out_of_range"),
    ];
    let mut faults = bad.faults();
    faults.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(faults, expected);
    let mine = mailbox(&mallory, "Mine").await;
    let hook = mallory.webhook(&receiver, &["*"]).await.id();
    let deaf = alice.webhook(&receiver, &["delivery.*"]).await.id();
    let actions = json!([{"type": "mailbox", "mailbox_id": mine},
        {"type": "webhook", "webhook_id": hook}, {"type": "webhook", "webhook_id": deaf}]);
    let foreign = json!({"name": "x", "actions": actions});
    let foreign = alice.http.post(ROUTES, foreign).await.expect(422);
    assert_eq!(
        foreign.faults(),
        [
            ("/actions/0/mailbox_id", "unknown_mailbox"),
            ("/actions/1/webhook_id", "unknown_webhook"),
            ("/actions/2/webhook_id", "unfitting_webhook"),
        ]
    );
    let own = route(&alice, json!({}), json!([{"type": "drop"}])).await;
    let place = format!("{ROUTES}/{}", own.id());
    mallory.http.get(&place).await.expect_problem(404, "not_found");
    mallory.http.patch(&place, json!({"name": ""})).await.expect_problem(404, "not_found");
    let stale = alice.http.request(reqwest::Method::PATCH, &place).header("If-Match", "\"x\"");
    stale.json(&json!({"enabled": false})).send().await.expect(412);
    app.stop().await;
}

#[tokio::test]
async fn a_test_says_what_would_become_of_a_mail_and_changes_nothing() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let filed = mailbox(&alice, "Filed").await;
    let made = route(
        &alice,
        json!({"from": "*@remote.test", "headers": [{"name": "X-A"}]}),
        json!([{"type": "mailbox", "mailbox_id": filed}]),
    )
    .await;
    route(&alice, json!({"list": true}), json!([{"type": "reject", "text": "no"}])).await;
    let test = async |body: Value| alice.http.post(&format!("{ROUTES}/test"), body).await;
    let headers = json!({"From": "Bob <bob@remote.test>", "X-A": "1"});
    let fields = json!({"recipient": "alice@example.test", "headers": headers});
    let answer = test(fields).await.expect(200);
    assert_eq!((&answer["outcome"], &answer["mailbox_id"]), (&"mailbox".into(), &filed.into()));
    assert_eq!(answer["routing"]["routes"][0]["id"], made.id());
    let raw = format!("List-Id: <x>\r\n{}", message("x"));
    let answer = test(json!({"recipient": "a@example.test", "raw": raw})).await.expect(200);
    assert_eq!((&answer["outcome"], &answer["reject_text"]), (&"rejected".into(), &"no".into()));
    let answer = test(json!({"recipient": "a@example.test"})).await.expect(200);
    assert_eq!((&answer["outcome"], &answer["routing"]["routes"]), (&"inbox".into(), &json!([])));
    let bad = json!({"recipient": "x", "sender": "y", "raw": "", "headers": {"A": "b\r\nC: d"}});
    let bad = test(bad).await.expect(422);
    assert_eq!(bad.pointers(), ["/recipient", "/sender", "/headers", "/headers/A"]);
    let kinds: Vec<Value> = alice.events().await.iter().map(|one| one["type"].clone()).collect();
    assert!(!kinds.iter().any(|kind| kind.as_str().unwrap().starts_with("mail.")), "{kinds:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_flood_of_refusals_does_not_flood_the_log() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    route(&alice, json!({}), json!([{"type": "reject", "text": "no"}])).await;
    let mut client = app.smtp().await;
    for _ in 0..3 {
        client.command("MAIL FROM:<bob@remote.test>").await.expect("250");
        for _ in 0..7 {
            client.command("RCPT TO:<alice@example.test>").await.expect("550");
        }
        client.command("RSET").await.expect("250");
        client = app.smtp().await;
    }
    assert_eq!(events(&alice, "message.rejected").await.len(), 10);
    app.advance(std::time::Duration::from_mins(1));
    client.command("MAIL FROM:<bob@remote.test>").await.expect("250");
    client.command("RCPT TO:<alice@example.test>").await.expect("550");
    let told = events(&alice, "message.rejected").await.pop().unwrap();
    assert_eq!(told["data"]["not_told"], 11);
    app.stop().await;
}

#[tokio::test]
async fn a_full_mailbox_refuses_and_tells_its_account() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let place = format!("/v1/accounts/{}", alice.account_id);
    app.admin().patch(&place, json!({"quota_bytes": 10})).await.expect(200);
    bring(&app, "alice@example.test", &message("Much")).await.expect("452 4.2.2");
    let rejected = events(&alice, "message.rejected").await.pop().unwrap();
    assert_eq!(rejected["data"]["reason"], "quota_exceeded");
    assert_eq!(
        (&rejected["data"]["subject"], &rejected["data"]["route"]),
        (&"Much".into(), &Value::Null)
    );
    app.stop().await;
}
