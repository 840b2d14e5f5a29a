//! Telling an endpoint a part of the log again: by time and type, with the events' own ids.
//!
//! An endpoint has one replay at a time. What it was not told yet is not part of it: that comes
//! anyway.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{NOT_FOUND, check, store};
use crate::{
    audit,
    cx::Cx,
    error::{Error, FieldError, Result},
    id::{self, Id, WebhookReplay},
    idempotency::{self, Begin, Created},
    page::{Keyset, Page, PageRequest},
    scope::Scope,
};

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayStatus {
    /// It goes on, unless the endpoint is disabled.
    Running,
    /// Every event was told once.
    Completed,
    /// Somebody ended it.
    Canceled,
}

impl ReplayStatus {
    /// Name in the database and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Running, Self::Completed, Self::Canceled];
        all.into_iter().find(|status| status.as_str() == text)
    }
}

/// A part of the log that an endpoint is told again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Replay {
    /// Identifier.
    pub id: Id<WebhookReplay>,
    /// The endpoint.
    pub webhook_id: Id<id::Webhook>,
    /// Events from this time on.
    #[serde(with = "crate::time::millis")]
    pub since: OffsetDateTime,
    /// Events before this time.
    #[serde(with = "crate::time::millis")]
    pub until: OffsetDateTime,
    /// Names of event types, `group.*` or `*`.
    pub event_types: Vec<String>,
    /// Position of the first event of that time.
    pub first_seq: i64,
    /// Position of the last one.
    pub last_seq: i64,
    /// Everything up to here has been told again.
    pub seq: i64,
    /// Events that the endpoint took.
    pub succeeded: i64,
    /// Events that it did not take at once; they are tried again as usual.
    pub failed: i64,
    /// How far it is.
    pub status: ReplayStatus,
    /// When it was asked for.
    #[serde(with = "crate::time::millis")]
    pub created_at: OffsetDateTime,
    /// When it ended.
    #[serde(with = "crate::time::millis::option")]
    pub finished_at: Option<OffsetDateTime>,
}

impl Replay {
    /// How much of that part of the log is done, 0 to 100.
    pub fn percent(&self) -> i64 {
        let all = self.last_seq - self.first_seq + 1;
        if all <= 0 || self.status == ReplayStatus::Completed {
            return 100;
        }
        let done = (self.seq - self.first_seq + 1).clamp(0, all);
        i64::try_from(i128::from(done) * 100 / i128::from(all)).unwrap_or(100)
    }
}

/// What is to be told again.
#[derive(Debug, Clone)]
pub struct NewReplay {
    /// Events from this time on.
    pub since: OffsetDateTime,
    /// Events before this time; until now by default.
    pub until: Option<OffsetDateTime>,
    /// Names of event types, `group.*` or `*`; what the endpoint wants by default.
    pub event_types: Option<Vec<String>>,
}

