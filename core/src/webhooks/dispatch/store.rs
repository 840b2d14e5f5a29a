//! SQL of the dispatcher: leases, reading the log, recording attempts in groups.

use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::call::{Due, Ended};
use crate::{
    error::Result,
    events::{API_VERSION, Event},
    id::{Account, Id, Webhook},
};

/// An endpoint that this node owns.
pub(super) struct Owned {
    pub id: Id<Webhook>,
    pub account: Id<Account>,
    pub enabled: bool,
    pub updated_at: OffsetDateTime,
    /// Newest event of the account.
    pub newest_seq: i64,
}

/// Takes endpoints without a living owner.
pub(super) async fn acquire(conn: &mut PgConnection, node: Uuid) -> Result<()> {
    sqlx::query!(
        "UPDATE webhook_cursors SET owner = $1, lease_until = now() + interval '15 seconds'
         WHERE webhook_id IN (
             SELECT c.webhook_id FROM webhook_cursors AS c JOIN webhooks AS w USING (webhook_id)
             WHERE w.enabled AND (c.owner IS NULL OR c.lease_until < now())
             FOR UPDATE OF c SKIP LOCKED)",
        node
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps what this node owns.
pub(super) async fn renew(conn: &mut PgConnection, node: Uuid) -> Result<()> {
    sqlx::query!(
        "UPDATE webhook_cursors SET lease_until = now() + interval '15 seconds' WHERE owner = $1",
        node
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives an endpoint back.
pub(super) async fn release(conn: &mut PgConnection, id: Id<Webhook>, node: Uuid) -> Result<()> {
    sqlx::query!(
        "UPDATE webhook_cursors SET owner = NULL, lease_until = NULL
         WHERE webhook_id = $1 AND owner = $2",
        id.uuid(),
        node
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// All that this node owns.
pub(super) async fn owned(conn: &mut PgConnection, node: Uuid) -> Result<Vec<Owned>> {
    let rows = sqlx::query!(
        "SELECT w.webhook_id, w.account_id, w.enabled, w.updated_at, k.event_seq
         FROM webhook_cursors AS c JOIN webhooks AS w USING (webhook_id)
           JOIN account_counters AS k USING (account_id)
         WHERE c.owner = $1",
        node
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|row| Owned {
        id: row.webhook_id.into(),
        account: row.account_id.into(),
        enabled: row.enabled,
        updated_at: row.updated_at,
        newest_seq: row.event_seq,
    });
    Ok(rows.collect())
}

/// Where an endpoint stands: cursor and since when it fails; none when it is not this node's.
pub(super) async fn cursor(
    conn: &mut PgConnection,
    id: Id<Webhook>,
    node: Uuid,
) -> Result<Option<(i64, Option<OffsetDateTime>)>> {
    let row = sqlx::query!(
        "SELECT seq, failing_since FROM webhook_cursors WHERE webhook_id = $1 AND owner = $2",
        id.uuid(),
        node
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.seq, row.failing_since)))
}

/// Which part of the log to read.
pub(super) struct Wanted<'a> {
    pub account: Id<Account>,
    pub after: i64,
    pub types: &'a [String],
    pub limit: i64,
}

/// A part of the log.
#[derive(Default)]
pub(super) struct Read {
    pub events: Vec<Event>,
    /// Everything up to here was looked at.
    pub until: i64,
    /// There may be more.
    pub more: bool,
}

/// Reads the log on. The newest number is read with the events, in one snapshot: what is committed
/// is complete up to it.
/// Events that were tried before the cursor could pass them are retries and not read again.
pub(super) async fn read(
    conn: &mut PgConnection,
    id: Id<Webhook>,
    wanted: &Wanted<'_>,
) -> Result<Read> {
    let rows = sqlx::query!(
        r#"SELECT k.event_seq, e.seq AS "seq?", e.event_id AS "event_id?", e.type AS "type?",
             e.occurred_at AS "occurred_at?", e.data AS "data?: Json<Box<RawValue>>"
         FROM account_counters AS k LEFT JOIN LATERAL (
             SELECT seq, event_id, type, occurred_at, data FROM events
             WHERE account_id = k.account_id AND seq > $2 AND seq <= k.event_seq
               AND (type LIKE ANY($3) OR type = 'webhook.test')
               AND NOT EXISTS (SELECT 1 FROM webhook_retries AS r
                 WHERE r.webhook_id = $5 AND r.seq = events.seq)
             ORDER BY seq LIMIT $4) AS e ON true
         WHERE k.account_id = $1 AND k.event_seq > $2 ORDER BY e.seq"#,
        wanted.account.uuid(),
        wanted.after,
        wanted.types,
        wanted.limit,
        id.uuid()
    )
    .fetch_all(conn)
    .await?;
    let mut read = Read { until: wanted.after, ..Read::default() };
    for row in rows {
        read.until = row.event_seq;
        let (Some(seq), Some(id), Some(kind)) = (row.seq, row.event_id, row.r#type) else {
            continue;
        };
        let (Some(timestamp), Some(data)) = (row.occurred_at, row.data) else { continue };
        read.events.push(Event {
            id: id.into(),
            kind,
            timestamp,
            api_version: API_VERSION,
            seq,
            account_id: wanted.account,
            data: data.0,
        });
    }
    read.more = i64::try_from(read.events.len()).is_ok_and(|read| read >= wanted.limit);
    if read.more {
        read.until = read.events.last().map_or(wanted.after, |event| event.seq);
    }
    Ok(read)
}

/// Which retries to read.
pub(super) struct DueRetries<'a> {
    pub id: Id<Webhook>,
    pub account: Id<Account>,
    pub now: OffsetDateTime,
    /// Those in progress.
    pub without: &'a [i64],
    pub limit: i64,
}

/// Events whose next attempt is due. Those that are no longer in the log are given up.
pub(super) async fn due(conn: &mut PgConnection, wanted: &DueRetries<'_>) -> Result<Vec<Due>> {
    let rows = sqlx::query!(
        r#"SELECT r.seq, r.event_id, r.attempts, e.type AS "type?",
             e.occurred_at AS "occurred_at?", e.data AS "data?: Json<Box<RawValue>>"
         FROM webhook_retries AS r LEFT JOIN events AS e
           ON e.account_id = $2 AND e.seq = r.seq AND e.event_id = r.event_id
         WHERE r.webhook_id = $1 AND r.next_attempt_at <= $3 AND r.seq <> ALL($4)
         ORDER BY r.next_attempt_at LIMIT $5"#,
        wanted.id.uuid(),
        wanted.account.uuid(),
        wanted.now,
        wanted.without,
        wanted.limit
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut due = Vec::new();
    let mut gone = Vec::new();
    for row in rows {
        let (Some(kind), Some(timestamp), Some(data)) = (row.r#type, row.occurred_at, row.data)
        else {
            gone.push(row.seq);
            continue;
        };
        let event = Event {
            id: row.event_id.into(),
            kind,
            timestamp,
            api_version: API_VERSION,
            seq: row.seq,
            account_id: wanted.account,
            data: data.0,
        };
        due.push(Due { event, attempts: row.attempts });
    }
    drop_retries(conn, wanted.id, &gone).await?;
    Ok(due)
}

/// When the next retry is due that is not in progress.
pub(super) async fn next_retry(
    conn: &mut PgConnection,
    id: Id<Webhook>,
    without: &[i64],
) -> Result<Option<OffsetDateTime>> {
    let at = sqlx::query_scalar!(
        "SELECT min(next_attempt_at) FROM webhook_retries
         WHERE webhook_id = $1 AND seq <> ALL($2)",
        id.uuid(),
        without
    )
    .fetch_one(conn)
    .await?;
    Ok(at)
}

/// Moves the cursor, if the endpoint is still this node's. Unless `durable`, the commit does not wait
/// for the disk: what a crash of the database undoes is told once more.
pub(super) async fn advance(
    conn: &mut PgConnection,
    (id, node): (Id<Webhook>, Uuid),
    seq: i64,
    failing_since: Option<OffsetDateTime>,
    durable: bool,
) -> Result<bool> {
    let row = sqlx::query!(
        "UPDATE webhook_cursors SET seq = greatest(seq, $3), failing_since = $4
         WHERE webhook_id = $1 AND owner = $2
         RETURNING set_config('synchronous_commit',
             CASE WHEN $5 THEN current_setting('synchronous_commit') ELSE 'off' END, true)",
        id.uuid(),
        node,
        seq,
        failing_since,
        durable
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// Writes the history of attempts; `next` goes with `ended`.
pub(super) async fn write_history(
    conn: &mut PgConnection,
    (id, account): (Id<Webhook>, Id<Account>),
    ended: &[Ended],
    next: &[Option<OffsetDateTime>],
) -> Result<()> {
    fn column<T>(ended: &[Ended], get: impl Fn(&Ended) -> T) -> Vec<T> {
        ended.iter().map(get).collect()
    }
    let millis = |one: &Ended| i32::try_from(one.answer.duration.as_millis()).unwrap_or(i32::MAX);
    let status = |one: &Ended| one.answer.status.and_then(|s| i16::try_from(s.as_u16()).ok());
    sqlx::query!(
        "INSERT INTO webhook_deliveries (webhook_id, account_id, webhook_delivery_id, event_id,
             seq, event_type, attempt, started_at, duration_ms, succeeded, request_body,
             response_status, response_body, error, next_attempt_at)
         SELECT $1, $2, new.* FROM unnest($3::uuid[], $4::uuid[], $5::bigint[], $6::text[],
             $7::smallint[], $8::timestamptz[], $9::integer[], $10::boolean[], $11::text[],
             $12::smallint[], $13::text[], $14::text[], $15::timestamptz[]) AS new
         ON CONFLICT DO NOTHING",
        id.uuid(),
        account.uuid(),
        &column(ended, |one| one.id.uuid()),
        &column(ended, |one| one.event_id.uuid()),
        &column(ended, |one| one.seq),
        &column(ended, |one| one.event_type.clone()),
        &column(ended, |one| one.attempt),
        &column(ended, |one| one.started_at),
        &column(ended, millis),
        &column(ended, |one| one.answer.is_success()),
        &column(ended, |one| one.request_body.clone()),
        &column(ended, status) as &[Option<i16>],
        &column(ended, |one| one.answer.body.clone()) as &[Option<String>],
        &column(ended, |one| one.answer.error.clone()) as &[Option<String>],
        next as &[Option<OffsetDateTime>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Puts down what is to be tried again.
pub(super) async fn save_retries(
    conn: &mut PgConnection,
    id: Id<Webhook>,
    retries: &[(&Ended, OffsetDateTime)],
) -> Result<()> {
    if retries.is_empty() {
        return Ok(());
    }
    let seqs: Vec<i64> = retries.iter().map(|(one, _)| one.seq).collect();
    let events: Vec<Uuid> = retries.iter().map(|(one, _)| one.event_id.uuid()).collect();
    let attempts: Vec<i16> = retries.iter().map(|(one, _)| one.attempt).collect();
    let times: Vec<OffsetDateTime> = retries.iter().map(|(_, at)| *at).collect();
    sqlx::query!(
        "INSERT INTO webhook_retries (webhook_id, seq, event_id, attempts, next_attempt_at)
         SELECT $1, new.* FROM unnest($2::bigint[], $3::uuid[], $4::smallint[],
             $5::timestamptz[]) AS new
         ON CONFLICT (webhook_id, seq) DO UPDATE
             SET attempts = excluded.attempts, next_attempt_at = excluded.next_attempt_at",
        id.uuid(),
        &seqs,
        &events,
        &attempts,
        &times
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Strikes off what is not tried again.
pub(super) async fn drop_retries(
    conn: &mut PgConnection,
    id: Id<Webhook>,
    seqs: &[i64],
) -> Result<()> {
    if seqs.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "DELETE FROM webhook_retries WHERE webhook_id = $1 AND seq = ANY($2)",
        id.uuid(),
        seqs
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Disables an endpoint; gives its URL when it was enabled.
pub(super) async fn disable(
    conn: &mut PgConnection,
    id: Id<Webhook>,
    reason: &str,
    now: OffsetDateTime,
) -> Result<Option<String>> {
    let url = sqlx::query_scalar!(
        "UPDATE webhooks SET enabled = false, disabled_reason = $2,
             updated_at = greatest($3, updated_at + interval '1 millisecond')
         WHERE webhook_id = $1 AND enabled RETURNING url",
        id.uuid(),
        reason,
        now
    )
    .fetch_optional(conn)
    .await?;
    Ok(url)
}
