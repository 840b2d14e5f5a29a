//! The event log: in the order of commits, without gaps.

use posthouse_tests::app::App;
use serde_json::json;

#[tokio::test]
async fn a_reader_with_a_cursor_misses_nothing_while_many_write() {
    const MESSAGES: usize = 60;
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let cursor = sqlx::query_scalar::<_, i64>("SELECT coalesce(max(seq), 0) FROM events");
    let mut seen: i64 = cursor.fetch_one(app.db()).await.unwrap();
    let first = seen;
    let message = json!({"to": ["alice@example.test"], "subject": "x", "text": "x"});
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..MESSAGES {
        let (alice, message) = (alice.clone(), message.clone());
        writers.spawn(async move { alice.post_message(message).await.expect(202).id() });
    }
    // Accepted, received and delivered, each once.
    let wanted = first + i64::try_from(3 * MESSAGES).unwrap();
    let deadline = tokio::time::Instant::now() + posthouse_tests::wait::PATIENCE;
    while seen < wanted {
        assert!(tokio::time::Instant::now() < deadline, "only {seen} of {wanted}");
        let next = "SELECT seq FROM events WHERE seq > $1 ORDER BY seq";
        let next: Vec<i64> = sqlx::query_scalar(next).bind(seen).fetch_all(app.db()).await.unwrap();
        for seq in next {
            assert_eq!(seq, seen + 1, "an event became visible late");
            seen = seq;
        }
    }
    writers.join_all().await;
    app.stop().await;
}
