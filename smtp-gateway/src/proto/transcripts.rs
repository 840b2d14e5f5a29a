//! Replays the transcripts of `tests/sessions/smtp` on sessions without any I/O.
//!
//! Lines: `C: ` what the client sends, CRLF added; `C! ` the same with the escapes `\r \n \0 \xHH`
//! and nothing added; `S: ` one line of the server, where `{…}` stands for any text; `-- tls` the
//! handshake; `-- closed` the server hangs up. `# listener: NAME` chooses the listener, other lines
//! with `#` are comments. Client lines that stand together come in one segment.
//!
//! At home here: `alice` and `bob` at `example.test`; `full@example.test` is over quota. Alice's
//! password is `wonderland`. `nullmx.test` does not take mail, `unknown.test` is not in the DNS.

use std::{collections::VecDeque, fs, path::Path, sync::Arc};

use bytes::BytesMut;

use super::{
    Answer, Ask, DataReader, Domain, ForwardPath, Mailbox, Reply, ReversePath, Role, Session,
    Settings, Step, next_line,
};
use crate::sasl::{ScramKeys, ScramSecret};

#[derive(Debug, PartialEq)]
enum Line {
    Client(Vec<u8>),
    Server(String),
    Tls,
    Closed,
}

fn parse(text: &str) -> (String, Vec<Line>) {
    let mut listener = "mx".to_owned();
    let mut lines = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("# listener: ") {
            name.clone_into(&mut listener);
        } else if let Some(text) = line.strip_prefix("C: ") {
            lines.push(Line::Client(format!("{text}\r\n").into_bytes()));
        } else if line == "C:" {
            lines.push(Line::Client(b"\r\n".to_vec()));
        } else if let Some(text) = line.strip_prefix("C! ") {
            lines.push(Line::Client(unescape(text)));
        } else if let Some(text) = line.strip_prefix("S: ") {
            lines.push(Line::Server(text.to_owned()));
        } else if line == "-- tls" {
            lines.push(Line::Tls);
        } else if line == "-- closed" {
            lines.push(Line::Closed);
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "not a line of a transcript: {line}");
        }
    }
    (listener, lines)
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
                Some(b'0') => 0,
                Some(b'x') => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                other => panic!("unknown escape {other:?} in {text}"),
            },
            other => other,
        });
    }
    octets
}

fn settings(listener: &str) -> (Settings, bool) {
    let role = if listener == "mx" { Role::Mx } else { Role::Submission };
    let settings = Settings {
        hostname: "mx.example.test".to_owned(),
        role,
        size_limit: 1000,
        tls_available: !listener.ends_with("-without-tls"),
        plain_login: listener == "submission-loopback",
        max_recipients: 3,
        max_failed: 10,
    };
    (settings, listener == "submissions")
}

/// Plays the server: a session, the octets it has not looked at, and what it said.
struct Server {
    session: Session,
    input: BytesMut,
    reader: Option<DataReader>,
    output: VecDeque<String>,
    handshake: bool,
    closed: bool,
}

impl Server {
    fn new(listener: &str) -> Self {
        let (settings, tls) = settings(listener);
        let session = Session::new(Arc::new(settings), tls);
        let mut server = Self {
            session,
            input: BytesMut::new(),
            reader: None,
            output: VecDeque::new(),
            handshake: false,
            closed: false,
        };
        let greeting = server.session.greeting();
        server.say(&greeting);
        server
    }

    fn say(&mut self, reply: &Reply) {
        self.output.extend(reply.serialise().split_terminator("\r\n").map(str::to_owned));
    }

    fn hear(&mut self, octets: &[u8]) {
        self.input.extend_from_slice(octets);
        while !self.closed {
            let step = if let Some(mut reader) = self.reader.take() {
                let used = reader.push(&self.input);
                drop(self.input.split_to(used));
                if !reader.ended() {
                    self.reader = Some(reader);
                    return;
                }
                let message = reader.take().freeze();
                self.session.data(reader.finish().map(|()| message))
            } else {
                match next_line(&mut self.input, self.session.line_limit()) {
                    None => return,
                    Some(Ok(line)) => self.session.line(&line, !self.input.is_empty()),
                    Some(Err(fault)) => self.session.bad_line(fault),
                }
            };
            self.take(step);
        }
    }

    fn take(&mut self, mut step: Step) {
        while let Step::Ask(ask) = step {
            step = self.session.answer(answer(ask));
        }
        match step {
            Step::Ask(_) => unreachable!(),
            Step::Reply(reply) => self.say(&reply),
            Step::Data(reply) => {
                self.say(&reply);
                self.reader = Some(DataReader::new(1000));
            }
            Step::StartTls(reply) => {
                self.say(&reply);
                self.handshake = true;
            }
            Step::Close(reply) => {
                self.say(&reply);
                self.closed = true;
            }
        }
    }
}

