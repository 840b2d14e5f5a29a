//! Logging in: which mechanism, and when not at all. Exchanges word for word are in `transcripts`.

use posthouse_core::ports::transport::{
    Credentials, Job, Login, Mechanism, Report, Tls, Transport as _,
};
use posthouse_tests::{
    certificates::Asking,
    sink::{Script, Sink},
};
use rustls::version::{TLS12, TLS13};

use super::{
    job, results,
    tls::{certificate, client_with, no_roots},
    with_hop,
};

fn credentials(password: &str) -> Login {
    Credentials { username: "user".into(), password: password.into() }.into()
}

fn login_job(sink: &Sink, tls: Tls, login: Login) -> Job {
    with_hop(job(sink, &["a@b.example"]), |hop| {
        hop.tls = tls;
        hop.login = login;
    })
}

/// What came of it, and the AUTH command up to its initial response.
fn tried(report: &Report, sink: &Sink) -> (String, String) {
    let commands = sink.commands("AUTH");
    let used = commands.first().map_or("", |line| line.split(' ').nth(1).unwrap_or_default());
    (results(report).remove(0), used.to_owned())
}

#[tokio::test]
async fn the_strongest_mechanism_is_used() {
    let (server, roots) = certificate();
    for (offer, used) in [
        ("LOGIN", "LOGIN"),
        ("LOGIN PLAIN", "PLAIN"),
        ("PLAIN SCRAM-SHA-1 LOGIN", "SCRAM-SHA-1"),
        ("SCRAM-SHA-1 PLAIN SCRAM-SHA-256 LOGIN EXTERNAL", "SCRAM-SHA-256"),
        ("SCRAM-SHA-256 SCRAM-SHA-1-PLUS", "SCRAM-SHA-1-PLUS"),
        ("SCRAM-SHA-1-PLUS SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"),
    ] {
        let script = Script::new().capability(&format!("AUTH {offer}")).login("user", "secret");
        let sink = Sink::start(script.starttls(server.clone()));
        let client = client_with(roots.clone());
        let job = login_job(&sink, Tls::Required, credentials("secret"));
        let told = tried(&client.deliver(job).await, &sink);
        assert_eq!(told, ("+250 2.0.0".to_owned(), used.to_owned()), "{offer}");
        assert_eq!(sink.messages()[0].login.as_deref(), Some("user"));
        let job = login_job(&sink, Tls::Required, credentials("wrong"));
        assert_eq!(results(&client.deliver(job).await), ["~535 5.7.8"], "{offer}");
    }
}

/// RFC 5802 §6: `p` binds, `y` means that we could and were not offered it, `n` that we cannot.
#[tokio::test]
async fn channel_binding_needs_tls_1_3() {
    let (both, weaker) = ("SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SCRAM-SHA-256");
    let only = vec![Mechanism::ScramSha256];
    for (version, offer, mechanisms, command) in [
        (&TLS13, both, vec![], "AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIsL"),
        (&TLS12, both, vec![], "AUTH SCRAM-SHA-256 biws"),
        (&TLS13, weaker, vec![], "AUTH SCRAM-SHA-256 eSws"),
        (&TLS12, weaker, vec![], "AUTH SCRAM-SHA-256 biws"),
        (&TLS13, both, only.clone(), "AUTH SCRAM-SHA-256 biws"),
        (&TLS13, weaker, only, "AUTH SCRAM-SHA-256 biws"),
    ] {
        let Asking { server, roots, .. } = Asking::new("mx.test", version);
        let script = Script::new().capability(&format!("AUTH {offer}"));
        let sink = Sink::start(script.login("user", "secret").starttls(server));
        let login = Login { mechanisms, ..credentials("secret") };
        let report = client_with(roots).deliver(login_job(&sink, Tls::Required, login)).await;
        assert_eq!(results(&report), ["+250 2.0.0"]);
        assert!(sink.commands("AUTH")[0].starts_with(command), "{:?}", sink.commands("AUTH"));
    }
}

#[tokio::test]
async fn a_server_has_to_prove_that_it_knows_the_password() {
    let (server, roots) = certificate();
    let script = Script::new().capability("AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256");
    let script = script.login("user", "secret").forging_proofs();
    let sink = Sink::start(script.starttls(server));
    let job = login_job(&sink, Tls::Required, credentials("secret"));
    let report = client_with(roots).deliver(job).await;
    assert_eq!((results(&report), sink.count()), (vec!["~local 4.7.0".to_owned()], 0));
}

