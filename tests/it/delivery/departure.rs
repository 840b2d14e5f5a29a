//! How mail leaves by a transport: through a proxy, from certain addresses, with a certificate.

use std::time::Duration;

use posthouse_tests::{
    app::App,
    certificates::Asking,
    sink::Script,
    socks::{EXIT, Socks5},
};
use rustls::version::TLS13;
use serde_json::{Value, json};

const REMOTE: &str = "mx.remote.test";
const RELAY: &str = "relay.provider.test";
const TRANSPORTS: &str = "/v1/transports";

/// A transport for everything; its path.
async fn for_all(app: &App, transport: Value) -> String {
    let made = app.admin().post(TRANSPORTS, transport).await.expect(201).id();
    app.admin().post("/v1/routes", json!({"transport_id": made})).await.expect(201);
    format!("{TRANSPORTS}/{made}")
}

#[tokio::test]
async fn mail_leaves_through_a_proxy() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let socks = Socks5::start(Some(("us", "proxy secret"))).await;
    app.add_host("proxy.test");
    let proxy = json!({"name": "exit", "type": "socks5", "host": "127.0.0.1", "username": "us",
                       "password": "wrong", "ehlo_name": "Exit.Example.NET"});
    let place = for_all(&app, proxy).await;
    let made = app.admin().get(&place).await.expect(200);
    assert_eq!([&made["port"], &made["tls"]], [&json!(1080), &Value::Null]);
    assert_eq!(made["ehlo_name"], "exit.example.net");
    assert!(!made.text().contains("wrong"));
    app.admin().patch(&place, json!({"port": socks.addr().port()})).await.expect(200);
    let id = alice.send(&["x@remote.test"], "x").await.id();
    let waits = alice.wait_for_status(&id, "deferred").await.remove(0);
    assert!(waits["attempts"][0]["reply"].as_str().unwrap().contains("proxy"), "{waits}");
    app.admin().patch(&place, json!({"password": "proxy secret"})).await.expect(200);
    app.advance(Duration::from_mins(10));
    let done = alice.wait_for_status(&id, "delivered").await.remove(0);
    assert_eq!(done["attempts"][1]["mx_host"], REMOTE);
    let sink = app.sink(REMOTE);
    assert_eq!((sink.clients(), socks.asked()), (vec![EXIT], vec![sink.addr()]));
    assert_eq!(sink.messages()[0].helo, "exit.example.net");
    // Only the version of IP that the proxy has.
    let v6 = json!({"source_addresses": ["2001:db8::1"]});
    app.admin().patch(&place, v6).await.expect(200);
    let id = alice.send(&["x@remote.test"], "x").await.id();
    let waits = alice.wait_for_status(&id, "deferred").await.remove(0);
    let reply = waits["attempts"][0]["reply"].as_str().unwrap().to_owned();
    assert!(reply.contains("version of IP"), "{reply}");
    let named = json!({"host": "no-proxy.test", "source_addresses": []});
    app.admin().patch(&place, named).await.expect(200);
    let id = alice.send(&["x@remote.test"], "x").await.id();
    let waits = alice.wait_for_status(&id, "deferred").await.remove(0);
    let reply = waits["attempts"][0]["reply"].as_str().unwrap().to_owned();
    assert!(reply.contains("proxy no-proxy.test"), "{reply}");
    for (patch, pointer) in [
        (json!({"tls": "required"}), "/tls"),
        (json!({"auth_mechanisms": ["PLAIN"]}), "/auth_mechanisms"),
        (json!({"username": null}), "/username"),
        (json!({"source_addresses": ["127.0.0.1", "x"]}), "/source_addresses/1"),
        (json!({"ehlo_name": "_"}), "/ehlo_name"),
    ] {
        assert_eq!(app.admin().patch(&place, patch).await.expect(422).pointers(), [pointer]);
    }
    app.stop().await;
}