fn answer(ask: Ask) -> Answer {
    match ask {
        Ask::Helo { name } => {
            refuse(name != "unknown.test", Reply::new(550, "5.7.1", "HELO name is not in the DNS"))
        }
        Ask::Password { username, password, .. } => refuse(
            username == "alice@example.test" && password.reveal() == "wonderland",
            Reply::new(535, "5.7.8", "The credentials are not valid"),
        ),
        Ask::ScramOutcome { proved } => {
            refuse(proved.is_some(), Reply::new(535, "5.7.8", "The credentials are not valid"))
        }
        Ask::ScramSecret { .. } => {
            let secret = ScramSecret {
                salt: b"0123456789abcdef".to_vec(),
                iterations: 4096,
                keys: vec![ScramKeys { stored_key: vec![0; 32], server_key: vec![0; 32] }],
            };
            Answer::Secret { secret, nonce: "SERVERNONCE".to_owned() }
        }
        Ask::Sender { path, .. } => refuse(
            !matches!(&path, ReversePath::Mailbox(mailbox) if domain(mailbox) == "nullmx.test"),
            Reply::new(550, "5.7.27", "The sender's domain does not take mail"),
        ),
        Ask::Recipient { path, .. } => refuse(
            match &path {
                ForwardPath::Postmaster => true,
                ForwardPath::Mailbox(mailbox) => {
                    domain(mailbox) == "example.test"
                        && ["alice", "bob", "full", "a b"].contains(&mailbox.local.as_str())
                }
            },
            Reply::new(550, "5.1.1", "There is no such recipient here"),
        ),
        Ask::Message { data, .. } => {
            if data.starts_with(b"Subject: full") {
                return Answer::Refused(Reply::new(452, "4.2.2", "The mailbox is full"));
            }
            Answer::Done(format!("Queued {} octets", data.len()))
        }
    }
}

fn refuse(fine: bool, reply: Reply) -> Answer {
    if fine { Answer::Accepted } else { Answer::Refused(reply) }
}

fn domain(mailbox: &Mailbox) -> &str {
    match &mailbox.domain {
        Domain::Name(name) => name,
        Domain::Literal(_) => "literal",
    }
}

/// `{…}` in the pattern stands for any text.
fn fits(pattern: &str, line: &str) -> bool {
    let Some((before, rest)) = pattern.split_once('{') else {
        return pattern == line;
    };
    let (_, after) = rest.split_once('}').expect("an open brace in a transcript");
    let Some(line) = line.strip_prefix(before) else {
        return false;
    };
    (0..=line.len()).any(|at| line.get(at..).is_some_and(|rest| fits(after, rest)))
}

fn replay(name: &str, text: &str) {
    let (listener, lines) = parse(text);
    let mut server = Server::new(&listener);
    let mut lines = lines.into_iter().peekable();
    while let Some(line) = lines.next() {
        match line {
            Line::Client(mut octets) => {
                while let Some(Line::Client(more)) =
                    lines.next_if(|line| matches!(line, Line::Client(_)))
                {
                    octets.extend_from_slice(&more);
                }
                assert!(
                    server.output.is_empty(),
                    "{name}: not in the transcript: {:?}",
                    server.output
                );
                server.hear(&octets);
            }
            Line::Server(pattern) => {
                let said =
                    server.output.pop_front().unwrap_or_else(|| panic!("{name}: no {pattern:?}"));
                assert!(fits(&pattern, &said), "{name}: {said:?} is not {pattern:?}");
            }
            Line::Tls => {
                assert!(std::mem::take(&mut server.handshake), "{name}: no handshake");
                assert!(server.input.is_empty());
                server.session.tls_started();
            }
            Line::Closed => assert!(server.closed, "{name}: not closed"),
        }
    }
    assert!(server.output.is_empty(), "{name}: not in the transcript: {:?}", server.output);
}

#[test]
fn transcripts_are_what_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/sessions/smtp");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            replay(&path.display().to_string(), &fs::read_to_string(&path).unwrap());
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} transcripts in {}", folder.display());
}

/// A3, A4 and THREATS 5: what no transcript wants to hold.
#[test]
fn endless_talk_is_ended() {
    let mut server = Server::new("mx");
    server.hear(&vec![b'a'; 5000]);
    assert!(server.closed);

    let mut server = Server::new("mx");
    server.hear(b"EHLO a.test\r\n");
    server.hear("NOOP\r\n".repeat(20_000).as_bytes());
    assert!(server.closed);
    assert!(server.output.back().unwrap().starts_with("421 4.7.0"));

    let mut server = Server::new("mx");
    server.hear(b"EHLO a.test\r\n");
    server.hear("BOGUS\r\n".repeat(100).as_bytes());
    assert!(server.closed);

    let mut server = Server::new("mx");
    server.hear(b"EHLO a.test\r\n");
    for _ in 0..11 {
        server.hear(b"MAIL FROM:<x@y.test>\r\nRCPT TO:<guess@example.test>\r\nRSET\r\n");
        assert!(!server.closed);
    }
    server.hear(b"MAIL FROM:<x@y.test>\r\n");
    assert!(server.closed);
    assert_eq!(server.output.back().unwrap(), "550 5.7.0 Too many failures");
}

#[test]
fn guessing_passwords_is_ended() {
    let mut server = Server::new("submissions");
    server.hear(b"EHLO a.test\r\n");
    for _ in 0..9 {
        server.hear(b"AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==\r\n");
        assert!(server.output.back().unwrap().starts_with("535 5.7.8"));
    }
    assert_eq!(server.session.login_failures(), 9);
    server.hear(b"AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==\r\n");
    assert!(server.output.back().unwrap().starts_with("421 4.7.0") && server.closed);
}
