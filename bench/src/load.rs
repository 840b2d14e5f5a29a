//! The load generator: so many connections that each post one message, or one batch of them, after
//! the other.
//!
//! A closed loop: a connection posts its next message when the one before is answered. Or at a given
//! rate: then a latency counts from the moment at which the message was due, so that waiting for a
//! free connection counts, too.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::api::{Connection, Sender};
use crate::dns;
use crate::latency::Latencies;

/// Recipient domains, each with an MX host of its own.
const DOMAINS: u64 = 10;
/// Numbers every message of this process, so that no recipient comes twice.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// When a run ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// After this time.
    Elapsed(Duration),
    /// After so many messages.
    Posted(u64),
}

/// Where the mail goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Recipients {
    /// To the sink.
    Sink,
    /// To the sink with STARTTLS.
    Tls,
    /// To a host that refuses connections.
    Dead,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// The HTTP server.
    pub address: SocketAddr,
    /// Who sends.
    pub sender: Sender,
    /// Octets of text in each message.
    pub size: usize,
    /// How many connections.
    pub concurrency: usize,
    /// Messages of one request; none: each is posted alone.
    pub batch: Option<u64>,
    /// Messages a second; none: as fast as they are answered.
    pub rate: Option<f64>,
    /// When it ends.
    pub until: Until,
    /// Where the mail goes.
    pub recipients: Recipients,
}

/// What a run showed.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Messages that were taken.
    pub accepted: u64,
    /// Other answers by status; 0 stands for a broken connection.
    pub refused: BTreeMap<u16, u64>,
    /// How long accepted ones took.
    pub latencies: Latencies,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

/// What the connections share.
struct Shared {
    load: Load,
    text: String,
    started: Instant,
    posted: AtomicU64,
}

impl Load {
    /// Runs it.
    pub(crate) async fn run(self) -> Result<Outcome> {
        let concurrency = self.concurrency;
        let mut connections = Vec::with_capacity(concurrency);
        for _ in 0..concurrency {
            connections.push(Connection::open(self.address).await?);
        }
        let text = text(self.size);
        let started = Instant::now();
        let shared = Arc::new(Shared { load: self, text, started, posted: AtomicU64::new(0) });
        let workers: Vec<_> = connections
            .into_iter()
            .map(|connection| tokio::spawn(work(Arc::clone(&shared), connection)))
            .collect();
        let mut total = Outcome::default();
        for worker in workers {
            let outcome = worker.await??;
            total.accepted += outcome.accepted;
            total.latencies.merge(outcome.latencies);
            for (status, count) in outcome.refused {
                *total.refused.entry(status).or_default() += count;
            }
        }
        total.elapsed = started.elapsed();
        Ok(total)
    }

    /// Where requests go.
    const fn path(&self) -> &'static str {
        match self.batch {
            Some(_) => "/v1/messages/batch",
            None => "/v1/messages",
        }
    }

    /// The body of one request, beginning with the message `number`.
    fn body(&self, number: u64, text: &str) -> Bytes {
        let Some(batch) = self.batch else { return Bytes::from(self.message(number, text)) };
        let messages: Vec<String> =
            (number..number + batch).map(|number| self.message(number, text)).collect();
        Bytes::from(format!("{{\"messages\":[{}]}}", messages.join(",")))
    }

    /// Writes a message around the text, which is JSON already.
    fn message(&self, number: u64, text: &str) -> String {
        let domain = match self.recipients {
            Recipients::Sink => format!("d{}.{}", number % DOMAINS, dns::ZONE),
            Recipients::Tls => format!("d{}.tls.{}", number % DOMAINS, dns::ZONE),
            Recipients::Dead => dns::DEAD_DOMAIN.to_owned(),
        };
        let from = &self.sender.from;
        format!(
            "{{\"from\":\"Bench <{from}>\",\"to\":[\"u{number}@{domain}\"],\
             \"subject\":\"Message {number}\",\"text\":{text}}}"
        )
    }
}

