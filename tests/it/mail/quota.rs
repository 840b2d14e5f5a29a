//! I14: an account is told before there is no room for its mail.

use posthouse_tests::{app::App, person::Person};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{append, fill, mailbox, mailbox_id};

async fn set(app: &App, person: &Person, quota: i64) {
    let path = format!("/v1/accounts/{}", person.account_id);
    app.admin().patch(&path, json!({"quota_bytes": quota})).await.expect(200);
}

/// What the account was told: percent, octets in use, quota.
async fn told(person: &Person) -> Vec<(i64, i64, i64)> {
    let events = person.events().await;
    let told = events.iter().filter(|event| event["type"] == "account.quota_warning");
    let number = |event: &Value, field: &str| event["data"][field].as_i64().unwrap();
    let fields = |event| {
        let number = |field| number(event, field);
        (number("percent"), number("used_bytes"), number("quota_bytes"))
    };
    told.map(fields).collect()
}

async fn size(person: &Person) -> i64 {
    mailbox(&person.http, "Inbox").await["size_bytes"].as_i64().unwrap()
}

#[tokio::test]
async fn each_time_that_mail_passes_a_level_the_account_is_told_once() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let ids = fill(&alice, 7).await;
    let inbox = mailbox_id(&alice.http, "Inbox").await;
    let one = size(&alice).await / 7;
    let quota = 10 * one;
    set(&app, &alice, quota).await;
    assert_eq!(told(&alice).await, []);
    let mut expected = Vec::new();
    for (count, percent) in [(8, Some(80)), (9, None), (10, Some(95))] {
        append(&alice.http, &inbox, "x", "").await.expect(201);
        expected.extend(percent.map(|percent| (percent, count * one, quota)));
        assert_eq!(told(&alice).await, expected);
    }
    append(&alice.http, &inbox, "x", "").await.expect_problem(507, "quota_exceeded");
    let gone = json!({"ids": ids[..3], "action": "delete", "permanent": true});
    alice.http.post("/v1/mail/bulk", gone).await.expect(200);
    assert_eq!(told(&alice).await, expected);
    // Past both at once: the larger one is told.
    let copy = json!({"ids": ids[3..6], "action": "copy", "mailbox_id": inbox});
    alice.http.post("/v1/mail/bulk", copy).await.expect(200);
    expected.push((95, quota, quota));
    assert_eq!(told(&alice).await, expected);

    // Another quota passes them as well.
    set(&app, &alice, 20 * one).await;
    set(&app, &alice, 12 * one).await;
    expected.push((80, 10 * one, 12 * one));
    set(&app, &alice, 20 * one).await;
    let mut appending = JoinSet::new();
    for _ in 0..8 {
        let (http, inbox) = (alice.http.clone(), inbox.clone());
        appending.spawn(async move { append(&http, &inbox, "x", "").await.status });
    }
    assert_eq!(appending.join_all().await, [201; 8]);
    expected.push((80, 16 * one, 20 * one));
    assert_eq!(told(&alice).await, expected);
    app.stop().await;
}

#[tokio::test]
async fn mail_that_comes_in_passes_levels_too() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let text = "All work and no play.\r\n".repeat(200);
    for (subject, parts) in [("One", 20), ("Two", 21)] {
        let new = json!({"to": [bob.address], "subject": subject, "text": text});
        alice.post_message(new).await.expect(202);
        bob.wait_for_mail(subject).await;
        // Room for a little more than two such mails.
        if subject == "One" {
            assert_eq!(told(&bob).await, []);
            set(&app, &bob, size(&bob).await * parts / 10 + 100).await;
        }
    }
    let told = told(&bob).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, 95);
    app.stop().await;
}
