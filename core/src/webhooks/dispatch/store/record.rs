//! SQL that records what came of attempts, in groups.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::call::Ended;
use crate::{
    error::Result,
    id::{Account, Id, Webhook},
};

/// Moves the cursor, if the endpoint is still this node's. Unless `durable`, the commit does not wait
/// for the disk: what a crash of the database undoes is told once more.
pub(in crate::webhooks::dispatch) async fn advance(
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
pub(in crate::webhooks::dispatch) async fn write_history(
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
pub(in crate::webhooks::dispatch) async fn save_retries(
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
pub(in crate::webhooks::dispatch) async fn drop_retries(
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

/// Disables an endpoint; false when it was disabled already.
pub(in crate::webhooks::dispatch) async fn disable(
    conn: &mut PgConnection,
    id: Id<Webhook>,
    reason: &str,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE webhooks SET enabled = false, disabled_reason = $2,
             updated_at = greatest($3, updated_at + interval '1 millisecond')
         WHERE webhook_id = $1 AND enabled",
        id.uuid(),
        reason,
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
