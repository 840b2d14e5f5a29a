//! SQL of the dispatcher: leases, reading the log and what is to be tried again.

pub(super) mod record;

use std::collections::HashMap;

use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    super::Replay,
    call::{Cause, Due},
};
use crate::{
    error::Result,
    events::{API_VERSION, Event, like_patterns},
    id::{self, Account, Delivery, Id, Webhook},
};

/// An endpoint that this node owns.
pub(super) struct Owned {
    pub id: Id<Webhook>,
    pub account: Id<Account>,
    pub enabled: bool,
    pub updated_at: OffsetDateTime,
    /// Newest event of the account.
    pub newest_seq: i64,
    /// Changes when retries and replays are to be looked at at once.
    pub nudges: i64,
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
        "SELECT w.webhook_id, w.account_id, w.enabled, w.updated_at, k.event_seq, c.nudges
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
        nudges: row.nudges,
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
    /// LIKE patterns.
    pub types: &'a [String],
    /// Most events.
    pub limit: i64,
    /// Octets of payloads: the event that goes beyond is the last one.
    pub octets: i64,
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
             e.occurred_at AS "occurred_at?", e.data AS "data?: Json<Box<RawValue>>",
             e.found AS "found?"
         FROM account_counters AS k LEFT JOIN LATERAL (
             SELECT seq, event_id, type, occurred_at, data, found FROM (
                 SELECT *, count(*) OVER () AS found,
                     sum(octet_length(data::text)) OVER (ORDER BY seq)
                         - octet_length(data::text) AS before
                 FROM (SELECT seq, event_id, type, occurred_at, data FROM events
                     WHERE account_id = k.account_id AND seq > $2 AND seq <= k.event_seq
                       AND (type LIKE ANY($3) OR type = 'webhook.test')
                       AND NOT EXISTS (SELECT 1 FROM webhook_retries AS r
                         WHERE r.webhook_id = $5 AND r.seq = events.seq)
                     ORDER BY seq LIMIT $4) AS page) AS sized
             WHERE before < $6) AS e ON true
         WHERE k.account_id = $1 AND k.event_seq > $2 ORDER BY e.seq"#,
        wanted.account.uuid(),
        wanted.after,
        wanted.types,
        wanted.limit,
        id.uuid(),
        wanted.octets
    )
    .fetch_all(conn)
    .await?;
    let mut read = Read { until: wanted.after, ..Read::default() };
    let mut found = 0;
    for row in rows {
        read.until = row.event_seq;
        let (Some(seq), Some(id), Some(kind)) = (row.seq, row.event_id, row.r#type) else {
            continue;
        };
        let (Some(timestamp), Some(data)) = (row.occurred_at, row.data) else { continue };
        found = row.found.unwrap_or_default();
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
    read.more =
        found >= wanted.limit || i64::try_from(read.events.len()).is_ok_and(|read| read < found);
    if read.more {
        read.until = read.events.last().map_or(wanted.after, |event| event.seq);
    }
    Ok(read)
}

/// Which part of a replay to read.
pub(super) struct Again<'a> {
    pub account: Id<Account>,
    pub replay: &'a Replay,
    pub after: i64,
    pub limit: i64,
    pub octets: i64,
    /// Positions looked at in one query, wanted or not.
    pub span: i64,
}

/// Reads a replay on.
pub(super) async fn read_again(conn: &mut PgConnection, again: &Again<'_>) -> Result<Read> {
    let last = again.replay.last_seq.min(again.after.saturating_add(again.span));
    let bound = |at| Id::<id::Event>::lower_bound(at).uuid();
    let rows = sqlx::query!(
        r#"SELECT seq, event_id, type, occurred_at, data AS "data: Json<Box<RawValue>>",
             found AS "found!"
         FROM (SELECT *, count(*) OVER () AS found,
                 sum(octet_length(data::text)) OVER (ORDER BY seq)
                     - octet_length(data::text) AS before
             FROM (SELECT seq, event_id, type, occurred_at, data FROM events
                 WHERE account_id = $1 AND seq > $2 AND seq <= $3 AND type LIKE ANY($4)
                   AND event_id >= $5 AND event_id < $6
                 ORDER BY seq LIMIT $7) AS page) AS sized
         WHERE before < $8 ORDER BY seq"#,
        again.account.uuid(),
        again.after,
        last,
        &like_patterns(&again.replay.event_types),
        bound(again.replay.since),
        bound(again.replay.until),
        again.limit,
        again.octets
    )
    .fetch_all(conn)
    .await?;
    let found = rows.first().map_or(0, |row| row.found);
    let events = rows.into_iter().map(|row| Event {
        id: row.event_id.into(),
        kind: row.r#type,
        timestamp: row.occurred_at,
        api_version: API_VERSION,
        seq: row.seq,
        account_id: again.account,
        data: row.data.0,
    });
    let events: Vec<Event> = events.collect();
    let cut = found >= again.limit || i64::try_from(events.len()).is_ok_and(|read| read < found);
    let until = events.last().filter(|_| cut).map_or(last, |event| event.seq);
    Ok(Read { events, until, more: until < again.replay.last_seq })
}

/// When attempts of deliveries began; those that are not known are left out.
pub(super) async fn attempts(
    conn: &mut PgConnection,
    account: Id<Account>,
    wanted: &[(Id<Delivery>, i16)],
) -> Result<HashMap<(Id<Delivery>, i16), OffsetDateTime>> {
    let (deliveries, numbers): (Vec<Uuid>, Vec<i16>) =
        wanted.iter().map(|(delivery, number)| (delivery.uuid(), *number)).unzip();
    let rows = sqlx::query!(
        "SELECT a.delivery_id, a.attempt, a.started_at
         FROM unnest($2::uuid[], $3::smallint[]) AS w (delivery_id, attempt)
         JOIN attempts AS a ON a.account_id = $1 AND a.delivery_id = w.delivery_id
           AND a.attempt = w.attempt",
        account.uuid(),
        &deliveries,
        &numbers
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter().map(|row| ((row.delivery_id.into(), row.attempt), row.started_at));
    Ok(rows.collect())
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
        due.push(Due { event, attempts: row.attempts, cause: Cause::Retry });
    }
    record::drop_retries(conn, wanted.id, &gone).await?;
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
