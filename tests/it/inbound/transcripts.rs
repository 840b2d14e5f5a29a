//! Replays `tests/sessions/smtp` over TCP and TLS, against the whole server.
//!
//! The gateway's own test replays the same files without I/O and compares the texts too; here the
//! core gives some of the answers, so codes and enhanced codes are compared.

use std::{fs, path::Path};

use posthouse_tests::{app::App, dns::zone, smtp_client::SmtpClient};
use serde_json::json;

/// These need what only the test without I/O has: a fixed nonce, other limits, no certificate.
const PURE_ONLY: &[&str] =
    &["auth.txt", "auth-plain-text.txt", "rcpt-syntax.txt", "starttls-unavailable.txt"];

#[derive(Debug)]
enum Line {
    Client(Vec<u8>),
    Server(String),
    Tls,
    Closed,
}

fn parse(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.push(if line == "C:" {
            Line::Client(b"\r\n".to_vec())
        } else if let Some(text) = line.strip_prefix("C: ") {
            Line::Client(format!("{text}\r\n").into_bytes())
        } else if let Some(text) = line.strip_prefix("C! ") {
            Line::Client(unescape(text))
        } else if let Some(text) = line.strip_prefix("S: ") {
            Line::Server(text.to_owned())
        } else if line == "-- tls" {
            Line::Tls
        } else if line == "-- closed" {
            Line::Closed
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{line}");
            continue;
        });
    }
    lines
}

/// `\r`, `\n`, `\0` and `\xHH`.
fn unescape(text: &str) -> Vec<u8> {
    let mut parts = text.split('\\');
    let mut octets = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (octet, used) = match part.as_bytes()[0] {
            b'r' => (b'\r', 1),
            b'n' => (b'\n', 1),
            b'0' => (0, 1),
            b'x' => (u8::from_str_radix(part.get(1..3).unwrap(), 16).unwrap(), 3),
            other => panic!("unknown escape {other}"),
        };
        octets.push(octet);
        octets.extend_from_slice(&part.as_bytes()[used..]);
    }
    octets
}

/// The code of a reply and its enhanced code, if it has one.
fn codes(line: &str) -> String {
    let rest = line.get(4..).unwrap_or_default();
    let enhanced = rest.split(' ').next().unwrap_or_default();
    let is_enhanced = enhanced.split('.').count() == 3
        && enhanced.split('.').all(|part| part.parse::<u16>().is_ok());
    let code = line.get(..3).unwrap_or_default();
    if is_enhanced { format!("{code} {enhanced}") } else { code.to_owned() }
}

async fn replay(app: &App, name: &str, text: &str) {
    let submission = text.contains("# listener: submission");
    let address = if submission { app.submission_addr() } else { app.smtp_addr() };
    let mut client = SmtpClient::connect(address).await;
    let mut lines = parse(text).into_iter().peekable();
    while let Some(line) = lines.next() {
        match line {
            Line::Client(mut octets) => {
                while let Some(Line::Client(more)) =
                    lines.next_if(|line| matches!(line, Line::Client(_)))
                {
                    octets.extend_from_slice(&more);
                }
                client.send(octets).await;
            }
            Line::Server(first) => {
                let mut expected = vec![first];
                while expected.last().is_some_and(|line| line.as_bytes().get(3) == Some(&b'-')) {
                    match lines.next() {
                        Some(Line::Server(line)) => expected.push(line),
                        other => panic!("{name}: a reply goes on with {other:?}"),
                    }
                }
                let reply = client.try_reply().await;
                let reply = reply.unwrap_or_else(|| panic!("{name}: closed before {expected:?}"));
                let found: Vec<_> = reply.lines.iter().map(|line| codes(line)).collect();
                let expected: Vec<_> = expected.iter().map(|line| codes(line)).collect();
                assert_eq!(found, expected, "{name}: {reply}");
            }
            Line::Tls => client.handshake().await,
            Line::Closed => assert!(client.is_closed().await, "{name}: not closed"),
        }
    }
}

#[tokio::test]
async fn transcripts_are_what_happens_over_tcp_too() {
    let app = App::test()
        .configure(|config| config.message_size_limit = 1000)
        .dns(
            zone("bar.test")
                .mx(10, "mx")
                .address("mx", [127, 0, 0, 1])
                .address("@", [127, 0, 0, 1]),
        )
        .dns(zone("nullmx.test").null_mx())
        .start()
        .await;
    app.domain("example.test").await;
    for (name, addresses, quota) in [
        ("alice", vec!["alice@example.test", "\"a b\"@example.test"], None),
        ("bob", vec!["bob@example.test"], None),
        ("full", vec!["full@example.test"], Some(1)),
    ] {
        let account = json!({
            "name": name, "addresses": addresses, "password": "wonderland", "quota_bytes": quota,
        });
        app.admin().post("/v1/accounts", account).await.expect(201);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sessions/smtp");
    let mut replayed = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !PURE_ONLY.contains(&name.as_str()) {
            replay(&app, &name, &fs::read_to_string(&path).unwrap()).await;
            replayed += 1;
        }
    }
    assert!(replayed > 10, "{replayed} transcripts");
    app.stop().await;
}
