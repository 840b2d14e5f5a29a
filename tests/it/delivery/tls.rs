//! Opportunistic TLS (RFC 7435, C8): used when offered, given up when it fails.

use posthouse_tests::{app::App, certificates, sink::Script};

#[tokio::test]
async fn starttls_is_used_when_offered_whatever_the_certificate() {
    let script = Script::new().starttls(certificates::untrusted("somebody.else.test"));
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "x").await.id();
    let delivered = alice.wait_for_status(&message, "delivered").await.remove(0);
    assert!(app.sink("mx.remote.test").messages()[0].tls);
    let tls = &delivered["attempts"][0]["tls"];
    assert_eq!(tls["version"], "TLSv1.3", "{delivered}");
    assert_eq!(tls["verification"], "opportunistic", "{delivered}");
    app.stop().await;
}

#[tokio::test]
async fn plain_text_is_used_when_tls_breaks() {
    let script = Script::new().broken_starttls();
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "x").await.id();
    let delivered = alice.wait_for_status(&message, "delivered").await.remove(0);
    assert_eq!(delivered["attempts"].as_array().unwrap().len(), 1);
    let sink = app.sink("mx.remote.test");
    assert_eq!((sink.count(), sink.messages()[0].tls), (1, false));
    assert!(sink.connections() >= 2);
    app.stop().await;
}

#[tokio::test]
async fn replies_that_were_put_into_the_plain_text_are_not_believed() {
    let tls = certificates::untrusted("mx.remote.test");
    let script = Script::new().injecting_starttls(tls, "250 2.0.0 Taken\r\n250 Taken\r\n");
    let app = App::test().sink("mx.remote.test", script).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "x").await.id();
    // Over plain text afterwards, or not at all for now: but never "delivered" by an injected 250.
    let delivery = alice.wait_for_attempts(&message, 1).await;
    let sink = app.sink("mx.remote.test");
    let delivered = delivery["status"] == "delivered";
    assert_eq!(sink.count(), usize::from(delivered), "{delivery}\n{:?}", sink.transcript());
    app.stop().await;
}
