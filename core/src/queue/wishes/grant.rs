//! Granting wishes, on the node that owns the delivery.
//!
//! A delivery is changed only while this node holds it: what waits for its time or its turn is first
//! taken off the schedule, so no attempt can begin meanwhile. What is not there is being attempted,
//! or on its way into the schedule: it is looked for again soon. Afterwards the schedule gets what
//! the table says, also when it is not known whether the change was committed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use posthouse_mail::dsn::DsnKind;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::store::{self, Found, Keys, Locked, States};
use crate::{
    cx::Tx,
    error::{Error, Result},
    events::EventKind,
    id::{self, Account, Delivery, Id},
    platform::Platform,
    ports::transport::Reply,
    queue::{
        Entry,
        complete::{self, Decided},
        entry::rcpt_dsn,
        news, pauses,
        store::{self as queue_store, Message},
    },
    routing,
};

/// Wishes granted in one transaction.
const PAGE: i64 = 500;
/// Looks by itself that often: a NOTIFY may be lost.
const EVERY: Duration = Duration::from_secs(2);
/// What is being attempted is looked for again after this, later less often.
const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_secs(1);

/// Runs until shutdown.
pub(crate) async fn run(platform: Platform, shutdown: CancellationToken) {
    let mut pause = SOON;
    while !shutdown.is_cancelled() {
        let patience = match look(&platform, &shutdown).await {
            Ok(0) => {
                pause = SOON;
                EVERY
            }
            Ok(_) => {
                pause = (pause * 2).min(LATER);
                pause
            }
            Err(error) => {
                tracing::warn!(error = ?error, "changes of the queue wait to be made");
                LATER
            }
        };
        tokio::select! {
            () = platform.queue().wishes.kicked(patience) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

async fn look(platform: &Platform, shutdown: &CancellationToken) -> Result<usize> {
    pauses::load(platform).await?;
    routing::load(platform).await?;
    round(platform, shutdown).await
}

type Epochs = HashMap<u8, i64>;

/// Goes once through all wishes for what this node owns; how many are left.
async fn round(platform: &Platform, shutdown: &CancellationToken) -> Result<usize> {
    let shards = &platform.queue().shards;
    let epochs: Epochs = shards.open_epochs();
    if epochs.is_empty() || !shards.is_trusted() {
        return Ok(0);
    }
    let numbers: Vec<i16> = epochs.keys().map(|shard| i16::from(*shard)).collect();
    let (mut after, mut left) = ((-1, Uuid::nil()), 0);
    loop {
        let mut conn = platform.acquire().await?;
        let found = store::page(&mut conn, &numbers, after, PAGE).await?;
        drop(conn);
        let Some(last) = found.last() else { return Ok(left) };
        after = (last.shard, last.delivery_id);
        left += match grant(platform, &epochs, &found, shutdown).await {
            Err(error @ Error::Internal(_)) if found.len() > 1 => {
                tracing::error!(error = ?error, "a batch of wishes could not be granted; one by one");
                one_by_one(platform, &epochs, &found, shutdown).await
            }
            done => done?,
        };
    }
}

/// What cannot be granted does not hinder the rest.
async fn one_by_one(
    platform: &Platform,
    epochs: &Epochs,
    found: &[Found],
    shutdown: &CancellationToken,
) -> usize {
    let mut left = 0;
    for one in found.chunks(1) {
        left += grant(platform, epochs, one, shutdown).await.unwrap_or_else(|error| {
            tracing::error!(error = ?error, "a wish could not be granted");
            1
        });
    }
    left
}

/// Grants what can be granted; how many are left.
async fn grant(
    platform: &Platform,
    epochs: &Epochs,
    found: &[Found],
    shutdown: &CancellationToken,
) -> Result<usize> {
    let scheduler = &platform.queue().scheduler;
    let messages = messages(platform, found).await?;
    let waits = || found.iter().filter_map(|one| one.waits.as_ref());
    let waiting: Vec<&Entry> = waits().filter(|one| !one.on_hold).map(|one| &one.entry).collect();
    for one in found.iter().filter(|one| one.action == "retry") {
        one.waits.iter().for_each(|waits| scheduler.wake(&waits.entry));
    }
    let seized = scheduler.seize(&waiting);
    let held = waits().filter(|one| one.on_hold).map(|one| one.entry.id);
    let taken: HashSet<Id<Delivery>> = seized.iter().copied().chain(held).collect();
    let mut keys = Keys::default();
    for id in &taken {
        let Some(epoch) = epochs.get(&id.shard()) else { continue };
        keys.shards.push(i16::from(id.shard()));
        keys.ids.push(id.uuid());
        keys.epochs.push(*epoch);
    }
    let written = write(platform, found, &keys, &messages).await;
    let entries = reload(platform, epochs, &keys, shutdown).await;
    scheduler.settle(&seized, entries);
    written?;
    Ok(waits().count() - taken.len())
}

/// What the schedule is to have of these deliveries. Waits for changes in doubt: they hold locks.
async fn reload(
    platform: &Platform,
    epochs: &Epochs,
    keys: &Keys,
    shutdown: &CancellationToken,
) -> Vec<Entry> {
    let shards = &platform.queue().shards;
    loop {
        let read = async {
            let mut conn = platform.acquire().await?;
            queue_store::load_some(&mut conn, &keys.shards, &keys.ids).await
        };
        match read.await {
            Ok(mut entries) => {
                // A shard that has gone to another node meanwhile is scheduled there.
                let owned = |shard| shards.epoch(shard) == epochs.get(&shard).copied();
                entries.retain(|entry| owned(entry.id.shard()));
                return entries;
            }
            Err(error) => tracing::warn!(%error, "a change of the queue is in doubt; asking again"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
            () = shutdown.cancelled() => return Vec::new(),
        }
    }
}

type Messages = HashMap<Id<id::Message>, Arc<Message>>;

/// The messages, for events; with content where it is reported.
async fn messages(platform: &Platform, found: &[Found]) -> Result<Messages> {
    let key = |entry: &Entry| (entry.account, entry.id.message());
    let of = |fail: bool| -> HashSet<(Id<Account>, Id<id::Message>)> {
        let chosen = found.iter().filter(|one| (one.action == "fail") == fail);
        chosen.filter_map(|one| one.waits.as_ref()).map(|one| key(&one.entry)).collect()
    };
    let failing: Vec<_> = of(true).into_iter().collect();
    let mut messages = Messages::new();
    if !failing.is_empty() {
        let loaded = queue_store::load_messages(platform, &failing).await?;
        messages.extend(loaded.into_iter().map(|message| (message.id, message)));
    }
    let others = of(false).into_iter().chain(failing);
    let others: Vec<_> = others.filter(|(_, id)| !messages.contains_key(id)).collect();
    let mut conn = platform.acquire().await?;
    for message in queue_store::load_heads(&mut conn, &others).await? {
        messages.insert(message.id, Arc::new(message));
    }
    Ok(messages)
}

async fn write(
    platform: &Platform,
    found: &[Found],
    keys: &Keys,
    messages: &Messages,
) -> Result<()> {
    let now = platform.now();
    let mut tx = platform.begin("queue.grant").await?;
    let (mut shards, mut ids) = (Vec::new(), Vec::new());
    for gone in found.iter().filter(|one| one.waits.is_none()) {
        shards.push(gone.shard);
        ids.push(gone.delivery_id);
    }
    let locked = store::lock(tx.conn(), platform.queue().shards.node(), keys).await?;
    let (mut states, mut ended) = (States::default(), Vec::new());
    for row in &locked {
        let id = Id::<Delivery>::from(row.delivery_id);
        shards.push(i16::from(id.shard()));
        ids.push(row.delivery_id);
        let message = messages.get(&id.message());
        match effect(row, now) {
            Effect::End => ended.push(end(row, message.cloned(), now)),
            Effect::Nothing => {}
            Effect::Wait { status, due, event } => {
                states.shards.push(i16::from(id.shard()));
                states.ids.push(row.delivery_id);
                states.statuses.push(status);
                states.due.push(due);
                states.sets_transport.push(row.sets_transport);
                states.transports.push(row.transport_id);
                states.sets_require_tls.push(row.sets_require_tls);
                states.require_tls.push(row.require_tls);
                if let Some((kind, message)) = event.zip(message) {
                    let attempts = u16::try_from(row.attempts).unwrap_or(0);
                    let of = (id, row.recipient.as_str(), attempts);
                    let next = (kind == EventKind::DeliveryReleased).then_some(due);
                    tx.emit(news::changed((kind, now), message, of, (&row.reason, next)));
                }
            }
        }
    }
    finish(platform, tx, &states, ended, (&shards, &ids)).await
}

async fn finish(
    platform: &Platform,
    mut tx: Tx,
    states: &States,
    mut ended: Vec<Decided>,
    (shards, ids): (&[i16], &[Uuid]),
) -> Result<()> {
    store::forget(tx.conn(), shards, ids).await?;
    if !states.ids.is_empty() {
        store::update(tx.conn(), states).await?;
    }
    if !ended.is_empty() {
        complete::end(&mut tx, platform, &mut ended).await?;
    }
    tx.commit().await
}

/// What a wish does to a delivery.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    End,
    Wait {
        status: &'static str,
        due: OffsetDateTime,
        event: Option<EventKind>,
    },
    /// It came too late.
    Nothing,
}

fn effect(row: &Locked, now: OffsetDateTime) -> Effect {
    let on_hold = row.status == "on_hold";
    let due = row.next_attempt_at;
    match row.action.as_str() {
        "cancel" | "fail" => Effect::End,
        "hold" if !on_hold => {
            Effect::Wait { status: "on_hold", due, event: Some(EventKind::DeliveryHeld) }
        }
        "release" if on_hold => {
            let status = waiting(row.attempts, due, now);
            Effect::Wait { status, due, event: Some(EventKind::DeliveryReleased) }
        }
        "retry" if !on_hold => {
            Effect::Wait { status: waiting(row.attempts, now, now), due: now, event: None }
        }
        "schedule" if row.attempts == 0 => {
            let due = row.at.unwrap_or(now);
            let status = if on_hold { "on_hold" } else { waiting(0, due, now) };
            Effect::Wait { status, due, event: None }
        }
        "postpone" => {
            let due = row.at.unwrap_or(now);
            let status = if on_hold { "on_hold" } else { waiting(row.attempts, due, now) };
            Effect::Wait { status, due, event: None }
        }
        // Nothing but the transport or the wish for TLS, or the rest came too late.
        _ if row.sets_transport || row.sets_require_tls => {
            let status = match row.status.as_str() {
                "on_hold" => "on_hold",
                "scheduled" => "scheduled",
                "deferred" => "deferred",
                _ => "queued",
            };
            Effect::Wait { status, due, event: None }
        }
        _ => Effect::Nothing,
    }
}

/// Status of a delivery that waits and is not held.
fn waiting(attempts: i16, due: OffsetDateTime, now: OffsetDateTime) -> &'static str {
    if attempts > 0 {
        "deferred"
    } else if due > now {
        "scheduled"
    } else {
        "queued"
    }
}

fn end(row: &Locked, message: Option<Arc<Message>>, now: OffsetDateTime) -> Decided {
    let (id, account) = (row.delivery_id.into(), row.account_id.into());
    let mut entry = Entry::new(id, account, &row.recipient, row.next_attempt_at);
    entry.attempts = u16::try_from(row.attempts).unwrap_or(0);
    entry.sandbox = row.sandbox;
    entry.require_tls = row.requires_tls.into();
    entry.dsn = rcpt_dsn(row.dsn_notify.as_deref(), row.dsn_orcpt.clone());
    if row.action == "fail" {
        let reply = Reply::local("5.0.0", row.reason.clone());
        return Decided::ended((entry, message), "failed", (reply, Some(DsnKind::Failed)), now);
    }
    let reply = Reply { code: None, enhanced: None, text: row.reason.clone() };
    Decided::ended((entry, message), "canceled", (reply, None), now)
}
