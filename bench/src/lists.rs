//! Lists, filters and searches in an account that has been used for a month; an export; and many
//! readers of the live stream.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::api::{Connection, Sender};
use crate::latency::Latencies;
use crate::process;
use crate::report::{line, number, rate, round};
use crate::server::Server;

const SEED: &str = include_str!("seed.sql");
/// How many connections append mail.
const APPENDING: u64 = 8;
/// Words that mail is made of; each twentieth mail has a given one.
const WORDS: u64 = 2_000;
/// Words in a mail.
const LENGTH: u64 = 100;

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Messages sent, each with a delivery, an attempt and five events.
    pub messages: u64,
    /// Mails in the mailbox.
    pub mails: u64,
    /// Entries of the suppression list.
    pub suppressions: u64,
    /// Requests of each kind.
    pub samples: u64,
    /// Readers of the live stream.
    pub readers: usize,
}

impl Size {
    /// What the figures are told for.
    pub(crate) const FULL: Self = Self {
        messages: 1_000_000,
        mails: 100_000,
        suppressions: 1_000_000,
        samples: 200,
        readers: 1000,
    };
    /// To see that everything works.
    pub(crate) const SMALL: Self =
        Self { messages: 20_000, mails: 2_000, suppressions: 10_000, samples: 5, readers: 50 };
}

/// One kind of request; `{n}` is a number that differs.
struct Kind {
    name: &'static str,
    path: &'static str,
    /// Items that a page has at least when there is all of [`Size::FULL`]: nothing is fast because it
    /// is empty.
    items: usize,
}

const fn kind(name: &'static str, path: &'static str, items: usize) -> Kind {
    Kind { name, path, items }
}

const LISTS: [Kind; 24] = [
    kind("messages", "/v1/messages", 50),
    kind("messages_by_message_id", "/v1/messages?message_id={n}@example.test", 1),
    kind("messages_by_recipient", "/v1/messages?to=user{n}@domain{d}.example", 1),
    kind("messages_by_domain", "/v1/messages?domain=domain{d}.example", 50),
    kind("messages_by_tag", "/v1/messages?tag=tag{t}", 20),
    kind("messages_by_metadata", "/v1/messages?metadata%5Buser%5D={n}", 1),
    kind("messages_by_status", "/v1/messages?status=failed", 50),
    kind("messages_tag_and_status", "/v1/messages?tag=tag{t}&status=delivered", 20),
    kind("deliveries", "/v1/deliveries", 50),
    kind("deliveries_by_recipient", "/v1/deliveries?recipient=user{n}@domain{d}.example", 1),
    kind("deliveries_by_domain", "/v1/deliveries?domain=domain{d}.example", 50),
    kind("deliveries_by_status", "/v1/deliveries?status=failed", 50),
    kind("events", "/v1/events", 50),
    kind("events_of_a_rare_type", "/v1/events?types=suppression.created", 5),
    kind("events_by_type", "/v1/events?types=delivery.failed", 50),
    kind("events_by_pattern", "/v1/events?types=delivery.*", 50),
    kind("suppressions", "/v1/suppressions", 50),
    kind("suppressions_by_address", "/v1/suppressions?address=gone{n}@domain{d}.example", 1),
    kind("suppressions_by_domain", "/v1/suppressions?domain=domain{d}.example", 50),
    kind("mail", "/v1/mail", 50),
    kind("mail_unseen", "/v1/mail?unseen=true", 50),
    kind("mail_by_message_id", "/v1/mail?message_id=m{n}@example.test", 1),
    kind("threads", "/v1/threads", 50),
    kind("mail_changes", "/v1/mail/changes?since={n}", 50),
];

const SEARCHES: [Kind; 5] = [
    kind("search_one_word", "/v1/mail?q={w}", 50),
    kind("search_two_words", "/v1/mail?q={w}+{v}", 0),
    kind("search_rare", "/v1/mail?q=only{n}", 1),
    kind("search_subject", "/v1/mail?subject=only{n}", 1),
    kind("search_phrase", "/v1/mail?q=%22all+of+them%22", 50),
];

/// Fills the account of `sender`, then measures.
pub(crate) async fn run(server: &Server, sender: &Sender, size: Size) -> Result<()> {
    let started = Instant::now();
    seed(server, size).await?;
    append_mail(server, sender, size.mails).await?;
    line(&json!({"bench": "filled", "messages": size.messages, "events": size.messages * 5,
        "mails": size.mails, "suppressions": size.suppressions,
        "seconds": round(started.elapsed().as_secs_f64())}))?;
    let mut api = Connection::open(server.http).await?;
    let lists = measure(&mut api, sender, &LISTS, size).await?;
    let searches = measure(&mut api, sender, &SEARCHES, size).await?;
    export(&mut api, server, sender, size).await?;
    let each = readers(server, sender, size.readers).await?;
    line(
        &json!({"ratio": "slowest_list_p99_to_30_ms", "value": round(lists / 30.0), "wanted": "<= 1"}),
    )?;
    line(
        &json!({"ratio": "slowest_search_p99_to_200_ms", "value": round(searches / 200.0), "wanted": "<= 1"}),
    )?;
    line(
        &json!({"ratio": "thousand_readers_to_100_mib", "value": round(each * 1000.0 / 100.0), "wanted": "<= 1"}),
    )
}

