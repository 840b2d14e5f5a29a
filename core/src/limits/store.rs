//! SQL of limits.

use std::collections::HashSet;

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Limits, Usage, notices::Reached};
use crate::{
    error::Result,
    id::{Account, ApiKey, Id},
};

/// What counts for an account.
pub(super) struct Counts {
    pub account: Id<Account>,
    pub recipients_per_day: Option<i64>,
    pub new_recipients_per_day: Option<i64>,
    pub recipients: i64,
    pub new_recipients: i64,
    /// First hour in which something was sent.
    pub oldest: Option<OffsetDateTime>,
}

/// What counts for a key.
pub(super) struct KeyCounts {
    pub key: Id<ApiKey>,
    pub recipients_per_day: i64,
    pub recipients: i64,
    /// First hour in which something was sent.
    pub oldest: Option<OffsetDateTime>,
}

/// None: there is no such account.
pub(super) async fn usage(
    conn: &mut PgConnection,
    account: Id<Account>,
    since: OffsetDateTime,
) -> Result<Option<Usage>> {
    let row = sqlx::query!(
        r#"SELECT l.recipients_per_day AS "recipients_per_day?",
             l.new_recipients_per_day AS "new_recipients_per_day?",
             l.requests_per_minute AS "requests_per_minute?",
             (SELECT coalesce(sum(recipients), 0)::bigint FROM sending_counts AS c
              WHERE c.account_id = a.account_id AND hour > $2) AS "recipients!",
             (SELECT coalesce(sum(new_recipients), 0)::bigint FROM sending_counts AS c
              WHERE c.account_id = a.account_id AND hour > $2) AS "new_recipients!"
         FROM accounts AS a LEFT JOIN account_limits AS l USING (account_id)
         WHERE a.account_id = $1"#,
        account.uuid(),
        since
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Usage {
        limits: Limits {
            recipients_per_day: row.recipients_per_day,
            new_recipients_per_day: row.new_recipients_per_day,
            requests_per_minute: row.requests_per_minute,
        },
        recipients: row.recipients,
        new_recipients: row.new_recipients,
    }))
}

