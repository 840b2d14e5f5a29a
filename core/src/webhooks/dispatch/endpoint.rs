//! The task of one endpoint: reads the log, makes attempts, records what came of them.
//!
//! At most eight attempts are in progress. Their results are recorded in groups, so that under load
//! there is no query per event, and calls go on meanwhile. Delivery is at least once: what was not
//! recorded is told again.

mod finish;

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
    call::{Cause, Due, Ended, call},
    jobs::{self, Batch, Done, Stop, Wish},
    outcome::Outcome,
    position::Position,
    replaying::Replaying,
    settings::Settings,
    store,
};
use crate::{
    error::{Error, Result},
    http::Client,
    id::{Account, Id, Webhook},
    platform::Platform,
};

/// Most attempts in progress.
const IN_FLIGHT: usize = 8;
/// Of these, most that are not for new events: neither failures nor replays hold those back.
const OLD_IN_FLIGHT: usize = 4;
/// Of these, most for a replay: retries always have a place.
const REPLAYS_IN_FLIGHT: usize = 3;
/// Reading goes on when fewer events than this wait.
const READ_AHEAD: usize = 32;
/// Results that come within this time are recorded together.
const GATHER: Duration = Duration::from_millis(20);
/// So many results are recorded at once.
const GROUP: usize = 64;
/// No further attempts while so many results are not recorded.
const UNRECORDED: usize = 4 * GROUP;
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
    /// There may be new events.
    pub wake: Arc<Notify>,
    /// There may be retries or a replay.
    pub nudge: Arc<Notify>,
    pub stop: CancellationToken,
}

/// Which jobs are under way: one of a kind at a time.
#[derive(Default)]
struct Busy {
    reading: bool,
    looking: bool,
    recording: bool,
}

struct Task {
    endpoint: Arc<Endpoint>,
    position: Position,
    /// New events.
    queue: VecDeque<Due>,
    /// Events to try again.
    retries: VecDeque<Due>,
    /// Positions of retries that wait here, are in progress or not recorded yet.
    retrying: HashSet<i64>,
    replay: Option<Replaying>,
    /// Calls of replays in progress.
    replaying: usize,
    /// There may be another replay than this task knows of.
    look_for_replay: bool,
    calls: JoinSet<Result<Ended>>,
    ended: Vec<Ended>,
    failing_since: Option<OffsetDateTime>,
    jobs: JoinSet<Done>,
    busy: Busy,
    /// When the log is to be read on.
    read_at: Option<Instant>,
    last_read: Instant,
    record_at: Option<Instant>,
    next_retry_at: Option<OffsetDateTime>,
    /// Not before then, after a failure of the database.
    look_at: Option<Instant>,
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
        endpoint: Arc::new(endpoint),
        position: Position::at(seq),
        queue: VecDeque::new(),
        retries: VecDeque::new(),
        retrying: HashSet::new(),
        replay: None,
        replaying: 0,
        look_for_replay: true,
        calls: JoinSet::new(),
        ended: Vec::new(),
        failing_since,
        jobs: JoinSet::new(),
        busy: Busy::default(),
        read_at: Some(Instant::now()),
        last_read: Instant::now(),
        record_at: None,
        next_retry_at,
        look_at: None,
    }))
}

impl Task {
    async fn run(mut self) {
        while !self.endpoint.stop.is_cancelled() {
            if let Err(Stop::Lost) = self.step().await {
                return;
            }
        }
        self.drain().await;
    }

    /// Starts what there is to do, then waits for the next thing to happen.
    async fn step(&mut self) -> Result<(), Stop> {
        self.start_jobs();
        self.start_calls();
        let endpoint = Arc::clone(&self.endpoint);
        tokio::select! {
            () = endpoint.stop.cancelled() => {}
            Some(done) = self.jobs.join_next() => self.finish(done)?,
            Some(ended) = self.calls.join_next() => self.note(ended),
            () = endpoint.wake.notified() => self.read_soon(),
            () = endpoint.nudge.notified() => self.look_now(),
            () = until(self.record_at), if !self.busy.recording => {}
            () = until(self.read_at), if !self.busy.reading && self.has_room() => {}
            () = until(self.look_at), if !self.busy.looking => {}
            () = tokio::time::sleep(TICK), if self.next_retry_at.is_some() => {}
        }
        Ok(())
    }

    /// Whether reading on makes sense now.
    fn has_room(&self) -> bool {
        self.queue.len() < READ_AHEAD
    }

    /// At once, unless that was just done.
    fn read_soon(&mut self) {
        self.read_at.get_or_insert(self.last_read + PAUSE);
    }

    fn look_now(&mut self) {
        self.look_for_replay = true;
        self.next_retry_at = Some(OffsetDateTime::UNIX_EPOCH);
    }

    fn record_within(&mut self, time: Duration) {
        let at = Instant::now() + time;
        self.record_at = Some(self.record_at.map_or(at, |earlier| earlier.min(at)));
    }

