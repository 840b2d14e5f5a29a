//! DKIM: what leaves is signed with both keys of its domain, as published.

use hickory_resolver::config::{NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::{AuthenticatedMessage, DkimResult, MessageAuthenticator};
use posthouse_tests::{
    app::App,
    dns::{DnsServer, zone},
    sink::Script,
};
use serde_json::json;

/// The other side's check, by a library that the server does not sign with.
pub(crate) async fn verify(dns: &DnsServer, message: &[u8]) -> Vec<(String, DkimResult)> {
    let mut server = NameServerConfig::udp_and_tcp(dns.address().ip());
    for connection in &mut server.connections {
        connection.port = dns.address().port();
    }
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let authenticator = MessageAuthenticator::new(config, ResolverOpts::default()).unwrap();
    let message = AuthenticatedMessage::parse(message).unwrap();
    let outputs = authenticator.verify_dkim(&message).await;
    let outcome = |output: &mail_auth::DkimOutput<'_>| {
        let signature = output.signature().unwrap();
        (format!("{:?}", signature.a), output.result().clone())
    };
    outputs.iter().map(outcome).collect()
}

pub(crate) async fn publish(app: &App, domain: &str) {
    let answer = app.admin().post("/v1/domains", json!({"name": domain})).await.expect(201);
    let mut zone = zone(domain);
    for record in answer["records"].as_array().unwrap() {
        let (name, value) = (record["name"].as_str().unwrap(), record["value"].as_str().unwrap());
        if record["type"] == "TXT" {
            zone = zone.txt(&format!("{}.", name.trim_end_matches('.')), value);
        }
    }
    app.dns().set(zone);
}

#[tokio::test]
async fn both_signatures_verify_at_the_other_side() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    publish(&app, "example.test").await;
    let alice = app.account_with(&["alice@example.test"]).await;
    let message = json!({
        "from": "Alice <alice@example.test>", "to": ["bob@remote.test"],
        "subject": "Signed: a subject that is long enough to be folded over two lines of header",
        "text": "Hello.  \n\n\n", "html": "<p>Hällo</p>",
    });
    let message = alice.post_message(message).await.expect(202);
    alice.wait_for_status(&message.id(), "delivered").await;

    let received = app.sink("mx.remote.test").messages().remove(0);
    let mut results = verify(app.dns(), &received.data).await;
    results.sort_by(|a, b| a.0.cmp(&b.0));
    let names: Vec<_> = results.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Ed25519Sha256", "RsaSha256"], "{}", received.text());
    for (name, result) in &results {
        assert_eq!(*result, DkimResult::Pass, "{name}: {}", received.text());
    }

    // Over-signed: a second Subject breaks both.
    let forged = format!("Subject: Forged\r\n{}", received.text());
    for (name, result) in verify(app.dns(), forged.as_bytes()).await {
        assert_ne!(result, DkimResult::Pass, "{name} takes an added Subject");
    }
    app.stop().await;
}

#[tokio::test]
async fn what_a_mail_program_submits_is_signed_and_completed() {
    let app = App::test().sink("mx.remote.test", Script::new()).start().await;
    publish(&app, "example.test").await;
    let alice = app.account_with(&["alice@example.test"]).await;
    alice.submit(&["bob@remote.test"], "By SMTP").await.expect("250 2.0.0");
    let sink = app.sink("mx.remote.test");
    let received = sink.wait_for(1, posthouse_tests::wait::PATIENCE).await.unwrap().remove(0);
    let text = received.text();
    for name in ["\r\nDate: ", "\r\nMessage-ID: <"] {
        assert!(text.contains(name), "no {name:?} in {text}");
    }
    let results = verify(app.dns(), &received.data).await;
    assert_eq!(results.len(), 2, "{text}");
    assert!(results.iter().all(|(_, result)| *result == DkimResult::Pass), "{results:?}\n{text}");
    app.stop().await;
}
