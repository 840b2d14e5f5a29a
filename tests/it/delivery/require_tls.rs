//! REQUIRETLS and TLS-Required: No (RFC 8689): what senders want of TLS, from door to door.

use posthouse_tests::{
    app::App,
    certificates,
    person::Person,
    policy_host::{PolicyHost, policy},
    sink::Script,
};
use serde_json::{Value, json};

const REMOTE: &str = "mx.remote.test";
const TO: &str = "bob@remote.test";

/// A server whose policy is enforced; it offers what is given after STARTTLS.
async fn remote(app: &App, capability: Option<&str>) -> PolicyHost {
    let script = Script::new().starttls(certificates::trusted(app, REMOTE));
    let script = capability.into_iter().fold(script, Script::capability);
    app.start_sink(REMOTE, script).await;
    PolicyHost::start(app, "remote.test", &policy("enforce", &[REMOTE])).await
}

async fn app() -> (App, Person) {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    (app, alice)
}

async fn send(alice: &Person, require_tls: Value) -> String {
    let message = json!({"to": [TO], "subject": "x", "text": "x", "require_tls": require_tls});
    alice.post_message(message).await.expect(202).id()
}

/// The parameters of MAIL and the octets of what came last.
fn last(app: &App) -> (String, String) {
    let message = app.sink(REMOTE).messages().pop().unwrap();
    (message.mail_parameters.clone(), message.text())
}

#[tokio::test]
async fn what_requires_tls_goes_on_with_the_wish_where_the_server_proves_itself() {
    let (app, alice) = app().await;
    let _host = remote(&app, Some("REQUIRETLS")).await;
    let id = send(&alice, json!(true)).await;
    let delivered = alice.wait_for_status(&id, "delivered").await.remove(0);
    assert_eq!(delivered["attempts"][0]["tls"]["verification"], "pkix");
    assert_eq!(delivered["require_tls"], true);
    let message = alice.http.get(&format!("/v1/messages/{id}")).await.expect(200);
    assert_eq!(message["require_tls"], true);
    let (parameters, text) = last(&app);
    assert!(parameters.contains(" REQUIRETLS"), "{parameters}");
    assert!(
        text.contains("with HTTP (requiretls) id ") && !text.contains("TLS-Required"),
        "{text}"
    );
    // The same when it is sent again.
    let again = alice.http.post(&format!("/v1/messages/{id}/resend"), json!({})).await.expect(202);
    alice.wait_for_status(&again.id(), "delivered").await;
    assert!(last(&app).0.contains(" REQUIRETLS"));
    assert_eq!(app.sink(REMOTE).count(), 2);
    let usual = send(&alice, Value::Null).await;
    alice.wait_for_status(&usual, "delivered").await;
    assert!(!last(&app).0.contains("REQUIRETLS") && !last(&app).1.contains("requiretls"));
    app.stop().await;
}

