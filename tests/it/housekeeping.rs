//! C14: what is kept, for how long, and that nothing goes that is still needed.

use std::time::Duration;

use posthouse_tests::{app::App, sink::Script};
use serde_json::json;

const DAY: Duration = Duration::from_hours(24);

async fn count(app: &App, table: &'static str) -> i64 {
    let sql = format!("SELECT count(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(app.db()).await.unwrap()
}

#[tokio::test]
async fn ended_messages_go_after_their_retention_and_what_waits_stays() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let ended = alice.send(&["bob@remote.test"], "ended").await;
    alice.wait_for_status(&ended.id(), "delivered").await;
    let at = posthouse_core::time::rfc3339(app.now() + 45 * DAY);
    let waiting = json!({"to": ["bob@remote.test"], "subject": "waits", "text": "x",
        "scheduled_at": at});
    let waiting = alice.post_message(waiting).await.expect(202);

    app.advance(29 * DAY);
    app.clean_up().await;
    alice.http.get(&format!("/v1/messages/{}", ended.id())).await.expect(200);

    app.advance(2 * DAY);
    app.clean_up().await;
    alice.http.get(&format!("/v1/messages/{}", ended.id())).await.expect_problem(404, "not_found");
    assert_eq!(count(&app, "attempts").await, 0);
    assert_eq!(count(&app, "deliveries").await, 0);

    app.advance(15 * DAY);
    alice.wait_for_status(&waiting.id(), "delivered").await;
    assert_eq!(app.sink("mx.remote.test").count(), 2);
    app.clean_up().await;
    alice.http.get(&format!("/v1/messages/{}", waiting.id())).await.expect(200);
    app.stop().await;
}

#[tokio::test]
async fn contents_go_a_day_after_nothing_refers_to_them_and_mail_keeps_its_own() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bounce+550@remote.test"], "gone").await;
    alice.wait_for_status(&message.id(), "failed").await;
    let report = alice.wait_for_mail("Your message could not be delivered").await;
    assert_eq!(count(&app, "blobs").await, 2);

    for _ in 0..3 {
        app.advance(31 * DAY);
        app.clean_up().await;
    }
    assert_eq!(count(&app, "blobs").await, 1, "only the report's");
    let raw = alice.http.get(&format!("/v1/mail/{}/raw", report["id"].as_str().unwrap())).await;
    assert_eq!(raw.status, 200);
    app.stop().await;
}

#[tokio::test]
async fn days_have_partitions_ahead_and_old_ones_are_dropped() {
    let app = App::test().sandbox().start().await;
    let partitions = async || -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")
            .fetch_one(app.db())
            .await
            .unwrap()
    };
    // Today, three days ahead, and the default.
    assert_eq!(partitions().await, 5);
    app.advance(120 * DAY);
    app.clean_up().await;
    assert_eq!(partitions().await, 5, "the first days are gone, the new ones are there");
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["delivered@remote.test"], "later").await;
    alice.wait_for_status(&message.id(), "delivered").await;
    assert_eq!(count(&app, "ONLY messages_default").await, 0);
    app.stop().await;
}

#[tokio::test]
async fn a_deleted_account_leaves_nothing_behind() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["delivered@remote.test"], "x").await;
    alice.wait_for_status(&message.id(), "delivered").await;
    app.admin().delete(&format!("/v1/accounts/{}", alice.account_id)).await.expect(204);
    alice.http.get("/v1/mail").await.expect_problem(401, "invalid_credentials");
    for _ in 0..3 {
        app.clean_up().await;
        app.advance(2 * DAY);
    }
    for table in ["mails", "mail_contents", "messages", "deliveries", "attempts", "events", "blobs"]
    {
        let sql = format!("SELECT count(*) FROM {table} WHERE account_id = $1");
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(
                alice
                    .account_id
                    .parse::<posthouse_core::Id<posthouse_core::id::Account>>()
                    .unwrap()
                    .uuid(),
            )
            .fetch_one(app.db())
            .await
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }
    app.stop().await;
}
