//! A receiver that hangs delays nobody else.

use std::time::{Duration, Instant};

use posthouse_tests::{
    app::App,
    receiver::{Receiver, Reply},
};

#[tokio::test]
async fn a_hanging_receiver_delays_nobody_else() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let (hanging, good) = (Receiver::start().await, Receiver::start().await);
    hanging.always(Reply::hang());
    let id = alice.webhook(&hanging, &["*"]).await.id();
    alice.webhook(&good, &["*"]).await;
    for number in 0..10 {
        alice.send(&["bob@remote.test"], &format!("{number}")).await;
    }
    let started = Instant::now();
    good.wait_for(30).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(hanging.wait_for(8).await.len(), 8);
    assert_eq!(hanging.most_in_flight(), 8);
    assert_eq!(alice.webhook_deliveries(&id).await.len(), 0);

    // The time is up after 15 s; then the next ones have their turn.
    let calls = alice.wait_for_webhook_deliveries(&id, 8).await;
    assert_eq!(calls[0]["error"], "no answer within 15 s");
    hanging.wait_for(16).await;
    assert_eq!(hanging.most_in_flight(), 8);
    let stopping = Instant::now();
    app.stop().await;
    assert!(stopping.elapsed() < Duration::from_secs(10), "{:?}", stopping.elapsed());
}

#[tokio::test]
async fn a_deleted_endpoint_gets_nothing_more() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let (hanging, good) = (Receiver::start().await, Receiver::start().await);
    hanging.always(Reply::hang());
    let id = alice.webhook(&hanging, &["*"]).await.id();
    alice.webhook(&good, &["*"]).await;
    alice.send(&["bob@remote.test"], "one").await;
    hanging.wait_for(3).await;
    alice.http.delete(&format!("/v1/webhooks/{id}")).await.expect(204);
    alice.send(&["bob@remote.test"], "two").await;
    good.wait_for(6).await;
    assert_eq!(hanging.received().len(), 3);
    app.stop().await;
}
