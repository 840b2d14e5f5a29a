//! The task of one endpoint: reads the log, makes attempts, records what came of them.
//!
//! At most eight attempts are in progress. Their results are recorded in groups, so that under load
//! there is no query per event. Delivery is at least once: what was not recorded is told again.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use time::OffsetDateTime;
use tokio::{
    sync::{Notify, Semaphore, SemaphorePermit, watch},
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    super::client::Client,
    call::{Due, Ended, call},
    outcome::{GONE, Outcome},
    position::Position,
    settings::Settings,
    store,
};
use crate::{
    cx::Tx,
    error::{Error, Result},
    events::{EventKind, NewEvent, WebhookEvent},
    id::{Account, Id, Webhook},
    platform::Platform,
};

/// Most attempts in progress.
const IN_FLIGHT: usize = 8;
/// Of these, most that are not the first for their event: failures never hold back newer events.
const RETRIES_IN_FLIGHT: usize = 4;
/// Events read at a time: one may have some MB.
const PAGE: i64 = 16;
/// Results that come within this time are recorded together.
const GATHER: Duration = Duration::from_millis(20);
/// Most results that are gathered.
const GROUP: usize = 64;
/// A cursor that only passed over unwanted events is saved this much later.
const LAZY: Duration = Duration::from_secs(1);
/// Pause between looks at the log when events come one by one.
const PAUSE: Duration = Duration::from_millis(10);
/// How often the clock is asked whether a retry is due.
const TICK: Duration = Duration::from_millis(250);
/// How long attempts in progress may take to end at shutdown.
const DRAIN: Duration = Duration::from_secs(3);

/// What the task of an endpoint works with.
pub(super) struct Endpoint {
    pub platform: Platform,
    pub client: Arc<Client>,
    pub node: Uuid,
    /// Bounds the queries of all endpoints together.
    pub gate: Arc<Semaphore>,
    pub id: Id<Webhook>,
    pub account: Id<Account>,
    pub settings: watch::Receiver<Arc<Settings>>,
    pub wake: Arc<Notify>,
    pub stop: CancellationToken,
}

/// Why a task cannot go on.
enum Stop {
    /// The endpoint is gone or another node has it.
    Lost,
    /// For now: the database is away.
    Failed(Error),
}

impl<E: Into<Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

struct Task {
    endpoint: Endpoint,
    position: Position,
    queue: VecDeque<Due>,
    /// Positions of retries that are in progress or not recorded yet.
    retrying: HashSet<i64>,
    calls: JoinSet<Result<Ended>>,
    ended: Vec<Ended>,
    failing_since: Option<OffsetDateTime>,
    /// When the log is to be read on.
    read_at: Option<Instant>,
    last_read: Instant,
    record_at: Option<Instant>,
    next_retry_at: Option<OffsetDateTime>,
}

/// Serves an endpoint until it is stopped, gone, or taken by another node.
pub(super) async fn run(endpoint: Endpoint) {
    let id = endpoint.id;
    match start(endpoint).await {
        Ok(Some(task)) => task.run().await,
        Ok(None) => {}
        // The dispatcher starts it again.
        Err(error) => tracing::warn!(webhook = %id, ?error, "a webhook endpoint could not start"),
    }
}

async fn start(endpoint: Endpoint) -> Result<Option<Task>> {
    let turn = endpoint.turn().await;
    let mut conn = endpoint.platform.acquire().await?;
    let cursor = store::cursor(&mut conn, endpoint.id, endpoint.node).await?;
    let Some((seq, failing_since)) = cursor else { return Ok(None) };
    let next_retry_at = store::next_retry(&mut conn, endpoint.id, &[]).await?;
    drop((conn, turn));
    Ok(Some(Task {
        endpoint,
        position: Position::at(seq),
        queue: VecDeque::new(),
        retrying: HashSet::new(),
        calls: JoinSet::new(),
        ended: Vec::new(),
        failing_since,
        read_at: Some(Instant::now()),
        last_read: Instant::now(),
        record_at: None,
        next_retry_at,
    }))
}

impl Task {
    async fn run(mut self) {
        while !self.endpoint.stop.is_cancelled() {
            match self.step().await {
                Ok(()) => {}
                Err(Stop::Lost) => return,
                Err(Stop::Failed(error)) => {
                    tracing::warn!(webhook = %self.endpoint.id, ?error, "webhook calls wait");
                    tokio::time::sleep(LAZY).await;
                }
            }
        }
        self.drain().await;
    }

