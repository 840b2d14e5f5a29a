//! Clean-up, by the hour: partitions, retention, idempotency records, blobs.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::partitions;
use crate::{
    blobs, credentials,
    error::Result,
    id::{self, Id},
    idempotency, inbound, limits, mails, mta_sts,
    platform::Platform,
    tls_reports, tokens, uploads, webhooks,
};

const EVERY: Duration = Duration::from_hours(1);

/// Runs until shutdown.
pub(super) async fn run(platform: Platform, shutdown: CancellationToken) {
    loop {
        if let Err(error) = run_due(&platform).await {
            tracing::warn!(error = ?error, "clean-up could not be finished; next time");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.cancelled() => return,
        }
    }
}

/// Does what is due now; every hour, and whenever somebody asks. Several nodes may do it at once.
///
/// # Errors
/// `Unavailable`; what was done until then stays done.
pub async fn run_due(platform: &Platform) -> Result<()> {
    let now = platform.now();
    partitions::create(platform).await?;
    partitions::drop_old(platform).await?;
    let mut conn = platform.acquire().await?;
    idempotency::purge(&mut conn, now).await?;
    retire(&mut conn, now).await?;
    forget(&mut conn, now).await?;
    erase(&mut conn).await?;
    mails::changes::clean_up(&mut conn, now).await?;
    webhooks::purge(&mut conn, now).await?;
    inbound::store::purge(&mut conn, now).await?;
    credentials::purge(&mut conn, now).await?;
    limits::purge(&mut conn, now).await?;
    tokens::purge(&mut conn, now).await?;
    uploads::purge(&mut conn, now).await?;
    mta_sts::purge(&mut conn, now).await?;
    tls_reports::purge(&mut conn, now).await?;
    drop(conn);
    tokens::rotate(platform).await?;
    blobs::garbage::collect(platform).await
}

/// Erases what deleted accounts have left; their contents go with the blobs that nothing refers to.
async fn erase(conn: &mut sqlx::PgConnection) -> Result<()> {
    let gone = sqlx::query_scalar!(
        "SELECT c.account_id FROM account_counters AS c
         WHERE NOT EXISTS (SELECT 1 FROM accounts AS a WHERE a.account_id = c.account_id)"
    )
    .fetch_all(&mut *conn)
    .await?;
    for account in gone {
        // The counters last: they say that there may be more.
        for statement in ERASE {
            sqlx::query(statement).bind(account).execute(&mut *conn).await?;
        }
        tracing::info!(account.id = %Id::<id::Account>::from(account), "erased a deleted account");
    }
    Ok(())
}

/// Everything that belongs to an account and is not deleted with its row.
const ERASE: [&str; 17] = [
    "DELETE FROM mails WHERE account_id = $1",
    "DELETE FROM mail_contents WHERE account_id = $1",
    "DELETE FROM mailboxes WHERE account_id = $1",
    "DELETE FROM events WHERE account_id = $1",
    "DELETE FROM attempts WHERE account_id = $1",
    "DELETE FROM deliveries WHERE account_id = $1",
    "DELETE FROM delivery_reports WHERE account_id = $1",
    "DELETE FROM messages WHERE account_id = $1",
    "DELETE FROM message_labels WHERE account_id = $1",
    "DELETE FROM suppressions WHERE account_id = $1",
    "DELETE FROM recent_failures WHERE account_id = $1",
    "DELETE FROM recent_bounces WHERE account_id = $1",
    "DELETE FROM sandbox_messages WHERE account_id = $1",
    "DELETE FROM queue_pauses WHERE account_id = $1",
    "DELETE FROM inbound_posts WHERE account_id = $1",
    "DELETE FROM idempotency WHERE account_id = $1",
    "DELETE FROM account_counters WHERE account_id = $1",
];

