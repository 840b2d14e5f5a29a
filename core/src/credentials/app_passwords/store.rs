//! SQL of app passwords.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::AppPassword;
use crate::{
    credentials::password::ScramKeys,
    error::Result,
    id::{self, Account, Id},
    page::{Keyset, fetch_page},
};

struct Row {
    credential_id: Uuid,
    account_id: Uuid,
    name: String,
    scopes: Vec<String>,
    allowed_cidrs: Vec<String>,
    allowed_senders: Vec<String>,
    sandbox: bool,
    expires_at: Option<OffsetDateTime>,
    last_used_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl From<Row> for AppPassword {
    fn from(row: Row) -> Self {
        Self {
            id: row.credential_id.into(),
            account_id: row.account_id.into(),
            name: row.name,
            scopes: row.scopes,
            allowed_cidrs: row.allowed_cidrs,
            allowed_senders: row.allowed_senders,
            sandbox: row.sandbox,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            created_at: row.created_at,
        }
    }
}

/// The salt of all passwords of an account.
pub(crate) async fn salt(conn: &mut PgConnection, account: Id<Account>) -> Result<Option<Vec<u8>>> {
    let salt = sqlx::query_scalar!(
        "SELECT scram_salt FROM accounts WHERE account_id = $1",
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(salt)
}

/// How many there are; nobody else adds one until the end of the transaction.
pub(super) async fn count(conn: &mut PgConnection, account: Id<Account>) -> Result<i64> {
    sqlx::query!(
        "SELECT account_id FROM accounts WHERE account_id = $1 FOR NO KEY UPDATE",
        account.uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM app_passwords WHERE account_id = $1"#,
        account.uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    new: &AppPassword,
    hash: &[u8],
    keys: &ScramKeys,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO app_passwords (credential_id, account_id, name, secret_hash, scram_stored_key,
             scram_server_key, scopes, allowed_cidrs, allowed_senders, sandbox, expires_at,
             created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        new.id.uuid(),
        new.account_id.uuid(),
        new.name,
        hash,
        keys.stored_key,
        keys.server_key,
        &new.scopes,
        &new.allowed_cidrs,
        &new.allowed_senders,
        new.sandbox,
        new.expires_at,
        new.created_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn find(
    conn: &mut PgConnection,
    account: Id<Account>,
    credential: Id<id::AppPassword>,
) -> Result<Option<AppPassword>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT credential_id, account_id, name, scopes, allowed_cidrs, allowed_senders, sandbox,
             expires_at, last_used_at, created_at
         FROM app_passwords WHERE account_id = $1 AND credential_id = $2",
        account.uuid(),
        credential.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(AppPassword::from))
}

/// The one with this SHA-256.
pub(crate) async fn find_by_hash(
    conn: &mut PgConnection,
    account: Id<Account>,
    hash: &[u8],
) -> Result<Option<AppPassword>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT credential_id, account_id, name, scopes, allowed_cidrs, allowed_senders, sandbox,
             expires_at, last_used_at, created_at
         FROM app_passwords WHERE account_id = $1 AND secret_hash = $2",
        account.uuid(),
        hash
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(AppPassword::from))
}

pub(super) async fn list(
    conn: &mut PgConnection,
    account: Id<Account>,
    keyset: &Keyset,
) -> Result<Vec<AppPassword>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT credential_id, account_id, name, scopes, allowed_cidrs, allowed_senders, sandbox,
             expires_at, last_used_at, created_at
         FROM app_passwords WHERE account_id = $3",
        "credential_id",
        account.uuid(),
    );
    Ok(rows.into_iter().map(AppPassword::from).collect())
}

pub(super) async fn delete(
    conn: &mut PgConnection,
    account: Id<Account>,
    credential: Id<id::AppPassword>,
) -> Result<bool> {
    let done = sqlx::query!(
        "DELETE FROM app_passwords WHERE account_id = $1 AND credential_id = $2",
        account.uuid(),
        credential.uuid()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes a use, once a minute at most.
pub(crate) async fn note_use(
    conn: &mut PgConnection,
    used: &AppPassword,
    now: OffsetDateTime,
) -> Result<()> {
    if used.last_used_at.is_some_and(|at| now - at < Duration::minutes(1)) {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE app_passwords SET last_used_at = $2 WHERE credential_id = $1",
        used.id.uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