#[tokio::test]
async fn it_fails_where_no_server_can_promise_that_and_the_sender_is_told() {
    let (app, alice) = app().await;
    let _host = remote(&app, None).await;
    let able = Script::new().starttls(certificates::trusted(&app, "mx.other.test"));
    app.start_sink("mx.other.test", able.capability("REQUIRETLS")).await;
    for (to, why) in [(TO, "does not offer that"), ("bob@other.test", "neither MTA-STS")] {
        let message = json!({"to": [to], "subject": "Secret", "text": "x", "require_tls": true});
        let id = alice.post_message(message).await.expect(202).id();
        let failed = alice.wait_for_status(&id, "failed").await.remove(0);
        let attempt = &failed["attempts"][0];
        assert_eq!(attempt["enhanced_code"], "5.7.30", "{failed}");
        assert!(attempt["reply"].as_str().unwrap().contains(why), "{failed}");
        assert_eq!(failed["require_tls"], true);
    }
    assert_eq!((app.sink(REMOTE).count(), app.sink("mx.other.test").connections()), (0, 0));
    let report = &alice.inbox().await[0];
    let report = alice.raw_mail(report["id"].as_str().unwrap()).await;
    assert!(report.contains("Status: 5.7.30"), "{report}");
    assert!(alice.http.all("/v1/suppressions").await.is_empty(), "the recipient is not to blame");
    // A host of a transport without verified TLS (D6).
    let relay = json!({"name": "relay", "type": "smtp", "host": "mx.other.test",
                       "port": app.delivery_port(), "tls": "opportunistic"});
    let relay = app.admin().post("/v1/transports", relay).await.expect(201).id();
    app.admin().post("/v1/routes", json!({"transport_id": relay})).await.expect(201);
    let id = send(&alice, json!(true)).await;
    let failed = alice.wait_for_status(&id, "failed").await.remove(0);
    assert_eq!(failed["attempts"][0]["enhanced_code"], "5.7.30");
    app.admin()
        .patch(&format!("/v1/transports/{relay}"), json!({"tls": "required"}))
        .await
        .expect(200);
    let id = send(&alice, json!(true)).await;
    alice.wait_for_status(&id, "relayed").await;
    let relayed = app.sink("mx.other.test").messages();
    assert!(relayed[0].mail_parameters.contains(" REQUIRETLS"));
    app.stop().await;
}

#[tokio::test]
async fn who_waives_tls_gets_through_whatever_is_published() {
    let (app, alice) = app().await;
    app.start_sink(REMOTE, Script::new()).await;
    let _host = PolicyHost::start(&app, "remote.test", &policy("enforce", &["nobody.test"])).await;
    let composed = |fields: Value| {
        let mut message = json!({"to": [TO], "subject": "x", "text": "x"});
        message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        message
    };
    let waived = composed(json!({"require_tls": false}));
    let header = composed(json!({"headers": {"TLS-Required": "no"}}));
    for message in [waived, header] {
        let id = alice.post_message(message).await.expect(202).id();
        let delivered = alice.wait_for_status(&id, "delivered").await.remove(0);
        assert_eq!(delivered["require_tls"], false);
        let text = last(&app).1.to_lowercase();
        assert_eq!(text.matches("\r\ntls-required: no\r\n").count(), 1, "{text}");
    }
    let raw = |query: &str, field: &str| {
        let text =
            format!("From: alice@example.test\r\nTo: {TO}\r\n{field}Subject: x\r\n\r\nx\r\n");
        let request =
            alice.http.request(reqwest::Method::POST, &format!("/v1/messages/raw{query}"));
        request.body("message/rfc822", text).send()
    };
    for (query, field) in [("?require_tls=false", ""), ("", "TLS-Required: No\r\n")] {
        let id = raw(query, field).await.expect(202).id();
        alice.wait_for_status(&id, "delivered").await;
        let text = last(&app).1;
        assert_eq!(text.matches("TLS-Required: No\r\n").count(), 1, "{text}");
    }
    assert_eq!(raw("?require_tls=x", "").await.expect(422).pointers(), ["/require_tls"]);
    // The field counts only when each of them says so, and nobody asked for the opposite (B7).
    let mixed = "TLS-Required: No\r\nTLS-Required: Yes\r\n";
    for (query, field) in [("", mixed), ("?require_tls=true", "TLS-Required: No\r\n")] {
        let id = raw(query, field).await.expect(202).id();
        let delivery = alice.wait_for_attempts(&id, 1).await;
        assert_eq!(delivery["status"], "deferred", "{delivery}");
        assert_eq!(delivery["attempts"][0]["enhanced_code"], "4.7.1");
    }
    assert_eq!(app.sink(REMOTE).count(), 4);
    let metrics = app.admin().get("/metrics").await.expect(200).text();
    assert!(metrics.contains("posthouse_smtp_out_tls_waived_total"));
    app.stop().await;
}

