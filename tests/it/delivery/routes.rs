//! Where a message goes: mail exchangers, aliases, null MX, the smart host.

use std::sync::Arc;

use posthouse_core::{
    config::SmartHost,
    ports::transport::{Credentials, Login, Origin, Tls},
};
use posthouse_tests::{
    app::App,
    certificates,
    dns::zone,
    sink::{Script, Stage},
};
use serde_json::Value;

#[tokio::test]
async fn exchangers_are_tried_by_preference_until_one_answers() {
    let remote = zone("remote.test").mx(20, "second").mx(10, "first").mx(30, "third");
    let app = App::test().dns(remote).start().await;
    app.add_host("first.remote.test");
    let second = app.start_sink("second.remote.test", Script::new()).await;
    let third = app.start_sink("third.remote.test", Script::new()).await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "x").await.id();
    let delivered = alice.wait_for_status(&message, "delivered").await.remove(0);
    assert_eq!(delivered["attempts"][0]["mx_host"], "second.remote.test");
    assert_eq!((second.count(), third.count()), (1, 0));
    app.stop().await;
}

#[tokio::test]
async fn a_busy_exchanger_is_passed_over_in_the_same_attempt() {
    let remote = zone("remote.test").mx(10, "busy").mx(20, "idle");
    let app = App::test().dns(remote).start().await;
    let busy = app
        .start_sink("busy.remote.test", Script::new().reply(Stage::Greeting, "421 4.3.2 Too busy"))
        .await;
    app.start_sink("idle.remote.test", Script::new()).await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "x").await.id();
    let delivered = alice.wait_for_status(&message, "delivered").await.remove(0);
    assert_eq!(delivered["attempts"].as_array().unwrap().len(), 1);
    assert!(busy.connections() >= 1);
    app.stop().await;
}

#[tokio::test]
async fn a_permanent_refusal_is_final_and_no_other_exchanger_is_asked() {
    let remote = zone("remote.test").mx(10, "first").mx(20, "second");
    let app = App::test().dns(remote).start().await;
    app.start_sink("first.remote.test", Script::new().reply(Stage::Rcpt, "550 5.1.1 No")).await;
    let second = app.start_sink("second.remote.test", Script::new()).await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "x").await.id();
    alice.wait_for_status(&message, "failed").await;
    assert_eq!(second.connections(), 0);
    app.stop().await;
}

#[tokio::test]
async fn a_domain_that_says_it_takes_no_mail_gets_none() {
    let app = App::test().dns(zone("remote.test").null_mx()).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "x").await.id();
    let failed = alice.wait_for_status(&message, "failed").await.remove(0);
    let attempt = &failed["attempts"][0];
    assert_eq!(attempt["smtp_code"], Value::Null);
    assert_eq!(attempt["enhanced_code"], "5.1.10");
    app.stop().await;
}

#[tokio::test]
async fn a_domain_without_exchangers_is_its_own() {
    let app = App::test().dns(zone("remote.test")).start().await;
    let sink = app.start_sink("remote.test", Script::new()).await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "x").await.id();
    alice.wait_for_status(&message, "delivered").await;
    assert_eq!(sink.count(), 1);
    app.stop().await;
}

#[tokio::test]
async fn a_domain_that_does_not_exist_fails_at_once_and_broken_dns_is_tried_again() {
    let app = App::test().dns(zone("broken.test").servfail("@")).start().await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@nowhere.test"], "x").await.id();
    let failed = alice.wait_for_status(&message, "failed").await.remove(0);
    assert_eq!(failed["attempts"][0]["enhanced_code"], "5.1.2");
    let message = alice.send(&["bob@broken.test"], "x").await.id();
    let deferred = alice.wait_for_status(&message, "deferred").await.remove(0);
    assert_eq!(deferred["attempts"][0]["enhanced_code"], "4.4.3");
    app.stop().await;
}

#[tokio::test]
async fn aliases_are_followed_but_not_for_ever() {
    let short = zone("short.test").cname_chain("@", 16, "mail.remote.test.");
    let long = zone("long.test").cname_chain("@", 17, "mail.remote.test.");
    let ring = zone("ring.test").cname("@", "other").cname("other", "@");
    let remote = zone("remote.test").mx_of("mail", 10, "mx");
    let app = App::test().dns(short).dns(long).dns(ring).dns(remote).start().await;
    let sink = app.start_sink("mx.remote.test", Script::new()).await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@short.test"], "x").await.id();
    alice.wait_for_status(&message, "delivered").await;
    assert_eq!(sink.messages()[0].rcpt_to, ["bob@short.test"]);
    for domain in ["long.test", "ring.test"] {
        let message = alice.send(&[&format!("bob@{domain}")], "x").await.id();
        let failed = alice.wait_for_status(&message, "failed").await.remove(0);
        assert_eq!(failed["attempts"][0]["enhanced_code"], "5.4.6", "{domain}");
    }
    app.stop().await;
}

#[tokio::test]
async fn everything_goes_through_the_smart_host_with_its_login() {
    let app = App::test()
        .configure(|config| {
            config.delivery.smart_host = Some(Arc::new(SmartHost {
                host: "relay.provider.test".to_owned(),
                port: config.delivery.port,
                tls: Tls::Required,
                login: Login::from(Credentials {
                    username: "customer".to_owned(),
                    password: "secret".to_owned(),
                }),
                origin: Origin::default(),
            }));
        })
        .start()
        .await;
    let tls = certificates::trusted(&app, "relay.provider.test");
    let script = Script::new().starttls(tls).login("customer", "secret");
    let relay = app.start_sink("relay.provider.test", script).await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test", "carol@other.test"], "x").await.id();
    let ended = posthouse_tests::wait::eventually("both are gone", async || {
        let deliveries = alice.deliveries(&message).await;
        let gone =
            |delivery: &Value| matches!(delivery["status"].as_str(), Some("delivered" | "relayed"));
        deliveries.iter().all(gone).then_some(deliveries)
    })
    .await;
    assert_eq!(ended[0]["status"], "relayed", "a smart host relays");
    let received = relay.messages();
    assert!(received.iter().all(|message| message.tls));
    assert!(received.iter().all(|message| message.login.as_deref() == Some("customer")));
    app.stop().await;
}

#[tokio::test]
async fn a_smart_host_with_a_certificate_of_somebody_else_gets_neither_login_nor_mail() {
    let app = App::test()
        .configure(|config| {
            config.delivery.smart_host = Some(Arc::new(SmartHost {
                host: "relay.provider.test".to_owned(),
                port: config.delivery.port,
                tls: Tls::Required,
                login: Login::from(Credentials {
                    username: "customer".to_owned(),
                    password: "secret".to_owned(),
                }),
                origin: Origin::default(),
            }));
        })
        .start()
        .await;
    let tls = certificates::untrusted("relay.provider.test");
    let script = Script::new().starttls(tls).login("customer", "secret");
    let relay = app.start_sink("relay.provider.test", script).await;
    let alice = app.account("alice@example.test").await;
    let message = alice.send(&["bob@remote.test"], "x").await.id();
    alice.wait_for_status(&message, "deferred").await;
    assert_eq!(relay.count(), 0);
    assert!(relay.commands("AUTH").is_empty());
    app.stop().await;
}
