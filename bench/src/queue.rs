//! A queue of a million recipients in ten thousand domains, of which half never answer: memory, start
//! after a crash, the rate of the living, and what a single message of somebody else waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::json;

use crate::api::{Connection, Sender};
use crate::dns;
use crate::latency::Latencies;
use crate::process;
use crate::report::{line, number, rate, round};
use crate::server::Server;
use crate::sink::Sink;

/// Recipients of a message.
const TOGETHER: u64 = 1000;
/// How many connections post.
const POSTING: u64 = 4;
/// How long the sink may see nothing before we call messages lost.
const PATIENCE: Duration = Duration::from_mins(1);

/// How much waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    pub recipients: u64,
    pub domains: u64,
}

impl Waiting {
    /// What the figures are told for.
    pub(crate) const FULL: Self = Self { recipients: 1_000_000, domains: 10_000 };
    /// To see that everything works.
    pub(crate) const SMALL: Self = Self { recipients: 4000, domains: 40 };

    const fn half(self) -> Self {
        Self { recipients: self.recipients / 2, domains: self.domains / 2 }
    }
}

/// The server and who takes what it sends.
pub(crate) struct Queue<'a> {
    pub server: &'a mut Server,
    /// Who has the million.
    pub busy: Sender,
    /// Who has one at a time.
    pub other: Sender,
    /// Takes what is for the living.
    pub living: Sink,
    /// Takes what the other sends.
    pub single: Sink,
}

impl Queue<'_> {
    /// Measures everything; fails when messages for the living do not arrive.
    pub(crate) async fn run(self, size: Waiting) -> Result<()> {
        let half = size.half();
        self.set_paused(true).await?;
        self.fill(half, &["d"]).await?;
        let alone = self.drain(half.recipients, "queue_of_the_living").await?;

        self.set_paused(true).await?;
        let (before, _) = process::memory_mib(self.server.pid);
        let started = Instant::now();
        self.fill(size, &["d", "silent"]).await?;
        let took = started.elapsed();
        let (after, _) = process::memory_mib(self.server.pid);
        let octets = (after - before) * 1_048_576.0 / number(size.recipients);
        let loading = self.server.crash().await?;
        let (loaded, _) = process::memory_mib(self.server.pid);
        line(&json!({
            "bench": "queue",
            "recipients": size.recipients,
            "domains": size.domains,
            "accepted_per_second": round(rate(size.recipients, took)),
            "octets_per_recipient": round(octets),
            "seconds_to_start": round(loading.as_secs_f64()),
            "rss_mib": round(loaded),
        }))?;

        let singles = Singles::start(&self);
        let beside = self.drain(half.recipients, "queue_beside_the_dead").await?;
        let mut latencies = singles.stop().await?;
        let [p50, p99, max] = latencies.percentiles_ms([50, 99, 100]);
        line(&json!({
            "bench": "single_beside_a_million",
            "messages": latencies.count(),
            "p50_ms": round(p50),
            "p99_ms": round(p99),
            "max_ms": round(max),
        }))?;
        let ratio = |name: &str, value: f64, wanted: &str| {
            line(&json!({"ratio": name, "value": round(value), "wanted": wanted}))
        };
        ratio("rate_beside_the_dead_to_alone", beside / alone.max(1.0), ">= 0.9")?;
        ratio("octets_per_recipient_to_350", octets / 350.0, "<= 1")?;
        ratio("seconds_to_start_to_15", loading.as_secs_f64() / 15.0, "<= 1")?;
        ratio("single_p99_to_1_s", p99 / 1000.0, "<= 1")
    }

    async fn set_paused(&self, paused: bool) -> Result<()> {
        let path = if paused { "/v1/queue/pause?scope=all" } else { "/v1/queue/resume?scope=all" };
        let mut api = Connection::open(self.server.http).await?;
        let answer = api.call(Method::POST, path, &self.server.admin_key, Bytes::new()).await?;
        if answer.0 != StatusCode::OK {
            bail!("POST {path} answered {}: {}", answer.0, String::from_utf8_lossy(&answer.1));
        }
        Ok(())
    }

    /// Posts messages until so many recipients wait, in turn in domains of each kind.
    async fn fill(&self, size: Waiting, kinds: &'static [&'static str]) -> Result<()> {
        let next = Arc::new(AtomicU64::new(0));
        let mut posting = tokio::task::JoinSet::new();
        for _ in 0..POSTING {
            let (next, sender) = (Arc::clone(&next), self.busy.clone());
            let mut api = Connection::open(self.server.http).await?;
            posting.spawn(async move {
                loop {
                    let first = next.fetch_add(TOGETHER, Ordering::Relaxed);
                    if first >= size.recipients {
                        return anyhow::Ok(());
                    }
                    let last = (first + TOGETHER).min(size.recipients);
                    let to: Vec<String> = (first..last)
                        .map(|number| address(number, number % size.domains, kinds))
                        .collect();
                    let body = message(&sender, &to);
                    let (status, answer) =
                        api.call(Method::POST, "/v1/messages", &sender.key, body).await?;
                    if status != StatusCode::ACCEPTED {
                        bail!("a message was refused: {}", String::from_utf8_lossy(&answer));
                    }
                }
            });
        }
        while let Some(done) = posting.join_next().await {
            done??;
        }
        Ok(())
    }

    /// Lets go, and measures until the living have everything; messages a second.
    async fn drain(&self, recipients: u64, bench: &str) -> Result<f64> {
        let cpu = process::cpu(self.server.pid);
        let wanted = self.living.recipients() + recipients;
        let started = Instant::now();
        self.set_paused(false).await?;
        let last = self.living.wait_for(wanted, PATIENCE).await;
        let missing = wanted.saturating_sub(self.living.recipients());
        if missing > 0 {
            bail!("{missing} messages for servers that answer did not arrive");
        }
        let (per_second, used) =
            (rate(recipients, last - started), process::cpu(self.server.pid) - cpu);
        line(&json!({
            "bench": bench,
            "recipients": recipients,
            "per_second": round(per_second),
            "server_cpu_seconds": round(used.server),
            "postgres_cpu_seconds": round(used.postgres),
        }))?;
        Ok(per_second)
    }
}