#[tokio::test]
async fn the_wish_can_be_changed_while_deliveries_wait() {
    let (app, alice) = app().await;
    app.start_sink(REMOTE, Script::new()).await;
    let _host = PolicyHost::start(&app, "remote.test", &policy("enforce", &["nobody.test"])).await;
    let bob = app.account("bob@example.test").await;
    let (mine, theirs) = (send(&alice, Value::Null).await, send(&bob, json!(true)).await);
    for (person, id) in [(&alice, &mine), (&bob, &theirs)] {
        person.wait_for_status(id, "deferred").await;
    }
    let bulk = |body: Value| alice.http.post("/v1/queue/bulk", body);
    let set = json!({"filter": {}, "action": "set_require_tls", "require_tls": false});
    assert_eq!(bulk(set).await.expect(200)["matched"], 1);
    let changed = async || (alice.deliveries(&mine).await[0]["require_tls"] == false).then_some(());
    posthouse_tests::wait::eventually("the wish is granted", changed).await;
    assert_eq!(alice.statuses(&mine).await, ["deferred"], "nothing else has changed");
    bulk(json!({"filter": {}, "action": "retry_now"})).await.expect(200);
    let delivered = alice.wait_for_status(&mine, "delivered").await.remove(0);
    assert_eq!(delivered["require_tls"], false);
    assert_eq!(bob.deliveries(&theirs).await[0]["require_tls"], true);
    for wrong in [
        json!({"filter": {}, "action": "set_require_tls"}),
        json!({"filter": {}, "action": "retry_now", "require_tls": null}),
    ] {
        assert_eq!(bulk(wrong).await.expect(422).pointers(), ["/require_tls"]);
    }
    app.stop().await;
}

#[tokio::test]
async fn mail_programs_and_routes_hand_the_wish_on() {
    let (app, alice) = app().await;
    let _host = remote(&app, Some("REQUIRETLS")).await;
    let text = "From: alice@example.test\r\nTLS-Required: No\r\nSubject: x\r\n\r\nx\r\n";
    let mut client = alice.submission().await;
    client.command("MAIL FROM:<alice@example.test> REQUIRETLS").await.expect("250");
    client.command(&format!("RCPT TO:<{TO}>")).await.expect("250");
    client.data(text).await.expect("250");
    app.sink(REMOTE).wait_for(1, posthouse_tests::wait::PATIENCE).await.unwrap();
    let (parameters, sent) = last(&app);
    assert!(parameters.contains(" REQUIRETLS"), "the field does not count: {parameters}");
    assert!(sent.contains("with ESMTPSA (requiretls) id "), "{sent}");

    // What comes in with the wish is sent on with it.
    let route = json!({"name": "on", "actions": [{"type": "forward", "addresses": [TO]}]});
    alice.http.post("/v1/inbound-routes", route).await.expect(201);
    for (parameter, field, expected) in [
        (" REQUIRETLS", "", json!(true)),
        ("", "TLS-Required: No\r\n", json!(false)),
        ("", "", Value::Null),
    ] {
        let came = app.sink(REMOTE).count() + 1;
        let mut client = app.smtp().await;
        client.starttls().await;
        client.command(&format!("MAIL FROM:<carol@remote.test>{parameter}")).await.expect("250");
        client.command("RCPT TO:<alice@example.test>").await.expect("250");
        let subject = format!("Subject: on{parameter}{field}\r\n").replace("\r\n", "") + "\r\n";
        client
            .data(&format!("From: carol@remote.test\r\n{field}{subject}\r\nx\r\n"))
            .await
            .expect("250");
        app.sink(REMOTE).wait_for(came, posthouse_tests::wait::PATIENCE).await.unwrap();
        let messages = alice.http.get("/v1/messages?limit=1").await.expect(200);
        assert_eq!(messages["data"][0]["require_tls"], expected);
        assert_eq!(last(&app).0.contains(" REQUIRETLS"), expected == json!(true));
        let received = last(&app).1.contains("with ESMTPS (requiretls) id ");
        assert_eq!(received, expected == json!(true));
    }
    app.stop().await;
}
