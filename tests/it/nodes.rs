//! THREATS 33: several nodes on one database share the queue; what a lost node leaves is taken over,
//! and the lost node changes nothing when it comes back.

use std::time::{Duration, Instant};

use posthouse_tests::{app::App, client::Answer, person::Person, sink::Script, wait::eventually};
use serde_json::json;
use sqlx::Row as _;

/// Shards by the name of their owner.
async fn owners(app: &App) -> Vec<(String, i64)> {
    let rows = sqlx::query(
        "SELECT n.name, count(*) FROM queue_shards AS s JOIN nodes AS n ON n.node_id = s.owner
         GROUP BY n.name ORDER BY n.name",
    )
    .fetch_all(app.db())
    .await
    .unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// Sends a message through the node of `person`. A node that has just got its share loads it first,
/// and asks to come back until then.
async fn taken(person: &Person) -> Answer {
    let message = json!({"to": ["bob@remote.test"], "subject": "x", "text": "x"});
    eventually("the node takes messages", async || {
        let answer = person.post_message(message.clone()).await;
        assert!(matches!(answer.status, 202 | 503), "{answer:?}");
        (answer.status == 202).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn nodes_share_the_queue_and_give_it_back() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    assert_eq!(owners(&app).await, [("test".to_owned(), 256)]);

    let began = Instant::now();
    let second = app.node("second").await;
    // The first node is told that it has to share, and the second when it has: none waits for its
    // heartbeat of five seconds.
    assert_eq!(owners(&app).await, [("second".to_owned(), 128), ("test".to_owned(), 128)]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let there = second.as_person(&alice);
    for person in [&alice, &there] {
        let message = person.send(&["bob@remote.test"], "x").await;
        alice.wait_for_status(&message.id(), "delivered").await;
    }
    assert_eq!(app.sink("mx.remote.test").count(), 2);

    second.stop().await;
    eventually("the first node owns everything again", async || {
        (owners(&app).await == [("test".to_owned(), 256)]).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn what_waits_in_a_shard_that_is_kept_for_an_attempt_is_not_forgotten() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let post = async |to: &str, at: Option<String>, count: usize| {
        let message = json!({"from": alice.address, "to": [to], "subject": "x", "text": "x",
            "scheduled_at": at});
        let batch = json!({"messages": vec![message; count]});
        alice.http.post("/v1/messages/batch", batch).await.expect(200);
    };
    // Some in each shard; shards have turns, and the later ones are given away.
    let at = app.now() + Duration::from_hours(1);
    post("bob@remote.test", Some(posthouse_core::time::rfc3339(at)), 400).await;
    post("slow+8s@remote.test", None, 40).await;
    let second = app.node("second").await;
    let kept = eventually("the first node gives shards back", async || {
        let (_, kept) = owners(&app).await.into_iter().find(|(name, _)| name == "test").unwrap();
        (kept < 256).then_some(kept)
    })
    .await;
    assert!(kept > 128, "nothing was in flight");
    // Before the next heartbeat: the first node keeps what it has.
    second.stop().await;
    eventually("the first node owns everything again", async || {
        (owners(&app).await == [("test".to_owned(), 256)]).then_some(())
    })
    .await;
    app.advance(Duration::from_hours(1));
    eventually("all are delivered", async || {
        let waiting = alice.http.all("/v1/deliveries?status=scheduled").await;
        waiting.is_empty().then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn a_node_without_a_part_of_the_queue_is_not_ready() {
    let app = App::test().start().await;
    let ready = async |status: u16| {
        eventually("readiness", async || {
            (app.anonymous().get("/readyz").await.status == status).then_some(())
        })
        .await;
    };
    ready(200).await;
    let other = "WITH other AS (
             INSERT INTO nodes (node_id, name, started_at, lease_until)
             VALUES (gen_random_uuid(), 'other', now(), now() + interval '1 hour')
             RETURNING node_id)
         UPDATE queue_shards SET owner = other.node_id, epoch = epoch + 1 FROM other";
    sqlx::query(other).execute(app.db()).await.unwrap();
    ready(503).await;
    sqlx::query("DELETE FROM nodes WHERE name = 'other'").execute(app.db()).await.unwrap();
    ready(200).await;
    app.stop().await;
}

#[tokio::test]
async fn a_lost_node_is_replaced_and_changes_nothing_when_it_is_back() {
    let app = App::test().breakable_postgres().sink("mx.remote.test", Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let at = app.now() + Duration::from_hours(1);
    let message = json!({"to": ["bob@remote.test"], "subject": "x", "text": "x",
        "scheduled_at": posthouse_core::time::rfc3339(at)});
    let message = alice.post_message(message).await.expect(202);

    app.postgres().cut().await;
    // After 20 s without its lease a node starts nothing; after 30 s others may take over.
    tokio::time::sleep(Duration::from_secs(21)).await;
    sqlx::query("UPDATE nodes SET lease_until = now() - interval '1 second' WHERE name = 'test'")
        .execute(app.db())
        .await
        .unwrap();
    let second = app.node("second").await;
    assert_eq!(owners(&app).await, [("second".to_owned(), 256)]);
    app.advance(Duration::from_hours(1));
    let there = second.as_person(&alice);
    there.wait_for_status(&message.id(), "delivered").await;

    app.postgres().restore();
    eventually("the first node has a share again", async || {
        (owners(&app).await.len() == 2).then_some(())
    })
    .await;
    let again = taken(&alice).await;
    alice.wait_for_status(&again.id(), "delivered").await;
    assert_eq!(app.sink("mx.remote.test").count(), 2, "each message once");
    second.stop().await;
    app.stop().await;
}
