//! Servers that hang, talk without end or are not there.

use std::time::{Duration, Instant};

use bytes::Bytes;
use posthouse_core::ports::transport::Transport as _;
use posthouse_smtp_gateway::outbound::Outbound;
use posthouse_tests::sink::{Script, Sink, Stage};

use super::{client, config, deliver, job, remote, results, with_hop};

#[tokio::test]
async fn silence_at_any_stage_ends_as_deferred() {
    let stages = [
        Stage::Greeting,
        Stage::Ehlo,
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::Message,
        Stage::EndOfData,
    ];
    for stage in stages {
        let sink = Sink::start(Script::new().hang_at(stage));
        let started = Instant::now();
        let report = deliver(job(&sink, &["a@b.example", "b@b.example"])).await;
        assert_eq!(results(&report), ["~local 4.4.2"; 2], "{stage:?}");
        assert!(started.elapsed() < Duration::from_secs(3), "{stage:?}");
        assert!(report.outcomes[0].reply().text.starts_with("mx.test: the server did not"));
        assert_eq!(remote(&report), Some(sink.addr().ip()));
        assert_eq!(sink.connections(), 1);
    }
}

#[tokio::test]
async fn hanging_in_the_middle_of_a_large_message_ends_as_deferred() {
    let sink = Sink::start(Script::new().hang_at(Stage::Message));
    let mut config = config();
    config.timeouts.data_block = Duration::from_millis(300);
    let mut large = job(&sink, &["a@b.example"]);
    large.message.body = Bytes::from(vec![b'x'; 30_000_000]).into();
    let report = Outbound::new(&config).unwrap().deliver(large).await;
    assert_eq!(results(&report), ["~local 4.4.2"]);
}

#[tokio::test]
async fn slow_drip_is_over_with_the_session() {
    let sink = Sink::start(Script::new().no_pipelining().slow(Duration::from_millis(120)));
    let mut config = config();
    config.timeouts.session = Duration::from_millis(400);
    let started = Instant::now();
    let report = Outbound::new(&config).unwrap().deliver(job(&sink, &["a@b.example"])).await;
    assert_eq!(results(&report), ["~local 4.4.2"]);
    assert!(report.outcomes[0].reply().text.contains("session took too long"));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn reply_without_end_is_an_error() {
    for stage in [Stage::Greeting, Stage::Ehlo, Stage::Rcpt, Stage::EndOfData] {
        let sink = Sink::start(Script::new().endless_at(stage));
        let report = deliver(job(&sink, &["a@b.example"])).await;
        assert_eq!(results(&report), ["~local 4.5.0"], "{stage:?}");
    }
}

#[tokio::test]
async fn huge_reply_is_cut_or_refused() {
    let line = format!("550 5.1.1 {}", "x".repeat(10_000));
    let sink = Sink::start(Script::new().refuse_rcpt("*", &line));
    let report = deliver(job(&sink, &["a@b.example"])).await;
    assert_eq!(results(&report), ["-550 5.1.1"]);
    assert!(report.outcomes[0].reply().text.len() <= 2048);
    let line = format!("550 {}", "x".repeat(10_000_000));
    let sink = Sink::start(Script::new().refuse_rcpt("*", &line));
    assert_eq!(results(&deliver(job(&sink, &["a@b.example"])).await), ["~local 4.5.0"]);
}

#[tokio::test]
async fn what_is_not_smtp_is_deferred() {
    for greeting in ["HTTP/1.1 400 Bad Request", "999 hello", "", "\0\0\0"] {
        let sink = Sink::start(Script::new().reply(Stage::Greeting, &format!("{greeting}\r\n")));
        let report = deliver(job(&sink, &["a@b.example"])).await;
        assert_eq!(results(&report), ["~local 4.5.0"], "{greeting:?}");
    }
}

#[tokio::test]
async fn server_that_goes_away_after_rcpt_is_deferred() {
    for stage in [Stage::Data, Stage::Message, Stage::EndOfData] {
        let script = Script::new().refuse_rcpt("no@*", "550 5.1.1 No").close_at(stage);
        let sink = Sink::start(script);
        let report = deliver(job(&sink, &["no@b.example", "a@b.example"])).await;
        assert_eq!(results(&report), ["-550 5.1.1", "~local 4.4.2"], "{stage:?}");
    }
}

#[tokio::test]
async fn closed_port_is_deferred_with_clear_text() {
    let sink = Sink::start(Script::new());
    let job = job(&sink, &["a@b.example"]);
    drop(sink);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let report = deliver(job).await;
    assert_eq!(results(&report), ["~local 4.4.1"]);
    let text = &report.outcomes[0].reply().text;
    assert!(text.starts_with("mx.test: the connection failed"), "{text}");
}

#[tokio::test]
async fn every_address_of_every_host_gets_its_chance() {
    let sink = Sink::start(Script::new());
    let job = with_hop(job(&sink, &["a@b.example"]), |hop| {
        let mut dead = hop.hosts[0].clone();
        dead.name = "dead.test".into();
        dead.addresses = vec!["127.0.0.3".parse().unwrap(), "::1".parse().unwrap()];
        hop.hosts[0].addresses.insert(0, "127.0.0.4".parse().unwrap());
        hop.hosts.insert(0, dead);
    });
    let report = client().deliver(job).await;
    assert_eq!(results(&report), ["+250 2.0.0"]);
    assert_eq!(remote(&report), Some(sink.addr().ip()));
}
