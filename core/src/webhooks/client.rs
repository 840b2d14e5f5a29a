//! The HTTP client that calls endpoints: one POST, no redirects, no proxy, bounded in time and size.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{
    Response, StatusCode,
    header::{HeaderMap, RETRY_AFTER},
    redirect,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use url::Url;

use super::guard::{GuardedResolver, Lookup, NoPermittedAddress, Policy, Ports};
use crate::error::{Error, Result};

/// From the look-up of the host to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Octets of an answer that are kept.
const KEPT_BODY: usize = 4 * 1024;
/// Octets of an answer that are read, so that small answers leave the connection usable.
const READ_BODY: usize = 64 * 1024;
const IDLE: Duration = Duration::from_secs(30);
const MAX_RETRY_AFTER: Duration = Duration::from_hours(24);

/// Calls endpoints.
pub(super) struct Client {
    usual: reqwest::Client,
    unusual: reqwest::Client,
    policy: Arc<Policy>,
    timeout: Duration,
}

/// What came of a call.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub status: Option<StatusCode>,
    pub body: Option<String>,
    pub error: Option<String>,
    pub retry_after: Option<RetryAfter>,
    pub duration: Duration,
}

/// When the endpoint wants to be asked again (RFC 9110 §10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryAfter {
    Delay(Duration),
    At(OffsetDateTime),
}

impl RetryAfter {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Self::Delay(Duration::from_secs(seconds)));
        }
        OffsetDateTime::parse(text, &Rfc2822).ok().map(Self::At)
    }

    /// How long to wait, at most a day.
    pub(super) fn wait(self, now: OffsetDateTime) -> Duration {
        let wait = match self {
            Self::Delay(wait) => wait,
            Self::At(at) => Duration::try_from(at - now).unwrap_or_default(),
        };
        wait.min(MAX_RETRY_AFTER)
    }
}

impl Answer {
    /// Only 2xx is success.
    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.is_success())
    }

    fn failed(error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::default() }
    }
}

impl Client {
    /// A client that looks hosts up with `lookup`.
    pub(super) fn new(policy: &Arc<Policy>, lookup: &Lookup) -> Result<Self> {
        let tls = tls_config()?;
        let build = |ports| {
            let (policy, lookup) = (Arc::clone(policy), Arc::clone(lookup));
            reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Arc::new(GuardedResolver { policy, ports, lookup }))
                .redirect(redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .retry(reqwest::retry::never())
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(8)
                .user_agent(concat!("posthouse/", env!("CARGO_PKG_VERSION")))
                .build()
                .map_err(Error::internal)
        };
        let (usual, unusual) = (build(Ports::Usual)?, build(Ports::Unusual)?);
        Ok(Self { usual, unusual, policy: Arc::clone(policy), timeout: TIMEOUT })
    }

    /// Posts `body` and waits for the answer. The time is up when it is up, whatever the endpoint
    /// is doing; a status that has come by then counts.
    pub(super) async fn post(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Answer {
        let started = Instant::now();
        let deadline = tokio::time::Instant::now() + self.timeout;
        let mut answer =
            match tokio::time::timeout_at(deadline, self.send(url, headers, body)).await {
                Err(_) => Answer::failed(format!("no answer within {} s", self.timeout.as_secs())),
                Ok(Err(answer)) => answer,
                Ok(Ok(response)) => read(response, deadline).await,
            };
        answer.duration = started.elapsed();
        answer
    }

    async fn send(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Response, Answer> {
        // The client does not ask the resolver about addresses.
        if self.policy.permits_literal(url) == Some(false) {
            return Err(Answer::failed(NoPermittedAddress.to_string()));
        }
        let client = match Ports::of(url) {
            Ports::Usual => &self.usual,
            Ports::Unusual => &self.unusual,
        };
        let request = client.post(url.clone()).headers(headers).body(body);
        request.send().await.map_err(|error| Answer::failed(describe(error)))
    }
}

/// Certificates are checked against those of the system; without any, no https endpoint verifies.
fn tls_config() -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!("no root certificates on this system: webhooks to https will all fail");
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(Error::internal)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Reads the answer as far as there is room and time.
async fn read(mut response: Response, deadline: tokio::time::Instant) -> Answer {
    let status = response.status();
    let retry_after = response.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| RetryAfter::parse(value.to_str().ok()?));
    let mut kept = Vec::new();
    let mut length = 0;
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout_at(deadline, response.chunk()).await {
        length += chunk.len();
        let room = KEPT_BODY - kept.len();
        kept.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if length >= READ_BODY {
            break;
        }
    }
    let body = Some(beginning(&kept));
    Answer { status: Some(status), body, error: None, retry_after, duration: Duration::ZERO }
}

/// The first 4 KiB as text that the database takes.
pub(super) fn beginning(bytes: &[u8]) -> String {
    let first = bytes.get(..KEPT_BODY).unwrap_or(bytes);
    let text = String::from_utf8_lossy(first).replace('\0', "\u{fffd}");
    // A character that was cut in two is not part of what came.
    let was_cut = bytes.len() >= KEPT_BODY && text.ends_with('\u{fffd}');
    if was_cut { text.trim_end_matches('\u{fffd}').to_owned() } else { text }
}

/// What went wrong, without the URL (it may hold a secret) and without internal addresses.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        if deeper.is::<NoPermittedAddress>() {
            return deeper.to_string();
        }
        cause = deeper;
    }
    let what = if error.is_connect() { "could not connect" } else { "the request failed" };
    format!("{what}: {cause}").chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    fn client(allowed: &[&str], answers: &'static [&'static str]) -> Client {
        let networks: Vec<String> = allowed.iter().map(|text| (*text).to_owned()).collect();
        let policy = Arc::new(Policy::new(&networks).unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let lookup: Lookup = Arc::new(move |_| {
            let turn = asked.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
            Box::pin(async move { Ok(vec![answers[turn].parse().unwrap()]) })
        });
        let mut client = Client::new(&policy, &lookup).unwrap();
        client.timeout = Duration::from_millis(700);
        client
    }

    /// Answers every connection with `reply`, keeping it open; counts connections.
    async fn server(reply: &'static str) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                        drop(stream.write_all(reply.as_bytes()).await);
                    }
                });
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
}
