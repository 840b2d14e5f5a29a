//! THREATS 4: reports that somebody has made up, or that come too late, are mail and nothing else.

use std::time::Duration;

use super::{answer, app, assert_untouched, deliver, dsn, failed, message_id};

#[tokio::test]
async fn a_token_with_any_change_is_none() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
    let (local, domain) = sender.split_once('@').unwrap();
    let mut cut = local.to_owned();
    let last = if cut.pop() == Some('0') { '1' } else { '0' };
    let changed = format!("{cut}{last}@{domain}");
    let shorter = format!("{cut}@{domain}");
    for to in [changed, shorter, "alice+token@example.test".to_owned()] {
        answer(&app, &to, &dsn(&failed("bob@remote.test"), "<a@b>")).await;
    }
    assert_untouched(&alice, &message).await;
    assert_eq!(alice.inbox().await.len(), 3, "it is mail like any other");
    app.stop().await;
}

#[tokio::test]
async fn what_comes_to_another_account_says_nothing_about_this_one() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let carol = app.account("carol@example.test").await;
    let (message, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
    let report = dsn(&failed("bob@remote.test"), message_id(&message));
    answer(&app, "carol@example.test", &report).await;
    answer(&app, &sender.replace("alice+", "carol+"), &report).await;
    assert_untouched(&alice, &message).await;
    let inbox = carol.inbox().await;
    assert_eq!(inbox.len(), 2);
    assert!(inbox.iter().all(|mail| mail["refers_to"].is_null()), "{inbox:?}");
    let kinds = carol.events().await;
    assert!(kinds.iter().all(|event| event["type"] == "mail.received"), "{kinds:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_message_id_counts_only_for_the_recipients_of_the_message() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (message, _) = deliver(&app, &alice, &["bob@remote.test"]).await;
    let id = message_id(&message);
    answer(&app, "alice@example.test", &dsn(&failed("victim@other.test"), id)).await;
    let unnamed = format!(
        "From: postmaster@remote.test\nSubject: Mail delivery failed\nIn-Reply-To: {id}\n\n\
         It could not be delivered: 550 5.1.1\n"
    );
    answer(&app, "alice@example.test", &unnamed).await;
    answer(&app, "alice@example.test", &dsn(&failed("bob@remote.test"), "<guess@example.test>"))
        .await;
    assert_untouched(&alice, &message).await;
    app.stop().await;
}

#[tokio::test]
async fn a_token_is_of_no_use_when_the_message_is_not_kept_any_more() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let (_, sender) = deliver(&app, &alice, &["bob@remote.test"]).await;
    app.advance(Duration::from_hours(31 * 24));
    app.clean_up().await;
    answer(&app, &sender, &dsn(&failed("bob@remote.test"), "<a@b>")).await;
    assert_eq!(alice.inbox().await[0]["refers_to"], serde_json::Value::Null);
    let kinds = alice.events().await;
    assert!(!kinds.iter().any(|event| event["type"] == "suppression.created"), "{kinds:?}");
    app.stop().await;
}
