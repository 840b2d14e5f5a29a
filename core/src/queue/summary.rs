//! How much waits.

use time::OffsetDateTime;

use crate::{cx::Cx, error::Result, id::Id, scope::Scope};

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
}

/// Counts what waits.
///
/// # Errors
/// `Forbidden`.
pub async fn summary(cx: &Cx, scope: QueueScope) -> Result<QueueSummary> {
    cx.require(Scope::QueueRead)?;
    if scope == QueueScope::All {
        cx.require(Scope::AdminRead)?;
    }
    let account = (scope == QueueScope::Account).then(|| cx.account().uuid());
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
        account
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
        oldest_at: oldest.and_then(|uuid| Id::<crate::id::Delivery>::from(uuid).created_at()),
        next_attempt_at: row.next_attempt_at,
    })
}
