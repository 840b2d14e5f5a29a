//! REQUIRETLS and TLS-Required: No (RFC 8689), as the client sees them.

use std::sync::Arc;

use posthouse_core::ports::transport::{Dane, Job, Reply, RequireTls, Tls, Transport as _};
use posthouse_tests::sink::{Script, Sink};

use super::{
    host, job, job_to, results,
    tls::{certificate, client_with},
    with_hop, with_security,
};

fn requiring(mut job: Job) -> Job {
    job.require_tls = RequireTls::Yes;
    job
}

fn named(job: Job) -> Job {
    with_security(job, |security| security.pkix = true)
}

#[tokio::test]
async fn the_wish_is_told_to_a_host_that_proves_its_name_and_offers_it() {
    let (server, roots) = certificate();
    let sink = Sink::start(Script::new().starttls(server).capability("REQUIRETLS"));
    let client = client_with(roots);
    let wish = || requiring(named(job(&sink, &["a@b.example"])));
    assert_eq!(results(&client.deliver(wish()).await), ["+250 2.0.0"]);
    // Again, on the connection that is open.
    assert_eq!(results(&client.deliver(wish()).await), ["+250 2.0.0"]);
    assert_eq!(sink.connections(), 1);
    for message in sink.messages() {
        assert!(message.tls && message.mail_parameters.contains(" REQUIRETLS"), "{message:?}");
    }
    // Others do not ask for it.
    assert_eq!(results(&client.deliver(named(job(&sink, &["a@b.example"]))).await), ["+250 2.0.0"]);
    assert!(!sink.messages()[2].mail_parameters.contains("REQUIRETLS"));
}

#[tokio::test]
async fn a_host_that_nothing_vouches_for_is_not_even_connected_to() {
    let (server, roots) = certificate();
    let sink = Sink::start(Script::new().starttls(server).capability("REQUIRETLS"));
    let client = client_with(roots);
    let plain = requiring(job(&sink, &["a@b.example"]));
    assert_eq!(results(&client.deliver(plain).await), ["-local 5.7.30"]);
    // TLSA records that cannot be used say nothing of who it is.
    let unusable = with_security(job(&sink, &["a@b.example"]), |security| {
        security.dane = Some(Arc::new(Dane { records: Vec::new(), names: Vec::new() }));
    });
    assert_eq!(results(&client.deliver(requiring(unusable)).await), ["-local 5.7.30"]);
    for tls in [Tls::Never, Tls::Opportunistic] {
        let relay = with_hop(job(&sink, &["a@b.example"]), |hop| hop.tls = tls);
        assert_eq!(results(&client.deliver(requiring(relay)).await), ["-local 5.7.30"]);
    }
    assert_eq!(sink.connections(), 0);
    // A smart host with verified TLS and the extension will do (D6).
    let relay = with_hop(job(&sink, &["a@b.example"]), |hop| hop.tls = Tls::Required);
    assert_eq!(results(&client.deliver(requiring(relay)).await), ["+250 2.0.0"]);
}

#[tokio::test]
async fn a_host_without_the_extension_after_starttls_gets_nothing() {
    let (server, roots) = certificate();
    let sink = Sink::start(Script::new().starttls(server));
    let report = client_with(roots).deliver(requiring(named(job(&sink, &["a@b.example"])))).await;
    assert_eq!(results(&report), ["-local 5.7.30"]);
    assert!(report.outcomes[0].reply().text.contains("mx.test"));
    assert_eq!((sink.count(), sink.commands("MAIL").len(), sink.commands("QUIT").len()), (0, 0, 1));
}

#[tokio::test]
async fn one_host_that_can_is_enough_and_one_that_may_is_waited_for() {
    let (server, roots) = certificate();
    let lacking = Sink::start(Script::new().starttls(server.clone()));
    let port = lacking.addr().port();
    let script = Script::new().starttls(server).capability("REQUIRETLS");
    let able = Sink::start_at(script, ([127, 0, 0, 2], port).into());
    let two = |second: &Sink| {
        let hosts = vec![host("mx.test", &lacking), host("mx.test", second)];
        requiring(named(job_to(hosts, port, &["a@b.example"])))
    };
    let client = client_with(roots);
    assert_eq!(results(&client.deliver(two(&able)).await), ["+250 2.0.0"]);
    assert_eq!((lacking.count(), able.count()), (0, 1));
    // A host that cannot be reached now may be able to.
    let mut away = two(&lacking);
    away = with_hop(away, |hop| {
        hop.hosts[1].name = "away.test".into();
        hop.hosts[1].addresses = vec![[127, 0, 0, 3].into()];
    });
    assert_eq!(results(&client.deliver(away).await), ["~local 4.4.1"]);
    let mut barred = two(&lacking);
    barred = with_hop(barred, |hop| {
        hop.hosts[1].name = "barred.test".into();
        hop.hosts[1].security.barred = Some(Arc::new(Reply::local("4.7.1", "not named")));
    });
    assert_eq!(results(&client.deliver(barred).await), ["~local 4.7.1"]);
    assert_eq!(lacking.count(), 0);
}
