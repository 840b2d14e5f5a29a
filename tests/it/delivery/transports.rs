//! Transports, and routes that choose them at each attempt.

use std::{sync::Arc, time::Duration};

use posthouse_core::{
    config::SmartHost,
    ports::transport::{Login, Origin, Tls},
};
use posthouse_tests::{
    app::App,
    certificates,
    sink::{Script, Stage},
    wait::eventually,
};
use serde_json::{Value, json};

const REMOTE: &str = "mx.remote.test";
const OTHER: &str = "mx.other.test";
const RELAY: &str = "relay.provider.test";
const TRANSPORTS: &str = "/v1/transports";
const ROUTES: &str = "/v1/routes";

/// A transport that hands everything to the sink [`RELAY`].
async fn relay(app: &App) -> String {
    let port = app.delivery_port();
    let relay = json!({"name": "relay", "type": "smtp", "host": RELAY, "port": port});
    app.admin().post(TRANSPORTS, relay).await.expect(201).id()
}

async fn transport(app: &App, transport: Value) -> String {
    app.admin().post(TRANSPORTS, transport).await.expect(201).id()
}

/// Makes a route; its path.
async fn route(app: &App, route: Value) -> String {
    format!("{ROUTES}/{}", app.admin().post(ROUTES, route).await.expect(201).id())
}

