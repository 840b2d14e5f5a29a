//! SQL of passwords.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{ScramSecret, password::Secrets};
use crate::{
    error::Result,
    id::{Account, Id},
};

pub(super) struct Login {
    pub role: String,
    pub disabled: Option<String>,
    pub argon2id: Option<String>,
}

pub(crate) async fn set(
    conn: &mut PgConnection,
    account: Id<Account>,
    secrets: &Secrets,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO passwords (account_id, argon2id, scram_salt, scram_iterations,
             scram_stored_key, scram_server_key, changed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (account_id) DO UPDATE SET argon2id = excluded.argon2id,
             scram_salt = excluded.scram_salt, scram_iterations = excluded.scram_iterations,
             scram_stored_key = excluded.scram_stored_key,
             scram_server_key = excluded.scram_server_key, changed_at = excluded.changed_at",
        account.uuid(),
        secrets.argon2id,
        secrets.scram_salt,
        secrets.scram_iterations,
        secrets.scram_stored_key,
        secrets.scram_server_key,
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
        r#"SELECT a.role, a.login_disabled AS disabled, p.argon2id AS "argon2id?"
         FROM accounts AS a LEFT JOIN passwords AS p USING (account_id)
         WHERE a.account_id = $1"#,
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

struct ScramRow {
    account_id: Uuid,
    scram_salt: Vec<u8>,
    scram_iterations: i32,
    scram_stored_key: Vec<u8>,
    scram_server_key: Vec<u8>,
}

pub(super) async fn find_scram(
    conn: &mut PgConnection,
    account: Id<Account>,
) -> Result<Option<ScramSecret>> {
    let row = sqlx::query_as!(
        ScramRow,
        "SELECT account_id, scram_salt, scram_iterations, scram_stored_key, scram_server_key
         FROM passwords WHERE account_id = $1",
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| ScramSecret {
        account: row.account_id.into(),
        salt: row.scram_salt,
        iterations: u32::try_from(row.scram_iterations).unwrap_or(4096),
        stored_key: row.scram_stored_key,
        server_key: row.scram_server_key,
    }))
}
