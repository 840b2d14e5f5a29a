//! What a receiver gets: signed as the reference library wants it, each event, in order.

use std::{
    collections::BTreeSet,
    io::Write as _,
    process::{Command, Stdio},
};

use posthouse_tests::{
    app::App,
    receiver::{Received, Receiver},
};
use serde_json::{Value, json};

/// Asks the reference implementation; gives the payload that it read.
pub(super) fn verify(secret: &str, request: &Received) -> Result<Value, String> {
    const PROGRAM: &str = "
import json, sys
from standardwebhooks import Webhook
given = json.load(sys.stdin)
print(json.dumps(Webhook(given['secret']).verify(given['body'], given['headers'])))
";
    #[expect(clippy::disallowed_methods, reason = "scripts/test says where it is")]
    let python = std::env::var("POSTHOUSE_TEST_PYTHON")
        .expect("POSTHOUSE_TEST_PYTHON names a Python with scripts/requirements.txt: `make test`");
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: Value = names.iter().map(|name| (*name, request.header(name))).collect();
    let body = String::from_utf8(request.body.to_vec()).unwrap();
    let given = json!({"secret": secret, "headers": headers, "body": body});
    let mut child = Command::new(python)
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Ok(serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test]
async fn the_reference_library_verifies_a_delivery() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let new = json!({"url": format!("{}?a=b", receiver.url()), "event_types": ["delivery.*"],
        "headers": {"Authorization": "Bearer t0k3n"}});
    let webhook = alice.http.post("/v1/webhooks", new).await.expect(201);
    let message = alice.send(&["bob@remote.test"], "Grüße").await.id();
    let request = receiver.wait_for_kind("delivery.delivered").await;

    let secret = webhook["secret"].as_str().unwrap();
    let payload = verify(secret, &request).unwrap();
    let event = alice.events_of(&message).await.pop().unwrap();
    assert_eq!(payload, event, "the body is the event as the log has it");
    assert_eq!(payload["data"]["subject"], "Grüße");
    assert_eq!(request.header("webhook-id"), event["id"]);
    assert_eq!(request.header("content-type"), "application/json");
    assert_eq!(request.header("authorization"), "Bearer t0k3n");
    assert!(request.header("user-agent").starts_with("posthouse/"));
    assert_eq!(request.target, "/hook?a=b");
    let mut forged = request.clone();
    forged.body = request.body.to_vec().iter().chain(b" ").copied().collect();
    assert!(verify(secret, &forged).unwrap_err().contains("No matching signature"));

    let calls = alice.wait_for_webhook_deliveries(&webhook.id(), 1).await;
    assert_eq!((&calls[0]["succeeded"], &calls[0]["response_status"]), (&json!(true), &json!(200)));
    assert_eq!(calls[0]["event_id"], event["id"]);
    assert_eq!(calls[0]["request_body"].as_str().unwrap().as_bytes(), request.body);
    app.stop().await;
}

#[tokio::test]
async fn every_event_comes_once_and_in_order() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    alice.send(&["bob@remote.test"], "before").await;
    alice.wait_for_event("mail.received").await;
    alice.wait_for_event("delivery.delivered").await;
    let before = alice.events().await.len();
    let receiver = Receiver::start().await;
    alice.webhook(&receiver, &["*"]).await;
    for number in 0..30 {
        alice.send(&["bob@remote.test", "eve@remote.test"], &format!("{number}")).await;
    }
    // Accepted once, delivered and received by each of two.
    let requests = receiver.wait_for(150).await;
    let seqs: Vec<i64> = requests.iter().map(Received::seq).collect();
    let first = i64::try_from(before).unwrap() + 1;
    let unique: BTreeSet<i64> = seqs.iter().copied().collect();
    assert_eq!(unique.into_iter().collect::<Vec<_>>(), (first..first + 150).collect::<Vec<_>>());
    assert_eq!(seqs.len(), 150, "nothing comes twice");
    // Eight at a time: an event is never more than seven places away from its own.
    let in_order = (first..).zip(&seqs).all(|(own, seq)| (own - seq).abs() < 8);
    assert!(in_order, "{seqs:?}");
    app.stop().await;
}

#[tokio::test]
async fn only_wanted_types_come() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let (mail, all) = (Receiver::start().await, Receiver::start().await);
    alice.webhook(&mail, &["mail.received"]).await;
    alice.webhook(&all, &["*"]).await;
    bob.send(&["carol@remote.test"], "not for Alice").await;
    alice.send(&["carol@remote.test"], "one").await;
    alice.send(&["carol@remote.test"], "two").await;
    all.wait_for(6).await;
    mail.wait_for(2).await;
    assert_eq!(mail.kinds(), ["mail.received", "mail.received"]);
    let own = |one: &Received| one.event()["account_id"] == alice.account_id;
    assert!(all.received().iter().all(own));
    app.stop().await;
}

#[tokio::test]
async fn a_test_goes_to_its_endpoint_alone() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let (tested, other) = (Receiver::start().await, Receiver::start().await);
    let webhook = alice.webhook(&tested, &["mail.received"]).await;
    alice.webhook(&other, &["*"]).await;
    let path = format!("/v1/webhooks/{}/test", webhook.id());
    let answer = alice.http.request(reqwest::Method::POST, &path).send().await.expect(202);
    let request = tested.wait_for_kind("webhook.test").await;
    assert_eq!(request.header("webhook-id"), answer["event_id"]);
    assert_eq!(request.event()["data"]["webhook_id"], webhook.id());
    verify(webhook["secret"].as_str().unwrap(), &request).unwrap();
    alice.send(&["carol@remote.test"], "later").await;
    other.wait_for_kind("delivery.delivered").await;
    assert!(!other.kinds().contains(&"webhook.test".to_owned()));

    let disabled = json!({"enabled": false});
    alice.http.patch(&format!("/v1/webhooks/{}", webhook.id()), disabled).await.expect(200);
    let refused = alice.http.request(reqwest::Method::POST, &path).send().await;
    refused.expect_problem(422, "policy_rejected");
    app.stop().await;
}
