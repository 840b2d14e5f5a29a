//! What the task of an endpoint asks of the database, while calls go on.

use std::sync::Arc;

use time::OffsetDateTime;

use super::{
    super::{
        Replay, notice,
        statistics::Counts,
        store::{self as webhooks, replays::Progress},
    },
    call::{Due, Ended},
    endpoint::Endpoint,
    filter,
    outcome::{GONE, Outcome},
    store::{self, Read, record},
};
use crate::{
    cx::Tx,
    error::{Error, Result},
    events::{EventKind, NewEvent, WebhookEvent, like_patterns},
    id::{Id, WebhookReplay},
};

/// Most events read at a time.
const PAGE: i64 = 64;
/// Octets of payloads read at a time: one may have some MB.
const PAGE_OCTETS: i64 = 1024 * 1024;
/// The same for replays, of which less is in progress.
const REPLAY_PAGE: i64 = 16;
/// Positions of the log that one query of a replay looks at.
const REPLAY_SPAN: i64 = 5000;

/// What came of a job.
pub(super) enum Done {
    Read(Result<Read>),
    Looked(Result<Box<Looked>>),
    Recorded(Box<Batch>, Result<Recorded, Stop>),
}

/// Why a task cannot go on.
pub(super) enum Stop {
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

/// Reads the log on.
pub(super) async fn read(endpoint: Arc<Endpoint>, after: i64) -> Done {
    Done::Read(read_new(&endpoint, after).await)
}

async fn read_new(endpoint: &Endpoint, after: i64) -> Result<Read> {
    let settings = endpoint.settings();
    let wanted = store::Wanted {
        account: endpoint.account,
        after,
        types: &like_patterns(&settings.types),
        limit: PAGE,
        octets: PAGE_OCTETS,
    };
    let _turn = endpoint.turn().await;
    let mut conn = endpoint.platform.acquire().await?;
    let mut read = store::read(&mut conn, endpoint.id, &wanted).await?;
    let place = (endpoint.account, &*settings);
    filter::keep_wanted(&mut conn, place, &settings.types, &mut read.events).await?;
    Ok(read)
}

/// What to look for besides new events.
pub(super) struct Wish {
    /// Retries that are due now, and those that are not wanted because they are in progress.
    pub retries: Option<(OffsetDateTime, Vec<i64>, usize)>,
    /// The next part of the replay.
    pub replay: bool,
    /// The replay that is known, and where reading goes on.
    pub known: Option<(Id<WebhookReplay>, i64)>,
}

/// What was found.
#[derive(Default)]
pub(super) struct Looked {
    pub retries: Vec<Due>,
    /// When the next retry is due, if that was asked.
    pub next_retry_at: Option<OffsetDateTime>,
    /// The replay, if that was asked.
    pub replay: Found,
}

/// The replay that is running now.
#[derive(Default)]
pub(super) enum Found {
    #[default]
    NotAsked,
    None,
    /// It and its next part.
    Some(Box<Replay>, Read),
}

/// Looks for retries and the replay.
pub(super) async fn look(endpoint: Arc<Endpoint>, wish: Wish) -> Done {
    Done::Looked(look_for(&endpoint, wish).await.map(Box::new))
}

async fn look_for(endpoint: &Endpoint, wish: Wish) -> Result<Looked> {
    let mut looked = Looked::default();
    let _turn = endpoint.turn().await;
    let mut conn = endpoint.platform.acquire().await?;
    if let Some((now, without, room)) = wish.retries {
        let wanted = store::DueRetries {
            id: endpoint.id,
            account: endpoint.account,
            now,
            without: &without,
            limit: i64::try_from(room).unwrap_or(1),
        };
        looked.retries = store::due(&mut conn, &wanted).await?;
        let found = looked.retries.iter().map(|due| due.event.seq);
        let without: Vec<i64> = without.iter().copied().chain(found).collect();
        looked.next_retry_at = store::next_retry(&mut conn, endpoint.id, &without).await?;
    }
    if !wish.replay {
        return Ok(looked);
    }
    looked.replay = Found::None;
    let Some(replay) = webhooks::replays::running(&mut conn, endpoint.id).await? else {
        return Ok(looked);
    };
    let after = wish.known.filter(|(id, _)| *id == replay.id).map_or(replay.seq, |(_, read)| read);
    let again = store::Again {
        account: endpoint.account,
        replay: &replay,
        after,
        limit: REPLAY_PAGE,
        octets: PAGE_OCTETS,
        span: REPLAY_SPAN,
    };
    let mut read = store::read_again(&mut conn, &again).await?;
    let settings = endpoint.settings();
    let place = (endpoint.account, &*settings);
    filter::keep_wanted(&mut conn, place, &replay.event_types, &mut read.events).await?;
    looked.replay = Found::Some(Box::new(replay), read);
    Ok(looked)
}

/// A group of results and what follows from them.
pub(super) struct Batch {
    pub ended: Vec<Ended>,
    pub outcome: Outcome,
    pub cursor: i64,
    pub replay: Option<Progress>,
}

/// What recording showed.
#[derive(Clone, Copy, Default)]
pub(super) struct Recorded {
    /// The endpoint is disabled now.
    pub disabled: bool,
    /// The replay of the batch goes on.
    pub replay_goes_on: bool,
}

/// Records results: history, what is to be tried again, counts and cursors, all or nothing.
pub(super) async fn record(endpoint: Arc<Endpoint>, batch: Box<Batch>) -> Done {
    let recorded = record_batch(&endpoint, &batch).await;
    Done::Recorded(batch, recorded)
}

pub(super) async fn record_batch(endpoint: &Endpoint, batch: &Batch) -> Result<Recorded, Stop> {
    let _turn = endpoint.turn().await;
    let mut tx = endpoint.platform.begin("webhooks.record").await?;
    let (place, since) = ((endpoint.id, endpoint.node), batch.outcome.failing_since);
    let durable = batch.outcome.disable.is_some();
    if !record::advance(tx.conn(), place, batch.cursor, since, durable).await? {
        return Err(Stop::Lost);
    }
    write(&mut tx, endpoint, batch).await?;
    let mut recorded = Recorded::default();
    if let Some(progress) = &batch.replay {
        recorded.replay_goes_on = webhooks::replays::advance(tx.conn(), progress).await?;
    }
    if let Some(reason) = batch.outcome.disable {
        recorded.disabled = disable(&mut tx, endpoint, reason).await?;
    }
    tx.commit().await?;
    Ok(recorded)
}

async fn write(tx: &mut Tx, endpoint: &Endpoint, batch: &Batch) -> Result<()> {
    let (id, ended, outcome) = (endpoint.id, &batch.ended, &batch.outcome);
    let Some(last) = ended.last() else { return Ok(()) };
    record::write_history(tx.conn(), (id, endpoint.account), ended, &outcome.next).await?;
    let mut counts = Counts::default();
    for one in ended {
        counts.count(one.answer.status, one.answer.duration);
    }
    webhooks::statistics::add(tx.conn(), id, last.finished_at, &counts).await?;
    let attempts = || ended.iter().zip(&outcome.next);
    let again: Vec<_> = attempts().filter_map(|(one, at)| Some((one, (*at)?))).collect();
    record::save_retries(tx.conn(), id, &again).await?;
    let over = attempts().filter(|(one, at)| at.is_none() && one.may_have_been_tried());
    let over: Vec<i64> = over.map(|(one, _)| one.seq).collect();
    record::drop_retries(tx.conn(), id, &over).await
}

/// Disables the endpoint and tells the account, by event and mail; false when it was disabled
/// already.
async fn disable(tx: &mut Tx, endpoint: &Endpoint, reason: &'static str) -> Result<bool> {
    let platform = &endpoint.platform;
    let now = platform.now();
    if !record::disable(tx.conn(), endpoint.id, reason, now).await? {
        return Ok(false);
    }
    let (webhook_id, account_id) = (endpoint.id, endpoint.account);
    let found = webhooks::find(tx.conn(), platform.vault(), account_id, webhook_id).await?;
    let Some(webhook) = found else { return Ok(false) };
    let data = WebhookEvent { webhook_id, account_id, url: &webhook.url, reason };
    tx.emit(NewEvent::new(account_id, EventKind::WebhookDisabled, now, &data));
    notice::deliver(tx, platform, &webhook, reason).await?;
    let why = if reason == GONE { "gone" } else { "failing" };
    metrics::counter!("posthouse_webhooks_disabled_total", "reason" => why).increment(1);
    tracing::info!(webhook = %webhook_id, reason, "a webhook endpoint was disabled");
    Ok(true)
}
