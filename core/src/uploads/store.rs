//! SQL of uploads.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Upload;
use crate::{
    error::Result,
    id::{self, Account, Id},
};

/// What the uploads of an account take.
pub(super) struct Used {
    pub files: i64,
    pub size_bytes: i64,
}

/// An upload that is to be attached.
pub(super) struct Found {
    pub id: Id<id::Upload>,
    pub filename: Option<String>,
    pub content_type: String,
    pub hash: Vec<u8>,
    size_bytes: i64,
}

impl Found {
    /// Octets.
    pub(super) fn size(&self) -> u64 {
        u64::try_from(self.size_bytes).unwrap_or(0)
    }
}

/// What there is; nobody else adds to it until the end of the transaction.
pub(super) async fn lock_and_count(
    conn: &mut PgConnection,
    account: Id<Account>,
    now: OffsetDateTime,
) -> Result<Used> {
    let id = account.uuid();
    sqlx::query!("SELECT account_id FROM accounts WHERE account_id = $1 FOR NO KEY UPDATE", id)
        .fetch_optional(&mut *conn)
        .await?;
    let used = sqlx::query_as!(
        Used,
        r#"SELECT count(*) AS "files!", coalesce(sum(size_bytes), 0)::bigint AS "size_bytes!"
         FROM uploads WHERE account_id = $1 AND expires_at > $2"#,
        id,
        now
    )
    .fetch_one(conn)
    .await?;
    Ok(used)
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    account: Id<Account>,
    upload: &Upload,
    hash: &[u8; 32],
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO uploads (upload_id, account_id, filename, content_type, blob_hash, size_bytes,
             created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        upload.id.uuid(),
        account.uuid(),
        upload.filename,
        upload.content_type,
        hash.as_slice(),
        upload.size_bytes,
        upload.created_at,
        upload.expires_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn find(
    conn: &mut PgConnection,
    account: Id<Account>,
    upload: Id<id::Upload>,
    now: OffsetDateTime,
) -> Result<Option<Upload>> {
    let row = sqlx::query!(
        "SELECT filename, content_type, blob_hash, size_bytes, created_at, expires_at FROM uploads
         WHERE account_id = $1 AND upload_id = $2 AND expires_at > $3",
        account.uuid(),
        upload.uuid(),
        now
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Upload {
        id: upload,
        filename: row.filename,
        content_type: row.content_type,
        size_bytes: row.size_bytes,
        sha256: hex::encode(row.blob_hash),
        created_at: row.created_at,
        expires_at: row.expires_at,
    }))
}

/// Those of the uploads that there are.
pub(super) async fn find_many(
    conn: &mut PgConnection,
    account: Id<Account>,
    uploads: &[Uuid],
    now: OffsetDateTime,
) -> Result<Vec<Found>> {
    let rows = sqlx::query_as!(
        Found,
        "SELECT upload_id AS id, filename, content_type, blob_hash AS hash, size_bytes FROM uploads
         WHERE account_id = $1 AND upload_id = ANY($2) AND expires_at > $3",
        account.uuid(),
        uploads,
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Whether there was one.
pub(super) async fn delete(
    conn: &mut PgConnection,
    account: Id<Account>,
    upload: Id<id::Upload>,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query!(
        "DELETE FROM uploads WHERE account_id = $1 AND upload_id = $2 AND expires_at > $3",
        account.uuid(),
        upload.uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Deletes what has expired; the contents go with the blobs that nothing refers to.
pub(crate) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query!("DELETE FROM uploads WHERE expires_at <= $1", now).execute(conn).await?;
    Ok(())
}