/// Tells an endpoint a part of the log again. Domains, tags and the limit on deferred events of the
/// endpoint hold for it as for new events.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`, `PolicyRejected` when the endpoint is disabled, `InUse`
/// while another replay of it is running.
pub async fn replay(cx: &Cx, webhook: Id<id::Webhook>, new: NewReplay) -> Result<Created<Replay>> {
    cx.require(Scope::WebhooksWrite)?;
    let slot = match idempotency::begin(cx).await? {
        Begin::Replayed(done) => return Ok(done),
        Begin::Fresh(slot) => slot,
    };
    Error::unless_empty(replay_faults(cx, &new))?;
    let now = cx.now();
    let mut tx = cx.begin("webhooks.replay").await?;
    store::lock_cursor(tx.conn(), webhook).await?;
    let found = store::find(tx.conn(), cx.platform().vault(), cx.account(), webhook).await?;
    let found = found.ok_or(NOT_FOUND)?;
    found.must_be_enabled()?;
    let until = new.until.map_or(now, |until| until.min(now));
    let place = (webhook, cx.account());
    let range = store::replays::range(tx.conn(), place, new.since, until).await?;
    // An empty part is done.
    let (first_seq, last_seq) = range.unwrap_or((1, 0));
    let status = if range.is_some() { ReplayStatus::Running } else { ReplayStatus::Completed };
    let replay = Replay {
        id: Id::new(now),
        webhook_id: webhook,
        since: new.since,
        until,
        event_types: new.event_types.unwrap_or(found.event_types),
        first_seq,
        last_seq,
        seq: first_seq - 1,
        succeeded: 0,
        failed: 0,
        status,
        created_at: now,
        finished_at: range.is_none().then_some(now),
    };
    store::replays::insert(tx.conn(), cx.account(), &replay).await?;
    store::nudge(tx.conn(), webhook).await?;
    let target = webhook.to_string();
    audit::record(&mut tx, cx, "replay_webhook", Some(cx.account()), &target).await?;
    slot.keep(&mut tx, cx, &replay).await?;
    tx.commit().await?;
    cx.platform().webhooks().changed.notify_one();
    Ok(Created::fresh(replay))
}

/// Every fault that [`replay`] will find without the database.
pub fn replay_faults(cx: &Cx, new: &NewReplay) -> Vec<FieldError> {
    let mut faults = Vec::new();
    let until = new.until.unwrap_or_else(|| cx.now());
    if new.since >= until {
        let detail = "since is before until, and not in the future";
        faults.push(FieldError::new("/since", "out_of_range", detail));
    }
    if let Some(types) = &new.event_types {
        faults.extend(check::types(types));
    }
    faults
}

/// Replays of an endpoint, newest first.
///
/// # Errors
/// `Forbidden`, `NotFound`, `InvalidInput`.
pub async fn replays(
    cx: &Cx,
    webhook: Id<id::Webhook>,
    request: &PageRequest,
) -> Result<Page<Replay>> {
    cx.require(Scope::WebhooksRead)?;
    let keyset = Keyset::new(cx, "webhook_replays", request)?;
    let mut conn = cx.platform().acquire().await?;
    let vault = cx.platform().vault();
    if store::find(&mut conn, vault, cx.account(), webhook).await?.is_none() {
        return Err(NOT_FOUND);
    }
    let rows = store::replays::list(&mut conn, webhook, &keyset).await?;
    Ok(keyset.page(cx, rows, |row| row.id.uuid()))
}

/// One replay.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn find_replay(cx: &Cx, replay: Id<WebhookReplay>) -> Result<Replay> {
    cx.require(Scope::WebhooksRead)?;
    let mut conn = cx.platform().acquire().await?;
    let found = store::replays::find(&mut conn, cx.account(), replay).await?;
    found.ok_or(Error::NotFound("webhook replay"))
}

/// Ends a replay before its time; one that has ended stays as it is. Calls in progress end.
///
/// # Errors
/// `Forbidden`, `NotFound`.
pub async fn cancel_replay(cx: &Cx, replay: Id<WebhookReplay>) -> Result<Replay> {
    cx.require(Scope::WebhooksWrite)?;
    let mut tx = cx.begin("webhooks.cancel_replay").await?;
    let found = store::replays::find(tx.conn(), cx.account(), replay).await?;
    let mut found = found.ok_or(Error::NotFound("webhook replay"))?;
    // As the dispatcher does: first the cursor.
    store::lock_cursor(tx.conn(), found.webhook_id).await?;
    let now = cx.now();
    if store::replays::cancel(tx.conn(), replay, now).await? {
        (found.status, found.finished_at) = (ReplayStatus::Canceled, Some(now));
        store::nudge(tx.conn(), found.webhook_id).await?;
        let target = replay.to_string();
        audit::record(&mut tx, cx, "cancel_webhook_replay", Some(cx.account()), &target).await?;
    }
    tx.commit().await?;
    cx.platform().webhooks().changed.notify_one();
    Ok(found)
}