    /// Does what there is to do, then waits for the next thing to happen.
    async fn step(&mut self) -> Result<(), Stop> {
        if self.ended.len() >= GROUP || is_past(self.record_at) {
            self.record().await?;
        }
        self.start_retries().await?;
        self.read_on().await?;
        self.start_calls();
        let stop = self.endpoint.stop.clone();
        let wake = Arc::clone(&self.endpoint.wake);
        tokio::select! {
            () = stop.cancelled() => {}
            Some(ended) = self.calls.join_next() => self.note(ended),
            () = wake.notified() => self.read_soon(),
            () = until(self.record_at) => {}
            () = until(self.read_at), if self.has_room() => {}
            () = tokio::time::sleep(TICK), if self.next_retry_at.is_some() => {}
        }
        Ok(())
    }

    /// Whether reading on makes sense now.
    fn has_room(&self) -> bool {
        self.queue.len() < IN_FLIGHT
    }

    /// At once, unless that was just done.
    fn read_soon(&mut self) {
        self.read_at.get_or_insert(self.last_read + PAUSE);
    }

    fn record_within(&mut self, time: Duration) {
        let at = Instant::now() + time;
        self.record_at = Some(self.record_at.map_or(at, |earlier| earlier.min(at)));
    }

    async fn read_on(&mut self) -> Result<(), Stop> {
        if !is_past(self.read_at) || !self.has_room() {
            return Ok(());
        }
        let settings = Arc::clone(&self.endpoint.settings.borrow());
        let wanted = store::Wanted {
            account: self.endpoint.account,
            after: self.position.read(),
            types: &settings.like_patterns(),
            limit: PAGE,
        };
        let turn = self.endpoint.turn().await;
        let mut conn = self.endpoint.platform.acquire().await?;
        // What happens from here on may be missed: it gives a new reason to read.
        self.last_read = Instant::now();
        let mut read = store::read(&mut conn, self.endpoint.id, &wanted).await?;
        drop((conn, turn));
        self.read_at = read.more.then_some(self.last_read);
        read.events.retain(|event| settings.wants(event));
        self.position.advance(read.until, read.events.iter().map(|event| event.seq));
        self.queue.extend(read.events.into_iter().map(|event| Due { event, attempts: 0 }));
        if self.position.is_ahead() {
            self.record_within(LAZY);
        }
        Ok(())
    }

    async fn start_retries(&mut self) -> Result<(), Stop> {
        let now = self.endpoint.platform.now();
        let room = RETRIES_IN_FLIGHT.saturating_sub(self.retrying.len());
        let room = room.min(IN_FLIGHT.saturating_sub(self.calls.len()));
        if room == 0 || self.next_retry_at.is_none_or(|at| at > now) {
            return Ok(());
        }
        let without: Vec<i64> = self.retrying.iter().copied().collect();
        let wanted = store::DueRetries {
            id: self.endpoint.id,
            account: self.endpoint.account,
            now,
            without: &without,
            limit: i64::try_from(room).unwrap_or(1),
        };
        let turn = self.endpoint.turn().await;
        let mut conn = self.endpoint.platform.acquire().await?;
        let found = store::due(&mut conn, &wanted).await?;
        let found_seqs = found.iter().map(|due| due.event.seq);
        let without: Vec<i64> = without.into_iter().chain(found_seqs).collect();
        self.next_retry_at = store::next_retry(&mut conn, self.endpoint.id, &without).await?;
        drop((conn, turn));
        self.retrying.extend(without);
        for due in found {
            self.start_call(due);
        }
        Ok(())
    }

    fn start_calls(&mut self) {
        while self.calls.len() < IN_FLIGHT
            && let Some(due) = self.queue.pop_front()
        {
            self.start_call(due);
        }
    }

    fn start_call(&mut self, due: Due) {
        let settings = Arc::clone(&self.endpoint.settings.borrow());
        let (platform, client) =
            (self.endpoint.platform.clone(), Arc::clone(&self.endpoint.client));
        self.calls.spawn(call(platform, client, settings, due));
    }

    fn note(&mut self, ended: Result<Result<Ended>, JoinError>) {
        let error = match ended {
            Ok(Ok(ended)) => {
                self.ended.push(ended);
                self.record_within(GATHER);
                return;
            }
            Ok(Err(error)) => error,
            Err(error) => Error::internal(error),
        };
        // A fault of ours: whoever serves the endpoint next begins where the database says.
        tracing::error!(webhook = %self.endpoint.id, ?error, "a webhook call was broken off");
        self.endpoint.stop.cancel();
    }

