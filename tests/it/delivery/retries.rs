//! Temporary failures: the schedule, its end, and what survives a restart.

use std::time::Duration;

use posthouse_tests::{
    app::App,
    sink::{Script, Stage},
    wait::eventually,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

const MINUTE: Duration = Duration::from_mins(1);

fn time(value: &serde_json::Value) -> OffsetDateTime {
    OffsetDateTime::parse(value.as_str().unwrap(), &Rfc3339).unwrap()
}

#[tokio::test]
async fn a_deferred_delivery_is_tried_again_when_its_time_has_come() {
    let script = Script::new().defer_once("451 4.7.1 Come back later");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "Again").await.id();
    let deferred = alice.wait_for_status(&message, "deferred").await.remove(0);
    let first = &deferred["attempts"][0];
    assert_eq!(first["smtp_code"], 451);
    assert_eq!(first["enhanced_code"], "4.7.1");
    assert_eq!(first["reply"], "Come back later");
    let wait = time(&deferred["next_attempt_at"]) - time(&first["started_at"]);
    assert!((430..=470).contains(&wait.whole_seconds()), "the first wait is 7.5 min, not {wait}");

    app.advance(6 * MINUTE);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(alice.statuses(&message).await, ["deferred"]);
    app.advance(2 * MINUTE);
    let delivered = alice.wait_for_status(&message, "delivered").await.remove(0);
    assert_eq!(delivered["attempts"].as_array().unwrap().len(), 2);
    let kinds = alice.event_types_of(&message).await;
    assert_eq!(kinds, ["message.accepted", "delivery.deferred", "delivery.delivered"]);
    app.stop().await;
}

#[tokio::test]
async fn the_event_of_a_deferral_tells_when_the_next_attempt_is() {
    let script = Script::new().reply(Stage::Rcpt, "450-4.2.0 Not now,\r\n450 4.2.0 maybe later");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "Wait").await.id();
    let deferred = alice.wait_for_status(&message, "deferred").await.remove(0);
    let events = alice.events_of(&message).await;
    let data = &events[1]["data"];
    assert_eq!(data["smtp_code"], 450);
    assert_eq!(data["enhanced_code"], "4.2.0");
    assert_eq!(data["reply"], "Not now,\nmaybe later");
    assert_eq!(data["attempt"], 1);
    assert_eq!(data["next_attempt_at"], deferred["next_attempt_at"]);
    app.stop().await;
}

#[tokio::test]
async fn waits_double_and_after_the_last_attempt_the_sender_is_told() {
    let script = Script::new().reply(Stage::Mail, "451 4.3.0 Busy");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "Never").await.id();
    alice.wait_for_attempts(&message, 1).await;
    for attempt in 2..=8 {
        let wait = eventually("the time of the next attempt", async || {
            let delivery = alice.deliveries(&message).await.remove(0);
            let last = &delivery["attempts"][attempt - 2];
            let wait = time(&delivery["next_attempt_at"]) - time(&last["started_at"]);
            wait.is_positive().then_some(wait)
        })
        .await;
        let expected = 450 << (attempt - 2);
        let near =
            (expected * 49 / 50 - 20..=expected * 51 / 50 + 20).contains(&wait.whole_seconds());
        assert!(near, "wait {} is {wait}, not {expected} s", attempt - 1);
        app.advance(wait.unsigned_abs() + Duration::from_secs(1));
        alice.wait_for_attempts(&message, attempt).await;
    }
    let ended = eventually("the end", async || {
        let delivery = alice.deliveries(&message).await.remove(0);
        (delivery["status"] != "deferred").then_some(delivery)
    })
    .await;
    let status = ended["status"].as_str().unwrap();
    assert!(matches!(status, "failed" | "expired"), "{ended}");
    assert_eq!(ended["attempts"].as_array().unwrap().len(), 8);
    let kinds = alice.event_types_of(&message).await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "delivery.deferred").count(), 7);
    assert_eq!(*kinds.last().unwrap(), format!("delivery.{status}"));
    // Told twice: of the delay after the fifth attempt, of the failure after the last.
    eventually("two reports", async || (alice.inbox().await.len() == 2).then_some(())).await;
    let reports = alice.inbox().await;
    let first = alice.raw_mail(reports[0]["id"].as_str().unwrap()).await;
    let last = alice.raw_mail(reports[1]["id"].as_str().unwrap()).await;
    assert!(first.contains("Action: delayed"), "{first}");
    assert!(first.contains("Will-Retry-Until: "), "{first}");
    assert!(last.contains("Action: failed"), "{last}");
    app.stop().await;
}

#[tokio::test]
async fn what_waits_survives_a_restart_and_keeps_its_time() {
    let script = Script::new().defer_once("451 4.7.1 Come back later");
    let mut app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "Restart").await.id();
    let before = alice.wait_for_status(&message, "deferred").await.remove(0);
    app.restart().await;
    let after = alice.deliveries(&message).await.remove(0);
    assert_eq!(before["next_attempt_at"], after["next_attempt_at"]);
    app.advance(9 * MINUTE);
    alice.wait_for_status(&message, "delivered").await;
    assert_eq!(app.sink("mx.remote.test").count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_server_that_is_down_is_tried_again_and_gets_the_message_when_it_is_up() {
    let app = App::test().retry_schedule(&[Duration::from_secs(30); 3]).start().await;
    app.add_host("mx.remote.test");
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "Down").await.id();
    let deferred = alice.wait_for_status(&message, "deferred").await.remove(0);
    assert_eq!(deferred["attempts"][0]["smtp_code"], serde_json::Value::Null);
    app.start_sink("mx.remote.test", Script::new()).await;
    app.advance(Duration::from_mins(1));
    alice.wait_for_status(&message, "delivered").await;
    app.stop().await;
}

#[tokio::test]
async fn a_connection_lost_in_the_middle_of_the_message_is_a_temporary_failure() {
    let script = Script::new().close_once_to(Stage::EndOfData, "*");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "Lost").await.id();
    alice.wait_for_status(&message, "deferred").await;
    app.advance(9 * MINUTE);
    alice.wait_for_status(&message, "delivered").await;
    app.stop().await;
}
