//! What is measured, in which order, and how it is put into lines.
//!
//! Every run of load is followed by a wait until the sink has everything, so that no run pays for
//! the one before.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::json;

use crate::api::{Connection, Sender};
use crate::dns;
use crate::lists::{self, Size};
use crate::load::{Load, Outcome, Recipients, Until};
use crate::process::{self, Cpu};
use crate::queue::{Queue, Waiting};
use crate::report::{line, number, rate, round};
use crate::server::Server;
use crate::sink::{self, Sink};
use crate::webhooks::Endpoints;

const SMALL: usize = 2048;
const LARGE: usize = 51_200;
/// Messages of a batch.
const BATCH: u64 = 500;
/// How many connections post batches.
const BATCHES_AT_ONCE: [usize; 2] = [1, 4];
/// The concurrency at which delivery and ratios are measured.
const USUAL: usize = 64;
/// How long the sink may see nothing before we call messages lost.
const DELIVERY_PATIENCE: Duration = Duration::from_secs(30);

/// How much to measure.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Length of each measurement.
    pub each: Duration,
    /// Messages to retire before measuring again.
    pub retired: u64,
    /// Messages that wait for a dead host.
    pub backlog: u64,
    /// What an account has that was used for a month.
    pub used: Size,
    /// What waits in the queue.
    pub waiting: Waiting,
    /// Messages whose events webhook endpoints are told.
    pub told: u64,
    /// Messages a second at which latency is measured, with RSA and with Ed25519.
    pub rates: [f64; 2],
    /// Concurrencies of the accept measurement.
    pub concurrencies: Vec<usize>,
}

/// The server, its peers and its senders.
#[derive(Debug)]
pub(crate) struct Bench {
    plan: Plan,
    server: Server,
    sink: Sink,
    /// The one with STARTTLS.
    tls: Sink,
    rsa: Sender,
    ed25519: Sender,
    both: Sender,
}

/// Messages from the first request until the sink has taken the last one.
#[derive(Clone, Copy, Debug)]
struct Delivered {
    per_second: f64,
    accepted_per_second: f64,
    undelivered: u64,
    /// In milliseconds.
    accept_p99: f64,
}

/// One line about accepting.
#[derive(Serialize)]
struct AcceptLine<'a> {
    bench: &'a str,
    size: usize,
    concurrency: usize,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    accepted: u64,
    refused: BTreeMap<u16, u64>,
}

/// One line about delivering.
#[derive(Serialize)]
struct DeliverLine<'a> {
    bench: &'a str,
    dkim: &'a str,
    size: usize,
    concurrency: usize,
    per_second: f64,
    accepted_per_second: f64,
    accept_p50_ms: f64,
    accept_p99_ms: f64,
    delivered: u64,
    undelivered: u64,
    signatures_per_message: f64,
    cpu_seconds_per_1000: CpuPer1000,
}

#[derive(Serialize)]
struct CpuPer1000 {
    server: f64,
    postgres: f64,
    total: f64,
    client_and_sink: f64,
}

impl Bench {
    /// Starts everything.
    pub(crate) async fn start(program: &Path, data: &Path, plan: Plan) -> Result<Self> {
        let sink = Sink::start().await?;
        let [(_, address), ..] = dns::PLACES;
        let tls = sink.beside(address.into(), sink::certificate()?).await?;
        let dns = dns::start().await?;
        let server = Server::start(program, data, dns, sink.address.port()).await?;
        let mut api = Connection::open(server.http).await?;
        let key = server.admin_key.clone();
        let rsa = api.make_sender(&key, "rsa", &["rsa-2048"]).await?;
        let ed25519 = api.make_sender(&key, "ed25519", &["ed25519"]).await?;
        let both = api.make_sender(&key, "both", &["rsa-2048", "ed25519"]).await?;
        Ok(Self { plan, server, sink, tls, rsa, ed25519, both })
    }