#[tokio::test]
async fn the_first_route_that_matches_counts() {
    let sinks = App::test().sink(REMOTE, Script::new()).sink(OTHER, Script::new());
    let app = sinks.sink(RELAY, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@second.test").await;
    let relay = relay(&app).await;
    let all = json!({"transport_id": relay, "to_domains": [".remote.test"]});
    let all = route(&app, all).await;
    let to = ["x@remote.test", "x@other.test"];
    let id = alice.send(&to, "x").await.id();
    let ends = || async {
        let statuses = alice.statuses(&id).await;
        (statuses == ["relayed", "delivered"]).then_some(())
    };
    eventually("one is relayed, the other goes direct", ends).await;
    assert_eq!(alice.deliveries(&id).await[0]["attempts"][0]["mx_host"], RELAY);
    let told = alice.event_types_of(&id).await;
    assert!(told.contains(&"delivery.relayed".to_owned()), "{told:?}");
    let counts = || [RELAY, REMOTE, OTHER].map(|name| app.sink(name).count());
    assert_eq!(counts(), [1, 0, 1]);

    let nowhere = json!({"name": "nowhere", "type": "fail", "code": 550, "reply": "Not from here"});
    let nowhere = transport(&app, nowhere).await;
    let domains = app.admin().all("/v1/domains").await;
    let second = domains.iter().find(|domain| domain["name"] == "second.test").unwrap();
    route(&app, json!({"transport_id": nowhere, "domain_id": second["id"]})).await;
    let id = bob.send(&["x@remote.test"], "x").await.id();
    let failed = bob.wait_for_status(&id, "failed").await.remove(0);
    let attempt = &failed["attempts"][0];
    assert_eq!([&attempt["smtp_code"], &attempt["reply"]], [&json!(550), &json!("Not from here")]);
    assert!(bob.http.all("/v1/suppressions").await.is_empty(), "the recipient is not to blame");
    // The account comes before the domain.
    let direct = transport(&app, json!({"name": "direct", "type": "direct"})).await;
    let own = json!({"transport_id": direct, "account_id": bob.account_id, "position": 7});
    let own = route(&app, own).await;
    let id = bob.send(&["x@remote.test"], "x").await.id();
    bob.wait_for_status(&id, "delivered").await;
    // Alice is not of that domain, and the account's route is not hers.
    let id = alice.send(&["x@sub.remote.test"], "x").await.id();
    alice.wait_for_status(&id, "relayed").await;
    assert_eq!(counts(), [2, 1, 1]);
    let failing = json!({"transport_id": nowhere});
    app.admin().patch(&own, failing).await.expect(200);
    let id = bob.send(&["x@remote.test"], "x").await.id();
    bob.wait_for_status(&id, "failed").await;
    app.admin().delete(&all).await.expect(204);
    let id = alice.send(&["x@remote.test"], "x").await.id();
    alice.wait_for_status(&id, "delivered").await;
    // Mail for those who are at home here takes no route.
    let id = bob.send(&["alice@example.test"], "x").await.id();
    bob.wait_for_status(&id, "delivered").await;
    app.stop().await;
}

#[tokio::test]
async fn routes_are_asked_again_after_some_attempts() {
    let script = Script::new().reply(Stage::Rcpt, "451 4.7.1 Not from you");
    let app = App::test().sink(REMOTE, script).sink(RELAY, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let relay = relay(&app).await;
    route(&app, json!({"transport_id": relay, "minimum_attempts": 1})).await;
    let id = alice.send(&["x@remote.test"], "x").await.id();
    alice.wait_for_status(&id, "deferred").await;
    app.advance(Duration::from_mins(10));
    let relayed = alice.wait_for_status(&id, "relayed").await.remove(0);
    assert_eq!(relayed["attempts"][0]["mx_host"], REMOTE);
    assert_eq!(relayed["attempts"][1]["mx_host"], RELAY);
    app.stop().await;
}

#[tokio::test]
async fn the_password_is_used_but_never_shown() {
    let app = App::test().start().await;
    let tls = certificates::trusted(&app, RELAY);
    app.start_sink(RELAY, Script::new().starttls(tls).login("customer", "secret")).await;
    let alice = app.account("alice@example.test").await;
    let relay = json!({"name": "relay", "type": "submission", "host": RELAY, "username": "customer",
                       "port": app.delivery_port(), "password": "wrong"});
    let made = app.admin().post(TRANSPORTS, relay.clone()).await.expect(201);
    assert_eq!([&made["tls"], &made["has_password"]], [&json!("required"), &json!(true)]);
    let place = format!("{TRANSPORTS}/{}", made.id());
    let before = app.admin().get(&place).await.expect(200);
    assert!(!before.text().contains("wrong") && !made.text().contains("wrong"));
    route(&app, json!({"transport_id": made.id()})).await;
    let id = alice.send(&["x@remote.test"], "x").await.id();
    alice.wait_for_status(&id, "deferred").await;
    let after = app.admin().patch(&place, json!({"password": "secret"})).await.expect(200);
    assert_ne!(before.header("etag"), after.header("etag"), "it has changed");
    let stored = sqlx::query_scalar::<_, Vec<u8>>("SELECT password FROM transports");
    let stored = stored.fetch_one(app.db()).await.unwrap();
    assert!(!stored.windows(6).any(|window| window == b"secret"));
    app.advance(Duration::from_mins(10));
    alice.wait_for_status(&id, "relayed").await;
    let taken = app.sink(RELAY).messages();
    assert_eq!(taken[0].login.as_deref(), Some("customer"));
    assert_eq!(taken[0].mail_from, "alice@example.test", "no token: it may know only that");

    app.admin().post(TRANSPORTS, relay).await.expect_problem(409, "already_exists");
    app.admin().delete(&place).await.expect_problem(409, "in_use");
    for (patch, pointer) in [
        (json!({"tls": "opportunistic"}), "/tls"),
        (json!({"username": null}), "/username"),
        (json!({"code": 550}), "/code"),
        (json!({"host": "no host"}), "/host"),
    ] {
        assert_eq!(app.admin().patch(&place, patch).await.expect(422).pointers(), [pointer]);
    }
    let wrong = json!({"name": "ä", "type": "x", "host": 7});
    let wrong = app.admin().post(TRANSPORTS, wrong).await.expect(422);
    assert_eq!(wrong.faults(), [("/host", "wrong_type"), ("/type", "invalid_value")]);
    let missing = "trn_01k6h3v9x8e7ktq2w5m4n1r000";
    let wrong = json!({"transport_id": missing, "account_id": "acc_01k6h3v9x8e7ktq2w5m4n1r000"});
    let wrong = app.admin().post(ROUTES, wrong).await.expect(422);
    assert_eq!(wrong.faults(), [("/account_id", "unknown"), ("/transport_id", "unknown")]);
    let wrong = json!({"transport_id": made.id(), "to_domains": ["."], "position": -1});
    let wrong = app.admin().post(ROUTES, wrong).await.expect(422);
    assert_eq!(
        wrong.faults(),
        [("/position", "out_of_range"), ("/to_domains/0", "invalid_domain")]
    );
    app.stop().await;
}

#[tokio::test]
async fn what_waits_gets_another_transport() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    app.add_host(RELAY);
    let alice = app.account("alice@example.test").await;
    let relay = relay(&app).await;
    let way = route(&app, json!({"transport_id": relay})).await;
    let id = alice.send(&["x@remote.test"], "x").await.id();
    alice.wait_for_status(&id, "deferred").await;
    let choose = |transport: Value| {
        let filter = json!({"scope": "all", "recipient_domain": "remote.test"});
        json!({"filter": filter, "action": "set_transport", "transport_id": transport})
    };
    let bulk = |body: Value| {
        let admin = app.admin();
        async move { admin.post("/v1/queue/bulk", body).await }
    };
    let chosen = |transport: Value| {
        let (alice, id) = (&alice, &id);
        eventually("it is chosen", move || {
            let transport = transport.clone();
            async move {
                let found = alice.deliveries(id).await.remove(0);
                (found["transport_id"] == transport).then_some(())
            }
        })
    };
    let direct = transport(&app, json!({"name": "direct", "type": "direct"})).await;
    assert_eq!(bulk(choose(json!(direct))).await.expect(200)["matched"], 1);
    chosen(json!(direct)).await;
    assert_eq!(alice.statuses(&id).await, ["deferred"], "nothing else has changed");
    // Gone: it waits until another is chosen, and takes no other way by itself.
    app.admin().delete(&format!("{TRANSPORTS}/{direct}")).await.expect(204);
    alice.http.post(&format!("/v1/messages/{id}/retry"), json!({})).await.expect(200);
    let tried = alice.wait_for_attempts(&id, 2).await;
    assert_eq!(tried["attempts"][1]["enhanced_code"], "4.3.5");
    let v6 = json!({"name": "v6", "type": "direct", "ip_version": "ipv6"});
    let v6 = transport(&app, v6).await;
    bulk(choose(json!(v6))).await.expect(200);
    chosen(json!(v6)).await;
    alice.http.post(&format!("/v1/messages/{id}/retry"), json!({})).await.expect(200);
    let tried = alice.wait_for_attempts(&id, 3).await;
    let reply = tried["attempts"][2]["reply"].as_str().unwrap();
    assert!(reply.contains("version of IP"), "{reply}");
    bulk(choose(Value::Null)).await.expect(200);
    chosen(Value::Null).await;
    app.admin().delete(&way).await.expect(204);
    alice.http.post(&format!("/v1/messages/{id}/retry"), json!({})).await.expect(200);
    alice.wait_for_status(&id, "delivered").await;

    let mut own = choose(json!(relay));
    own["filter"] = json!({});
    alice.http.post("/v1/queue/bulk", own).await.expect_problem(403, "forbidden");
    let gone = bulk(choose(json!(direct))).await.expect(422);
    assert_eq!(gone.faults(), [("/transport_id", "unknown")]);
    let none = json!({"filter": {}, "action": "set_transport"});
    assert_eq!(bulk(none).await.expect(422).faults(), [("/transport_id", "required")]);
    app.stop().await;
}

#[tokio::test]
async fn the_smart_host_of_the_configuration_is_the_last_route() {
    let app = App::test().configure(|config| {
        let (host, port) = (RELAY.to_owned(), config.delivery.port);
        let (login, origin) = (Login::default(), Origin::default());
        let host = SmartHost { host, port, tls: Tls::Opportunistic, login, origin };
        config.delivery.smart_host = Some(Arc::new(host));
    });
    let app = app.sink(REMOTE, Script::new()).sink(RELAY, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let direct = transport(&app, json!({"name": "direct", "type": "direct"})).await;
    route(&app, json!({"transport_id": direct, "to_domains": ["remote.test"]})).await;
    let id = alice.send(&["x@remote.test", "x@other.test", "y@third.test"], "x").await.id();
    eventually("each goes its way", async || {
        (alice.statuses(&id).await == ["delivered", "relayed", "relayed"]).then_some(())
    })
    .await;
    assert_eq!((app.sink(REMOTE).count(), app.sink(RELAY).count()), (1, 1));
    assert!(app.sink(REMOTE).messages()[0].mail_from.contains('+'), "only direct mail has a token");
    app.stop().await;
}

#[tokio::test]
async fn every_node_follows_the_routes_at_once() {
    let app = App::test().sink(REMOTE, Script::new()).sink(RELAY, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let second = app.node("second").await;
    let there = second.as_person(&alice);
    let relay = relay(&app).await;
    let way = route(&app, json!({"transport_id": relay})).await;
    let goes = async |status: &str| {
        eventually("the other node knows", async || {
            let id = there.send(&["x@remote.test"], "x").await.id();
            let ended = eventually("it goes", async || {
                let status = there.statuses(&id).await.remove(0);
                matches!(&*status, "relayed" | "delivered").then_some(status)
            });
            (ended.await == status).then_some(())
        })
        .await;
    };
    let began = tokio::time::Instant::now();
    goes("relayed").await;
    app.admin().delete(&way).await.expect(204);
    goes("delivered").await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    second.stop().await;
    app.stop().await;
}

#[tokio::test]
async fn a_host_that_hangs_takes_nothing_from_others() {
    let app = App::test().configure(|config| config.connections_per_destination = 1);
    let hangs = Script::new().hang_at(Stage::Mail);
    let app = app.sink(REMOTE, Script::new()).sink(RELAY, hangs).start().await;
    let alice = app.account("alice@example.test").await;
    let bob = app.account("bob@example.test").await;
    let relay = relay(&app).await;
    route(&app, json!({"transport_id": relay, "account_id": alice.account_id})).await;
    let mut waits = Vec::new();
    for _ in 0..3 {
        waits.push(alice.send(&["x@remote.test"], "x").await.id());
    }
    eventually("the relay is asked", async || (app.sink(RELAY).connections() > 0).then_some(()))
        .await;
    let id = bob.send(&["x@remote.test"], "x").await.id();
    bob.wait_for_status(&id, "delivered").await;
    // What waits for its turn there can be changed.
    let last = waits.pop().unwrap();
    let path = format!("/v1/messages/{last}/cancel");
    let canceled = alice.http.post(&path, json!({})).await.expect(200);
    assert_eq!(canceled["data"][0]["status"], "canceled");
    app.start_sink(RELAY, Script::new()).await;
    app.stop().await;
}
