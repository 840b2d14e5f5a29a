//! Where an endpoint stands is in the database: restarts and other nodes lose nothing.

use std::{collections::BTreeSet, time::Duration};

use posthouse_tests::{
    app::App,
    receiver::{Received, Receiver, Reply},
    wait::until_equal,
};

#[tokio::test]
async fn a_restart_loses_no_event_and_no_retry() {
    let mut app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    receiver.next(Reply::status(500));
    let id = alice.webhook(&receiver, &["delivery.delivered"]).await.id();
    alice.send(&["bob@remote.test"], "refused").await;
    alice.wait_for_webhook_deliveries(&id, 1).await;
    receiver.always(Reply::hang());
    for number in 0..12 {
        alice.send(&["bob@remote.test"], &format!("{number}")).await;
    }
    receiver.wait_for(9).await;
    // What hangs, hangs; what comes from now on is taken.
    receiver.always(Reply::status(200));
    let before = receiver.received().len();
    app.restart().await;
    app.advance(Duration::from_secs(7));
    // What was in progress comes again, with what had not come yet and what was refused.
    let subjects = async || {
        let requests = receiver.received();
        let subjects =
            requests[before..].iter().map(|one| one.event()["data"]["subject"].to_string());
        subjects.collect::<BTreeSet<String>>()
    };
    until_equal(13, async || subjects().await.len()).await;
    assert!(subjects().await.contains("\"refused\""));
    app.stop().await;
}

#[tokio::test]
async fn what_another_node_left_is_taken_over() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let id = alice.webhook(&receiver, &["delivery.delivered"]).await.id();
    alice.send(&["bob@remote.test"], "one").await;
    alice.wait_for_webhook_deliveries(&id, 1).await;
    let claim = "UPDATE webhook_cursors SET owner = gen_random_uuid(),
        lease_until = now() + interval '10 seconds'";
    sqlx::query(claim).execute(app.db()).await.unwrap();
    // Longer than this node takes to see that the endpoint is not its own any more.
    tokio::time::sleep(Duration::from_secs(3)).await;
    alice.send(&["bob@remote.test"], "two").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(receiver.received().len(), 1, "the other node serves it");
    receiver.wait_for(2).await;
    let seqs: Vec<i64> = receiver.received().iter().map(Received::seq).collect();
    assert!(seqs[0] < seqs[1]);
    let newest = seqs[1];
    until_equal(true, async || {
        let seq = sqlx::query_scalar::<_, i64>("SELECT seq FROM webhook_cursors");
        seq.fetch_one(app.db()).await.unwrap() >= newest
    })
    .await;
    app.stop().await;
}
