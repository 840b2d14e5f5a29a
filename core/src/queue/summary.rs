//! How much waits.

use std::time::Duration;

use moka::future::Cache;
use time::OffsetDateTime;

use super::pauses::{self, QueueState};
use crate::{
    cx::Cx,
    error::{Error, Result},
    id::{Account, Delivery, Id},
    scope::Scope,
};

/// How long counts are used again.
const KEPT: Duration = Duration::from_secs(2);

/// Whose queue is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueScope {
    /// The caller's account.
    Account,
    /// Everybody's: for administrators.
    All,
}

/// Totals of the queue, in recipients.
#[derive(Debug, Clone)]
pub struct QueueSummary {
    /// All that wait.
    pub total: i64,
    /// Wait for the time that the caller set.
    pub scheduled: i64,
    /// Wait for their first attempt.
    pub queued: i64,
    /// Wait for another attempt.
    pub deferred: i64,
    /// Are held.
    pub on_hold: i64,
    /// When the oldest was taken.
    pub oldest_at: Option<OffsetDateTime>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// Whether attempts are made at the moment.
    pub state: QueueState,
}

/// Counts what waits, as of two seconds ago at most.
///
/// # Errors
/// `Forbidden`.
pub async fn summary(cx: &Cx, scope: QueueScope) -> Result<QueueSummary> {
    cx.require(Scope::QueueRead)?;
    if scope == QueueScope::All {
        cx.require(Scope::AdminRead)?;
    }
    let state = pauses::state(cx).await?;
    let account = (scope == QueueScope::Account).then(|| cx.account());
    let counted = cx.platform().queue().counts.0.try_get_with(account, count(cx, account));
    let counts = counted.await.map_err(|error| Error::unavailable(error.to_string()))?;
    Ok(QueueSummary { state, ..counts })
}

/// Counts, for a moment: whoever asks often does not count all rows each time.
pub(crate) struct Counts(Cache<Option<Id<Account>>, QueueSummary>);

impl Default for Counts {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(10_000).time_to_live(KEPT).build())
    }
}

async fn count(cx: &Cx, account: Option<Id<Account>>) -> Result<QueueSummary> {
    let mut conn = cx.platform().acquire().await?;
    let row = sqlx::query!(
        r#"SELECT count(*) AS "total!",
             count(*) FILTER (WHERE status = 'scheduled') AS "scheduled!",
             count(*) FILTER (WHERE status = 'queued') AS "queued!",
             count(*) FILTER (WHERE status = 'deferred') AS "deferred!",
             count(*) FILTER (WHERE status = 'on_hold') AS "on_hold!",
             min(delivery_id::text) AS oldest,
             min(next_attempt_at) FILTER (WHERE status <> 'on_hold') AS next_attempt_at
         FROM queue WHERE $1::uuid IS NULL OR account_id = $1"#,
        account.map(Id::uuid) as Option<uuid::Uuid>
    )
    .fetch_one(&mut *conn)
    .await?;
    let oldest = row.oldest.and_then(|text| text.parse::<uuid::Uuid>().ok());
    Ok(QueueSummary {
        total: row.total,
        scheduled: row.scheduled,
        queued: row.queued,
        deferred: row.deferred,
        on_hold: row.on_hold,
        oldest_at: oldest.and_then(|uuid| Id::<Delivery>::from(uuid).created_at()),
        next_attempt_at: row.next_attempt_at,
        state: QueueState::default(),
    })
}