    /// Measures everything; fails when accepted messages did not arrive.
    pub(crate) async fn run(&self) -> Result<()> {
        line(&json!({
            "bench": "environment",
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
            "seconds_each": self.plan.each.as_secs(),
        }))?;
        self.warm_up().await?;
        let before = self.accept_all().await?;
        let batches = self.accept_batches().await?;
        let rsa = self.deliver("rsa-2048", &self.rsa).await?;
        let ed25519 = self.deliver("ed25519", &self.ed25519).await?;
        let both = self.deliver("both", &self.both).await?;
        let [rsa_rate, ed25519_rate] = self.plan.rates;
        let paced = [
            self.deliver_at(rsa_rate, "rsa-2048", &self.rsa).await?,
            self.deliver_at(ed25519_rate, "ed25519", &self.ed25519).await?,
        ];
        let later = self.after_retiring().await?;
        let behind = self.behind_a_backlog().await?;

        ratio("accept_with_backlog_to_without", behind / before.max(1.0), ">= 0.8")?;
        let start_to_later = rsa.per_second / later.per_second.max(1.0);
        ratio("deliver_rsa_at_start_to_after_retired", start_to_later, "<= 1.15")?;
        ratio("deliver_ed25519_to_rsa", ed25519.per_second / rsa.per_second.max(1.0), "")?;
        ratio("deliver_rsa_to_1500", rsa.per_second / 1500.0, ">= 1")?;
        ratio("deliver_ed25519_to_3500", ed25519.per_second / 3500.0, ">= 1")?;
        ratio("accept_batch_to_8000", batches / 8000.0, ">= 1")?;
        ratio("accept_p99_rsa_to_60_ms", rsa.accept_p99 / 60.0, "<= 1")?;
        ratio("accept_p99_ed25519_to_60_ms", ed25519.accept_p99 / 60.0, "<= 1")?;
        let runs = [rsa, ed25519, both, later];
        let lost: u64 = runs.iter().chain(&paced).map(|run| run.undelivered).sum();
        if lost > 0 {
            bail!("{lost} accepted messages did not arrive");
        }
        Ok(())
    }

    /// Measures delivering alone.
    pub(crate) async fn run_deliver(&self) -> Result<()> {
        self.warm_up().await?;
        self.deliver("rsa-2048", &self.rsa).await?;
        self.deliver("ed25519", &self.ed25519).await?;
        self.deliver("both", &self.both).await?;
        let rsa = self.deliver_by_tls("rsa-2048", &self.rsa, SMALL).await?;
        let ed25519 = self.deliver_by_tls("ed25519", &self.ed25519, SMALL).await?;
        let large = self.deliver_by_tls("rsa-2048", &self.rsa, LARGE).await?;
        ratio("deliver_by_tls_rsa_to_2500", rsa / 2500.0, ">= 1")?;
        ratio("deliver_by_tls_ed25519_to_5000", ed25519 / 5000.0, ">= 1")?;
        ratio("deliver_by_tls_50_kib_to_800", large / 800.0, ">= 1")
    }

    /// Over STARTTLS, with connections that are used again; messages a second.
    async fn deliver_by_tls(&self, dkim: &str, sender: &Sender, size: usize) -> Result<f64> {
        let load = Load { recipients: Recipients::Tls, ..self.load(sender, size, USUAL) };
        let run = self.deliver_as("deliver_by_tls", dkim, load).await?;
        if run.undelivered > 0 {
            bail!("{} accepted messages did not arrive", run.undelivered);
        }
        Ok(run.per_second)
    }

    /// Measures a queue with a million recipients.
    pub(crate) async fn run_queue(&mut self) -> Result<()> {
        self.warm_up().await?;
        let [_, (_, silent), (_, single)] = dns::PLACES;
        self.sink.stay_silent_at(silent.into()).await?;
        let queue = Queue {
            single: self.sink.beside(single.into(), None).await?,
            living: self.sink.clone(),
            busy: self.ed25519.clone(),
            other: self.both.clone(),
            server: &mut self.server,
        };
        queue.run(self.plan.waiting).await
    }

    /// Measures webhooks; fails when events were not told.
    pub(crate) async fn run_webhooks(&self) -> Result<()> {
        self.warm_up().await?;
        let one = self.tell((1, 0)).await?;
        let alone = self.tell((4, 0)).await?;
        let beside = self.tell((4, 1)).await?;
        ratio("webhooks_one_endpoint_to_2000", one / 2000.0, ">= 1")?;
        ratio("webhooks_four_endpoints_to_2000", alone / 2000.0, ">= 1")?;
        ratio("webhooks_beside_a_hanging_one_to_alone", beside / alone.max(1.0), ">= 0.9")
    }

    /// Measures lists of an account that has much.
    pub(crate) async fn run_lists(&self) -> Result<()> {
        lists::run(&self.server, &self.ed25519, self.plan.used).await
    }

