//! Removing blobs that nothing refers to, in two steps with a day between them.
//!
//! First they are marked; what is still marked and unreferenced a day later is deleted. A writer that
//! comes upon a blob that is there already touches it, which takes it off the list.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};

use crate::{error::Result, platform::Platform};

/// Time between marking and deleting, and the age of a blob before it can be marked.
const GRACE: Duration = Duration::hours(24);

/// Marks and deletes.
pub(crate) async fn collect(platform: &Platform) -> Result<()> {
    let now = platform.now();
    let mut conn = platform.acquire().await?;
    let objects = sweep(&mut conn, now - GRACE).await?;
    mark(&mut conn, now).await?;
    drop(conn);
    for object in objects {
        platform.blobs().remove(&object).await?;
    }
    Ok(())
}

async fn mark(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query!(
        "UPDATE blobs AS b SET garbage_since = $1
         WHERE b.garbage_since IS NULL AND b.created_at < $2
           AND NOT EXISTS (SELECT 1 FROM messages AS m
             WHERE m.account_id = b.account_id AND m.blob_hash = b.hash)
           AND NOT EXISTS (SELECT 1 FROM mail_contents AS c
             WHERE c.account_id = b.account_id AND c.blob_hash = b.hash)
           AND NOT EXISTS (SELECT 1 FROM inbound_posts AS p
             WHERE p.account_id = b.account_id AND p.blob_hash = b.hash)
           AND NOT EXISTS (SELECT 1 FROM uploads AS u
             WHERE u.account_id = b.account_id AND u.blob_hash = b.hash)",
        now,
        now - GRACE
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes what was marked before `before` and is still not referred to; gives back the objects whose
/// rows are gone.
async fn sweep(conn: &mut PgConnection, before: OffsetDateTime) -> Result<Vec<String>> {
    let objects = sqlx::query_scalar!(
        "DELETE FROM blobs AS b WHERE b.garbage_since < $1
           AND NOT EXISTS (SELECT 1 FROM messages AS m
             WHERE m.account_id = b.account_id AND m.blob_hash = b.hash)
           AND NOT EXISTS (SELECT 1 FROM mail_contents AS c
             WHERE c.account_id = b.account_id AND c.blob_hash = b.hash)
           AND NOT EXISTS (SELECT 1 FROM inbound_posts AS p
             WHERE p.account_id = b.account_id AND p.blob_hash = b.hash)
           AND NOT EXISTS (SELECT 1 FROM uploads AS u
             WHERE u.account_id = b.account_id AND u.blob_hash = b.hash)
         RETURNING object",
        before
    )
    .fetch_all(conn)
    .await?;
    Ok(objects.into_iter().flatten().collect())
}
