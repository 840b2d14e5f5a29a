//! The batch writer: what doors hand over at the same time is committed in one transaction.
//!
//! Doors wait for the commit. What one of them hands over is never divided. Nothing waits for a batch
//! to fill: whatever has come in while the last batch was committed is the next one.

use std::sync::{Arc, Mutex, PoisonError};

use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{Submission, store};
use crate::{
    blobs::{self, NewBlob},
    cx::{Door, Tx},
    error::{Error, Result},
    events::NewEvent,
    id::{Account, ApiKey, Id},
    idempotency, limits,
    mails::{self, Mark, NewMail},
    platform::Platform,
    queue::{self, Entry},
    suppressions,
};

/// Messages in one transaction.
const BATCH: usize = 256;
/// Octets in one transaction.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// Messages that may wait; beyond, callers are told to come back.
const WAITING: usize = 1024;
/// A message ready to be written.
pub(crate) struct Prepared {
    pub message: Arc<queue::store::Message>,
    pub header_from: String,
    pub door: Door,
    pub size: u64,
    pub epoch: i64,
    pub entries: Vec<Entry>,
    pub status: &'static str,
    pub expires_at: Option<OffsetDateTime>,
    pub blob: NewBlob,
    pub event: NewEvent,
    pub sent_copy: Option<NewMail>,
    /// On the mail that it answers.
    pub mark: Option<Mark>,
    pub labels: Vec<Uuid>,
    pub stream: Option<String>,
    pub require_tls: Option<bool>,
    /// The API key that it came with, if that has a limit of recipients.
    pub counted_key: Option<Id<ApiKey>>,
    pub submission: Submission,
}

/// What one caller wants committed, all of it or nothing.
struct Order {
    account: Id<Account>,
    counted_key: Option<Id<ApiKey>>,
    messages: Vec<Prepared>,
    /// Keeps the answer for replay.
    idempotency: Option<idempotency::Record>,
    done: oneshot::Sender<Result<()>>,
}

impl Order {
    fn size(&self) -> u64 {
        self.messages.iter().map(|message| message.size).sum()
    }
}

fn count(orders: &[Order]) -> usize {
    orders.iter().map(|order| order.messages.len()).sum()
}

/// Takes messages and commits them in batches.
pub(crate) struct Writer {
    orders: mpsc::Sender<Order>,
    receiver: Mutex<Option<mpsc::Receiver<Order>>>,
}

impl Default for Writer {
    fn default() -> Self {
        let (orders, receiver) = mpsc::channel(WAITING);
        Self { orders, receiver: Mutex::new(Some(receiver)) }
    }
}

impl Writer {
    /// Returns after the commit of all `messages` of an account in one transaction, with the record of the request
    /// that they came in.
    pub(crate) async fn write(
        &self,
        messages: Vec<Prepared>,
        idempotency: Option<idempotency::Record>,
    ) -> Result<()> {
        let Some(first) = messages.first() else { return Ok(()) };
        let (account, counted_key) = (first.message.account, first.counted_key);
        let (done, result) = oneshot::channel();
        let order = Order { account, counted_key, messages, idempotency, done };
        self.orders.try_send(order).map_err(|_| Error::unavailable("too many messages at once"))?;
        result.await.map_err(|_| Error::unavailable("the server is shutting down"))?
    }

    /// Starts the task; after `shutdown` it writes what is waiting and ends. One is enough: a second
    /// made batches smaller, and cost a tenth of the rate.
    pub(crate) fn start(
        &self,
        platform: &Platform,
        shutdown: &CancellationToken,
        tracker: &TaskTracker,
    ) {
        let receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(receiver) = receiver {
            tracker.spawn(run(platform.clone(), receiver, shutdown.clone()));
        }
    }
}

async fn run(platform: Platform, mut receiver: mpsc::Receiver<Order>, shutdown: CancellationToken) {
    loop {
        let batch = tokio::select! {
            biased;
            batch = next_batch(&mut receiver) => batch,
            () = shutdown.cancelled() => Vec::new(),
        };
        if batch.is_empty() {
            return;
        }
        metrics::histogram!("posthouse_writer_batch_messages")
            .record(u32::try_from(count(&batch)).unwrap_or(u32::MAX));
        commit(&platform, batch).await;
    }
}

/// Waits for an order and takes those that are waiting with it. Loses nothing when dropped.
async fn next_batch(receiver: &mut mpsc::Receiver<Order>) -> Vec<Order> {
    let Some(first) = receiver.recv().await else {
        return Vec::new();
    };
    let (mut bytes, mut messages) = (first.size(), first.messages.len());
    let mut batch = vec![first];
    while messages < BATCH && bytes < BATCH_BYTES {
        let Ok(order) = receiver.try_recv() else {
            break;
        };
        bytes += order.size();
        messages += order.messages.len();
        batch.push(order);
    }
    batch
}

