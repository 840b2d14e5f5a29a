//! What came of attempts, written in batches: one transaction for up to 500 results.
//!
//! A crash can lose a batch that was not written yet: those attempts are made again. SMTP is
//! at-least-once.

mod decide;
mod store;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::time::OffsetDateTime;
use posthouse_mail::dsn::DsnKind;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub(crate) use decide::Decided;

use super::{Entry, dsn, store::Message};
use crate::{
    cx::Tx,
    error::Error,
    platform::Platform,
    ports::transport::{Peer, Reply},
    suppressions,
};

/// Results in one transaction.
const BATCH: usize = 500;
/// Results that may wait to be written; beyond, workers wait.
const WAITING: usize = 4096;
/// How long a result may wait for others.
const GATHER: Duration = Duration::from_millis(20);

/// What came of an attempt for one recipient.
#[derive(Debug, Clone)]
pub(crate) enum Result {
    Delivered(Reply),
    Relayed(Reply),
    Deferred(Reply),
    Failed(Reply),
    Suppressed(Reply),
    Expired(Reply),
}

impl Result {
    /// What was said.
    pub(crate) const fn reply(&self) -> &Reply {
        match self {
            Self::Delivered(reply)
            | Self::Relayed(reply)
            | Self::Deferred(reply)
            | Self::Failed(reply)
            | Self::Suppressed(reply)
            | Self::Expired(reply) => reply,
        }
    }
}

/// An attempt that has ended.
pub(crate) struct Completed {
    pub entry: Entry,
    /// Absent when its content could not be read.
    pub message: Option<Arc<Message>>,
    pub started_at: OffsetDateTime,
    pub duration: Duration,
    pub peer: Option<Peer>,
    pub result: Result,
    /// What is reported of a success, if the sender wants that: that it is in the mailbox, or that
    /// nobody else will tell. None: the other server reports (RFC 3461 §5.2.1).
    pub success: Option<DsnKind>,
}

impl Completed {
    /// An attempt that came to no other server, and did not succeed.
    pub(crate) const fn local(
        entry: Entry,
        message: Option<Arc<Message>>,
        started_at: OffsetDateTime,
        result: Result,
    ) -> Self {
        let duration = Duration::ZERO;
        Self { entry, message, started_at, duration, peer: None, result, success: None }
    }
}

/// Takes results and writes them.
pub(crate) struct Completions {
    sender: mpsc::Sender<Completed>,
    receiver: Mutex<Option<mpsc::Receiver<Completed>>>,
}

impl Default for Completions {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        Self { sender, receiver: Mutex::new(Some(receiver)) }
    }
}

impl Completions {
    /// Hands a result over; waits while too many are waiting.
    pub(crate) async fn push(&self, completed: Completed) {
        // The receiver lives until all workers have ended.
        drop(self.sender.send(completed).await);
    }

    /// Starts the writer; after `shutdown` it writes what is waiting and ends.
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

async fn run(
    platform: Platform,
    mut receiver: mpsc::Receiver<Completed>,
    shutdown: CancellationToken,
) {
    loop {
        let first = tokio::select! {
            biased;
            first = receiver.recv() => first,
            () = shutdown.cancelled() => None,
        };
        let Some(first) = first else { return };
        let batch = gather(&mut receiver, first).await;
        write(&platform, batch).await;
    }
}

/// What is waiting; a little patience makes batches of a stream of results.
async fn gather(receiver: &mut mpsc::Receiver<Completed>, first: Completed) -> Vec<Completed> {
    let mut batch = vec![first];
    let deadline = tokio::time::Instant::now() + GATHER;
    while batch.len() < BATCH {
        match tokio::time::timeout_at(deadline, receiver.recv()).await {
            Ok(Some(completed)) => batch.push(completed),
            Ok(None) | Err(_) => break,
        }
    }
    batch
}

/// Writes a batch, again and again while the database is away: results are never dropped.
async fn write(platform: &Platform, batch: Vec<Completed>) {
    let mut decided = decide::decide(platform, batch);
    let mut pause = Duration::from_millis(100);
    loop {
        match try_write(platform, &mut decided).await {
            Ok(()) => break,
            Err(error @ Error::Internal(_)) if decided.len() > 1 => {
                tracing::error!(error = ?error, "a batch of results could not be written; one by one");
                for one in decided {
                    Box::pin(write_one(platform, one)).await;
                }
                return;
            }
            Err(error) => {
                tracing::error!(error = ?error, results = decided.len(), "results wait to be written");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
    reschedule(platform, decided);
}

/// Writes one result; if even that is impossible, the attempt will be made again.
async fn write_one(platform: &Platform, one: Decided) {
    let id = one.entry.id;
    let mut single = vec![one];
    if let Err(error) = try_write(platform, &mut single).await {
        tracing::error!(delivery.id = %id, error = ?error, "a result could not be written");
        for decided in &mut single {
            decided.entry.due += 60_000;
            decided.retry = true;
        }
    }
    reschedule(platform, single);
}

fn reschedule(platform: &Platform, decided: Vec<Decided>) {
    let scheduler = &platform.queue().scheduler;
    let mut again = Vec::new();
    for one in decided {
        scheduler.finished(one.entry.id);
        if one.retry && !one.lost {
            again.push(one.entry);
        }
    }
    if !again.is_empty() {
        scheduler.add_loaded(again);
        scheduler.kick();
    }
}

/// Ends deliveries without an attempt, in the transaction of the caller, which holds them.
pub(super) async fn end(
    tx: &mut Tx,
    platform: &Platform,
    decided: &mut [Decided],
) -> crate::error::Result<()> {
    store::remove_and_defer(tx.conn(), platform, decided).await?;
    let current: Vec<&Decided> = decided.iter().filter(|one| !one.lost).collect();
    store::insert_deliveries(tx.conn(), &current).await?;
    for event in current.iter().filter_map(|one| one.event(false)) {
        tx.emit(event);
    }
    dsn::deliver(tx, platform, &current).await
}

async fn try_write(platform: &Platform, decided: &mut [Decided]) -> crate::error::Result<()> {
    let mut tx = platform.begin("queue.complete").await?;
    store::remove_and_defer(tx.conn(), platform, decided).await?;
    let current: Vec<&Decided> = decided.iter().filter(|one| !one.lost).collect();
    store::insert_attempts(tx.conn(), &current).await?;
    store::insert_deliveries(tx.conn(), &current).await?;
    let suppressed = suppressions::rule::apply(&mut tx, platform, &current).await?;
    for one in &current {
        let suppression = suppressed.get(&one.entry.id);
        if let Some(event) = one.event(suppression.is_some()) {
            tx.emit(event);
        }
        if let Some(event) = suppression {
            tx.emit(event.clone());
        }
    }
    dsn::deliver(&mut tx, platform, &current).await?;
    tx.commit().await?;
    decide::count(&current);
    Ok(())
}
