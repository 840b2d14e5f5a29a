//! What the sandbox does wrong when it is asked to.

use posthouse_tests::{app::App, person::Person};
use serde_json::{Value, json};

const FAULTS: &str = "/v1/sandbox/faults";

async fn set(person: &Person, faults: Value) -> posthouse_tests::client::Answer {
    person.http.put(FAULTS, json!({ "faults": faults })).await
}

/// Status of a message to `recipient`, and the code and text of its last attempt.
async fn tried(person: &Person, recipient: &str, status: &str) -> (String, String) {
    let id = person.send(&[recipient], "x").await.id();
    person.wait_for_status(&id, status).await;
    let attempt = person.deliveries(&id).await.remove(0)["attempts"][0].clone();
    let code = format!("{} {}", attempt["smtp_code"], attempt["enhanced_code"].as_str().unwrap());
    (code, attempt["reply"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn faults_happen_as_they_are_asked_for() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let faults = json!([
        {"recipient": "*@Grey.example", "smtp_code": 451, "enhanced_code": "4.7.1",
         "reply": "Greylisted", "attempts": 1},
        {"recipient": "no*", "smtp_code": 554},
        {"recipient": "bob@example.test", "delay_seconds": 1},
        {"recipient": "bounce@x.example", "delay_seconds": 0, "percent": 100},
    ]);
    let set_to = set(&alice, faults).await.expect(200);
    assert_eq!(set_to["faults"][1]["smtp_code"], 554);
    assert_eq!(alice.http.get(FAULTS).await.expect(200).json, set_to.json);
    assert_eq!(bob.http.get(FAULTS).await.expect(200)["faults"], json!([]));

    let grey = alice.send(&["x@grey.example"], "x").await.id();
    alice.wait_for_status(&grey, "deferred").await;
    let attempt = alice.deliveries(&grey).await.remove(0)["attempts"][0].clone();
    assert_eq!((&attempt["smtp_code"], &attempt["enhanced_code"]), (&json!(451), &json!("4.7.1")));
    assert_eq!(attempt["reply"], "Greylisted");
    alice.http.post(&format!("/v1/messages/{grey}/retry"), json!({})).await.expect(200);
    alice.wait_for_status(&grey, "delivered").await;

    let refused = tried(&alice, "Nobody@x.example", "failed").await;
    assert_eq!(refused, ("554 5.0.0".to_owned(), "the sandbox plays a fault".to_owned()));
    let began = std::time::Instant::now();
    tried(&alice, "bob@example.test", "delivered").await;
    assert!(began.elapsed() >= std::time::Duration::from_secs(1));
    // A fault that only takes time leaves the rest to the recipient's name.
    assert_eq!(tried(&alice, "bounce@x.example", "failed").await.0, "550 5.1.1");
    // Others have a sandbox of their own.
    tried(&bob, "nobody@x.example", "delivered").await;

    set(&alice, json!([])).await.expect(200);
    tried(&alice, "nobody@x.example", "delivered").await;
    app.stop().await;
}

#[tokio::test]
async fn faults_that_cannot_be_are_told_all_at_once() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let wrong = json!([{"smtp_code": 250}, {}, {"delay_seconds": 1, "enhanced_code": "4.0.0"}]);
    let answer = set(&alice, wrong).await.expect(422);
    let expected = ["/faults/0/smtp_code", "/faults/1/smtp_code", "/faults/2/enhanced_code"];
    assert_eq!(answer.pointers(), expected);
    let many = json!(vec![json!({"delay_seconds": 1}); 51]);
    assert_eq!(set(&alice, many).await.expect(422).pointers(), ["/faults"]);
    let unknown = set(&alice, json!([{"smtp_code": 450, "code": 1}])).await.expect(422);
    assert_eq!(unknown.pointers(), ["/faults/0/code"]);
    assert_eq!(alice.http.get(FAULTS).await.expect(200)["faults"], json!([]));
    app.stop().await;
}
