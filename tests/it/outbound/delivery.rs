//! What arrives, and how it is spelled on the wire.

use std::{net::IpAddr, sync::Arc};

use bytes::Bytes;
use posthouse_core::ports::transport::Transport as _;
use posthouse_tests::sink::{Script, Sink, Stage};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::{MESSAGE, client, content, deliver, job, remote, results};

#[tokio::test]
async fn message_arrives_with_its_envelope() {
    let sink = Sink::start(Script::new());
    let report = deliver(job(&sink, &["b@b.example", "c@b.example"])).await;
    assert_eq!(results(&report), ["+250 2.0.0", "+250 2.0.0"]);
    let peer = report.peer.unwrap();
    assert_eq!(peer.host, "mx.test");
    assert_eq!(peer.remote_address, Some(sink.addr().ip()));
    assert_eq!(peer.local_address, Some(IpAddr::from([127, 0, 0, 1])));
    assert_eq!(peer.tls, None);
    let messages = sink.messages();
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!(message.helo, "client.example");
    assert_eq!(message.mail_from, "from@a.example");
    assert_eq!(message.rcpt_to, ["b@b.example", "c@b.example"]);
    assert_eq!(message.text(), format!("Received: by test\r\n{MESSAGE}"));
    assert_eq!(message.mail_parameters, format!("SIZE={}", message.data.len()));
}

#[tokio::test]
async fn server_without_extensions_gets_no_parameters_and_one_command_at_a_time() {
    let script = Script::new().no_ehlo().refuse_rcpt("b@*", "550 5.1.1 No");
    let sink = Sink::start(script);
    let report = deliver(job(&sink, &["b@b.example"])).await;
    assert_eq!(results(&report), ["-550 5.1.1"]);
    let report = deliver(job(&sink, &["c@b.example"])).await;
    assert_eq!(results(&report), ["+250 2.0.0"]);
    assert_eq!(sink.commands("HELO"), ["HELO client.example"; 2]);
    assert_eq!(sink.commands("MAIL"), ["MAIL FROM:<from@a.example>"; 2]);
    // Only the second session had a reason to say DATA.
    assert_eq!(sink.commands("DATA").len(), 1);
}

#[tokio::test]
async fn without_pipelining_each_command_waits_for_its_reply() {
    let sink = Sink::start(Script::new().no_pipelining().refuse_rcpt("b@*", "550 5.1.1 No"));
    let report = deliver(job(&sink, &["a@b.example", "b@b.example", "c@b.example"])).await;
    assert_eq!(results(&report), ["+250 2.0.0", "-550 5.1.1", "+250 2.0.0"]);
    assert_eq!(sink.messages()[0].rcpt_to, ["a@b.example", "c@b.example"]);
}

#[tokio::test]
async fn null_sender_is_an_empty_path() {
    let sink = Sink::start(Script::new().without("SIZE"));
    let mut job = job(&sink, &["b@b.example"]);
    job.mail_from = "".into();
    assert_eq!(results(&deliver(job).await), ["+250 2.0.0"]);
    assert_eq!(sink.commands("MAIL"), ["MAIL FROM:<>"]);
}

#[tokio::test]
async fn eight_bit_and_utf8_are_announced_when_needed() {
    let sink = Sink::start(Script::new().without("SIZE"));
    let mut wide = job(&sink, &["b@b.example"]);
    wide.message = content("Subject: x\r\n\r\ngrüße\r\n");
    deliver(wide).await;
    let utf8 = job(&sink, &["grüße@b.example"]);
    deliver(utf8).await;
    let expected = [
        "MAIL FROM:<from@a.example> BODY=8BITMIME",
        "MAIL FROM:<from@a.example> BODY=8BITMIME SMTPUTF8",
    ];
    assert_eq!(sink.commands("MAIL"), expected);
}

#[tokio::test]
async fn eight_bit_goes_as_it_is_to_servers_without_the_extension() {
    let sink = Sink::start(Script::new().without("8BITMIME").without("SIZE"));
    let mut job = job(&sink, &["b@b.example"]);
    job.message = content("Subject: x\r\n\r\ngrüße\r\n");
    assert_eq!(results(&deliver(job).await), ["+250 2.0.0"]);
    assert_eq!(sink.commands("MAIL"), ["MAIL FROM:<from@a.example>"]);
    assert!(sink.messages()[0].text().ends_with("grüße\r\n"));
}