impl Shared {
    /// Waits until the next message is due; gives its number and that moment.
    async fn next(&self) -> Option<(u64, Instant)> {
        let messages = self.load.batch.unwrap_or(1);
        let turn = self.posted.fetch_add(messages, Ordering::Relaxed);
        let due = self.load.rate.map(|rate| {
            let turn = f64::from(u32::try_from(turn).unwrap_or(u32::MAX));
            self.started + Duration::from_secs_f64(turn / rate)
        });
        if let Some(due) = due {
            tokio::time::sleep_until(due.into()).await;
        }
        let over = match self.load.until {
            Until::Elapsed(time) => self.started.elapsed() >= time,
            Until::Posted(count) => turn >= count,
        };
        let number = || NEXT.fetch_add(messages, Ordering::Relaxed);
        (!over).then(|| (number(), due.unwrap_or_else(Instant::now)))
    }
}

async fn work(shared: Arc<Shared>, mut connection: Connection) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let load = &shared.load;
    while let Some((number, due)) = shared.next().await {
        let body = load.body(number, &shared.text);
        let answer = connection.call(Method::POST, load.path(), &load.sender.key, body).await;
        match answer {
            Ok((StatusCode::ACCEPTED, _)) => {
                outcome.accepted += 1;
                outcome.latencies.record(due.elapsed());
            }
            Ok((StatusCode::OK, body)) => {
                let accepted = accepted(&body);
                outcome.accepted += accepted;
                outcome.latencies.record(due.elapsed());
                let refused = load.batch.unwrap_or_default().saturating_sub(accepted);
                if refused > 0 {
                    *outcome.refused.entry(422).or_default() += refused;
                }
            }
            Ok((status, _)) => {
                *outcome.refused.entry(status.as_u16()).or_default() += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(_) => {
                *outcome.refused.entry(0).or_default() += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
                connection = Connection::open(load.address).await?;
            }
        }
    }
    Ok(outcome)
}

/// The number that the answer to a batch begins with: reading all of it would take time from the
/// server.
fn accepted(body: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(body.get(..body.len().min(64)).unwrap_or_default());
    let number = text.strip_prefix("{\"accepted_count\":").and_then(|rest| rest.split(',').next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Makes text of the given size in lines of ordinary length, as a JSON string.
fn text(size: usize) -> String {
    let line = "The quick brown fox jumps over the lazy dog and reads its mail again.\n";
    let plain: String = line.chars().cycle().take(size).collect();
    json!(plain).to_string()
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};
    use hyper::service::service_fn;
    use hyper::{Response, server::conn::http1};
    use hyper_util::rt::TokioIo;
    use serde_json::Value;

    use super::*;

    /// Accepts every other message.
    async fn server() -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let turn = Arc::new(AtomicU64::new(0));
            while let Ok((stream, _)) = listener.accept().await {
                let turn = Arc::clone(&turn);
                let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                    let turn = turn.fetch_add(1, Ordering::Relaxed);
                    async move {
                        let body = request.into_body().collect().await?.to_bytes();
                        let message: Value = serde_json::from_slice(&body).unwrap();
                        assert_eq!(message["text"].as_str().unwrap().len(), 2048);
                        let status = if turn.is_multiple_of(2) { 202 } else { 503 };
                        Response::builder()
                            .status(status)
                            .body(Full::new(Bytes::from_static(b"{}")))
                            .map_err(|_| ())
                            .or_else(|()| Ok::<_, hyper::Error>(Response::default()))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        address
    }

    #[tokio::test]
    async fn every_answer_is_counted() {
        let sender = Sender { from: "a@b.test".to_owned(), key: "phk_x".to_owned() };
        let outcome = Load {
            address: server().await,
            sender,
            size: 2048,
            concurrency: 4,
            batch: None,
            rate: None,
            until: Until::Posted(20),
            recipients: Recipients::Sink,
        }
        .run()
        .await
        .unwrap();
        assert_eq!(outcome.accepted, 10);
        assert_eq!(outcome.refused, BTreeMap::from([(503, 10)]));
    }

    #[test]
    fn the_count_of_a_batch_is_found() {
        assert_eq!(accepted(b"{\"accepted_count\":498,\"refused_count\":2,\"data\":[]}"), 498);
        assert_eq!(accepted(b"{}"), 0);
    }
}
