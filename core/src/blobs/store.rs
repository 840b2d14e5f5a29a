//! SQL of blobs.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Body, NewBlob, Place};
use crate::{
    error::{Error, Result},
    id::{Account, Id},
    platform::Platform,
};

/// A stored blob.
pub(crate) struct BlobRow {
    pub size_bytes: i64,
    pub compression: String,
    pub data: Option<Vec<u8>>,
    pub object: Option<String>,
}

/// Writes blobs; those that are there already stay, and are not garbage any more.
pub(crate) async fn insert(
    conn: &mut PgConnection,
    blobs: &[&NewBlob],
    now: OffsetDateTime,
) -> Result<()> {
    // The same content twice in one statement would be an error.
    let mut seen = HashSet::new();
    let blobs: Vec<&NewBlob> =
        blobs.iter().copied().filter(|blob| seen.insert((blob.account, blob.hash))).collect();
    let accounts: Vec<Uuid> = blobs.iter().map(|blob| blob.account.uuid()).collect();
    let hashes: Vec<&[u8]> = blobs.iter().map(|blob| blob.hash.as_slice()).collect();
    let sizes: Vec<i64> =
        blobs.iter().map(|blob| i64::try_from(blob.size).unwrap_or(i64::MAX)).collect();
    let compressions: Vec<&str> =
        blobs.iter().map(|blob| if blob.compressed { "zstd" } else { "none" }).collect();
    let data: Vec<Option<&[u8]>> = blobs
        .iter()
        .map(|blob| match &blob.place {
            Place::Inline(bytes) => Some(bytes.as_ref()),
            Place::Object(_) => None,
        })
        .collect();
    let objects: Vec<Option<&str>> = blobs
        .iter()
        .map(|blob| match &blob.place {
            Place::Inline(_) => None,
            Place::Object(object) => Some(object.as_str()),
        })
        .collect();
    sqlx::query!(
        "INSERT INTO blobs (account_id, hash, size_bytes, compression, data, object, created_at)
         SELECT a, h, s, c, d, o, $7
         FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::text[], $5::bytea[], $6::text[])
             AS new (a, h, s, c, d, o)
         ORDER BY a, h
         ON CONFLICT (account_id, hash) DO UPDATE SET garbage_since = NULL",
        &accounts,
        &hashes as &[&[u8]],
        &sizes,
        &compressions as &[&str],
        &data as &[Option<&[u8]>],
        &objects as &[Option<&str>],
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes the object of a blob that was prepared and that no row has: the content was here already,
/// or it was refused.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn remove_unused(platform: &Platform, blob: &NewBlob) -> Result<()> {
    let Place::Object(object) = &blob.place else { return Ok(()) };
    let mut conn = platform.acquire().await?;
    let is_used = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM blobs
             WHERE account_id = $1 AND hash = $2 AND object = $3) AS "is_used!""#,
        blob.account.uuid(),
        blob.hash.as_slice(),
        object
    )
    .fetch_one(&mut *conn)
    .await?;
    drop(conn);
    if is_used { Ok(()) } else { platform.blobs().remove(object).await }
}

/// Reads blobs of `account` as a whole: for who has the memory for them.
///
/// # Errors
/// As [`open`].
pub(crate) async fn read_many(
    platform: &Platform,
    account: Id<Account>,
    hashes: &[&[u8]],
) -> Result<HashMap<Vec<u8>, Bytes>> {
    let mut conn = platform.acquire().await?;
    let rows = sqlx::query!(
        "SELECT hash, size_bytes, compression, data, object FROM blobs
         WHERE account_id = $1 AND hash = ANY($2)",
        account.uuid(),
        hashes as &[&[u8]]
    )
    .fetch_all(&mut *conn)
    .await?;
    drop(conn);
    let blobs = platform.blobs();
    let mut contents = HashMap::with_capacity(rows.len());
    for row in rows {
        let (size_bytes, compression) = (row.size_bytes, row.compression);
        let found = BlobRow { size_bytes, compression, data: row.data, object: row.object };
        let content = blobs.open(&blobs.stored(&row.hash, found)?).await?.bytes().await?;
        contents.insert(row.hash, content);
    }
    match hashes.iter().find(|hash| !contents.contains_key(**hash)) {
        Some(hash) => Err(missing(hash)),
        None => Ok(contents),
    }
}

/// Opens a blob of `account`.
///
/// # Errors
/// `StorageFull`, `Unavailable`, `Internal` when it is missing or damaged.
pub(crate) async fn open(platform: &Platform, account: Id<Account>, hash: &[u8]) -> Result<Body> {
    let mut conn = platform.acquire().await?;
    let row = sqlx::query_as!(
        BlobRow,
        "SELECT size_bytes, compression, data, object FROM blobs
         WHERE account_id = $1 AND hash = $2",
        account.uuid(),
        hash
    )
    .fetch_optional(&mut *conn)
    .await?;
    drop(conn);
    let Some(row) = row else {
        return Err(missing(hash));
    };
    let blobs = platform.blobs();
    blobs.open(&blobs.stored(hash, row)?).await
}

fn missing(hash: &[u8]) -> Error {
    metrics::counter!("posthouse_blobs_missing_total").increment(1);
    tracing::error!(blob.hash = hex::encode(hash), "stored message content is missing");
    Error::internal("the stored content of this message is missing")
}