    /// Records results: history, what is to be tried again, and the cursor, all or nothing.
    async fn record(&mut self) -> Result<(), Stop> {
        let schedule = &self.endpoint.platform.config().webhook_retry_schedule;
        let outcome = Outcome::of(&self.ended, self.failing_since, schedule);
        let seqs: Vec<i64> = self.ended.iter().map(|one| one.seq).collect();
        let cursor = self.position.cursor(&seqs);
        let turn = self.endpoint.turn().await;
        let mut tx = self.endpoint.platform.begin("webhooks.record").await?;
        self.write(&mut tx, &outcome, cursor).await?;
        let disabled = match outcome.disable {
            Some(reason) => self.endpoint.disable(&mut tx, reason).await?,
            None => false,
        };
        tx.commit().await?;
        drop(turn);
        self.record_at = None;
        self.position.record(&seqs, cursor);
        self.failing_since = outcome.failing_since;
        for seq in &seqs {
            self.retrying.remove(seq);
        }
        self.ended.clear();
        let earliest = outcome.next.iter().flatten().chain(&self.next_retry_at).min();
        self.next_retry_at = earliest.copied();
        if disabled {
            self.endpoint.stop.cancel();
        }
        Ok(())
    }

    async fn write(&self, tx: &mut Tx, outcome: &Outcome, cursor: i64) -> Result<(), Stop> {
        let (id, node, account) = (self.endpoint.id, self.endpoint.node, self.endpoint.account);
        let (since, durable) = (outcome.failing_since, outcome.disable.is_some());
        if !store::advance(tx.conn(), (id, node), cursor, since, durable).await? {
            return Err(Stop::Lost);
        }
        if self.ended.is_empty() {
            return Ok(());
        }
        store::write_history(tx.conn(), (id, account), &self.ended, &outcome.next).await?;
        let attempts = || self.ended.iter().zip(&outcome.next);
        let again: Vec<_> = attempts().filter_map(|(one, at)| Some((one, (*at)?))).collect();
        store::save_retries(tx.conn(), id, &again).await?;
        let over = attempts().filter(|(one, at)| at.is_none() && one.attempt > 1);
        let over: Vec<i64> = over.map(|(one, _)| one.seq).collect();
        store::drop_retries(tx.conn(), id, &over).await?;
        Ok(())
    }

    /// Lets attempts in progress end, records them, and gives the endpoint back.
    async fn drain(mut self) {
        let deadline = Instant::now() + DRAIN;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.calls.join_next()).await
        {
            self.note(ended);
        }
        let recorded = self.record().await;
        let released = async {
            let mut conn = self.endpoint.platform.acquire().await?;
            store::release(&mut conn, self.endpoint.id, self.endpoint.node).await
        };
        if let (Err(Stop::Failed(error)), _) | (_, Err(error)) = (recorded, released.await) {
            let webhook = self.endpoint.id;
            tracing::warn!(%webhook, ?error, "some webhook calls will be repeated");
        }
    }
}

impl Endpoint {
    /// Waits for a turn at the database.
    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It fails only when the gate is closed, which nobody does.
        self.gate.acquire().await.ok()
    }

    /// Disables the endpoint and tells the account; false when it was disabled already.
    async fn disable(&self, tx: &mut Tx, reason: &'static str) -> Result<bool> {
        let now = self.platform.now();
        let Some(url) = store::disable(tx.conn(), self.id, reason, now).await? else {
            return Ok(false);
        };
        let (webhook_id, account_id) = (self.id, self.account);
        let data = WebhookEvent { webhook_id, account_id, url: &url, reason };
        tx.emit(NewEvent::new(account_id, EventKind::WebhookDisabled, now, &data));
        let why = if reason == GONE { "gone" } else { "failing" };
        metrics::counter!("posthouse_webhooks_disabled_total", "reason" => why).increment(1);
        tracing::info!(webhook = %webhook_id, reason, "a webhook endpoint was disabled");
        Ok(true)
    }
}

fn is_past(at: Option<Instant>) -> bool {
    at.is_some_and(|at| at <= Instant::now())
}

/// Sleeps until then; for ever when there is no such time.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