/// Commits a batch. If something in it cannot be written, halves are tried on their own, so that it
/// fails alone.
async fn commit(platform: &Platform, batch: Vec<Order>) {
    let mut stack = vec![batch];
    while let Some(mut batch) = stack.pop() {
        match write_batch(platform, &mut batch).await {
            Ok(()) => {
                for order in batch {
                    // The caller may have gone; the message is committed all the same.
                    drop(order.done.send(Ok(())));
                }
            }
            Err(error) if batch.len() > 1 && matches!(error, Error::Internal(_)) => {
                let rest = batch.split_off(batch.len() / 2);
                stack.push(rest);
                stack.push(batch);
            }
            Err(error) => refuse(batch, &error),
        }
    }
}

fn refuse(batch: Vec<Order>, error: &Error) {
    let messages = count(&batch);
    tracing::error!(error = %Chain(error), messages, "messages could not be written");
    for order in batch {
        let error = match error {
            Error::StorageFull(source) => Error::StorageFull(source.to_string().into()),
            Error::Internal(source) => Error::internal(source.to_string()),
            other => Error::unavailable(other.to_string()),
        };
        drop(order.done.send(Err(error)));
    }
}

/// An error with its causes.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// One transaction for all orders but those whose idempotency key has just been used elsewhere, or
/// whose account has sent enough, which are answered and taken out.
async fn write_batch(platform: &Platform, batch: &mut Vec<Order>) -> Result<()> {
    let now = platform.now();
    let mut tx = queue::holds::apply::begin(platform).await?;
    let refused = keep_keys(&mut tx, batch, now).await?;
    let over = look_up(platform, &mut tx, batch, now).await?;
    if batch.is_empty() {
        tx.commit().await?;
        answer_refused(refused, over);
        return Ok(());
    }
    let rows: Vec<&Prepared> = batch.iter().flat_map(|order| &order.messages).collect();
    store_rows(&mut tx, platform, &rows, now).await?;
    write_mail(&mut tx, &rows).await?;
    tell(&mut tx, &rows, now);
    tx.commit().await?;
    answer_refused(refused, over);
    schedule(platform, batch.iter().flat_map(|order| &order.messages));
    Ok(())
}

async fn store_rows(
    tx: &mut Tx,
    platform: &Platform,
    rows: &[&Prepared],
    now: OffsetDateTime,
) -> Result<()> {
    let stored: Vec<&NewBlob> = rows.iter().map(|row| &row.blob).collect();
    blobs::store::insert(tx.conn(), &stored, now).await?;
    store::insert(tx.conn(), rows).await?;
    let node = platform.queue().shards.node();
    if !queue::store::insert(tx.conn(), node, rows).await? {
        platform.queue().shards.look();
        return Err(Error::unavailable("a shard of the queue has another owner now"));
    }
    Ok(())
}

/// Writes messages in a transaction that does more than that, before any account is locked there.
/// Limits are for the caller to ask about.
pub(crate) async fn insert(
    tx: &mut Tx,
    platform: &Platform,
    mut batch: Vec<&mut Prepared>,
    now: OffsetDateTime,
) -> Result<()> {
    queue::holds::apply::enter(tx).await?;
    let entries = batch.iter_mut().flat_map(|message| &mut message.entries).collect();
    suppressions::store::mark(tx.conn(), &platform.queue().suppressions, entries, now).await?;
    let marked = batch.iter_mut().map(|message| &mut **message).collect();
    queue::holds::apply::mark(tx, marked, now).await?;
    let rows: Vec<&Prepared> = batch.iter().map(|message| &**message).collect();
    store_rows(tx, platform, &rows, now).await
}

/// Emits the events of new messages.
pub(crate) fn tell(tx: &mut Tx, rows: &[&Prepared], now: OffsetDateTime) {
    for row in rows {
        tx.emit(row.event.clone());
        for event in row.entries.iter().filter_map(|one| queue::held(&row.message, one, now)) {
            tx.emit(event);
        }
    }
}

/// Lets messages go whose transaction is committed.
pub(crate) fn schedule<'a>(platform: &Platform, messages: impl IntoIterator<Item = &'a Prepared>) {
    for Prepared { message, entries, epoch, .. } in messages {
        // A shard that has gone to another node meanwhile is scheduled there.
        if platform.queue().shards.epoch(message.id.shard()) == Some(*epoch) {
            platform.queue().scheduler.add_new(message, entries);
        }
    }
}

