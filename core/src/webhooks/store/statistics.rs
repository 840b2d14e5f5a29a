//! SQL of statistics: one row for each endpoint and hour.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::super::statistics::{Backlog, Counts};
use crate::{
    error::Result,
    events,
    id::{self, Account, Id},
};

/// How long the hours are kept.
const KEPT: time::Duration = time::Duration::days(30);

/// Adds to the hour that `at` is in.
pub(in crate::webhooks) async fn add(
    conn: &mut PgConnection,
    webhook: Id<id::Webhook>,
    at: OffsetDateTime,
    counts: &Counts,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO webhook_stats AS s (webhook_id, hour, answered_2xx, answered_3xx,
             answered_4xx, answered_5xx, other, durations)
         VALUES ($1, date_trunc('hour', $2::timestamptz, 'UTC'), $3, $4, $5, $6, $7, $8)
         ON CONFLICT (webhook_id, hour) DO UPDATE SET
             answered_2xx = s.answered_2xx + excluded.answered_2xx,
             answered_3xx = s.answered_3xx + excluded.answered_3xx,
             answered_4xx = s.answered_4xx + excluded.answered_4xx,
             answered_5xx = s.answered_5xx + excluded.answered_5xx,
             other = s.other + excluded.other,
             durations = ARRAY(SELECT coalesce(a, 0) + coalesce(b, 0)
                 FROM unnest(s.durations, excluded.durations) WITH ORDINALITY AS sums (a, b, n)
                 ORDER BY n)",
        webhook.uuid(),
        at,
        counts.answered_2xx,
        counts.answered_3xx,
        counts.answered_4xx,
        counts.answered_5xx,
        counts.other,
        &counts.durations
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts of whole hours, from the one that `since` is in.
pub(in crate::webhooks) async fn hours(
    conn: &mut PgConnection,
    webhook: Id<id::Webhook>,
    since: OffsetDateTime,
) -> Result<Vec<(OffsetDateTime, Counts)>> {
    let rows = sqlx::query!(
        "SELECT hour, answered_2xx, answered_3xx, answered_4xx, answered_5xx, other, durations
         FROM webhook_stats
         WHERE webhook_id = $1 AND hour >= date_trunc('hour', $2::timestamptz, 'UTC')",
        webhook.uuid(),
        since
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|row| {
        let counts = Counts {
            answered_2xx: row.answered_2xx,
            answered_3xx: row.answered_3xx,
            answered_4xx: row.answered_4xx,
            answered_5xx: row.answered_5xx,
            other: row.other,
            durations: row.durations,
        };
        (row.hour, counts)
    });
    Ok(rows.collect())
}

/// What waits for an endpoint; more than `most` events are not counted.
pub(in crate::webhooks) async fn backlog(
    conn: &mut PgConnection,
    (webhook, account): (Id<id::Webhook>, Id<Account>),
    types: &[String],
    most: i64,
) -> Result<Backlog> {
    let row = sqlx::query!(
        r#"SELECT c.failing_since,
             (SELECT count(*) FROM (SELECT 1 FROM events AS e
                 WHERE e.account_id = $2 AND e.seq > c.seq AND e.type LIKE ANY($3)
                 LIMIT $4) AS part) AS "new!",
             (SELECT e.occurred_at FROM events AS e
                 WHERE e.account_id = $2 AND e.seq > c.seq AND e.type LIKE ANY($3)
                 ORDER BY e.seq LIMIT 1) AS oldest_at,
             (SELECT count(*) FROM (SELECT 1 FROM webhook_retries AS r
                 WHERE r.webhook_id = c.webhook_id LIMIT $4) AS part) AS "again!",
             (SELECT min(r.next_attempt_at) FROM webhook_retries AS r
                 WHERE r.webhook_id = c.webhook_id) AS next_retry_at
         FROM webhook_cursors AS c WHERE c.webhook_id = $1"#,
        webhook.uuid(),
        account.uuid(),
        &events::like_patterns(types),
        most
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(Backlog::default()) };
    Ok(Backlog {
        failing_since: row.failing_since,
        new_events: row.new,
        oldest_at: row.oldest_at,
        retries: row.again,
        next_retry_at: row.next_retry_at,
    })
}

/// Deletes hours that are no longer kept.
pub(super) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query!("DELETE FROM webhook_stats WHERE hour < $1", now - KEPT).execute(conn).await?;
    Ok(())
}
