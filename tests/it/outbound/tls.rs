//! TLS policies.

use std::sync::Arc;

use posthouse_core::ports::transport::{Reply, Report, RequireTls, Tls, Transport as _};
use posthouse_smtp_gateway::outbound::Outbound;
use posthouse_tests::sink::{Script, Sink};
use rustls::{RootCertStore, ServerConfig, pki_types::PrivatePkcs8KeyDer};

use super::{config, job, results, with_hop, with_security};

/// A server configuration for `mx.test`, and roots that trust it.
pub(super) fn certificate() -> (Arc<ServerConfig>, Arc<RootCertStore>) {
    let made = rcgen::generate_simple_self_signed(["mx.test".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    (Arc::new(server), Arc::new(roots))
}

pub(super) fn client_with(roots: Arc<RootCertStore>) -> Outbound {
    let mut config = config();
    config.roots = roots;
    Outbound::new(&config).unwrap()
}

async fn deliver(sink: &Sink, tls: Tls, roots: Arc<RootCertStore>) -> Report {
    let job = with_hop(job(sink, &["a@b.example"]), |hop| hop.tls = tls);
    client_with(roots).deliver(job).await
}

pub(super) fn no_roots() -> Arc<RootCertStore> {
    Arc::new(RootCertStore::empty())
}

fn verification(report: &Report) -> Option<&'static str> {
    report.peer.as_ref()?.tls.as_ref().map(|tls| tls.verification)
}

#[tokio::test]
async fn starttls_is_used_when_offered() {
    let (server, roots) = certificate();
    let (_, other_roots) = certificate();
    for (roots, expected) in
        [(no_roots(), "opportunistic"), (other_roots, "opportunistic"), (roots, "pkix")]
    {
        let sink = Sink::start(Script::new().starttls(server.clone()));
        let report = deliver(&sink, Tls::Opportunistic, roots).await;
        assert_eq!(results(&report), ["+250 2.0.0"]);
        assert_eq!(verification(&report), Some(expected));
        let tls = report.peer.unwrap().tls.unwrap();
        assert_eq!(tls.version, "TLSv1.3");
        assert!(tls.cipher.starts_with("TLS_AES") || tls.cipher.starts_with("TLS_CHACHA"));
        assert!(sink.messages()[0].tls);
        // Capabilities are asked for again (RFC 3207 §4.2).
        assert_eq!(sink.commands("EHLO").len(), 2);
    }
}

#[tokio::test]
async fn protected_connection_is_reused() {
    let (server, roots) = certificate();
    let sink = Sink::start(Script::new().starttls(server));
    let client = client_with(roots);
    for _ in 0..3 {
        let report = client.deliver(job(&sink, &["a@b.example"])).await;
        assert_eq!(verification(&report), Some("pkix"));
    }
    assert_eq!((sink.connections(), sink.count()), (1, 3));
}

#[tokio::test]
async fn large_message_goes_through_tls() {
    let (server, roots) = certificate();
    let sink = Sink::start(Script::new().starttls(server));
    let mut job = job(&sink, &["a@b.example"]);
    job.message.prefix = bytes::Bytes::new();
    let body = bytes::Bytes::from(".line\r\n".repeat(300_000));
    job.message.body = body.clone().into();
    let report = client_with(roots).deliver(job).await;
    assert_eq!(results(&report), ["+250 2.0.0"]);
    assert!(sink.messages()[0].data == body);
}

#[tokio::test]
async fn never_means_never() {
    let (server, roots) = certificate();
    let sink = Sink::start(Script::new().starttls(server));
    let report = deliver(&sink, Tls::Never, roots).await;
    assert_eq!((results(&report), verification(&report)), (vec!["+250 2.0.0".into()], None));
}

#[tokio::test]
async fn broken_tls_falls_back_to_plain_text_on_a_new_connection() {
    let sink = Sink::start(Script::new().broken_starttls());
    let report = deliver(&sink, Tls::Opportunistic, no_roots()).await;
    assert_eq!(results(&report), ["+250 2.0.0"]);
    assert_eq!(verification(&report), None);
    assert_eq!((sink.connections(), sink.messages()[0].connection), (2, 2));
}

#[tokio::test]
async fn refused_starttls_goes_on_in_plain_text() {
    let (server, _) = certificate();
    let stage = posthouse_tests::sink::Stage::StartTls;
    let sink = Sink::start(Script::new().starttls(server.clone()).reply(stage, "454 4.7.0 No"));
    let report = deliver(&sink, Tls::Opportunistic, no_roots()).await;
    assert_eq!((results(&report), sink.connections()), (vec!["+250 2.0.0".into()], 1));
    let sink = Sink::start(Script::new().starttls(server).hang_at(stage));
    let report = deliver(&sink, Tls::Opportunistic, no_roots()).await;
    assert_eq!((results(&report), sink.connections()), (vec!["+250 2.0.0".into()], 2));
}

#[tokio::test]
async fn required_tls_is_never_given_up() {
    let (server, roots) = certificate();
    let stage = posthouse_tests::sink::Stage::StartTls;
    let refusing = Script::new().starttls(server.clone()).reply(stage, "454 4.7.0 No");
    for (script, expected) in [
        (Script::new(), "~local 4.7.4"),
        (Script::new().broken_starttls(), "~local 4.7.5"),
        (refusing, "~454 4.7.0"),
    ] {
        let sink = Sink::start(script);
        let report = deliver(&sink, Tls::Required, roots.clone()).await;
        assert_eq!((results(&report), sink.count()), (vec![expected.to_owned()], 0));
    }
    for untrusting in [no_roots(), certificate().1] {
        let sink = Sink::start(Script::new().starttls(server.clone()));
        let report = deliver(&sink, Tls::Required, untrusting).await;
        assert_eq!((results(&report), sink.count()), (vec!["~local 4.7.5".to_owned()], 0));
    }
    let sink = Sink::start(Script::new().starttls(server));
    let report = deliver(&sink, Tls::Required, roots.clone()).await;
    assert_eq!(results(&report), ["+250 2.0.0"]);
    assert_eq!(verification(&report), Some("pkix"));
}

#[tokio::test]
async fn a_policy_of_the_receiving_side_is_never_given_up() {
    let (server, roots) = certificate();
    let wants_pkix = |sink: &Sink| with_security(job(sink, &["a@b.example"]), |it| it.pkix = true);
    let trusting = [
        (Script::new(), "~local 4.7.4"),
        (Script::new().broken_starttls(), "~local 4.7.5"),
        (Script::new().starttls(server.clone()), "+250 2.0.0"),
    ];
    for (script, expected) in trusting {
        let sink = Sink::start(script);
        let report = client_with(roots.clone()).deliver(wants_pkix(&sink)).await;
        assert_eq!(results(&report), [expected]);
    }
    let sink = Sink::start(Script::new().starttls(server));
    let client = client_with(no_roots());
    let report = client.deliver(wants_pkix(&sink)).await;
    assert_eq!((results(&report), sink.count()), (vec!["~local 4.7.5".to_owned()], 0));
    // TLS-Required: No passes over it (RFC 8689 §4.3); its connection is not for others.
    let mut no = wants_pkix(&sink);
    no.require_tls = RequireTls::No;
    assert_eq!(results(&client.deliver(no).await), ["+250 2.0.0"]);
    assert_eq!(results(&client.deliver(wants_pkix(&sink)).await), ["~local 4.7.5"]);
}

#[tokio::test]
async fn a_barred_host_is_not_connected_to() {
    let sink = Sink::start(Script::new());
    let barred = Arc::new(Reply::local("4.7.5", "not in the policy"));
    let mut job = with_security(job(&sink, &["a@b.example"]), |security| {
        security.barred = Some(barred.clone());
    });
    let client = client_with(no_roots());
    assert_eq!(results(&client.deliver(job.clone()).await), ["~local 4.7.5"]);
    assert_eq!(sink.connections(), 0);
    job.require_tls = RequireTls::No;
    assert_eq!(results(&client.deliver(job).await), ["+250 2.0.0"]);
}

#[tokio::test]
async fn certificate_must_be_for_the_host() {
    let (server, roots) = certificate();
    let sink = Sink::start(Script::new().starttls(server));
    let job = with_hop(job(&sink, &["a@b.example"]), |hop| {
        hop.tls = Tls::Required;
        hop.hosts[0].name = "other.test".into();
    });
    let report = client_with(roots).deliver(job).await;
    assert_eq!((results(&report), sink.count()), (vec!["~local 4.7.5".to_owned()], 0));
}

#[tokio::test]
async fn plain_text_behind_starttls_is_an_attack() {
    let (server, roots) = certificate();
    let text = "250-sink.example\r\n250 AUTH PLAIN\r\n";
    for tls in [Tls::Opportunistic, Tls::Required] {
        let sink = Sink::start(Script::new().injecting_starttls(server.clone(), text));
        let report = deliver(&sink, tls, roots.clone()).await;
        assert_eq!(results(&report), ["~local 4.7.5"]);
        assert_eq!((sink.count(), sink.commands("MAIL").len()), (0, 0));
    }
}

#[tokio::test]
async fn implicit_tls_is_verified() {
    let (server, roots) = certificate();
    let sink = Sink::start(Script::new().implicit_tls(server));
    let report = deliver(&sink, Tls::Implicit, roots).await;
    assert_eq!(results(&report), ["+250 2.0.0"]);
    assert_eq!(verification(&report), Some("pkix"));
    let report = deliver(&sink, Tls::Implicit, no_roots()).await;
    assert_eq!(results(&report), ["~local 4.7.5"]);
}
