//! What the client makes of TLSA records (RFC 7672); which ones there are is not its business.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use posthouse_core::ports::transport::{Dane, Job, RequireTls, Tlsa, Transport as _};
use posthouse_tests::sink::{Script, Sink};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::ResolvesServerCertUsingSni,
    sign::CertifiedKey,
};

use super::{client, job, results, with_security};

/// A server that has a certificate for this name in SNI only, and may resume sessions.
fn server(name: &str) -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let certificate = made.cert.der().clone();
    let certified = CertifiedKey::from_der(vec![certificate.clone()], key, &provider).unwrap();
    let mut resolver = ResolvesServerCertUsingSni::new();
    resolver.add(name, certified).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    (Arc::new(config), certificate)
}

/// A job whose host has to have a certificate of this digest.
fn job_for(sink: &Sink, base: &str, octets: &[u8]) -> Job {
    let data = digest(&SHA256, octets).as_ref().to_vec();
    let record = Tlsa { usage: 3, selector: 0, matching: 1, data };
    let dane = Arc::new(Dane { records: vec![record], names: vec![base.into()] });
    with_security(job(sink, &["a@b.example"]), |security| security.dane = Some(dane.clone()))
}

#[tokio::test]
async fn rfc7672_8_1_sni_has_the_base_domain_of_the_records() {
    let (server, certificate) = server("base.test");
    let sink = Sink::start(Script::new().starttls(server));
    let report = client().deliver(job_for(&sink, "base.test", &certificate)).await;
    assert_eq!(results(&report), ["+250 2.0.0"]);
    let tls = report.peer.and_then(|peer| peer.tls).unwrap();
    assert_eq!(tls.verification, "dane");
    let report = client().deliver(job_for(&sink, "mx.test", &certificate)).await;
    assert_eq!((results(&report), sink.count()), (vec!["~local 4.7.5".to_owned()], 1));
}

#[tokio::test]
async fn rfc7672_2_2_there_is_no_way_back_to_plain_text() {
    let (server, certificate) = server("mx.test");
    let stage = posthouse_tests::sink::Stage::StartTls;
    for (script, expected) in [
        (Script::new(), "~local 4.7.4"),
        (Script::new().broken_starttls(), "~local 4.7.5"),
        (Script::new().starttls(server).reply(stage, "454 4.7.0 No"), "~454 4.7.0"),
    ] {
        let sink = Sink::start(script);
        let report = client().deliver(job_for(&sink, "mx.test", &certificate)).await;
        assert_eq!((results(&report), sink.count()), (vec![expected.to_owned()], 0));
        assert_eq!(sink.commands("MAIL").len(), 0);
    }
}

#[tokio::test]
async fn neither_connections_nor_sessions_are_shared_with_other_records() {
    let (server, certificate) = server("mx.test");
    let sink = Sink::start(Script::new().starttls(server));
    let client = client();
    let good = || job_for(&sink, "mx.test", &certificate);
    assert_eq!(results(&client.deliver(good()).await), ["+250 2.0.0"]);
    assert_eq!(results(&client.deliver(good()).await), ["+250 2.0.0"]);
    assert_eq!(sink.connections(), 1);
    let bad = || job_for(&sink, "mx.test", b"another");
    assert_eq!(results(&client.deliver(bad()).await), ["~local 4.7.5"]);
    // A message that may go anyhow (RFC 8689 §4.3) does not vouch for the others.
    let anyhow = Job { require_tls: RequireTls::No, ..bad() };
    assert_eq!(results(&client.deliver(anyhow).await), ["+250 2.0.0"]);
    assert_eq!(results(&client.deliver(bad()).await), ["~local 4.7.5"]);
    assert_eq!(sink.count(), 3);
}