    fn start_jobs(&mut self) {
        if !self.busy.recording && (self.ended.len() >= GROUP || is_past(self.record_at)) {
            let batch = Box::new(self.take_batch());
            self.busy.recording = true;
            self.jobs.spawn(jobs::record(Arc::clone(&self.endpoint), batch));
        }
        if !self.busy.reading && is_past(self.read_at) && self.has_room() {
            self.busy.reading = true;
            self.read_at = None;
            // What happens from here on may be missed: it gives a new reason to read.
            self.last_read = Instant::now();
            self.jobs.spawn(jobs::read(Arc::clone(&self.endpoint), self.position.read()));
        }
        if self.busy.looking || self.look_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        self.look_at = None;
        let wish = self.wish();
        self.look_for_replay = false;
        if wish.retries.is_some() || wish.replay {
            self.busy.looking = true;
            self.jobs.spawn(jobs::look(Arc::clone(&self.endpoint), wish));
        }
    }

    /// What to look for now besides new events.
    fn wish(&mut self) -> Wish {
        let now = self.endpoint.platform.now();
        let room = OLD_IN_FLIGHT.saturating_sub(self.retrying.len() + self.replaying);
        let is_due = self.next_retry_at.is_some_and(|at| at <= now);
        let retries = (room > 0 && is_due).then(|| {
            // What is recorded from now on is counted in anew.
            self.next_retry_at = None;
            (now, self.retrying.iter().copied().collect(), room)
        });
        let known = self.replay.as_ref();
        let is_hungry =
            known.is_some_and(|replay| replay.queue.is_empty() && replay.read().is_some());
        let known = known.map(|replay| (replay.id, replay.read().unwrap_or(i64::MAX)));
        Wish { retries, replay: is_hungry || self.look_for_replay, known }
    }

    /// Takes the results so far, to be recorded.
    fn take_batch(&mut self) -> Batch {
        self.record_at = None;
        let ended = std::mem::take(&mut self.ended);
        let platform = &self.endpoint.platform;
        let schedule = &platform.config().webhook_retry_schedule;
        let outcome = Outcome::of(&ended, self.failing_since, schedule);
        let cursor = self.position.cursor(&new_seqs(&ended));
        let replay = self.replay.as_ref();
        let replay = replay.and_then(|replay| replay.progress(&ended, platform.now()));
        Batch { ended, outcome, cursor, replay }
    }

    /// Retries first, and one event of a replay; then new events; then more of the replay.
    fn start_calls(&mut self) {
        while self.calls.len() < IN_FLIGHT && self.ended.len() < UNRECORDED {
            let Some(due) = self.next_due() else { return };
            self.replaying += usize::from(matches!(due.cause, Cause::Replay(_)));
            let endpoint = &self.endpoint;
            let (platform, client) = (endpoint.platform.clone(), Arc::clone(&endpoint.client));
            self.calls.spawn(call(platform, client, endpoint.settings(), due));
        }
    }

    fn next_due(&mut self) -> Option<Due> {
        if let Some(due) = self.retries.pop_front() {
            return Some(due);
        }
        let old = self.replaying + self.retrying.len();
        let may_replay = self.replaying < REPLAYS_IN_FLIGHT && old < OLD_IN_FLIGHT;
        if may_replay
            && (self.replaying == 0 || self.queue.is_empty())
            && let Some(due) = self.replay.as_mut().and_then(|replay| replay.queue.pop_front())
        {
            return Some(due);
        }
        self.queue.pop_front()
    }

    fn note(&mut self, ended: Result<Result<Ended>, JoinError>) {
        let error = match ended {
            Ok(Ok(ended)) => {
                let was_replay = matches!(ended.cause, Cause::Replay(_));
                self.replaying = self.replaying.saturating_sub(usize::from(was_replay));
                self.ended.push(ended);
                self.record_within(GATHER);
                return;
            }
            Ok(Err(error)) => error,
            Err(error) => Error::internal(error),
        };
        self.give_up(&error);
    }

    /// A fault of ours: whoever serves the endpoint next begins where the database says.
    fn give_up(&self, error: &Error) {
        tracing::error!(webhook = %self.endpoint.id, ?error, "a webhook call was broken off");
        self.endpoint.stop.cancel();
    }

    /// Lets attempts in progress end, records them, and gives the endpoint back.
    async fn drain(mut self) {
        let deadline = Instant::now() + DRAIN;
        while let Ok(Some(ended)) = tokio::time::timeout_at(deadline, self.calls.join_next()).await
        {
            self.note(ended);
        }
        while let Ok(Some(done)) =
            tokio::time::timeout_at(deadline + DRAIN, self.jobs.join_next()).await
        {
            if self.finish(done).is_err() {
                return;
            }
        }
        let batch = self.take_batch();
        let recorded = jobs::record_batch(&self.endpoint, &batch).await;
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
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It fails only when the gate is closed, which nobody does.
        self.gate.acquire().await.ok()
    }

    /// As they are now.
    pub(super) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.borrow())
    }
}

/// Positions of new events.
fn new_seqs(ended: &[Ended]) -> Vec<i64> {
    ended.iter().filter(|one| one.cause == Cause::New).map(|one| one.seq).collect()
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
