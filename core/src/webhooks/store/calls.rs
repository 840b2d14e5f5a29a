//! SQL of the history of calls.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::{CallFilter, WebhookDelivery};
use crate::{
    error::Result,
    events,
    id::{self, Account, Id},
    page::{Keyset, fetch_page},
};

/// How long calls are kept.
const KEPT: time::Duration = time::Duration::days(30);

struct Row {
    webhook_id: Uuid,
    webhook_delivery_id: Uuid,
    event_id: Uuid,
    seq: i64,
    event_type: String,
    attempt: i16,
    started_at: OffsetDateTime,
    duration_ms: i32,
    succeeded: bool,
    request_body: String,
    response_status: Option<i16>,
    response_body: Option<String>,
    error: Option<String>,
    next_attempt_at: Option<OffsetDateTime>,
}

impl From<Row> for WebhookDelivery {
    fn from(row: Row) -> Self {
        Self {
            id: row.webhook_delivery_id.into(),
            webhook_id: row.webhook_id.into(),
            event_id: row.event_id.into(),
            seq: row.seq,
            event_type: row.event_type,
            attempt: row.attempt,
            started_at: row.started_at,
            duration_ms: row.duration_ms,
            succeeded: row.succeeded,
            request_body: row.request_body,
            response_status: row.response_status,
            response_body: row.response_body,
            error: row.error,
            next_attempt_at: row.next_attempt_at,
        }
    }
}

/// Calls of an endpoint, in the order of their ids, which is that of their beginnings.
pub(in crate::webhooks) async fn list(
    conn: &mut PgConnection,
    webhook: Id<id::Webhook>,
    filter: &CallFilter,
    keyset: &Keyset,
) -> Result<Vec<WebhookDelivery>> {
    let bound =
        |at: Option<OffsetDateTime>| at.map(|at| Id::<id::WebhookDelivery>::lower_bound(at).uuid());
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT webhook_id, webhook_delivery_id, event_id, seq, event_type, attempt, started_at,
             duration_ms, succeeded, request_body, response_status, response_body, error,
             next_attempt_at
         FROM webhook_deliveries WHERE webhook_id = $3 AND event_type LIKE ANY($4)
           AND ($5::boolean IS NULL OR succeeded = $5)
           AND ($6::uuid IS NULL OR event_id = $6)
           AND ($7::uuid IS NULL OR webhook_delivery_id >= $7)
           AND ($8::uuid IS NULL OR webhook_delivery_id < $8)",
        "webhook_delivery_id",
        webhook.uuid(),
        &events::like_patterns(&filter.event_types),
        filter.succeeded,
        filter.event_id.map(Id::uuid) as Option<Uuid>,
        bound(filter.since) as Option<Uuid>,
        bound(filter.until) as Option<Uuid>,
    );
    Ok(rows.into_iter().map(WebhookDelivery::from).collect())
}

/// One call of an endpoint of the account.
pub(in crate::webhooks) async fn find(
    conn: &mut PgConnection,
    account: Id<Account>,
    delivery: Id<id::WebhookDelivery>,
) -> Result<Option<WebhookDelivery>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT webhook_id, webhook_delivery_id, event_id, seq, event_type, attempt, started_at,
             duration_ms, succeeded, request_body, response_status, response_body, error,
             next_attempt_at
         FROM webhook_deliveries
         WHERE webhook_id = ANY(ARRAY(SELECT webhook_id FROM webhooks WHERE account_id = $1))
           AND webhook_delivery_id = $2",
        account.uuid(),
        delivery.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(WebhookDelivery::from))
}

/// Whether the log still has an event.
pub(in crate::webhooks) async fn has_event(
    conn: &mut PgConnection,
    account: Id<Account>,
    call: &WebhookDelivery,
) -> Result<bool> {
    let there = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM events
             WHERE account_id = $1 AND seq = $2 AND event_id = $3) AS "there!""#,
        account.uuid(),
        call.seq,
        call.event_id.uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(there)
}

/// Makes the next attempt at an event due at `now`; it counts on from the attempts made before.
pub(in crate::webhooks) async fn retry(
    conn: &mut PgConnection,
    call: &WebhookDelivery,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO webhook_retries (webhook_id, seq, event_id, attempts, next_attempt_at)
         SELECT $1, $2, $3, max(attempt), $4 FROM webhook_deliveries
         WHERE webhook_id = $1 AND event_id = $3
         ON CONFLICT (webhook_id, seq) DO UPDATE SET next_attempt_at = excluded.next_attempt_at",
        call.webhook_id.uuid(),
        call.seq,
        call.event_id.uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes calls that are no longer kept, some thousand at a time.
pub(super) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    loop {
        let done = sqlx::query!(
            "DELETE FROM webhook_deliveries WHERE ctid = ANY(ARRAY(
                 SELECT ctid FROM webhook_deliveries WHERE started_at < $1 LIMIT 5000))",
            now - KEPT
        )
        .execute(&mut *conn)
        .await?;
        if done.rows_affected() < 5000 {
            return Ok(());
        }
    }
}
