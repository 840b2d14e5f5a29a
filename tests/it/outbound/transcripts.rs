//! Replays the transcripts of `tests/sessions/smtp-client`: the client against servers that say
//! exactly this.
//!
//! Lines: `C: ` what the client has to send, with CRLF; `S: ` what the server says, with CRLF; `S! `
//! the same with the escapes `\r \n \xHH` and nothing added; `S* N ` so many times; `-- tls` the
//! handshake; `-- closed` the server hangs up; `-- connection` the client comes anew. What stands
//! together on one side is sent together: the client may not say more before it is answered.
//!
//! `# to: `, `# from: `, `# tls: `, `# login: name password [insecure]`, `# require-tls`,
//! `# smtputf8` and `# body: ` (with escapes) say what is to be delivered; `# envid: `, `# ret: `, and
//! `# notify: ` and `# orcpt: ` with a word for each recipient (`-` for none), what the sender wants to
//! be told; `# result: ` what comes of it for each recipient. Other lines with `#` are comments.

use std::{fs, path::Path, sync::Arc, time::Duration};

use posthouse_core::ports::transport::{
    Credentials, Host, Job, Login, RequireTls, Security, Tls, Transport as _,
};
use posthouse_mail::dsn::{OriginalRecipient, RcptDsn, Ret};
use posthouse_smtp_gateway::outbound::Outbound;
use rustls::{RootCertStore, ServerConfig};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::{config, content, job_to, results, tls::certificate, with_hop};

#[derive(Debug)]
enum Line {
    Client(String),
    Server(Vec<u8>),
    Tls,
    Closed,
    Connection,
}

fn parse(text: &str) -> Vec<Line> {
    let mut lines = Vec::new();
    for line in text.lines() {
        let server = if let Some(text) = line.strip_prefix("S: ") {
            format!("{text}\r\n").into_bytes()
        } else if let Some(text) = line.strip_prefix("S! ") {
            unescape(text)
        } else if let Some(text) = line.strip_prefix("S* ") {
            let (times, text) = text.split_once(' ').unwrap();
            unescape(text).repeat(times.parse().unwrap())
        } else {
            let client = line.strip_prefix("C: ").or_else(|| (line == "C:").then_some(""));
            lines.push(match line {
                "-- tls" => Line::Tls,
                "-- closed" => Line::Closed,
                "-- connection" => Line::Connection,
                _ if client.is_some() => Line::Client(client.unwrap().to_owned()),
                _ if line.is_empty() || line.starts_with('#') => continue,
                _ => panic!("not a line of a transcript: {line}"),
            });
            continue;
        };
        match lines.last_mut() {
            Some(Line::Server(said)) => said.extend(server),
            _ => lines.push(Line::Server(server)),
        }
    }
    lines
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'\\' => match rest.next() {
                Some(b'r') => b'\r',
                Some(b'n') => b'\n',
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

trait Io: tokio::io::AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: tokio::io::AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

type Stream = BufReader<Box<dyn Io>>;

async fn accept(listener: &TcpListener) -> Stream {
    let (tcp, _) = listener.accept().await.unwrap();
    tcp.set_nodelay(true).unwrap();
    BufReader::with_capacity(64 * 1024, Box::new(tcp))
}

/// Plays the server; an error says where the client did something else.
async fn serve(
    listener: TcpListener,
    lines: Vec<Line>,
    tls: Arc<ServerConfig>,
) -> Result<(), String> {
    let mut stream = accept(&listener).await;
    let mut lines = lines.into_iter().peekable();
    while let Some(line) = lines.next() {
        match line {
            Line::Client(expected) => {
                let got = read_line(&mut stream).await;
                if got != format!("{expected}\r\n") {
                    return Err(format!("expected {expected:?}, got {got:?}"));
                }
                let ends = !matches!(lines.peek(), Some(Line::Client(_)));
                if ends && !stream.buffer().is_empty() {
                    let more = String::from_utf8_lossy(stream.buffer()).into_owned();
                    return Err(format!("did not wait after {expected:?}, but sent {more:?}"));
                }
            }
            // The client may hang up before all of it is said.
            Line::Server(octets) => drop(stream.write_all(&octets).await),
            Line::Tls => {
                let plain = stream.into_inner();
                let made = TlsAcceptor::from(tls.clone()).accept(plain).await;
                let made = made.map_err(|error| format!("no handshake: {error}"))?;
                stream = BufReader::with_capacity(64 * 1024, Box::new(made));
            }
            Line::Closed => drop(stream.shutdown().await),
            Line::Connection => stream = accept(&listener).await,
        }
    }
    finish(stream).await
}

/// Empty when the client has hung up.
async fn read_line(stream: &mut Stream) -> String {
    let mut line = Vec::new();
    let reading = stream.read_until(b'\n', &mut line);
    match tokio::time::timeout(Duration::from_secs(10), reading).await {
        Ok(_) => String::from_utf8_lossy(&line).into_owned(),
        Err(_) => "(nothing for a long time)".to_owned(),
    }
}

/// Only a farewell may come.
async fn finish(mut stream: Stream) -> Result<(), String> {
    let mut rest = read_line(&mut stream).await;
    if rest == "QUIT\r\n" {
        drop(stream.write_all(b"221 Bye\r\n").await);
        rest = read_line(&mut stream).await;
    }
    if rest.is_empty() { Ok(()) } else { Err(format!("more came: {rest:?}")) }
}

/// What `# name: ` says.
fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("# "));
    lines.find_map(|line| match line.split_once(": ") {
        Some((found, value)) => (found == name).then_some(value),
        None => (line == name).then_some(""),
    })
}

