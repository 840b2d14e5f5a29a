//! The HTTP client that calls endpoints, and fetches what is elsewhere: one request, no redirects, no
//! proxy, bounded in time and size.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER},
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
pub(crate) struct Client {
    usual: reqwest::Client,
    unusual: reqwest::Client,
    policy: Arc<Policy>,
    timeout: Duration,
}

/// What came of a call.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub status: Option<StatusCode>,
    pub body: Option<String>,
    pub error: Option<String>,
    pub retry_after: Option<RetryAfter>,
    pub duration: Duration,
}

/// When the endpoint wants to be asked again (RFC 9110 §10.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryAfter {
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
    pub(crate) fn wait(self, now: OffsetDateTime) -> Duration {
        let wait = match self {
            Self::Delay(wait) => wait,
            Self::At(at) => Duration::try_from(at - now).unwrap_or_default(),
        };
        wait.min(MAX_RETRY_AFTER)
    }
}

/// Why something could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FetchError {
    pub text: String,
    /// The certificate of the web server does not verify.
    pub certificate: bool,
}

impl From<String> for FetchError {
    fn from(text: String) -> Self {
        Self { text, certificate: false }
    }
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        let certificate = is_of_certificate(&error);
        Self { text: describe(error), certificate }
    }
}

impl Answer {
    /// Only 2xx is success.
    pub(crate) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.is_success())
    }

    pub(crate) fn failed(error: impl Into<String>) -> Self {
        Self { error: Some(error.into()), ..Self::default() }
    }
}

impl Client {
    /// A client that looks hosts up with `lookup` and trusts the root certificates of the system.
    pub(crate) fn new(policy: &Arc<Policy>, lookup: &Lookup) -> Result<Self> {
        Self::with_roots(policy, lookup, roots_of_the_system())
    }

    /// The same that waits for `timeout`, and perhaps trusts other roots.
    pub(crate) fn patient(
        policy: &Arc<Policy>,
        lookup: &Lookup,
        timeout: Duration,
        roots: Option<RootCertStore>,
    ) -> Result<Self> {
        let roots = roots.unwrap_or_else(roots_of_the_system);
        Ok(Self { timeout, ..Self::with_roots(policy, lookup, roots)? })
    }

    fn with_roots(policy: &Arc<Policy>, lookup: &Lookup, roots: RootCertStore) -> Result<Self> {
        let tls = tls_config(roots)?;
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
    pub(crate) async fn post(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Answer {
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

    /// Gets what is at `url`, at most 64 KiB; else what went wrong. Only 200 is success.
    pub(crate) async fn get(&self, url: &Url) -> Result<Vec<u8>, String> {
        self.fetch(url, |_| true).await.map_err(|error| error.text)
    }

    /// The same of what is plain text.
    pub(crate) async fn get_text(&self, url: &Url) -> Result<Vec<u8>, FetchError> {
        self.fetch(url, is_plain_text).await
    }

    async fn fetch(
        &self,
        url: &Url,
        is_good: impl Fn(&HeaderMap) -> bool,
    ) -> Result<Vec<u8>, FetchError> {
        let fetch = async {
            let client = self.for_url(url)?;
            let response = client.get(url.clone()).send().await?;
            if response.status() != StatusCode::OK {
                return Err(format!("the answer is {}", response.status()).into());
            }
            if !is_good(response.headers()) {
                return Err("the answer is not of the right media type".to_owned().into());
            }
            whole(response).await
        };
        let late = || format!("no answer within {} s", self.timeout.as_secs());
        tokio::time::timeout(self.timeout, fetch).await.unwrap_or_else(|_| Err(late().into()))
    }

    async fn send(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Response, Answer> {
        let client = self.for_url(url).map_err(Answer::failed)?;
        let request = client.post(url.clone()).headers(headers).body(body);
        request.send().await.map_err(|error| Answer::failed(describe(error)))
    }

    fn for_url(&self, url: &Url) -> Result<&reqwest::Client, String> {
        // The client does not ask the resolver about addresses.
        if self.policy.permits_literal(url) == Some(false) {
            return Err(NoPermittedAddress.to_string());
        }
        Ok(match Ports::of(url) {
            Ports::Usual => &self.usual,
            Ports::Unusual => &self.unusual,
        })
    }
}

fn roots_of_the_system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        tracing::warn!("no root certificates on this system: all requests to https will fail");
    }
    roots
}

/// `text/plain`, whatever its parameters.
fn is_plain_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = kind.split_once(';').map_or(kind, |(kind, _)| kind);
    kind.trim().eq_ignore_ascii_case("text/plain")
}

fn tls_config(roots: RootCertStore) -> Result<ClientConfig> {
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

/// All of an answer, unless it is too large.
async fn whole(mut response: Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > READ_BODY {
            return Err(format!("the answer has more than {READ_BODY} octets").into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The first 4 KiB as text that the database takes.
pub(crate) fn beginning(bytes: &[u8]) -> String {
    let first = bytes.get(..KEPT_BODY).unwrap_or(bytes);
    let text = String::from_utf8_lossy(first).replace('\0', "\u{fffd}");
    // A character that was cut in two is not part of what came.
    let was_cut = bytes.len() >= KEPT_BODY && text.ends_with('\u{fffd}');
    if was_cut { text.trim_end_matches('\u{fffd}').to_owned() } else { text }
}

/// Whether TLS found the certificate wanting.
fn is_of_certificate(error: &reqwest::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = cause.downcast_ref() {
            return true;
        }
        // An I/O error does not count what it wraps as its source.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    false
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
mod tests;