#[tokio::test]
async fn only_what_the_transport_permits_is_used() {
    let (server, roots) = certificate();
    let scram = Mechanism::ScramSha256;
    for (offer, permitted, expected) in [
        ("SCRAM-SHA-256-PLUS SCRAM-SHA-256", vec![scram], ("+250 2.0.0", "SCRAM-SHA-256")),
        ("SCRAM-SHA-256 PLAIN", vec![Mechanism::Plain], ("+250 2.0.0", "PLAIN")),
        ("PLAIN LOGIN", vec![scram, Mechanism::CramMd5], ("~local 4.7.0", "")),
    ] {
        let script = Script::new().capability(&format!("AUTH {offer}")).login("user", "secret");
        let sink = Sink::start(script.starttls(server.clone()));
        let login = Login { mechanisms: permitted, ..credentials("secret") };
        let job = login_job(&sink, Tls::Required, login);
        let told = tried(&client_with(roots.clone()).deliver(job).await, &sink);
        assert_eq!(told, (expected.0.to_owned(), expected.1.to_owned()), "{offer}");
    }
}

#[tokio::test]
async fn credentials_are_not_sent_without_verified_tls_unless_told() {
    let (server, _) = certificate();
    let plain = vec![Mechanism::Plain];
    for (script, tls) in [
        (Script::new(), Tls::Never),
        (Script::new(), Tls::Opportunistic),
        (Script::new().starttls(server), Tls::Opportunistic),
    ] {
        let cases = [
            (credentials("secret"), "PLAIN SCRAM-SHA-256", ("~local 4.7.0", "")),
            (credentials("secret"), "PLAIN", ("~local 4.7.0", "")),
            (told(Vec::new()), "PLAIN SCRAM-SHA-256", ("+250 2.0.0", "SCRAM-SHA-256")),
            (told(Vec::new()), "PLAIN LOGIN", ("~local 4.7.0", "")),
            (told(plain.clone()), "PLAIN SCRAM-SHA-256", ("+250 2.0.0", "PLAIN")),
        ];
        for (login, offer, expected) in cases {
            let script = script.clone().capability(&format!("AUTH {offer}"));
            let sink = Sink::start(script.login("user", "secret"));
            let job = login_job(&sink, tls, login);
            let told = tried(&client_with(no_roots()).deliver(job).await, &sink);
            assert_eq!(told, (expected.0.to_owned(), expected.1.to_owned()), "{offer} {tls:?}");
        }
    }
}

/// To anybody.
fn told(mechanisms: Vec<Mechanism>) -> Login {
    Login { unverified: true, mechanisms, ..credentials("secret") }
}

#[tokio::test]
async fn a_certificate_logs_in_by_external_or_by_itself() {
    let Asking { server, roots, own } = Asking::new("mx.test", &TLS13);
    let login = Login { certificate: Some(own), ..Login::default() };
    let external = vec![Mechanism::External];
    for (offer, mechanisms, expected) in [
        ("AUTH PLAIN EXTERNAL", vec![], ("+250 2.0.0", "EXTERNAL")),
        // The server knows us by the handshake, and wants no more.
        ("X-NOTHING", vec![], ("+250 2.0.0", "")),
        ("AUTH PLAIN", external, ("~local 4.7.0", "")),
    ] {
        let script = Script::new().capability(offer).starttls(server.clone());
        let script = if offer.contains("AUTH") { script.login("user", "secret") } else { script };
        let sink = Sink::start(script);
        let job = login_job(&sink, Tls::Required, Login { mechanisms, ..login.clone() });
        let told = tried(&client_with(roots.clone()).deliver(job).await, &sink);
        assert_eq!(told, (expected.0.to_owned(), expected.1.to_owned()), "{offer}");
    }
    // A password and no certificate: EXTERNAL is not for us.
    let script = Script::new().capability("AUTH PLAIN EXTERNAL").login("user", "secret");
    let sink = Sink::start(script.starttls(server));
    let job = login_job(&sink, Tls::Required, credentials("secret"));
    let told = tried(&client_with(roots).deliver(job).await, &sink);
    assert_eq!(told, ("+250 2.0.0".to_owned(), "PLAIN".to_owned()));
}

#[tokio::test]
async fn a_long_response_comes_after_an_empty_challenge() {
    let (server, roots) = certificate();
    let long = "x".repeat(255);
    let script = Script::new().login("user", &long).starttls(server);
    let sink = Sink::start(script.capability("AUTH PLAIN"));
    let job = login_job(&sink, Tls::Required, credentials(&long));
    assert_eq!(results(&client_with(roots.clone()).deliver(job).await), ["+250 2.0.0"]);
    assert!(sink.commands("AUTH")[0].starts_with("AUTH PLAIN A"), "it fits");
    let name = "u".repeat(255);
    let script = Script::new().login(&name, &long).starttls(certificate().0);
    let sink = Sink::start(script.capability("AUTH PLAIN"));
    let login = Credentials { username: name, password: long };
    let login = Login { unverified: true, mechanisms: vec![Mechanism::Plain], ..login.into() };
    let job = login_job(&sink, Tls::Opportunistic, login);
    assert_eq!(results(&client_with(roots).deliver(job).await), ["+250 2.0.0"]);
    assert_eq!(sink.commands("AUTH"), ["AUTH PLAIN"]);
}
