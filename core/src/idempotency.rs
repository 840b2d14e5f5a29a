//! Doing a creating request only once: the key is stored with what it created.
//!
//! A result is kept sealed for 24 hours and given again for the same request. Errors are not kept.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use aws_lc_rs::digest;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    cx::{Cx, Tx},
    error::{Error, Result},
};

/// How long a result is kept for replay.
pub const KEPT: time::Duration = time::Duration::hours(24);

const PURPOSE: &str = "idempotency";

/// The key a caller gave, and what the request was.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    key: String,
    request_hash: [u8; 32],
}

impl IdempotencyKey {
    /// Takes a key for the given request; none unless it is 1 to 255 printable ASCII characters.
    pub fn new(key: &str, method_and_path: &str, body: &[u8]) -> Option<Self> {
        if key.is_empty() || key.len() > 255 || !key.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return None;
        }
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(method_and_path.as_bytes());
        context.update(b"\0");
        context.update(body);
        let mut request_hash = [0; 32];
        request_hash.copy_from_slice(context.finish().as_ref());
        Some(Self { key: key.to_owned(), request_hash })
    }
}

/// What a request of several parts says, for [`IdempotencyKey::new`] in place of its body.
#[derive(Clone)]
pub struct Fingerprint(digest::Context);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Fingerprint {
    /// Adds a text with its length, so that no two requests look the same.
    pub fn add(&mut self, text: Option<&[u8]>) {
        let length = text.map_or(u64::MAX, |text| u64::try_from(text.len()).unwrap_or(u64::MAX));
        self.0.update(&length.to_be_bytes());
        self.0.update(text.unwrap_or_default());
    }

    /// What was added so far, in short.
    pub fn finish(&self) -> Vec<u8> {
        self.0.clone().finish().as_ref().to_vec()
    }
}

/// A result, and whether an earlier request made it.
#[derive(Debug, Clone)]
pub struct Created<T> {
    /// What was created.
    pub value: T,
    /// It was created by an earlier request with the same key.
    pub replayed: bool,
}

impl<T> Created<T> {
    /// Just created.
    pub const fn fresh(value: T) -> Self {
        Self { value, replayed: false }
    }
}

/// What [`begin`] found.
pub(crate) enum Begin<T> {
    /// Done before: this was the result.
    Replayed(Created<T>),
    /// Go on; the slot records the result.
    Fresh(Slot),
}

/// Keys that are worked on by this node.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<HashSet<(Uuid, String)>>);

/// The right to do a request with a key, until dropped.
pub(crate) struct Slot(Option<Claim>);

struct Claim {
    in_flight: Arc<InFlight>,
    account: Uuid,
    key: IdempotencyKey,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut keys = self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.remove(&(self.account, std::mem::take(&mut self.key.key)));
    }
}

/// The row to write with what was created.
#[derive(Clone)]
pub(crate) struct Record {
    pub account: Uuid,
    pub key: String,
    pub request_hash: Vec<u8>,
    pub result: Vec<u8>,
}

/// Looks whether the caller's request was done before.
pub(crate) async fn begin<T: DeserializeOwned>(cx: &Cx) -> Result<Begin<T>> {
    let Some(key) = cx.idempotency() else {
        return Ok(Begin::Fresh(Slot(None)));
    };
    let account = cx.account().uuid();
    let in_flight = cx.platform().in_flight();
    let entered = {
        let mut keys = in_flight.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert((account, key.key.clone()))
    };
    if !entered {
        return Err(Error::IdempotencyInFlight);
    }
    let claim = Claim { in_flight: Arc::clone(in_flight), account, key: key.clone() };
    let mut conn = cx.platform().acquire().await?;
    let Some((request_hash, sealed)) = find(&mut conn, account, &key.key, cx.now() - KEPT).await?
    else {
        return Ok(Begin::Fresh(Slot(Some(claim))));
    };
    if request_hash != key.request_hash {
        return Err(Error::IdempotencyKeyReused);
    }
    let plain = cx.platform().vault().open(PURPOSE, &sealed)?;
    let value = serde_json::from_slice(&plain).map_err(Error::internal)?;
    Ok(Begin::Replayed(Created { value, replayed: true }))
}

impl Slot {
    /// The row that keeps `value` for replay; none without a key.
    pub(crate) fn record<T: Serialize>(&self, cx: &Cx, value: &T) -> Result<Option<Record>> {
        let Some(claim) = &self.0 else {
            return Ok(None);
        };
        let plain = serde_json::to_vec(value).map_err(Error::internal)?;
        Ok(Some(Record {
            account: claim.account,
            key: claim.key.key.clone(),
            request_hash: claim.key.request_hash.to_vec(),
            result: cx.platform().vault().seal(PURPOSE, &plain)?,
        }))
    }

    /// Keeps `value` for replay, in the transaction that creates it.
    pub(crate) async fn keep<T: Serialize>(&self, tx: &mut Tx, cx: &Cx, value: &T) -> Result<()> {
        let Some(record) = self.record(cx, value)? else {
            return Ok(());
        };
        let stored = insert(tx.conn(), &[record], cx.now()).await?;
        if stored.is_empty() { Err(Error::IdempotencyInFlight) } else { Ok(()) }
    }
}

async fn find(
    conn: &mut PgConnection,
    account: Uuid,
    key: &str,
    since: time::OffsetDateTime,
) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let row = sqlx::query!(
        "SELECT request_hash, result FROM idempotency
         WHERE account_id = $1 AND key = $2 AND created_at > $3",
        account,
        key,
        since
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.request_hash, row.result)))
}

/// Writes records; gives back the (account, key) pairs that were new (or older than [`KEPT`]).
pub(crate) async fn insert(
    conn: &mut PgConnection,
    records: &[Record],
    now: time::OffsetDateTime,
) -> Result<Vec<(Uuid, String)>> {
    let accounts: Vec<Uuid> = records.iter().map(|record| record.account).collect();
    let keys: Vec<String> = records.iter().map(|record| record.key.clone()).collect();
    let hashes: Vec<Vec<u8>> = records.iter().map(|record| record.request_hash.clone()).collect();
    let results: Vec<Vec<u8>> = records.iter().map(|record| record.result.clone()).collect();
    let rows = sqlx::query!(
        "INSERT INTO idempotency (account_id, key, request_hash, result, created_at)
         SELECT a, k, h, r, $5 FROM unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[])
             AS new (a, k, h, r)
         ON CONFLICT (account_id, key) DO UPDATE
             SET request_hash = excluded.request_hash, result = excluded.result,
                 created_at = excluded.created_at
             WHERE idempotency.created_at <= $6
         RETURNING account_id, key",
        &accounts,
        &keys,
        &hashes,
        &results,
        now,
        now - KEPT
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.account_id, row.key)).collect())
}

/// Forgets records that were written in this transaction: what they stand for was refused.
pub(crate) async fn forget(conn: &mut PgConnection, records: &[Record]) -> Result<()> {
    let accounts: Vec<Uuid> = records.iter().map(|record| record.account).collect();
    let keys: Vec<String> = records.iter().map(|record| record.key.clone()).collect();
    sqlx::query!(
        "DELETE FROM idempotency USING unnest($1::uuid[], $2::text[]) AS gone (a, k)
         WHERE account_id = a AND key = k",
        &accounts,
        &keys
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes what is past [`KEPT`].
pub(crate) async fn purge(conn: &mut PgConnection, now: time::OffsetDateTime) -> Result<u64> {
    let done = sqlx::query!("DELETE FROM idempotency WHERE created_at <= $1", now - KEPT)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}
