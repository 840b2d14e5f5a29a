//! SQL of API keys.

use std::sync::{Arc, atomic::AtomicBool};

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{ApiKey, NewApiKey};
use crate::{
    accounts::KeyInfo,
    error::Result,
    id::{self, Account, Id},
    page::{Keyset, fetch_page},
    scope::Scopes,
};

struct Row {
    key_id: Uuid,
    account_id: Uuid,
    name: String,
    hint: String,
    scopes: Vec<String>,
    allowed_cidrs: Vec<String>,
    allowed_senders: Vec<String>,
    sandbox: bool,
    requests_per_minute: Option<i32>,
    recipients_per_day: Option<i64>,
    expires_at: Option<OffsetDateTime>,
    last_used_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl From<Row> for ApiKey {
    fn from(row: Row) -> Self {
        Self {
            id: row.key_id.into(),
            account_id: row.account_id.into(),
            name: row.name,
            hint: row.hint,
            scopes: row.scopes,
            allowed_cidrs: row.allowed_cidrs,
            allowed_senders: row.allowed_senders,
            sandbox: row.sandbox,
            requests_per_minute: row.requests_per_minute,
            recipients_per_day: row.recipients_per_day,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
        }
    }
}

/// What the operation made for a new key.
pub(super) struct NewRow<'a> {
    pub id: Id<id::ApiKey>,
    pub account: Id<Account>,
    pub hash: &'a [u8],
    pub hint: &'a str,
    pub scopes: &'a [String],
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    row: &NewRow<'_>,
    new: &NewApiKey,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO api_keys (key_id, account_id, name, secret_hash, hint, scopes, allowed_cidrs,
             allowed_senders, sandbox, expires_at, created_at, requests_per_minute,
             recipients_per_day)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        row.id.uuid(),
        row.account.uuid(),
        new.name,
        row.hash,
        row.hint,
        row.scopes,
        &new.allowed_cidrs,
        &new.allowed_senders,
        new.sandbox,
        new.expires_at,
        now,
        new.requests_per_minute,
        new.recipients_per_day
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn find(conn: &mut PgConnection, key: Id<id::ApiKey>) -> Result<Option<ApiKey>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT key_id, account_id, name, hint, scopes, allowed_cidrs, allowed_senders, sandbox,
             requests_per_minute, recipients_per_day, expires_at, last_used_at, created_at
         FROM api_keys WHERE key_id = $1",
        key.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(ApiKey::from))
}

/// The same, and nobody else changes it until the end of the transaction.
pub(super) async fn find_to_change(
    conn: &mut PgConnection,
    key: Id<id::ApiKey>,
) -> Result<Option<ApiKey>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT key_id, account_id, name, hint, scopes, allowed_cidrs, allowed_senders, sandbox,
             requests_per_minute, recipients_per_day, expires_at, last_used_at, created_at
         FROM api_keys WHERE key_id = $1 FOR UPDATE",
        key.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(ApiKey::from))
}

/// Writes what a change may change.
pub(super) async fn update(conn: &mut PgConnection, key: &ApiKey) -> Result<()> {
    sqlx::query!(
        "UPDATE api_keys SET name = $2, scopes = $3, allowed_cidrs = $4, allowed_senders = $5,
             sandbox = $6, expires_at = $7, requests_per_minute = $8,
             recipients_per_day = $9
         WHERE key_id = $1",
        key.id.uuid(),
        key.name,
        &key.scopes,
        &key.allowed_cidrs,
        &key.allowed_senders,
        key.sandbox,
        key.expires_at,
        key.requests_per_minute,
        key.recipients_per_day
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn list(
    conn: &mut PgConnection,
    keyset: &Keyset,
    account: Option<Id<Account>>,
) -> Result<Vec<ApiKey>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT key_id, account_id, name, hint, scopes, allowed_cidrs, allowed_senders, sandbox,
             requests_per_minute, recipients_per_day, expires_at, last_used_at, created_at
         FROM api_keys WHERE ($3::uuid IS NULL OR account_id = $3)",
        "key_id",
        account.map(Id::uuid) as Option<Uuid>,
    );
    Ok(rows.into_iter().map(ApiKey::from).collect())
}

pub(super) async fn delete(conn: &mut PgConnection, key: Id<id::ApiKey>) -> Result<()> {
    sqlx::query!("DELETE FROM api_keys WHERE key_id = $1", key.uuid()).execute(conn).await?;
    Ok(())
}

/// What the hot path needs of the key with this hash.
pub(crate) async fn load_info(
    conn: &mut PgConnection,
    hash: &[u8; 32],
) -> Result<Option<Arc<KeyInfo>>> {
    let row = sqlx::query!(
        r#"SELECT k.key_id, k.account_id, k.scopes, k.allowed_cidrs, k.allowed_senders, k.sandbox,
             k.expires_at, k.last_used_at, k.requests_per_minute AS key_requests_per_minute,
             k.recipients_per_day AS key_recipients_per_day,
             a.login_disabled, l.requests_per_minute AS "requests_per_minute?"
         FROM api_keys AS k JOIN accounts AS a USING (account_id)
         LEFT JOIN account_limits AS l USING (account_id) WHERE k.secret_hash = $1"#,
        hash.as_slice()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        Arc::new(KeyInfo {
            id: row.key_id.into(),
            account: row.account_id.into(),
            scopes: Scopes::from_names(&row.scopes),
            allowed_cidrs: row.allowed_cidrs,
            allowed_senders: row.allowed_senders,
            sandbox: row.sandbox,
            expires_at: row.expires_at,
            login_disabled: row.login_disabled,
            last_used_at: row.last_used_at,
            requests_per_minute: row.requests_per_minute,
            key_requests_per_minute: row.key_requests_per_minute,
            key_recipients_per_day: row.key_recipients_per_day,
            noted: AtomicBool::new(false),
        })
    }))
}

/// Notes a use, unless another was noted after `since`.
pub(super) async fn note_use(
    conn: &mut PgConnection,
    key: Id<id::ApiKey>,
    since: OffsetDateTime,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "UPDATE api_keys SET last_used_at = $3
         WHERE key_id = $1 AND (last_used_at IS NULL OR last_used_at < $2)",
        key.uuid(),
        since,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
