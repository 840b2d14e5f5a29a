//! SQL of passwords.

use sqlx::PgConnection;
use time::OffsetDateTime;

use super::{
    authenticate::ScramKey,
    password::{ITERATIONS, Secrets},
};
use crate::{
    error::Result,
    id::{Account, Id},
};

pub(super) struct Login {
    pub role: String,
    pub disabled: Option<String>,
    pub argon2id: Option<String>,
    pub requests_per_minute: Option<i32>,
}

pub(crate) async fn set(
    conn: &mut PgConnection,
    account: Id<Account>,
    secrets: &Secrets,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO passwords (account_id, argon2id, scram_iterations, scram_stored_key,
             scram_server_key, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (account_id) DO UPDATE SET argon2id = excluded.argon2id,
             scram_iterations = excluded.scram_iterations,
             scram_stored_key = excluded.scram_stored_key,
             scram_server_key = excluded.scram_server_key, changed_at = excluded.changed_at",
        account.uuid(),
        secrets.argon2id,
        secrets.scram_iterations,
        secrets.scram.stored_key,
        secrets.scram.server_key,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn find_login(
    conn: &mut PgConnection,
    account: Id<Account>,
) -> Result<Option<Login>> {
    let row = sqlx::query_as!(
        Login,
        r#"SELECT a.role, a.login_disabled AS disabled, p.argon2id AS "argon2id?",
             l.requests_per_minute AS "requests_per_minute?"
         FROM accounts AS a LEFT JOIN passwords AS p USING (account_id)
         LEFT JOIN account_limits AS l USING (account_id)
         WHERE a.account_id = $1"#,
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// What SCRAM needs of each password of an account that still holds, the account's own first.
pub(super) async fn scram_keys(
    conn: &mut PgConnection,
    account: Id<Account>,
    now: OffsetDateTime,
) -> Result<Vec<ScramKey>> {
    let rows = sqlx::query!(
        r#"SELECT NULL::uuid AS "credential_id?", scram_stored_key AS "stored_key!",
             scram_server_key AS "server_key!"
         FROM passwords WHERE account_id = $1 AND scram_iterations = $3
         UNION ALL
         SELECT credential_id, scram_stored_key, scram_server_key
         FROM app_passwords WHERE account_id = $1 AND (expires_at IS NULL OR expires_at > $2)"#,
        account.uuid(),
        now,
        i32::try_from(ITERATIONS.get()).unwrap_or(4096)
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ScramKey {
            app_password: row.credential_id.map(Id::from),
            stored_key: row.stored_key,
            server_key: row.server_key,
        })
        .collect())
}
