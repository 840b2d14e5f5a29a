//! THREATS 1: only CRLF "." CRLF ends a message, however the octets are cut into segments.

use std::time::Duration;

use posthouse_tests::smtp_client::SmtpClient;

use super::app;

/// What other servers took, or take, for the end of a message.
const CANDIDATES: &[&[u8]] = &[
    b"\n.\n",
    b"\r\n.\n",
    b"\n.\r\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n.\r\r\n",
    b"\r\n.\n\r\n",
    b"\n\n.\n\n",
];

const SMUGGLED: &str = "MAIL FROM:<admin@remote.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n\
                        From: admin@remote.test\r\nSubject: Smuggled\r\n\r\nx\r\n";

async fn begin(app: &posthouse_tests::app::App) -> SmtpClient {
    let mut client = app.smtp().await;
    client.envelope("bob@remote.test", &["alice@example.test"]).await;
    client.command("DATA").await.expect("354");
    client.send("Subject: Outer\r\n\r\nfirst line").await;
    client
}

#[tokio::test]
async fn no_other_octets_end_a_message_wherever_they_are_cut() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    for candidate in CANDIDATES {
        for cut in 0..=candidate.len() {
            let mut client = begin(&app).await;
            client.send_split(candidate, cut).await;
            client.send(SMUGGLED).await;
            if cut == 0 {
                let quiet = client.is_quiet_for(Duration::from_millis(50)).await;
                assert!(quiet, "{candidate:?} ended the message");
            }
            client.send("\r\n.\r\n").await;
            let end = client.reply().await;
            let next = client.command("NOOP").await;
            assert_eq!(next.code, 250, "{candidate:?} cut at {cut}: {end}, then {next}");
            let has_bare = bare(candidate);
            let right = if has_bare { end.code / 100 == 5 } else { end.code / 100 == 2 };
            assert!(right, "{candidate:?} cut at {cut}: {end}");
        }
    }
    for mail in alice.inbox().await {
        assert_eq!(mail["subject"], "Outer", "{mail}");
    }
    app.stop().await;
}

/// Whether there is a CR without LF or an LF without CR.
fn bare(octets: &[u8]) -> bool {
    let without_pairs = String::from_utf8_lossy(octets).replace("\r\n", "");
    without_pairs.contains(['\r', '\n'])
}

#[tokio::test]
async fn the_true_end_is_found_wherever_it_is_cut() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let end = b"\r\n.\r\n";
    for cut in 0..=end.len() {
        let mut client = begin(&app).await;
        client.send_split(end, cut).await;
        client.reply().await.expect("250");
    }
    assert_eq!(alice.inbox().await.len(), end.len() + 1);
    app.stop().await;
}

#[tokio::test]
async fn a_bare_line_feed_or_return_anywhere_is_refused() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    for text in ["a\nb", "a\rb", "\n", "\r", "a\r\n\nb", "a\n\r\nb", "a\r\r\nb"] {
        let mut client = begin(&app).await;
        client.send(format!("\r\n{text}\r\n.\r\n")).await;
        let reply = client.reply().await;
        assert_eq!(reply.code / 100, 5, "{text:?}: {reply}");
        client.command("NOOP").await.expect("250");
    }
    assert_eq!(alice.inbox().await.len(), 0);
    app.stop().await;
}

#[tokio::test]
async fn dots_at_the_beginning_of_lines_are_unstuffed_once() {
    let app = app().start().await;
    let alice = app.account("alice@example.test").await;
    let body = ".\r\n..\r\n...x\r\n\r\n.\r\n\r\n";
    let text = format!("Subject: Dots\r\n\r\n{body}");
    let mut client = app.smtp().await;
    client.send_mail("bob@remote.test", "alice@example.test", &text).await.expect("250");
    let mail = alice.wait_for_mail("Dots").await;
    let raw = alice.raw_mail(mail["id"].as_str().unwrap()).await;
    assert!(raw.ends_with(&text), "{raw:?}");
    app.stop().await;
}

#[tokio::test]
async fn a_raw_message_by_http_cannot_smuggle_either() {
    let sink = posthouse_tests::sink::Script::new();
    let app = app().sink("mx.foreign.test", sink).start().await;
    let alice = app.account("alice@example.test").await;
    for candidate in CANDIDATES {
        let mut raw = b"From: alice@example.test\r\nTo: bob@foreign.test\r\n\
                        Subject: Outer\r\n\r\nfirst line"
            .to_vec();
        raw.extend_from_slice(candidate);
        raw.extend_from_slice(SMUGGLED.as_bytes());
        let path = "/v1/messages/raw?from=alice@example.test&to=bob@foreign.test";
        let request = alice.http.request(reqwest::Method::POST, path);
        let answer = request.body("message/rfc822", raw).send().await;
        assert!(matches!(answer.status, 202 | 422), "{candidate:?}: {answer:?}");
        if answer.status == 202 {
            alice.wait_for_status(&answer.id(), "delivered").await;
        }
    }
    let sink = app.sink("mx.foreign.test");
    for message in sink.messages() {
        assert_eq!(message.rcpt_to, ["bob@foreign.test"]);
        assert!(message.text().contains("Subject: Outer"));
        assert!(!bare(&message.data), "a bare CR or LF went out: {:?}", message.text());
    }
    let senders = sink.commands("MAIL");
    assert!(senders.iter().all(|line| !line.contains("admin@remote.test")), "{senders:?}");
    app.stop().await;
}