#[tokio::test]
async fn large_message_arrives_whole() {
    let sink = Sink::start(Script::new());
    let line = "...................... a line that is stuffed ......................\r\n";
    let mut job = job(&sink, &["b@b.example"]);
    let body = Bytes::from(line.repeat(40_000));
    job.message.body = body.clone().into();
    job.message.prefix = Bytes::new();
    assert_eq!(results(&deliver(job).await), ["+250 2.0.0"]);
    assert!(sink.messages()[0].data == body);
}

#[tokio::test]
async fn more_recipients_than_fit_go_in_several_transactions() {
    let sink = Sink::start(Script::new());
    let recipients: Vec<_> = (0..250).map(|n| format!("r{n}@b.example")).collect();
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
    let report = deliver(job(&sink, &recipients)).await;
    assert_eq!(report.outcomes.len(), 250);
    assert!(results(&report).iter().all(|result| result == "+250 2.0.0"));
    let sizes: Vec<_> = sink.messages().iter().map(|message| message.rcpt_to.len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert_eq!(sink.connections(), 1);
}

#[tokio::test]
async fn odd_attempts_take_the_other_family() {
    let v4 = Sink::start(Script::new());
    let v6 = Sink::start_at(Script::new(), format!("[::1]:{}", v4.addr().port()).parse().unwrap());
    let mut job = super::with_hop(job(&v4, &["b@b.example"]), |hop| {
        hop.hosts[0].addresses = vec![v6.addr().ip(), v4.addr().ip()];
    });
    let client = client();
    assert_eq!(remote(&client.deliver(job.clone()).await), Some(v6.addr().ip()));
    job.attempt = 1;
    assert_eq!(remote(&client.deliver(job.clone()).await), Some(v4.addr().ip()));
    job.attempt = 2;
    assert_eq!(remote(&client.deliver(job).await), Some(v6.addr().ip()));
}

#[tokio::test]
async fn replies_are_reported_cleaned() {
    let reply = "250-2.0.0 Taken\0 \u{1b}[31mred\r\n250 2.0.0 second\u{202e}line";
    let sink = Sink::start(Script::new().reply(Stage::EndOfData, reply));
    let report = deliver(job(&sink, &["b@b.example"])).await;
    let reply = report.outcomes[0].reply();
    assert_eq!(reply.text, "Taken   [31mred\nsecond line");
    assert_eq!(reply.enhanced.as_deref(), Some("2.0.0"));
}

/// What the octets are as lines with CRLF.
fn normalise(octets: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    let mut rest = octets.iter().copied().peekable();
    while let Some(octet) = rest.next() {
        match octet {
            b'\r' => {
                rest.next_if_eq(&b'\n');
                lines.extend(b"\r\n");
            }
            b'\n' => lines.extend(b"\r\n"),
            _ => lines.push(octet),
        }
    }
    if !lines.is_empty() && !lines.ends_with(b"\r\n") {
        lines.extend(b"\r\n");
    }
    lines
}

#[test]
fn any_octets_arrive_as_one_normalised_message() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (sink, client) =
        runtime.block_on(async { (Sink::start(Script::new()), Arc::new(client())) });
    let octet = prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(0_u8), any::<u8>()];
    let messages = proptest::collection::vec(octet, 0..300);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    runner
        .run(&messages, |octets| {
            let mut job = job(&sink, &["b@b.example"]);
            job.message.prefix = Bytes::new();
            job.message.body = Bytes::copy_from_slice(&octets).into();
            let before = sink.count();
            let report = runtime.block_on(client.deliver(job));
            prop_assert_eq!(results(&report), ["+250 2.0.0"]);
            prop_assert_eq!(sink.count(), before + 1);
            let arrived = sink.messages().pop().map(|message| message.data);
            prop_assert_eq!(arrived, Some(normalise(&octets)));
            Ok(())
        })
        .unwrap();
    assert_eq!(sink.transcript().iter().filter(|line| line.starts_with("S: 500")).count(), 0);
}
