//! Tests of the client against servers on loopback.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn client(allowed: &[&str], answers: &'static [&'static str]) -> Client {
    client_with_roots(allowed, answers, RootCertStore::empty())
}

fn client_with_roots(
    allowed: &[&str],
    answers: &'static [&'static str],
    roots: RootCertStore,
) -> Client {
    let policy = Arc::new(crate::http::policy(allowed));
    let asked = Arc::new(AtomicUsize::new(0));
    let lookup: Lookup = Arc::new(move |_| {
        let turn = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        Box::pin(async move { Ok(vec![answers[turn].parse().unwrap()]) })
    });
    let mut client = Client::with_roots(&policy, &lookup, roots).unwrap();
    client.timeout = Duration::from_millis(700);
    client
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: &str) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
        drop(stream.write_all(reply.as_bytes()).await);
    }
}

/// Answers every connection with `reply`, keeping it open; counts connections.
async fn server(reply: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(answer(stream, reply));
        }
    });
    (port, count)
}

async fn post(client: &Client, url: &str) -> Answer {
    client.post(&url.parse().unwrap(), HeaderMap::new(), Bytes::from_static(b"{}")).await
}

#[tokio::test]
async fn an_allowed_network_is_reached_by_address_and_by_name() {
    let (port, count) = server(OK).await;
    let client = client(&["127.0.0.0/8"], &["127.0.0.1"]);
    for host in ["127.0.0.1", "a.test", "localhost"] {
        let answer = post(&client, &format!("http://{host}:{port}/")).await;
        assert!(answer.is_success(), "{host}: {answer:?}");
        assert_eq!(answer.body.as_deref(), Some("ok"));
    }
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn an_answer_that_changes_after_the_first_look_up_leads_nowhere() {
    let (port, count) = server(OK).await;
    // Nothing listens at the public address (RFC 5737); then the name points to loopback.
    let client = client(&["192.0.2.0/24"], &["192.0.2.1", "127.0.0.1"]);
    for _ in 0..3 {
        let answer = post(&client, &format!("http://rebind.test:{port}/")).await;
        assert!(!answer.is_success(), "{answer:?}");
    }
    let answer = post(&client, &format!("http://rebind.test:{port}/")).await;
    assert_eq!(answer.error.unwrap(), NoPermittedAddress.to_string());
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:7f00:1]"] {
        let answer = post(&client, &format!("http://{host}:{port}/")).await;
        assert_eq!(answer.error.unwrap(), NoPermittedAddress.to_string(), "{host}");
    }
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

/// Serves TLS on loopback with a certificate for `a.test`; gives its port and its root.
async fn tls_server() -> (u16, RootCertStore) {
    let certified = rcgen::generate_simple_self_signed(["a.test".to_owned()]).unwrap();
    let certificate = certified.cert.der().clone();
    let key = certified.signing_key.serialize_der().try_into().unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate.clone()], key).unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                tokio::spawn(answer(stream, OK));
            }
        }
    });
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    (port, roots)
}

#[tokio::test]
async fn certificates_are_checked() {
    let (port, roots) = tls_server().await;
    let trusting = client_with_roots(&["127.0.0.0/8"], &["127.0.0.1"], roots);
    let answer = post(&trusting, &format!("https://a.test:{port}/")).await;
    assert!(answer.is_success(), "{answer:?}");
    let other_name = post(&trusting, &format!("https://b.test:{port}/")).await;
    assert!(other_name.error.unwrap().contains("certificate"));
    let suspicious = client(&["127.0.0.0/8"], &["127.0.0.1"]);
    let unknown_root = post(&suspicious, &format!("https://a.test:{port}/")).await;
    assert!(unknown_root.error.unwrap().contains("certificate"));
}

#[tokio::test]
async fn a_redirect_is_an_answer_like_others() {
    let moved = "HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let (port, _) = server(moved).await;
    let client = client(&["127.0.0.0/8"], &["127.0.0.1"]);
    let answer = post(&client, &format!("http://127.0.0.1:{port}/")).await;
    assert_eq!(answer.status.unwrap(), 307);
    assert!(!answer.is_success());
}

#[tokio::test]
async fn time_and_size_of_an_answer_are_bounded() {
    let client = client(&["127.0.0.0/8"], &["127.0.0.1"]);
    let (silent, _) = server("").await;
    let answer = post(&client, &format!("http://127.0.0.1:{silent}/")).await;
    assert!(answer.status.is_none() && answer.duration < Duration::from_secs(3), "{answer:?}");
    let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n";
    let (endless, _) = server(endless).await;
    let answer = post(&client, &format!("http://127.0.0.1:{endless}/")).await;
    assert!(answer.is_success());
    assert_eq!(answer.body.as_deref(), Some("abcd"));
}

#[test]
fn retry_after_is_a_delay_or_a_date() {
    let now = OffsetDateTime::from_unix_timestamp(1_445_412_400).unwrap();
    let wait = |text| RetryAfter::parse(text).map(|after| after.wait(now).as_secs());
    assert_eq!(wait("120"), Some(120));
    assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(80));
    assert_eq!(wait("Wed, 21 Oct 2015 07:00:00 GMT"), Some(0));
    assert_eq!(wait("99999999999"), Some(24 * 3600));
    assert_eq!(wait("-1"), None);
    assert_eq!(wait("soon"), None);
}

#[test]
fn beginnings_are_text() {
    assert_eq!(beginning(b"a\0b"), "a\u{fffd}b");
    let long = "ä".repeat(3000);
    assert_eq!(beginning(&long.as_bytes()[1..]).len(), 3 + 2 * 2047);
}