/// Writes the history of the account by SQL: to send it all would take an hour.
async fn seed(server: &Server, size: Size) -> Result<()> {
    let mut conn = PgConnection::connect(&server.database_url).await?;
    let account: String =
        sqlx::query_scalar("SELECT account_id::text FROM accounts WHERE name = $1")
            .bind("ed25519")
            .fetch_one(&mut conn)
            .await?;
    let sql = SEED
        .replace("{account}", &account)
        .replace("{messages}", &size.messages.to_string())
        .replace("{events}", &(size.messages * 5).to_string())
        .replace("{suppressions}", &size.suppressions.to_string());
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut conn).await?;
    Ok(conn.close().await?)
}

/// Appends mail as a program that moves a mailbox would.
async fn append_mail(server: &Server, sender: &Sender, mails: u64) -> Result<()> {
    let inbox = Connection::open(server.http).await?.inbox(&sender.key).await?;
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..APPENDING {
        let mut api = Connection::open(server.http).await?;
        let (key, inbox) = (sender.key.clone(), inbox.clone());
        workers.spawn(async move {
            for nth in (worker..mails).step_by(usize::try_from(APPENDING)?) {
                let (status, body) = api.append(&key, &inbox, mail(nth)).await?;
                if status != StatusCode::CREATED {
                    bail!("appending answered {status}: {}", String::from_utf8_lossy(&body));
                }
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = workers.join_next().await {
        done??;
    }
    Ok(())
}

/// A mail of its own: a hundred words of two thousand, and one that no other has.
fn mail(nth: u64) -> Bytes {
    let words = (0..LENGTH).map(|place| word(nth * LENGTH + place) + " ");
    let text: String = words.collect();
    Bytes::from(format!(
        "From: Friend <friend{}@example.net>\r\nTo: bench@example.test\r\n\
         Subject: About only{nth}\r\nMessage-ID: <m{nth}@example.test>\r\n\
         Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n\r\n{text}\r\nThat is all of them.\r\n",
        nth % 500
    ))
}

/// The words in an order that looks like none.
fn word(nth: u64) -> String {
    let mixed = (nth + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    format!("word{}", mixed % WORDS)
}

/// Measures each kind; gives back the slowest p99 in milliseconds.
async fn measure(api: &mut Connection, sender: &Sender, kinds: &[Kind], size: Size) -> Result<f64> {
    let mut slowest: f64 = 0.0;
    for kind in kinds {
        let mut latencies = Latencies::default();
        for sample in 0..size.samples {
            let path = path(kind, sample, size);
            let started = Instant::now();
            let (status, body) = api.call(Method::GET, &path, &sender.key, Bytes::new()).await?;
            latencies.record(started.elapsed());
            let page: Value = serde_json::from_slice(&body)?;
            // A feed of changes has another shape than lists.
            let data = page.get("data").or_else(|| page.pointer("/mail/created"));
            let items = data.and_then(Value::as_array).map_or(0, Vec::len);
            let least = if size.messages == Size::FULL.messages { kind.items } else { 0 };
            if status != StatusCode::OK || items < least {
                bail!("GET {path} answered {status} with {items} items");
            }
        }
        let [p50, p99, max] = latencies.percentiles_ms([50, 99, 100]);
        line(
            &json!({"bench": kind.name, "p50_ms": round(p50), "p99_ms": round(p99), "max_ms": round(max)}),
        )?;
        slowest = slowest.max(p99);
    }
    Ok(slowest)
}

/// The path of a sample: numbers spread over what there is.
fn path(kind: &Kind, sample: u64, size: Size) -> String {
    let n = (sample * 7919 + 17) % (size.mails / 2) + 1;
    let numbers = [("{n}", n), ("{d}", n % 5000), ("{t}", n % 1000)];
    let words = [("{w}", word(sample)), ("{v}", word(sample + 1))];
    let filled = numbers.into_iter().fold(kind.path.to_owned(), |path, (place, number)| {
        path.replace(place, &number.to_string())
    });
    words.into_iter().fold(filled, |path, (place, word)| path.replace(place, &word))
}

/// Reads the whole suppression list as CSV while the memory of the server is watched.
async fn export(api: &mut Connection, server: &Server, sender: &Sender, size: Size) -> Result<()> {
    process::reset_peak(server.pid);
    let (before, _) = process::memory_mib(server.pid);
    let started = Instant::now();
    let lines = api.count_lines("/v1/suppressions/export", &sender.key).await?;
    let elapsed = started.elapsed();
    let (_, peak) = process::memory_mib(server.pid);
    if lines <= size.suppressions {
        bail!("the export of {} entries has {lines} lines", size.suppressions);
    }
    line(&json!({"bench": "export", "lines": lines, "per_second": round(rate(lines, elapsed)),
        "more_mib_at_most": round(peak - before)}))
}

/// Opens many live streams; gives back what one costs, in MiB.
async fn readers(server: &Server, sender: &Sender, count: usize) -> Result<f64> {
    let (before, _) = process::memory_mib(server.pid);
    let mut streams = Vec::with_capacity(count);
    for _ in 0..count {
        let api = Connection::open(server.http).await?;
        streams.push(api.open_stream("/v1/events/stream", &sender.key).await?);
    }
    let mut api = Connection::open(server.http).await?;
    let new = json!({"address": "new@example.org", "reason": "manual"});
    api.create("/v1/suppressions", &sender.key, new).await?;
    let started = Instant::now();
    for stream in &mut streams {
        let told = stream.wait_for("suppression.created");
        tokio::time::timeout(Duration::from_secs(10), told)
            .await
            .context("a reader is not told")??;
    }
    let elapsed = started.elapsed();
    let (after, _) = process::memory_mib(server.pid);
    let each = (after - before) / number(u64::try_from(count)?);
    line(&json!({"bench": "readers", "readers": count, "more_mib": round(after - before),
        "all_told_ms": round(elapsed.as_secs_f64() * 1000.0)}))?;
    Ok(each)
}