#[tokio::test]
async fn mail_leaves_from_the_addresses_of_the_transport() {
    let app = App::test().sink(REMOTE, Script::new()).start().await;
    let alice = app.account("alice@example.test").await;
    let direct = json!({"name": "own", "type": "direct", "ehlo_name": "own.example.net",
                        "source_addresses": ["192.0.2.1", "127.0.0.9", "::ffff:127.0.0.8"]});
    let place = for_all(&app, direct).await;
    let made = app.admin().get(&place).await.expect(200);
    assert_eq!(made["source_addresses"], json!(["192.0.2.1", "127.0.0.9", "127.0.0.8"]));
    let id = alice.send(&["x@remote.test"], "x").await.id();
    alice.wait_for_status(&id, "delivered").await;
    let sink = app.sink(REMOTE);
    assert_eq!(sink.clients()[0].to_string(), "127.0.0.9");
    assert_eq!(sink.messages()[0].helo, "own.example.net");
    // A relay has them too.
    let sink = app.start_sink(RELAY, Script::new()).await;
    let relay = json!({"name": "relay", "type": "smtp", "host": RELAY, "ehlo_name": "r.example.net",
                       "port": app.delivery_port(), "source_addresses": ["127.0.0.8"]});
    let relay = app.admin().post(TRANSPORTS, relay).await.expect(201).id();
    let route = json!({"transport_id": relay, "account_id": alice.account_id});
    app.admin().post("/v1/routes", route).await.expect(201);
    let id = alice.send(&["x@remote.test"], "x").await.id();
    alice.wait_for_status(&id, "relayed").await;
    assert_eq!(sink.clients()[0].to_string(), "127.0.0.8");
    assert_eq!(sink.messages()[0].helo, "r.example.net");
    app.stop().await;
}

#[tokio::test]
async fn a_certificate_logs_in_and_its_key_is_never_shown() {
    let app = App::test().start().await;
    let alice = app.account("alice@example.test").await;
    let Asking { server, own, .. } = Asking::new(RELAY, &TLS13);
    let script = Script::new().starttls(server).capability("AUTH EXTERNAL").login("us", "-");
    let sink = app.start_sink(RELAY, script).await;
    let mut relay = json!({"name": "relay", "type": "smtp", "host": RELAY,
                           "port": app.delivery_port(), "client_certificate": own.chain});
    let missing = app.admin().post(TRANSPORTS, relay.clone()).await.expect(422);
    assert_eq!(missing.faults(), [("/client_key", "required")]);
    relay["client_key"] = json!(own.key);
    let unverified = app.admin().post(TRANSPORTS, relay.clone()).await.expect(422);
    assert_eq!(unverified.faults(), [("/tls", "invalid_value")]);
    relay["insecure_auth"] = json!(true);
    relay["auth_mechanisms"] = json!(["external"]);
    let place = for_all(&app, relay).await;
    let made = app.admin().get(&place).await.expect(200);
    assert_eq!(
        [&made["client_certificate"], &made["auth_mechanisms"]],
        [&json!(own.chain), &json!(["EXTERNAL"])]
    );
    assert!(!made.text().contains("PRIVATE KEY"));
    let stored = sqlx::query_scalar::<_, Vec<u8>>("SELECT client_key FROM transports");
    let stored = stored.fetch_one(app.db()).await.unwrap();
    assert!(!stored.windows(7).any(|window| window == b"PRIVATE"));
    let id = alice.send(&["x@remote.test"], "x").await.id();
    alice.wait_for_status(&id, "relayed").await;
    assert_eq!(sink.commands("AUTH"), ["AUTH EXTERNAL ="]);

    for (patch, fault) in [
        (json!({"client_key": own.key}), ("/client_certificate", "required")),
        (json!({"client_certificate": null}), ("/client_key", "required")),
        (json!({"client_certificate": own.chain, "client_key": null}), ("/client_key", "required")),
        (
            json!({"client_certificate": own.chain, "client_key": "x"}),
            ("/client_key", "invalid_key"),
        ),
        (json!({"insecure_auth": false}), ("/tls", "invalid_value")),
        (json!({"tls": "never"}), ("/tls", "invalid_value")),
    ] {
        let refused = app.admin().patch(&place, patch).await.expect(422);
        assert_eq!(refused.faults(), [fault]);
    }
    let gone = json!({"client_certificate": null, "client_key": null, "insecure_auth": false,
                      "auth_mechanisms": []});
    let gone = app.admin().patch(&place, gone).await.expect(200);
    assert_eq!(gone["client_certificate"], Value::Null);
    app.stop().await;
}