/// Recipient `number`, in the domain `domain`.
fn address(number: u64, domain: u64, kinds: &[&str]) -> String {
    let count = u64::try_from(kinds.len()).unwrap_or(1);
    let kind = usize::try_from(domain % count).ok().and_then(|at| kinds.get(at));
    match kind {
        Some(&"d") | None => format!("u{number}@q{domain}.{}", dns::ZONE),
        Some(kind) => format!("u{number}@q{domain}.{kind}.{}", dns::ZONE),
    }
}

fn message(sender: &Sender, to: &[String]) -> Bytes {
    let from = &sender.from;
    let text = "The quick brown fox jumps over the lazy dog.\n".repeat(20);
    let body = json!({"from": from, "bcc": to, "subject": "To many", "text": text});
    Bytes::from(body.to_string())
}

/// One message after the other, each measured from its request to its arrival.
struct Singles {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Result<Latencies>>,
}

impl Singles {
    fn start(queue: &Queue<'_>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (http, sender) = (queue.server.http, queue.other.clone());
        let (sink, ends) = (queue.single.clone(), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let mut api = Connection::open(http).await?;
            let mut latencies = Latencies::default();
            for number in 0_u64.. {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                // Each in a domain that nothing is known of.
                let to = [format!("one@s{number}.single.{}", dns::ZONE)];
                let (wanted, started) = (sink.recipients() + 1, Instant::now());
                let body = message(&sender, &to);
                let (status, _) = api.call(Method::POST, "/v1/messages", &sender.key, body).await?;
                if status != StatusCode::ACCEPTED {
                    bail!("a single message was refused: {status}");
                }
                sink.wait_for(wanted, PATIENCE).await;
                latencies.record(started.elapsed());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(latencies)
        });
        Self { stop, task }
    }

    async fn stop(self) -> Result<Latencies> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_domains_are_of_each_kind() {
        let kinds = ["d", "silent"];
        assert_eq!(address(7, 2, &kinds), "u7@q2.sink.test");
        assert_eq!(address(7, 3, &kinds), "u7@q3.silent.sink.test");
        assert_eq!(address(7, 3, &["d"]), "u7@q3.sink.test");
    }
}
