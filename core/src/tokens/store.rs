//! SQL of sessions, refresh tokens and signing keys.
//!
//! Whoever changes a session has its row locked before those of its refresh tokens.

use std::sync::Arc;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Session, SessionInfo,
    keys::{Key, NewKey},
};
use crate::{
    error::Result,
    id::{self, Account, Id},
    page::{Keyset, fetch_page},
    scope::Scopes,
    vault::Vault,
};

const SIGNING_KEY: &str = "signing key of access tokens";

/// A session that nobody else changes now.
pub(super) struct Locked {
    pub session: Session,
    /// As far as the role of the account still has them.
    pub scopes: Scopes,
    pub refresh_hash: Vec<u8>,
    pub former_hash: Option<Vec<u8>>,
}

struct Row {
    session_id: Uuid,
    account_id: Uuid,
    scopes: Vec<String>,
    user_agent: String,
    remote_address: String,
    created_at: OffsetDateTime,
    refreshed_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

impl From<Row> for Session {
    fn from(row: Row) -> Self {
        Self {
            id: row.session_id.into(),
            account_id: row.account_id.into(),
            scopes: row.scopes,
            user_agent: row.user_agent,
            remote_address: row.remote_address,
            created_at: row.created_at,
            refreshed_at: row.refreshed_at,
            expires_at: row.expires_at,
        }
    }
}

/// Whether the account still has this password and may log in; it stays so until the end of the
/// transaction. Logins of one account come one after the other.
pub(super) async fn lock_login(
    conn: &mut PgConnection,
    account: Id<Account>,
    argon2id: &str,
) -> Result<bool> {
    let found = sqlx::query_scalar!(
        "SELECT a.account_id FROM accounts AS a JOIN passwords AS p USING (account_id)
         WHERE a.account_id = $1 AND a.login_disabled IS NULL AND p.argon2id = $2
         FOR NO KEY UPDATE OF a FOR SHARE OF p",
        account.uuid(),
        argon2id
    )
    .fetch_optional(conn)
    .await?;
    Ok(found.is_some())
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    session: &Session,
    refresh_hash: &[u8],
) -> Result<()> {
    sqlx::query!(
        "WITH session AS (
             INSERT INTO sessions (session_id, account_id, scopes, user_agent, remote_address,
                 refresh_hash, refreshed_at, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         )
         INSERT INTO refresh_tokens (token_hash, session_id, expires_at) VALUES ($6, $1, $9)",
        session.id.uuid(),
        session.account_id.uuid(),
        &session.scopes,
        session.user_agent,
        session.remote_address,
        refresh_hash,
        session.refreshed_at,
        session.created_at,
        session.expires_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes all sessions of an account but the newest.
pub(super) async fn delete_oldest(
    conn: &mut PgConnection,
    account: Id<Account>,
    kept: i64,
) -> Result<()> {
    sqlx::query!(
        "DELETE FROM sessions WHERE session_id IN (SELECT session_id FROM sessions
             WHERE account_id = $1 ORDER BY session_id DESC OFFSET $2)",
        account.uuid(),
        kept
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The session that a refresh token was given out for.
pub(super) async fn session_of(
    conn: &mut PgConnection,
    hash: &[u8],
) -> Result<Option<Id<id::Session>>> {
    let session =
        sqlx::query_scalar!("SELECT session_id FROM refresh_tokens WHERE token_hash = $1", hash)
            .fetch_optional(conn)
            .await?;
    Ok(session.map(Id::from))
}

/// A session whose account may log in, locked until the end of the transaction.
pub(super) async fn lock(
    conn: &mut PgConnection,
    session: Id<id::Session>,
) -> Result<Option<Locked>> {
    let row = sqlx::query!(
        "SELECT s.session_id, s.account_id, s.scopes, s.user_agent, s.remote_address,
             s.refresh_hash, s.former_hash, s.refreshed_at, s.created_at, s.expires_at, a.role
         FROM sessions AS s JOIN accounts AS a USING (account_id)
         WHERE s.session_id = $1 AND a.login_disabled IS NULL FOR UPDATE OF s",
        session.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Locked {
        scopes: Scopes::of_role(&row.role).and(Scopes::from_names(&row.scopes)),
        refresh_hash: row.refresh_hash,
        former_hash: row.former_hash,
        session: Session {
            id: row.session_id.into(),
            account_id: row.account_id.into(),
            scopes: row.scopes,
            user_agent: row.user_agent,
            remote_address: row.remote_address,
            created_at: row.created_at,
            refreshed_at: row.refreshed_at,
            expires_at: row.expires_at,
        },
    }))
}

/// Gives a session that is locked its next refresh token.
pub(super) async fn refresh(
    conn: &mut PgConnection,
    session: &Session,
    former: &[u8],
    next: &[u8],
) -> Result<()> {
    sqlx::query!(
        "WITH session AS (
             UPDATE sessions SET former_hash = $2, refresh_hash = $3, refreshed_at = $4,
                 expires_at = $5
             WHERE session_id = $1
         )
         INSERT INTO refresh_tokens (token_hash, session_id, expires_at) VALUES ($3, $1, $5)",
        session.id.uuid(),
        former,
        next,
        session.refreshed_at,
        session.expires_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn list(
    conn: &mut PgConnection,
    account: Id<Account>,
    now: OffsetDateTime,
    keyset: &Keyset,
) -> Result<Vec<Session>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT session_id, account_id, scopes, user_agent, remote_address, created_at,
             refreshed_at, expires_at
         FROM sessions WHERE account_id = $3 AND expires_at > $4",
        "session_id",
        account.uuid(),
        now,
    );
    Ok(rows.into_iter().map(Session::from).collect())
}

pub(super) async fn delete(conn: &mut PgConnection, session: Id<id::Session>) -> Result<()> {
    sqlx::query!("DELETE FROM sessions WHERE session_id = $1", session.uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether the account had the session.
pub(super) async fn delete_of(
    conn: &mut PgConnection,
    account: Id<Account>,
    session: Id<id::Session>,
) -> Result<bool> {
    let done = sqlx::query!(
        "DELETE FROM sessions WHERE account_id = $1 AND session_id = $2",
        account.uuid(),
        session.uuid()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Ends everything that the password of the account has opened. To be called after the change that
/// gives the reason, in its transaction: a login waits for that.
pub(crate) async fn delete_all(conn: &mut PgConnection, account: Id<Account>) -> Result<()> {
    sqlx::query!("DELETE FROM sessions WHERE account_id = $1", account.uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// What the hot path needs of a session; none, too, when the account may not log in.
pub(crate) async fn load_info(
    conn: &mut PgConnection,
    session: Id<id::Session>,
) -> Result<Option<Arc<SessionInfo>>> {
    let row = sqlx::query!(
        r#"SELECT s.account_id, s.scopes, s.expires_at, a.role,
             l.requests_per_minute AS "requests_per_minute?"
         FROM sessions AS s JOIN accounts AS a USING (account_id)
         LEFT JOIN account_limits AS l USING (account_id)
         WHERE s.session_id = $1 AND a.login_disabled IS NULL"#,
        session.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| {
        Arc::new(SessionInfo {
            account: row.account_id.into(),
            scopes: Scopes::of_role(&row.role).and(Scopes::from_names(&row.scopes)),
            expires_at: row.expires_at,
            requests_per_minute: row.requests_per_minute,
        })
    }))
}

/// Forgets what is over.
pub(crate) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query!("DELETE FROM sessions WHERE expires_at < $1", now).execute(&mut *conn).await?;
    sqlx::query!("DELETE FROM refresh_tokens WHERE expires_at < $1", now).execute(conn).await?;
    Ok(())
}

/// All keys, the newest first.
pub(super) async fn keys(conn: &mut PgConnection, vault: &Vault) -> Result<Vec<Key>> {
    let rows = sqlx::query!(
        "SELECT key_id, public_key, sealed_key, signs_at FROM signing_keys ORDER BY signs_at DESC"
    )
    .fetch_all(conn)
    .await?;
    let open = |sealed: &[u8]| vault.open(SIGNING_KEY, sealed);
    let keys = rows.into_iter().map(|row| {
        let private = open(&row.sealed_key)?;
        Ok(Key::new(row.key_id.into(), row.signs_at, &row.public_key, &private))
    });
    keys.collect()
}

/// Nobody else makes or deletes a key until the end of the transaction.
pub(super) async fn lock_keys(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("LOCK TABLE signing_keys IN SHARE ROW EXCLUSIVE MODE").execute(conn).await?;
    Ok(())
}

/// When the newest key begins to sign.
pub(super) async fn newest_key(conn: &mut PgConnection) -> Result<Option<OffsetDateTime>> {
    let newest =
        sqlx::query_scalar!("SELECT max(signs_at) FROM signing_keys").fetch_one(conn).await?;
    Ok(newest)
}

pub(super) async fn insert_key(conn: &mut PgConnection, vault: &Vault, key: &NewKey) -> Result<()> {
    sqlx::query!(
        "INSERT INTO signing_keys (key_id, public_key, sealed_key, created_at, signs_at)
         VALUES ($1, $2, $3, $4, $5)",
        key.id.uuid(),
        key.public,
        vault.seal(SIGNING_KEY, &key.pkcs8)?,
        key.created_at,
        key.signs_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes keys that another one has followed before `then`.
pub(super) async fn delete_keys_replaced_before(
    conn: &mut PgConnection,
    then: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "DELETE FROM signing_keys WHERE signs_at < (SELECT max(signs_at) FROM signing_keys
             WHERE signs_at < $1)",
        then
    )
    .execute(conn)
    .await?;
    Ok(())
}
