//! What waits, by the domain of the recipient.

use time::OffsetDateTime;
use uuid::Uuid;

use super::QueueScope;
use crate::{
    cx::Cx,
    error::{Error, Result},
    id::{Account, Delivery, Id},
    scope::Scope,
};

/// Most destinations in one answer.
const MAX_DESTINATIONS: i64 = 200;

/// What waits for one domain.
#[derive(Debug, Clone)]
pub struct DestinationView {
    /// Domain of the recipients.
    pub domain: String,
    /// Deliveries that wait, in any state.
    pub waiting: i64,
    /// Of these: due now, or being attempted.
    pub due: i64,
    /// Wait for another attempt.
    pub deferred: i64,
    /// Are held.
    pub on_hold: i64,
    /// When the oldest was taken.
    pub oldest_at: Option<OffsetDateTime>,
    /// When the next attempt is due.
    pub next_attempt_at: Option<OffsetDateTime>,
    /// What the last attempt of one of the deferred said.
    pub last_error: Option<String>,
}

/// The destinations that most deliveries wait for.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn list_destinations(
    cx: &Cx,
    scope: QueueScope,
    limit: Option<i64>,
) -> Result<Vec<DestinationView>> {
    cx.require(Scope::QueueRead)?;
    if scope == QueueScope::All {
        cx.require(Scope::AdminRead)?;
    }
    let limit = limit.unwrap_or(50);
    if !(1..=MAX_DESTINATIONS).contains(&limit) {
        let detail = format!("limit is a number from 1 to {MAX_DESTINATIONS}");
        return Err(Error::field("/limit", "out_of_range", detail));
    }
    let account = (scope == QueueScope::Account).then(|| cx.account());
    read(cx, account, limit).await
}

async fn read(cx: &Cx, account: Option<Id<Account>>, limit: i64) -> Result<Vec<DestinationView>> {
    let mut conn = cx.platform().acquire().await?;
    let rows = sqlx::query!(
        r#"SELECT d.domain AS "domain!", d.waiting AS "waiting!", d.due AS "due!",
             d.deferred AS "deferred!", d.on_hold AS "on_hold!", d.oldest, d.next_attempt_at,
             a.reply AS "reply?"
         FROM (SELECT split_part(recipient, '@', -1) AS domain, count(*) AS waiting,
                   count(*) FILTER (WHERE status <> 'on_hold' AND next_attempt_at <= $2) AS due,
                   count(*) FILTER (WHERE status = 'deferred') AS deferred,
                   count(*) FILTER (WHERE status = 'on_hold') AS on_hold,
                   min(delivery_id::text) AS oldest,
                   min(next_attempt_at) FILTER (WHERE status <> 'on_hold') AS next_attempt_at,
                   max(account_id::text || delivery_id::text)
                       FILTER (WHERE status = 'deferred') AS tried
               FROM queue WHERE $1::uuid IS NULL OR account_id = $1
               GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $3) AS d
         LEFT JOIN LATERAL (
             SELECT reply FROM attempts
             WHERE account_id = left(d.tried, 36)::uuid AND delivery_id = right(d.tried, 36)::uuid
             ORDER BY attempt DESC LIMIT 1) AS a ON true
         ORDER BY d.waiting DESC, d.domain"#,
        account.map(Id::uuid) as Option<Uuid>,
        cx.now(),
        limit
    )
    .fetch_all(&mut *conn)
    .await?;
    let oldest = |text: Option<String>| {
        let id = text?.parse::<Uuid>().ok()?;
        Id::<Delivery>::from(id).created_at()
    };
    let views = rows.into_iter().map(|row| DestinationView {
        domain: row.domain,
        waiting: row.waiting,
        due: row.due,
        deferred: row.deferred,
        on_hold: row.on_hold,
        oldest_at: oldest(row.oldest),
        next_attempt_at: row.next_attempt_at,
        last_error: row.reply,
    });
    Ok(views.collect())
}