    /// Calls a second, to so many endpoints that answer and so many that hang.
    async fn tell(&self, endpoints: (usize, usize)) -> Result<f64> {
        let api = Connection::open(self.server.http).await?;
        let endpoints = Endpoints::make(api, &self.ed25519, endpoints).await?;
        let until = Until::Posted(self.plan.told);
        let load = Load { until, ..self.load(&self.ed25519, SMALL, USUAL) };
        let outcome = self.run_and_drain(load).await?.0;
        // The results of the last deliveries are written after the sink has seen them.
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok(endpoints.tell(outcome.accepted, self.server.pid).await?.per_second)
    }

    /// Stops the server and removes its data.
    pub(crate) async fn stop(self) -> Result<()> {
        self.server.stop().await
    }

    fn load(&self, sender: &Sender, size: usize, concurrency: usize) -> Load {
        Load {
            address: self.server.http,
            sender: sender.clone(),
            size,
            concurrency,
            batch: None,
            rate: None,
            until: Until::Elapsed(self.plan.each),
            recipients: Recipients::Sink,
        }
    }

    /// Fills caches, opens pools, and shows that mail arrives at all.
    async fn warm_up(&self) -> Result<()> {
        for sender in [&self.rsa, &self.ed25519, &self.both] {
            let load = Load { until: Until::Posted(50), ..self.load(sender, SMALL, 8) };
            let outcome = self.run_and_drain(load).await?.0;
            if outcome.accepted == 0 {
                bail!("no message is accepted; statuses: {:?}", outcome.refused);
            }
        }
        Ok(())
    }

    /// Who takes the mail of a load.
    const fn sink_of(&self, load: &Load) -> &Sink {
        match load.recipients {
            Recipients::Tls => &self.tls,
            Recipients::Sink | Recipients::Dead => &self.sink,
        }
    }

    /// Runs a load and waits until the sink has it all; returns when the last one came.
    async fn run_and_drain(&self, load: Load) -> Result<(Outcome, Instant)> {
        let sink = self.sink_of(&load);
        let had = sink.recipients();
        let outcome = load.run().await?;
        let wanted = had + outcome.accepted;
        let last = sink.wait_for(wanted, DELIVERY_PATIENCE).await;
        Ok((outcome, last))
    }

    /// Returns the rate for small messages at the usual concurrency.
    async fn accept_all(&self) -> Result<f64> {
        let mut usual = 0.0;
        for size in [SMALL, LARGE] {
            for concurrency in &self.plan.concurrencies {
                let load = self.load(&self.rsa, size, *concurrency);
                let (outcome, _) = self.run_and_drain(load).await?;
                let per_second = accept_line("accept", size, *concurrency, outcome)?;
                if size == SMALL && *concurrency <= USUAL {
                    usual = per_second;
                }
            }
        }
        Ok(usual)
    }

    /// Batches of the largest size, while what was taken is delivered. Returns messages a second.
    async fn accept_batches(&self) -> Result<f64> {
        let mut best: f64 = 0.0;
        for concurrency in BATCHES_AT_ONCE {
            let load = self.load(&self.ed25519, SMALL, concurrency);
            let (outcome, _) = self.run_and_drain(Load { batch: Some(BATCH), ..load }).await?;
            best = best.max(accept_line("accept_batch_of_500", SMALL, concurrency, outcome)?);
        }
        Ok(best)
    }

    async fn deliver(&self, dkim: &str, sender: &Sender) -> Result<Delivered> {
        self.deliver_as("deliver", dkim, self.load(sender, SMALL, USUAL)).await
    }

    /// At the rate that is asked for, not as fast as possible: what latency is like then.
    async fn deliver_at(&self, rate: f64, dkim: &str, sender: &Sender) -> Result<Delivered> {
        let load = Load { rate: Some(rate), ..self.load(sender, SMALL, USUAL) };
        self.deliver_as("deliver_at_rate", dkim, load).await
    }

