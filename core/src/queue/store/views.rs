//! SQL for looking at deliveries.

use sqlx::PgConnection;

use crate::{
    error::Result,
    id::{self, Account, Id},
    messages::{AttemptView, DeliveryView},
};

/// Deliveries of a message, waiting and ended, with their attempts.
pub(crate) async fn deliveries_of(
    conn: &mut PgConnection,
    account: Id<Account>,
    message: Id<id::Message>,
) -> Result<Vec<DeliveryView>> {
    let (first, last) = message.deliveries().into_inner();
    let rows = sqlx::query!(
        r#"SELECT delivery_id AS "delivery_id!", recipient AS "recipient!", status AS "status!",
             next_attempt_at, completed_at, bounced_at, complained_at
         FROM (SELECT delivery_id, recipient, status, next_attempt_at, NULL::timestamptz
                   AS completed_at, bounced_at, complained_at
               FROM queue WHERE shard = $2 AND delivery_id BETWEEN $3 AND $4 AND account_id = $1
               UNION ALL
               SELECT delivery_id, recipient, status, NULL, completed_at, bounced_at,
                   complained_at
               FROM deliveries WHERE account_id = $1 AND delivery_id BETWEEN $3 AND $4) AS all_of
         ORDER BY delivery_id"#,
        account.uuid(),
        i16::from(message.shard()),
        first,
        last
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut views: Vec<DeliveryView> = rows
        .into_iter()
        .map(|row| DeliveryView {
            id: row.delivery_id.into(),
            recipient: row.recipient,
            status: row.status,
            next_attempt_at: row.next_attempt_at,
            completed_at: row.completed_at,
            bounced_at: row.bounced_at,
            complained_at: row.complained_at,
            attempts: Vec::new(),
        })
        .collect();
    add_attempts(conn, account, message, &mut views).await?;
    Ok(views)
}

/// Puts the attempts to the deliveries that they belong to.
async fn add_attempts(
    conn: &mut PgConnection,
    account: Id<Account>,
    message: Id<id::Message>,
    views: &mut [DeliveryView],
) -> Result<()> {
    let (first, last) = message.deliveries().into_inner();
    let attempts = sqlx::query!(
        "SELECT delivery_id, attempt, started_at, duration_ms, outcome, mx_host, remote_address,
             local_address, tls_version, tls_cipher, tls_verification, smtp_code, enhanced_code,
             reply
         FROM attempts WHERE account_id = $1 AND delivery_id BETWEEN $2 AND $3
         ORDER BY delivery_id, attempt",
        account.uuid(),
        first,
        last
    )
    .fetch_all(conn)
    .await?;
    for row in attempts {
        let id = Id::from(row.delivery_id);
        let Ok(place) = views.binary_search_by_key(&id, |view| view.id) else {
            continue;
        };
        let Some(view) = views.get_mut(place) else {
            continue;
        };
        view.attempts.push(AttemptView {
            attempt: row.attempt,
            started_at: row.started_at,
            duration_ms: row.duration_ms,
            outcome: row.outcome,
            mx_host: row.mx_host,
            remote_address: row.remote_address,
            local_address: row.local_address,
            tls_version: row.tls_version,
            tls_cipher: row.tls_cipher,
            tls_verification: row.tls_verification,
            smtp_code: row.smtp_code,
            enhanced_code: row.enhanced_code,
            reply: row.reply,
        });
    }
    Ok(())
}
