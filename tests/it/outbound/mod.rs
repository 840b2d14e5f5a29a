//! The SMTP client of the gateway against the scripted sink.

#![cfg(test)]

mod auth;
mod bounds;
mod chunking;
mod connections;
mod dane;
mod delivery;
mod dsn;
mod origin;
mod refusals;
mod require_tls;
mod tls;
mod transcripts;

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use posthouse_core::{
    mta_sts::Sts,
    ports::transport::{
        Content, Hop, Host, Job, Login, Origin, Outcome, Recipient, Report, RequireTls, Security,
        Tls, Transport as _,
    },
};
use posthouse_mail::dsn::Ret;
use posthouse_smtp_gateway::outbound::{Outbound, OutboundConfig};
use posthouse_tests::sink::Sink;
use rustls::RootCertStore;

const MESSAGE: &str = "Subject: hello\r\n\r\n.dot\r\n\r\n.\r\nend\r\n";

/// A configuration with short time-outs and no roots.
fn config() -> OutboundConfig {
    let mut config = OutboundConfig::new("client.example", Arc::new(RootCertStore::empty()));
    let timeouts = &mut config.timeouts;
    timeouts.connect = Duration::from_secs(2);
    timeouts.greeting = Duration::from_millis(300);
    timeouts.command = Duration::from_millis(300);
    timeouts.data_start = Duration::from_millis(300);
    timeouts.data_end = Duration::from_millis(300);
    timeouts.quit = Duration::from_millis(300);
    config
}

fn client() -> Outbound {
    Outbound::new(&config()).unwrap()
}

/// A job for one host at the address of `sink`.
fn job(sink: &Sink, recipients: &[&str]) -> Job {
    job_to(vec![host("mx.test", sink)], sink.addr().port(), recipients)
}

fn host(name: &str, sink: &Sink) -> Host {
    let addresses = vec![sink.addr().ip()];
    Host { name: name.into(), preference: None, addresses, security: Security::default() }
}

fn job_to(hosts: Vec<Host>, port: u16, recipients: &[&str]) -> Job {
    Job {
        hop: Arc::new(Hop {
            hosts,
            port,
            tls: Tls::Opportunistic,
            login: Login::default(),
            origin: Origin::default(),
            ip: None,
            sts: Sts::Absent,
        }),
        mail_from: "from@a.example".into(),
        envelope_id: None,
        ret: Ret::Headers,
        recipients: recipients.iter().map(|address| Recipient::from(*address)).collect(),
        message: content(MESSAGE),
        attempt: 0,
        require_tls: RequireTls::Default,
        last_address: None,
        per_connection: None,
    }
}

fn content(body: &str) -> Content {
    Content {
        prefix: Bytes::from_static(b"Received: by test\r\n"),
        body: Bytes::copy_from_slice(body.as_bytes()).into(),
        smtputf8: false,
        eight_bit: !body.is_ascii(),
    }
}

/// Changes what the hosts of a job have to prove.
fn with_security(job: Job, change: impl Fn(&mut Security)) -> Job {
    with_hop(job, |hop| hop.hosts.iter_mut().for_each(|host| change(&mut host.security)))
}

/// Changes the hop of a job.
fn with_hop(mut job: Job, change: impl FnOnce(&mut Hop)) -> Job {
    let mut hop = Hop::clone(&job.hop);
    change(&mut hop);
    job.hop = Arc::new(hop);
    job
}

/// Delivers one job with a new client.
async fn deliver(job: Job) -> Report {
    client().deliver(job).await
}

/// The results in short: `+250`, `~451 4.7.1`, `-550 5.1.1`, with `local` for no code.
fn results(report: &Report) -> Vec<String> {
    let show = |outcome: &Outcome| {
        let sign = match outcome {
            Outcome::Delivered { .. } => '+',
            Outcome::Deferred(_) => '~',
            Outcome::Failed(_) => '-',
        };
        let reply = outcome.reply();
        let code = reply.code.map_or_else(|| "local".to_owned(), |code| code.to_string());
        let enhanced = reply.enhanced.as_deref().unwrap_or("none");
        format!("{sign}{code} {enhanced}")
    };
    report.outcomes.iter().map(show).collect()
}

fn remote(report: &Report) -> Option<IpAddr> {
    report.peer.as_ref().and_then(|peer| peer.remote_address)
}