pub(super) async fn set(
    conn: &mut PgConnection,
    account: Id<Account>,
    limits: &Limits,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO account_limits (account_id, recipients_per_day, new_recipients_per_day,
             requests_per_minute)
         VALUES ($1, $2, $3, $4)
         ON CONFLICT (account_id) DO UPDATE SET
             recipients_per_day = excluded.recipients_per_day,
             new_recipients_per_day = excluded.new_recipients_per_day,
             requests_per_minute = excluded.requests_per_minute",
        account.uuid(),
        limits.recipients_per_day,
        limits.new_recipients_per_day,
        limits.requests_per_minute
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Everybody that the account has written to is known, as far as that is remembered.
pub(super) async fn learn_recipients(conn: &mut PgConnection, account: Id<Account>) -> Result<()> {
    sqlx::query!(
        "INSERT INTO known_recipients (account_id, recipient)
         SELECT $1, lower(recipient) FROM deliveries WHERE account_id = $1
         UNION
         SELECT $1, lower(recipient) FROM queue WHERE account_id = $1
         ON CONFLICT DO NOTHING",
        account.uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Those of the accounts that have limits of sending, locked in the order of their ids.
pub(super) async fn lock(conn: &mut PgConnection, accounts: &[Uuid]) -> Result<Vec<Id<Account>>> {
    let rows = sqlx::query_scalar!(
        "SELECT account_id FROM account_limits
         WHERE account_id = ANY($1)
           AND (recipients_per_day IS NOT NULL OR new_recipients_per_day IS NOT NULL)
         ORDER BY account_id FOR NO KEY UPDATE",
        accounts
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Id::from).collect())
}

/// Those of the keys that have a limit of sending, locked in the order of their ids.
pub(super) async fn lock_keys(conn: &mut PgConnection, keys: &[Uuid]) -> Result<Vec<Uuid>> {
    let rows = sqlx::query_scalar!(
        "SELECT key_id FROM api_keys WHERE key_id = ANY($1) AND recipients_per_day IS NOT NULL
         ORDER BY key_id FOR NO KEY UPDATE",
        keys
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// What was sent with keys that have a limit.
pub(super) async fn key_counts(
    conn: &mut PgConnection,
    keys: &[Uuid],
    since: OffsetDateTime,
) -> Result<Vec<KeyCounts>> {
    let rows = sqlx::query_as!(
        KeyCounts,
        r#"SELECT k.key_id AS key, k.recipients_per_day AS "recipients_per_day!",
             coalesce(sum(c.recipients), 0)::bigint AS "recipients!", min(c.hour) AS oldest
         FROM api_keys AS k
         LEFT JOIN key_sending_counts AS c ON c.key_id = k.key_id AND c.hour > $2
         WHERE k.key_id = ANY($1) AND k.recipients_per_day IS NOT NULL GROUP BY k.key_id"#,
        keys,
        since
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Counts recipients of what was sent with a key.
pub(super) async fn add_of_key(
    conn: &mut PgConnection,
    key: Id<ApiKey>,
    hour: OffsetDateTime,
    recipients: i64,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO key_sending_counts AS c (key_id, hour, recipients) VALUES ($1, $2, $3)
         ON CONFLICT (key_id, hour) DO UPDATE SET recipients = c.recipients + excluded.recipients",
        key.uuid(),
        hour,
        recipients
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn counts(
    conn: &mut PgConnection,
    accounts: &[Uuid],
    since: OffsetDateTime,
) -> Result<Vec<Counts>> {
    let rows = sqlx::query!(
        r#"SELECT l.account_id, l.recipients_per_day, l.new_recipients_per_day,
             coalesce(sum(c.recipients), 0)::bigint AS "recipients!",
             coalesce(sum(c.new_recipients), 0)::bigint AS "new_recipients!",
             min(c.hour) AS oldest
         FROM account_limits AS l
         LEFT JOIN sending_counts AS c ON c.account_id = l.account_id AND c.hour > $2
         WHERE l.account_id = ANY($1) GROUP BY l.account_id"#,
        accounts,
        since
    )
    .fetch_all(conn)
    .await?;
    let counts = rows.into_iter().map(|row| Counts {
        account: row.account_id.into(),
        recipients_per_day: row.recipients_per_day,
        new_recipients_per_day: row.new_recipients_per_day,
        recipients: row.recipients,
        new_recipients: row.new_recipients,
        oldest: row.oldest,
    });
    Ok(counts.collect())
}

/// Pairs of account and recipient that are not known yet.
pub(super) async fn unknown(
    conn: &mut PgConnection,
    accounts: &[Uuid],
    recipients: &[String],
) -> Result<HashSet<(Id<Account>, String)>> {
    let rows = sqlx::query!(
        r#"SELECT a AS "account!", r AS "recipient!"
         FROM unnest($1::uuid[], $2::text[]) AS new (a, r)
         WHERE NOT EXISTS (SELECT 1 FROM known_recipients AS k
             WHERE k.account_id = a AND k.recipient = r)"#,
        accounts,
        recipients
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.account.into(), row.recipient)).collect())
}

/// Counts recipients of an account and learns the new ones.
pub(super) async fn add(
    conn: &mut PgConnection,
    account: Id<Account>,
    hour: OffsetDateTime,
    (recipients, new): (i64, &[String]),
) -> Result<()> {
    sqlx::query!(
        "WITH learnt AS (
             INSERT INTO known_recipients (account_id, recipient)
             SELECT $1, r FROM unnest($4::text[]) AS new (r) ON CONFLICT DO NOTHING
         )
         INSERT INTO sending_counts AS c (account_id, hour, recipients, new_recipients)
         VALUES ($1, $2, $3, cardinality($4::text[]))
         ON CONFLICT (account_id, hour) DO UPDATE SET
             recipients = c.recipients + excluded.recipients,
             new_recipients = c.new_recipients + excluded.new_recipients",
        account.uuid(),
        hour,
        recipients,
        new
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts a request; gives back how many there were in that minute.
pub(super) async fn count_request(
    conn: &mut PgConnection,
    account: Id<Account>,
    minute: OffsetDateTime,
) -> Result<i32> {
    let made = sqlx::query_scalar!(
        "INSERT INTO request_counts AS c (account_id, minute_at, requests) VALUES ($1, $2, 1)
         ON CONFLICT (account_id) DO UPDATE SET
             requests = CASE WHEN c.minute_at = $2 THEN c.requests + 1 ELSE 1 END, minute_at = $2
         RETURNING requests",
        account.uuid(),
        minute
    )
    .fetch_one(conn)
    .await?;
    Ok(made)
}

/// The same of a key.
pub(super) async fn count_key_request(
    conn: &mut PgConnection,
    key: Id<ApiKey>,
    minute: OffsetDateTime,
) -> Result<i32> {
    let made = sqlx::query_scalar!(
        "INSERT INTO key_request_counts AS c (key_id, minute_at, requests) VALUES ($1, $2, 1)
         ON CONFLICT (key_id) DO UPDATE SET
             requests = CASE WHEN c.minute_at = $2 THEN c.requests + 1 ELSE 1 END, minute_at = $2
         RETURNING requests",
        key.uuid(),
        minute
    )
    .fetch_one(conn)
    .await?;
    Ok(made)
}

/// Notes that an account is told of a limit; whether nobody has since the time that is given.
pub(super) async fn notice(
    conn: &mut PgConnection,
    reached: &Reached,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query!(
        "INSERT INTO limit_notices AS n (account_id, limit_name, key_id, noticed_at)
         SELECT account_id, $2, $3, $4 FROM accounts WHERE account_id = $1
         ON CONFLICT (account_id, limit_name, key_id) DO UPDATE SET noticed_at = $4
             WHERE n.noticed_at < $5",
        reached.account.uuid(),
        reached.name,
        reached.key.map_or(Uuid::nil(), Id::uuid),
        now,
        reached.since
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets what counts no longer.
pub(crate) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query!("DELETE FROM sending_counts WHERE hour < $1", now - Duration::days(2))
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM key_sending_counts WHERE hour < $1", now - Duration::days(2))
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM request_counts WHERE minute_at < $1", now - Duration::days(1))
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM key_request_counts WHERE minute_at < $1", now - Duration::days(1))
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM limit_notices WHERE noticed_at < $1", now - Duration::days(2))
        .execute(conn)
        .await?;
    Ok(())
}