/// Deletes small things that nobody looks for any more.
async fn forget(conn: &mut sqlx::PgConnection, now: ::time::OffsetDateTime) -> Result<()> {
    let month = now - ::time::Duration::days(30);
    sqlx::query!("DELETE FROM sandbox_messages WHERE at < $1", month).execute(&mut *conn).await?;
    sqlx::query!("DELETE FROM recent_failures WHERE last_at < $1", month)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM recent_bounces WHERE last_at < $1", month)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM nodes WHERE lease_until < now() - interval '1 day'")
        .execute(conn)
        .await?;
    Ok(())
}

/// Deletes what accounts do not keep any longer: deliveries that ended longer ago than the retention,
/// and messages of which nothing is left. What still waits stays, however old.
async fn retire(conn: &mut sqlx::PgConnection, now: ::time::OffsetDateTime) -> Result<()> {
    let accounts = sqlx::query!("SELECT account_id, retention_seconds FROM accounts")
        .fetch_all(&mut *conn)
        .await?;
    for account in accounts {
        let kept = ::time::Duration::seconds(account.retention_seconds.clamp(0, 3_153_600_000));
        let Some(before) = now.checked_sub(kept) else {
            continue;
        };
        let bound = Id::<id::Message>::lower_bound(before).uuid();
        sqlx::query!(
            "DELETE FROM deliveries
             WHERE account_id = $1 AND delivery_id < $2 AND completed_at < $3",
            account.account_id,
            bound,
            before
        )
        .execute(&mut *conn)
        .await?;
        sqlx::query!(
            "DELETE FROM attempts AS a WHERE account_id = $1 AND delivery_id < $2
               AND NOT EXISTS (SELECT 1 FROM deliveries AS d
                 WHERE d.account_id = $1 AND d.delivery_id = a.delivery_id)
               AND NOT EXISTS (SELECT 1 FROM queue AS q
                 WHERE q.shard = ('x' || substr(a.delivery_id::text, 32, 2))::bit(8)::integer
                   AND q.delivery_id = a.delivery_id)",
            account.account_id,
            bound
        )
        .execute(&mut *conn)
        .await?;
        retire_reports(conn, account.account_id, bound).await?;
        sqlx::query!(
            "DELETE FROM messages AS m WHERE account_id = $1 AND message_id < $2
               AND NOT EXISTS (SELECT 1 FROM deliveries AS d WHERE d.account_id = $1
                 AND d.delivery_id BETWEEN m.message_id
                   AND (left(m.message_id::text, 33) || 'fff')::uuid)
               AND NOT EXISTS (SELECT 1 FROM queue AS q
                 WHERE q.shard = ('x' || substr(m.message_id::text, 32, 2))::bit(8)::integer
                   AND q.delivery_id BETWEEN m.message_id
                     AND (left(m.message_id::text, 33) || 'fff')::uuid)",
            account.account_id,
            bound
        )
        .execute(&mut *conn)
        .await?;
        sqlx::query!(
            "DELETE FROM message_labels AS l WHERE account_id = $1 AND message_id < $2
               AND NOT EXISTS (SELECT 1 FROM messages AS m
                 WHERE m.account_id = $1 AND m.message_id = l.message_id)",
            account.account_id,
            bound
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// Deletes what came back about deliveries that are not known any more.
async fn retire_reports(
    conn: &mut sqlx::PgConnection,
    account: uuid::Uuid,
    bound: uuid::Uuid,
) -> Result<()> {
    sqlx::query!(
        "DELETE FROM delivery_reports AS r WHERE account_id = $1 AND delivery_id < $2
           AND NOT EXISTS (SELECT 1 FROM deliveries AS d
             WHERE d.account_id = $1 AND d.delivery_id = r.delivery_id)
           AND NOT EXISTS (SELECT 1 FROM queue AS q
             WHERE q.shard = ('x' || substr(r.delivery_id::text, 32, 2))::bit(8)::integer
               AND q.delivery_id = r.delivery_id)",
        account,
        bound
    )
    .execute(conn)
    .await?;
    Ok(())
}
