//! One bad destination or one busy account does not hold up the others.

use std::time::{Duration, Instant};

use posthouse_tests::{
    app::App,
    sink::{Script, Stage},
};
use serde_json::json;

#[tokio::test]
async fn a_server_that_hangs_in_the_middle_of_a_message_delays_nobody_else() {
    let app = App::test()
        .sink("mx.hanging.test", Script::new().hang_at(Stage::EndOfData))
        .sink("mx.silent.test", Script::new().hang_at(Stage::Greeting))
        .sink("mx.remote.test", Script::new())
        .start()
        .await;
    let alice = app.account("alice@example.test").await;
    for number in 0..60 {
        alice.send(&[&format!("u{number}@hanging.test")], "x").await;
        alice.send(&[&format!("u{number}@silent.test")], "x").await;
    }
    let started = Instant::now();
    let message = alice.send(&["bob@remote.test"], "x").await.id();
    alice.wait_for_status(&message, "delivered").await;
    let waited = started.elapsed();
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    assert!(app.sink("mx.hanging.test").connections() > 0);
    // Nobody waits at the end of the test for the servers that hang.
}

#[tokio::test]
async fn an_account_with_many_messages_does_not_delay_another_to_the_same_place() {
    let slow = Script::new().slow(Duration::from_millis(20));
    let app = App::test()
        .configure(|config| config.connections_per_destination = 1)
        .sink("mx.remote.test", slow)
        .start()
        .await;
    let alice = app.account("alice@example.test").await;
    let carol = app.account("carol@example.test").await;
    for number in 0..150 {
        alice.send(&[&format!("u{number}@remote.test")], "bulk").await;
    }
    let message = carol.send(&["bob@remote.test"], "single").await.id();
    carol.wait_for_status(&message, "delivered").await;
    let received = app.sink("mx.remote.test").messages();
    let place = received.iter().position(|message| message.mail_from.starts_with("carol")).unwrap();
    let before = received.len();
    assert!(before < 150, "alice's were all sent first ({place} of {before})");
    app.stop().await;
}

#[tokio::test]
async fn a_destination_never_sees_more_connections_than_allowed() {
    let app = App::test()
        .configure(|config| config.connections_per_destination = 2)
        .sink("mx.remote.test", Script::new())
        .start()
        .await;
    let alice = app.account("alice@example.test").await;
    // What waits for its time is read from the database then, several messages at once.
    let at = posthouse_core::time::rfc3339(app.now() + Duration::from_hours(1));
    for number in 0..40 {
        let message = json!({"to": [format!("u{number}@remote.test")], "subject": "x",
            "text": "x", "scheduled_at": at});
        alice.post_message(message).await.expect(202);
    }
    app.advance(Duration::from_hours(1));
    let sink = app.sink("mx.remote.test");
    sink.wait_for(40, Duration::from_secs(30)).await.unwrap();
    assert!(sink.connections() <= 2, "{} connections", sink.connections());
    app.stop().await;
}
