//! SQL of accounts and addresses.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Account, AccountPatch, NewAccount};
use crate::{
    error::{Error, OnConstraint as _, Result},
    id::{self, Address, Id},
    page::{Keyset, fetch_page},
};

pub(super) struct Row {
    pub account_id: Uuid,
    name: String,
    role: String,
    full_name: String,
    login_disabled: Option<String>,
    retention_seconds: i64,
    quota_bytes: Option<i64>,
    created_at: OffsetDateTime,
    addresses: Vec<String>,
}

impl From<Row> for Account {
    fn from(row: Row) -> Self {
        Self {
            id: row.account_id.into(),
            name: row.name,
            role: row.role,
            full_name: row.full_name,
            addresses: row.addresses,
            login_disabled: row.login_disabled,
            retention_seconds: row.retention_seconds,
            quota_bytes: row.quota_bytes,
            created_at: row.created_at,
        }
    }
}

/// An address as it is stored.
pub(super) struct NewAddress {
    pub domain_id: Uuid,
    pub local_part: String,
    pub display: String,
}

pub(super) async fn insert(
    conn: &mut PgConnection,
    id: Id<id::Account>,
    new: &NewAccount,
    scram_salt: &[u8],
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO accounts (account_id, name, role, full_name, retention_seconds, quota_bytes,
             created_at, updated_at, scram_salt)
         VALUES ($1, $2, $3, $4, coalesce($5, 2592000::bigint), $6, $7, $7, $8)",
        id.uuid(),
        new.name,
        if new.admin { "admin" } else { "user" },
        new.full_name,
        new.retention_seconds,
        new.quota_bytes,
        now,
        scram_salt
    )
    .execute(&mut *conn)
    .await
    .on_constraint("accounts_name_key", Error::AlreadyExists("account"))?;
    sqlx::query!("INSERT INTO account_counters (account_id) VALUES ($1)", id.uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// Replaces the addresses of an account.
pub(super) async fn set_addresses(
    conn: &mut PgConnection,
    account: Id<id::Account>,
    addresses: &[NewAddress],
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!("DELETE FROM addresses WHERE account_id = $1", account.uuid())
        .execute(&mut *conn)
        .await?;
    let ids: Vec<Uuid> = addresses.iter().map(|_| Id::<Address>::new(now).uuid()).collect();
    let domains: Vec<Uuid> = addresses.iter().map(|address| address.domain_id).collect();
    let locals: Vec<String> = addresses.iter().map(|address| address.local_part.clone()).collect();
    let displays: Vec<String> = addresses.iter().map(|address| address.display.clone()).collect();
    sqlx::query!(
        "INSERT INTO addresses (address_id, domain_id, local_part, account_id, display, created_at)
         SELECT i, d, l, $5, s, $6
         FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[]) AS new (i, d, l, s)",
        &ids,
        &domains,
        &locals,
        &displays,
        account.uuid(),
        now
    )
    .execute(conn)
    .await
    .on_constraint("addresses_domain_id_local_part_key", Error::AlreadyExists("address"))?;
    Ok(())
}

pub(crate) async fn find(
    conn: &mut PgConnection,
    account: Id<id::Account>,
) -> Result<Option<Account>> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT account_id, name, role, full_name, login_disabled, retention_seconds,
             quota_bytes, created_at,
             ARRAY(SELECT a.display FROM addresses AS a WHERE a.account_id = accounts.account_id
                   ORDER BY a.address_id) AS "addresses!"
         FROM accounts WHERE account_id = $1"#,
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Account::from))
}

/// Everybody who looks after the whole installation.
pub(crate) async fn administrators(conn: &mut PgConnection) -> Result<Vec<Id<id::Account>>> {
    let found = sqlx::query_scalar!(
        "SELECT account_id FROM accounts WHERE role = 'admin' ORDER BY account_id"
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(Id::from).collect())
}

pub(super) async fn list(conn: &mut PgConnection, keyset: &Keyset) -> Result<Vec<Row>> {
    Ok(fetch_page!(
        conn,
        keyset,
        Row,
        r#"SELECT account_id, name, role, full_name, login_disabled, retention_seconds,
             quota_bytes, created_at,
             ARRAY(SELECT a.display FROM addresses AS a WHERE a.account_id = accounts.account_id
                   ORDER BY a.address_id) AS "addresses!"
         FROM accounts WHERE true"#,
        "account_id",
    ))
}

pub(super) async fn update(
    conn: &mut PgConnection,
    account: Id<id::Account>,
    patch: &AccountPatch,
    now: OffsetDateTime,
) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE accounts SET
             full_name = coalesce($2, full_name),
             login_disabled = CASE WHEN $3 THEN $4 ELSE login_disabled END,
             retention_seconds = coalesce($5, retention_seconds),
             quota_bytes = CASE WHEN $6 THEN $7 ELSE quota_bytes END,
             updated_at = $8
         WHERE account_id = $1",
        account.uuid(),
        patch.full_name,
        patch.login_disabled.is_some(),
        patch.login_disabled.clone().flatten(),
        patch.retention_seconds,
        patch.quota_bytes.is_some(),
        patch.quota_bytes.flatten(),
        now
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Nobody else changes the account until the end of the transaction.
pub(super) async fn lock(conn: &mut PgConnection, account: Id<id::Account>) -> Result<()> {
    sqlx::query!(
        "SELECT account_id FROM accounts WHERE account_id = $1 FOR UPDATE",
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// Deletes the account with its addresses, keys, webhooks and password.
pub(super) async fn delete(conn: &mut PgConnection, account: Id<id::Account>) -> Result<bool> {
    let done = sqlx::query!("DELETE FROM accounts WHERE account_id = $1", account.uuid())
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Recipients that still wait in the account's messages.
pub(super) async fn waiting(conn: &mut PgConnection, account: Id<id::Account>) -> Result<bool> {
    let waiting = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT 1 FROM queue WHERE account_id = $1) AS "waiting!""#,
        account.uuid()
    )
    .fetch_one(conn)
    .await?;
    Ok(waiting)
}
