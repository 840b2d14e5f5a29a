//! A domain that is switched off (I5).

use posthouse_tests::sink::{Script, Stage};

use super::{app, ask};

#[tokio::test]
async fn a_disabled_domain_neither_sends_nor_loses_what_waits() {
    let (app, place) = app().await;
    let script = Script::new().reply_once(Stage::Rcpt, "450 4.2.0 Later");
    app.start_sink("mx.remote.test", script).await;
    let alice = app.account_with(&["alice@example.test"]).await;
    let message = alice.send(&["bob@remote.test"], "Waits").await.id();
    alice.wait_for_attempts(&message, 1).await;
    let off = ask(&app, "POST", &format!("{place}/disable")).await.expect(200);
    assert_eq!(off["disabled"], true);

    let mut client = alice.submission().await;
    client.command("MAIL FROM:<alice@example.test>").await.expect("451 4.3.0");
    let refused = serde_json::json!({"from": "alice@example.test", "to": ["bob@remote.test"], "subject": "x", "text": "x"});
    alice.http.post("/v1/messages", refused).await.expect_problem(409, "domain_disabled");
    app.advance(std::time::Duration::from_mins(10));
    let waiting = alice.wait_for_attempts(&message, 2).await;
    assert_eq!(waiting["status"], "deferred");
    assert_eq!(waiting["attempts"][1]["enhanced_code"], "4.3.0");
    assert_eq!(app.sink("mx.remote.test").count(), 0);

    ask(&app, "POST", &format!("{place}/enable")).await.expect(200);
    app.advance(std::time::Duration::from_mins(20));
    alice.wait_for_status(&message, "delivered").await;
    app.stop().await;
}