    async fn deliver_as(&self, bench: &str, dkim: &str, load: Load) -> Result<Delivered> {
        let cpu = process::cpu(self.server.pid);
        let (sink, size) = (self.sink_of(&load).clone(), load.size);
        let (messages, signatures) = (sink.messages(), sink.signatures());
        let started = Instant::now();
        let (mut outcome, last) = self.run_and_drain(load).await?;
        let used = process::cpu(self.server.pid) - cpu;
        let delivered = sink.messages() - messages;
        let [p50, p99] = outcome.latencies.percentiles_ms([50, 99]);
        let result = Delivered {
            per_second: rate(delivered, last - started),
            accepted_per_second: rate(outcome.accepted, outcome.elapsed),
            undelivered: outcome.accepted.saturating_sub(delivered),
            accept_p99: p99,
        };
        let signed = number(sink.signatures() - signatures) / number(delivered.max(1));
        line(&DeliverLine {
            bench,
            dkim,
            size,
            concurrency: USUAL,
            per_second: round(result.per_second),
            accepted_per_second: round(result.accepted_per_second),
            accept_p50_ms: round(p50),
            accept_p99_ms: round(p99),
            delivered,
            undelivered: result.undelivered,
            signatures_per_message: round(signed),
            cpu_seconds_per_1000: per_1000(used, delivered),
        })?;
        Ok(result)
    }

    /// Retires many messages, then measures delivery again.
    async fn after_retiring(&self) -> Result<Delivered> {
        let missing = self.plan.retired.saturating_sub(self.sink.recipients());
        let load = Load { until: Until::Posted(missing), ..self.load(&self.ed25519, SMALL, USUAL) };
        let (outcome, _) = self.run_and_drain(load).await?;
        line(&json!({
            "bench": "retire",
            "retired": self.sink.recipients(),
            "per_second": round(rate(outcome.accepted, outcome.elapsed)),
        }))?;
        let load = self.load(&self.rsa, SMALL, USUAL);
        self.deliver_as("deliver_after_retired", "rsa-2048", load).await
    }

    /// Lets many messages wait for a dead host, then measures accepting again.
    async fn behind_a_backlog(&self) -> Result<f64> {
        process::reset_peak(self.server.pid);
        let load = Load {
            until: Until::Posted(self.plan.backlog),
            recipients: Recipients::Dead,
            ..self.load(&self.ed25519, SMALL, USUAL)
        };
        let outcome = load.run().await?;
        let (rss, peak) = process::memory_mib(self.server.pid);
        line(&json!({
            "bench": "backlog",
            "waiting": outcome.accepted,
            "refused": outcome.refused,
            "per_second": round(rate(outcome.accepted, outcome.elapsed)),
            "rss_mib": round(rss),
            "peak_rss_mib": round(peak),
        }))?;
        let usual = self.plan.concurrencies.iter().copied().filter(|each| *each <= USUAL).max();
        let concurrency = usual.unwrap_or(USUAL);
        let load = self.load(&self.rsa, SMALL, concurrency);
        let (outcome, _) = self.run_and_drain(load).await?;
        let per_second = accept_line("accept_with_backlog", SMALL, concurrency, outcome)?;
        let (rss, peak) = process::memory_mib(self.server.pid);
        line(&json!({
            "bench": "memory",
            "waiting": self.plan.backlog,
            "rss_mib": round(rss),
            "peak_rss_mib": round(peak),
        }))?;
        ratio("peak_rss_with_backlog_to_200_mib", peak / 200.0, "<= 1")?;
        Ok(per_second)
    }
}

fn accept_line(bench: &str, size: usize, concurrency: usize, mut outcome: Outcome) -> Result<f64> {
    let per_second = rate(outcome.accepted, outcome.elapsed);
    let [p50, p99, max] = outcome.latencies.percentiles_ms([50, 99, 100]);
    line(&AcceptLine {
        bench,
        size,
        concurrency,
        per_second: round(per_second),
        p50_ms: round(p50),
        p99_ms: round(p99),
        max_ms: round(max),
        accepted: outcome.accepted,
        refused: outcome.refused,
    })?;
    Ok(per_second)
}

fn per_1000(used: Cpu, messages: u64) -> CpuPer1000 {
    let thousands = number(messages.max(1)) / 1000.0;
    CpuPer1000 {
        server: round(used.server / thousands),
        postgres: round(used.postgres / thousands),
        total: round((used.server + used.postgres) / thousands),
        client_and_sink: round(used.bench / thousands),
    }
}

fn ratio(name: &str, value: f64, wanted: &str) -> Result<()> {
    line(&json!({"ratio": name, "value": round(value), "wanted": wanted}))
}