fn job(text: &str, listener: &TcpListener) -> Job {
    let addr = listener.local_addr().unwrap();
    let host = Host {
        name: "mx.test".into(),
        preference: None,
        addresses: vec![addr.ip()],
        security: Security::default(),
    };
    let to: Vec<&str> = header(text, "to").unwrap_or("a@b.example").split(' ').collect();
    let mut job = job_to(vec![host], addr.port(), &to);
    if let Some(from) = header(text, "from") {
        job.mail_from = from.into();
    }
    let body = unescape(header(text, "body").unwrap_or(r"Subject: hi\r\n\r\n.dot\r\n"));
    job.message = content(std::str::from_utf8(&body).unwrap());
    job.message.smtputf8 = header(text, "smtputf8").is_some();
    if header(text, "require-tls").is_some() {
        job.require_tls = RequireTls::Yes;
    }
    ask_for_reports(text, &mut job);
    with_hop(job, |hop| {
        hop.tls = match header(text, "tls") {
            Some("required") => Tls::Required,
            Some("never") => Tls::Never,
            Some(other) => panic!("unknown kind of TLS {other}"),
            None => Tls::Opportunistic,
        };
        if let Some(login) = header(text, "login") {
            let mut words = login.split(' ').map(str::to_owned);
            let (username, password) = (words.next().unwrap(), words.next().unwrap());
            let unverified = words.next().is_some();
            let login = Login::from(Credentials { username, password });
            hop.login = Login { unverified, ..login };
        }
    })
}

fn ask_for_reports(text: &str, job: &mut Job) {
    job.envelope_id = header(text, "envid").map(Into::into);
    job.ret = header(text, "ret").map_or(Ret::Headers, |ret| ret.parse().unwrap());
    let each = |name| header(text, name).unwrap_or("").split(' ').chain(std::iter::repeat("-"));
    for ((recipient, notify), orcpt) in
        job.recipients.iter_mut().zip(each("notify")).zip(each("orcpt"))
    {
        let (notify, orcpt) = (notify.parse().ok(), OriginalRecipient::from_param(orcpt).ok());
        recipient.dsn = Some(Arc::new(RcptDsn { notify, orcpt }));
    }
}

async fn replay(
    text: &str,
    tls: Arc<ServerConfig>,
    roots: Arc<RootCertStore>,
) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let job = job(text, &listener);
    let serving = tokio::spawn(serve(listener, parse(text), tls));
    let mut config = config();
    config.roots = roots;
    for limit in [
        &mut config.timeouts.greeting,
        &mut config.timeouts.command,
        &mut config.timeouts.data_start,
        &mut config.timeouts.data_end,
    ] {
        *limit = Duration::from_secs(5);
    }
    let client = Outbound::new(&config).unwrap();
    let told = results(&client.deliver(job).await).join(", ");
    client.close().await;
    serving.await.unwrap()?;
    let expected = header(text, "result").unwrap();
    if told == expected { Ok(()) } else { Err(format!("result {told}, expected {expected}")) }
}

#[tokio::test]
async fn every_transcript_is_followed() {
    let (tls, roots) = certificate();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("sessions/smtp-client");
    let mut played = 0;
    let mut wrong = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        if let Err(error) = replay(&text, tls.clone(), roots.clone()).await {
            wrong.push(format!("{}: {error}", path.file_name().unwrap().display()));
        }
        played += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(played > 25, "{played}");
}
