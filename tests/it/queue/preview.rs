//! What would become of a message.

use std::time::Duration;

use posthouse_tests::{app::App, client::Answer, dns::zone, person::Person, sink::Script};
use serde_json::{Value, json};

async fn preview(person: &Person, query: &str) -> Answer {
    person.http.get(&format!("/v1/queue/preview?{query}")).await.expect(200)
}

#[tokio::test]
async fn a_preview_goes_where_the_message_goes() {
    let remote = zone("remote.test").mx(20, "second").mx(10, "first").mx(30, "gone");
    let silent = zone("silent.test").silent("@");
    let app = App::test().dns(remote).dns(zone("none.test").null_mx()).dns(silent);
    let app = app.sink("plain.test", Script::new()).start().await;
    let address = app.add_host("first.remote.test");
    app.start_sink("second.remote.test", Script::new()).await;
    let alice = app.account("alice@example.test").await;
    let to = "recipient=bob@REMOTE.test&sender=alice@example.test";
    let found = preview(&alice, to).await;
    assert_eq!(
        [&found["via"], &found["tls"], &found["problem"]],
        ["direct", "opportunistic", ""]
            .map(|text| if text.is_empty() { Value::Null } else { json!(text) })
            .each_ref()
    );
    assert_eq!(found["port"], app.delivery_port());
    assert_eq!(
        found["hosts"][0],
        json!({"name": "first.remote.test", "preference": 10, "addresses": [address],
               "dane": null, "barred": null, "mta_sts_match": null})
    );
    assert_eq!(found["hosts"][1]["name"], "second.remote.test");
    assert_eq!(found["hosts"].as_array().unwrap().len(), 2, "the third has no address");
    let id = alice.send(&["bob@remote.test"], "x").await.id();
    let delivered = alice.wait_for_status(&id, "delivered").await.remove(0);
    assert_eq!(delivered["attempts"][0]["mx_host"], "second.remote.test", "nobody is at the first");

    for (recipient, via, permanent, code) in [
        ("x@none.test", "nowhere", true, "5.1.10"),
        ("x@nowhere.test", "nowhere", true, "5.1.2"),
        ("nobody@example.test", "local", true, "5.1.1"),
    ] {
        let found = preview(&alice, &format!("recipient={recipient}")).await;
        assert_eq!((&found["via"], &found["sender"]), (&json!(via), &Value::Null), "{recipient}");
        let problem = &found["problem"];
        assert_eq!(
            [&problem["permanent"], &problem["enhanced_code"]],
            [&json!(permanent), &json!(code)]
        );
    }
    let here = preview(&alice, "recipient=alice@example.test").await;
    assert_eq!([&here["via"], &here["problem"]], [&json!("local"), &Value::Null]);
    let began = tokio::time::Instant::now();
    let found = preview(&alice, "recipient=x@silent.test").await;
    assert_eq!(found["problem"]["enhanced_code"], "4.4.3");
    assert_eq!(found["problem"]["permanent"], false);
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let wrong =
        alice.http.get("/v1/queue/preview?sender=no&topic=%20&attempts=x").await.expect(422);
    assert_eq!(wrong.pointers(), ["/recipient", "/sender", "/topic", "/attempts"]);
    app.stop().await;
}

#[tokio::test]
async fn a_preview_tells_what_stands_in_the_way() {
    let app = App::test().sink(super::REMOTE, Script::new()).sink("relay.test", Script::new());
    let app = app.start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let to = "recipient=x@remote.test&sender=alice@example.test";
    let clear = preview(&alice, to).await;
    assert_eq!([&clear["holds"], &clear["suppressions"]], [&json!([]), &json!([])]);
    assert_eq!([&clear["route_id"], &clear["transport"]], [&Value::Null, &Value::Null]);

    let relay = json!({"name": "relay", "type": "smtp", "host": "relay.test", "tls": "never"});
    let relay = app.admin().post("/v1/transports", relay).await.expect(201).id();
    let route =
        json!({"transport_id": relay, "minimum_attempts": 2, "from_domains": ["example.test"]});
    let route = app.admin().post("/v1/routes", route).await.expect(201).id();
    let listed = json!({"address": "x@remote.test", "topic": "news"});
    alice.http.post("/v1/suppressions", listed).await.expect(201);
    let hold = json!({"recipient_domain": "remote.test", "reason": "they move"});
    let hold = alice.http.post("/v1/queue/holds", hold).await.expect(201).id();
    alice.http.post("/v1/queue/pause", json!({})).await.expect(200);
    let limits = format!("/v1/accounts/{}/limits", alice.account_id);
    app.admin().patch(&limits, json!({"recipients_per_day": 5})).await.expect(200);
    alice.send(&["y@other.test"], "x").await;

    let found = preview(&alice, &format!("{to}&topic=news&attempts=2")).await;
    assert_eq!([&found["via"], &found["tls"]], [&json!("relay"), &json!("never")]);
    assert_eq!(
        [&found["hosts"][0]["name"], &found["hosts"][0]["preference"]],
        [&json!("relay.test"), &Value::Null]
    );
    assert_eq!(found["transport"], json!({"id": relay, "name": "relay", "type": "smtp"}));
    assert_eq!(found["route_id"], *route);
    assert_eq!(found["suppressions"][0]["topic"], "news");
    assert_eq!(
        [&found["holds"][0]["id"], &found["holds"][0]["reason"]],
        [&json!(hold), &json!("they move")]
    );
    assert_eq!([&found["paused"], &found["all_paused"]], [true, false]);
    let limits = &found["limits"];
    assert_eq!([&limits["recipients_per_day"], &limits["recipients"]], [5, 1]);
    // Each of them only where it applies.
    let first = preview(&alice, to).await;
    assert_eq!([&first["via"], &first["suppressions"]], [&json!("direct"), &json!([])]);
    let null = preview(&alice, "recipient=x@remote.test&attempts=2").await;
    assert_eq!(null["route_id"], Value::Null);
    let other = preview(&bob, &format!("{to}&topic=news")).await;
    let nothing = [&other["suppressions"], &other["holds"], &other["paused"]];
    assert_eq!(nothing, [&json!([]), &json!([]), &json!(false)]);
    app.stop().await;
}
