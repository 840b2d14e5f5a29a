//! Telling an endpoint a part of the log again.

use std::{collections::BTreeSet, time::Duration};

use posthouse_tests::{
    app::App,
    person::Person,
    receiver::{Received, Receiver, Reply},
    wait::eventually,
};
use reqwest::Method;
use serde_json::{Value, json};

const EVER: &str = "2020-01-01T00:00:00Z";

async fn ended(alice: &Person, id: &str) -> Value {
    eventually("the replay has ended", async || {
        let replay = alice.http.get(&format!("/v1/webhooks/replays/{id}")).await.expect(200);
        (replay["status"] != "running").then_some(replay.json)
    })
    .await
}

fn ids(requests: &[Received]) -> Vec<String> {
    requests.iter().map(|one| one.header("webhook-id").to_owned()).collect()
}

#[tokio::test]
async fn events_are_told_again_with_their_own_ids() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    for number in 0..20 {
        alice.send(&["bob@remote.test"], &format!("{number}")).await;
    }
    let receiver = Receiver::start().await;
    let id = alice.webhook(&receiver, &["delivery.*"]).await.id();
    let path = format!("/v1/webhooks/{id}/replay");
    eventually("all is delivered", async || {
        let done =
            alice.events().await.iter().filter(|e| e["type"] == "delivery.delivered").count();
        (done == 20).then_some(())
    })
    .await;
    // Those that happened before the endpoint was made, too.
    let replay = json!({"since": EVER, "event_types": ["message.accepted"]});
    let replay = alice.http.post(&path, replay).await.expect(202);
    let done = ended(&alice, &replay.id()).await;
    assert_eq!((&done["status"], &done["percent"]), (&json!("completed"), &json!(100)));
    assert_eq!((&done["succeeded"], &done["failed"]), (&json!(20), &json!(0)));
    assert!(done["finished_at"].is_string());
    let events = alice.events().await;
    let accepted = events.iter().filter(|event| event["type"] == "message.accepted");
    let accepted: Vec<&str> = accepted.map(|event| event["id"].as_str().unwrap()).collect();
    let mut requests = receiver.received();
    requests.retain(|one| one.kind() == "message.accepted");
    let got: BTreeSet<String> = ids(&requests).into_iter().collect();
    assert_eq!(got, accepted.iter().map(|id| (*id).to_owned()).collect());
    assert_eq!(requests.len(), 20, "nothing comes twice");
    let body = serde_json::to_value(requests[0].event()).unwrap();
    assert_eq!(&body, events.iter().find(|event| event["id"] == body["id"]).unwrap());
    assert_eq!(alice.http.all(&format!("{path}s")).await, [done]);
    let calls = alice.http.all(&format!("/v1/webhooks/{id}/deliveries?event_type=message.*")).await;
    assert_eq!(calls.len(), 20);
    app.stop().await;
}

#[tokio::test]
async fn a_replay_holds_up_no_new_event_and_can_be_canceled() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let id = alice.webhook(&receiver, &["delivery.delivered"]).await.id();
    for number in 0..40 {
        alice.send(&["bob@remote.test"], &format!("old {number}")).await;
    }
    alice.wait_for_webhook_deliveries(&id, 40).await;
    receiver.always(Reply::status(200).after(Duration::from_millis(400)));
    let path = format!("/v1/webhooks/{id}/replay");
    let replay = alice.http.post(&path, json!({"since": EVER})).await.expect(202);
    let second = alice.http.post(&path, json!({"since": EVER})).await;
    second.expect_problem(409, "in_use");
    receiver.wait_for(43).await;
    // Others are in progress already: the new one is sent at once all the same.
    alice.send(&["bob@remote.test"], "new").await;
    let new = |requests: Vec<Received>| {
        requests.iter().position(|one| one.event()["data"]["subject"] == "new")
    };
    let place = eventually("the new event", async || new(receiver.received())).await;
    assert!(place < 50, "{place}");
    assert!(receiver.most_in_flight() <= 8);
    eventually("progress", async || {
        let shown = alice.http.get(&format!("/v1/webhooks/replays/{}", replay.id())).await;
        let percent = shown.expect(200)["percent"].as_i64().unwrap();
        (percent > 0 && percent < 100).then_some(())
    })
    .await;
    let cancel = format!("/v1/webhooks/replays/{}/cancel", replay.id());
    let canceled = alice.http.request(Method::POST, &cancel).send().await.expect(200);
    assert_eq!(canceled["status"], "canceled");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let count = receiver.received().len();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(receiver.received().len(), count, "nothing more comes");
    assert!(count < 75, "{count}");
    // Another one may begin; it ends although the receiver is slow.
    receiver.always(Reply::status(200));
    let again = alice.http.post(&path, json!({"since": EVER})).await.expect(202);
    assert_eq!(ended(&alice, &again.id()).await["succeeded"], 41);
    app.stop().await;
}

#[tokio::test]
async fn a_restart_goes_on_with_a_replay() {
    let mut app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let id = alice.webhook(&receiver, &["delivery.delivered"]).await.id();
    for number in 0..12 {
        alice.send(&["bob@remote.test"], &format!("{number}")).await;
    }
    // Told and recorded: only such events are part of a replay.
    alice.wait_for_webhook_deliveries(&id, 12).await;
    receiver.next(Reply::status(500));
    receiver.always(Reply::status(200).after(Duration::from_millis(500)));
    let path = format!("/v1/webhooks/{id}/replay");
    let replay = alice.http.post(&path, json!({"since": EVER})).await.expect(202);
    receiver.wait_for(16).await;
    app.restart().await;
    receiver.always(Reply::status(200));
    let done = ended(&alice, &replay.id()).await;
    assert_eq!(done["status"], "completed");
    assert_eq!(done["failed"], 1);
    let told: BTreeSet<String> = ids(&receiver.received()[12..]).into_iter().collect();
    assert_eq!(told.len(), 12);
    // What failed is tried again as usual.
    app.advance(Duration::from_secs(7));
    eventually("the retry", async || {
        let calls = alice.webhook_deliveries(&id).await;
        calls.iter().any(|call| call["attempt"] == 2 && call["succeeded"] == true).then_some(())
    })
    .await;
    app.stop().await;
}

#[tokio::test]
async fn replays_that_make_no_sense_are_refused() {
    let app = App::test().sandbox().start().await;
    let alice = app.account("alice@example.test").await;
    let receiver = Receiver::start().await;
    let id = alice.webhook(&receiver, &["*"]).await.id();
    let path = format!("/v1/webhooks/{id}/replay");
    let wrong = json!({"since": EVER, "until": "2019-01-01T00:00:00Z", "event_types": ["nope"]});
    let refused = alice.http.post(&path, wrong).await.expect_problem(422, "invalid_input");
    assert_eq!(refused.pointers(), ["/since", "/event_types/0"]);
    let empty = json!({"since": EVER, "until": "2020-02-01T00:00:00Z"});
    let empty = alice.http.post(&path, empty).await.expect(202);
    assert_eq!((&empty["status"], &empty["percent"]), (&json!("completed"), &json!(100)));
    alice
        .http
        .request(Method::POST, &format!("/v1/webhooks/{id}/disable"))
        .send()
        .await
        .expect(200);
    let refused = alice.http.post(&path, json!({"since": EVER})).await;
    refused.expect_problem(422, "policy_rejected");
    app.stop().await;
}