/// Asks what concerns these messages before they are written: limits of their accounts, the
/// suppression list, rules that hold them. Mostly nothing does, which one question tells. Gives back
/// the orders that are too many.
async fn look_up(
    platform: &Platform,
    tx: &mut Tx,
    batch: &mut Vec<Order>,
    now: OffsetDateTime,
) -> Result<Vec<(Order, Error)>> {
    let changes = &platform.queue().suppressions;
    let count = changes.count();
    let concerns = store::concerns(tx.conn(), &entries(batch)).await?;
    let has_limits = concerns.limits || batch.iter().any(|order| order.counted_key.is_some());
    let over = if has_limits { keep_limits(tx, batch, now).await? } else { Vec::new() };
    if concerns.suppressions {
        suppressions::store::mark(tx.conn(), changes, entries(batch), now).await?;
    } else {
        suppressions::store::mark_unlisted(entries(batch), count);
    }
    if concerns.holds {
        let messages = batch.iter_mut().flat_map(|order| &mut order.messages).collect();
        queue::holds::apply::mark(tx, messages, now).await?;
    }
    Ok(over)
}

fn entries(batch: &mut [Order]) -> Vec<&mut Entry> {
    let messages = batch.iter_mut().flat_map(|order| &mut order.messages);
    messages.flat_map(|message| &mut message.entries).collect()
}

/// Copies and marks, account by account in the order of their locks.
async fn write_mail(tx: &mut Tx, rows: &[&Prepared]) -> Result<()> {
    let concerned = |row: &&&Prepared| row.sent_copy.is_some() || row.mark.is_some();
    let mut rows: Vec<&&Prepared> = rows.iter().filter(concerned).collect();
    rows.sort_by_key(|row| row.message.account);
    for row in rows {
        if let Some(mail) = &row.sent_copy {
            mails::deliver_in(tx, mail).await?;
        }
        if let Some(mark) = row.mark {
            mails::mark_in(tx, mark).await?;
        }
    }
    Ok(())
}

/// Stores the idempotency keys; gives back the orders whose key is taken.
async fn keep_keys(tx: &mut Tx, batch: &mut Vec<Order>, now: OffsetDateTime) -> Result<Vec<Order>> {
    let records: Vec<idempotency::Record> =
        batch.iter().filter_map(|order| order.idempotency.clone()).collect();
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let stored = idempotency::insert(tx.conn(), &records, now).await?;
    let taken = |order: &mut Order| {
        order.idempotency.as_ref().is_some_and(|record| {
            !stored.iter().any(|(account, key)| *account == record.account && *key == record.key)
        })
    };
    Ok(batch.extract_if(.., taken).collect())
}

/// Counts what accounts with limits send; gives back the orders that are too many, whose
/// idempotency keys are free again.
async fn keep_limits(
    tx: &mut Tx,
    batch: &mut Vec<Order>,
    now: OffsetDateTime,
) -> Result<Vec<(Order, Error)>> {
    let wanted: Vec<limits::Wanted> = batch.iter().map(wanted).collect();
    let verdicts = limits::admit(tx.conn(), &wanted, now).await?;
    if verdicts.iter().all(Option::is_none) {
        return Ok(Vec::new());
    }
    let (mut kept, mut over) = (Vec::new(), Vec::new());
    for (order, verdict) in batch.drain(..).zip(verdicts) {
        match verdict {
            None => kept.push(order),
            Some(error) => over.push((order, error)),
        }
    }
    *batch = kept;
    let records: Vec<idempotency::Record> =
        over.iter().filter_map(|(order, _)| order.idempotency.clone()).collect();
    idempotency::forget(tx.conn(), &records).await?;
    for (order, error) in &over {
        limits::tell_refusal(tx, order.account, order.counted_key, error).await?;
    }
    Ok(over)
}

/// What counts of an order: nothing of what goes to the sandbox.
fn wanted(order: &Order) -> limits::Wanted {
    let counted = order.messages.iter().filter(|message| !message.message.sandbox);
    let recipients = counted.flat_map(|message| &message.entries);
    let recipients = recipients.map(|entry| entry.recipient.to_lowercase()).collect();
    limits::Wanted { account: order.account, key: order.counted_key, recipients }
}

fn answer_refused(in_flight: Vec<Order>, over: Vec<(Order, Error)>) {
    let in_flight = in_flight.into_iter().map(|order| (order, Error::IdempotencyInFlight));
    for (order, error) in in_flight.chain(over) {
        drop(order.done.send(Err(error)));
    }
}
