//! SQL of endpoints and their secrets.
//!
//! Whoever changes an endpoint locks its cursor first, as the dispatcher does: so they never wait
//! for each other in a circle.

pub(super) mod calls;
pub(super) mod replays;
pub(super) mod statistics;

use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Payload, SignatureScheme, Webhook};
use crate::{
    error::{Error, Result},
    id::{self, Account, Id},
    page::{Keyset, fetch_page},
    vault::Vault,
};

const SECRET: &str = "webhook secret";
const FORMER: &str = "former webhook secrets";
const HEADERS: &str = "webhook headers";

struct Row {
    webhook_id: Uuid,
    account_id: Uuid,
    url: String,
    description: String,
    event_types: Vec<String>,
    headers: Vec<u8>,
    domains: Vec<String>,
    tags: Vec<String>,
    deferred_interval_seconds: i32,
    signature_scheme: String,
    payload: String,
    enabled: bool,
    disabled_reason: Option<String>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl Row {
    fn open(self, vault: &Vault) -> Result<Webhook> {
        let headers = vault.open(HEADERS, &self.headers)?;
        Ok(Webhook {
            id: self.webhook_id.into(),
            account_id: self.account_id.into(),
            url: self.url,
            description: self.description,
            event_types: self.event_types,
            headers: serde_json::from_slice(&headers).map_err(Error::internal)?,
            domains: self.domains,
            tags: self.tags,
            deferred_interval_seconds: self.deferred_interval_seconds,
            signature_scheme: SignatureScheme::parse(&self.signature_scheme)
                .ok_or_else(|| Error::internal("unknown signature scheme"))?,
            payload: Payload::parse(&self.payload)
                .ok_or_else(|| Error::internal("unknown payload"))?,
            enabled: self.enabled,
            disabled_reason: self.disabled_reason,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

fn seal_headers(vault: &Vault, webhook: &Webhook) -> Result<Vec<u8>> {
    let headers = serde_json::to_vec(&webhook.headers).map_err(Error::internal)?;
    vault.seal(HEADERS, &headers)
}

/// How many endpoints the account has; nobody else makes one until the end of the transaction.
pub(super) async fn lock_and_count(conn: &mut PgConnection, account: Id<Account>) -> Result<i64> {
    let id = account.uuid();
    sqlx::query!("SELECT account_id FROM accounts WHERE account_id = $1 FOR NO KEY UPDATE", id)
        .fetch_optional(&mut *conn)
        .await?;
    let count = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM webhooks WHERE account_id = $1"#,
        id
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// Writes an endpoint; its cursor stands at the newest event.
pub(super) async fn insert(
    conn: &mut PgConnection,
    vault: &Vault,
    webhook: &Webhook,
    secret: &str,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO webhooks (webhook_id, account_id, url, description, event_types, headers,
             enabled, secret, created_at, updated_at, domains, tags, deferred_interval_seconds,
             signature_scheme, payload)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        webhook.id.uuid(),
        webhook.account_id.uuid(),
        webhook.url,
        webhook.description,
        &webhook.event_types,
        seal_headers(vault, webhook)?,
        webhook.enabled,
        vault.seal(SECRET, secret.as_bytes())?,
        webhook.created_at,
        webhook.updated_at,
        &webhook.domains,
        &webhook.tags,
        webhook.deferred_interval_seconds,
        webhook.signature_scheme.as_str(),
        webhook.payload.as_str()
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO webhook_cursors (webhook_id, seq)
         SELECT $1, event_seq FROM account_counters WHERE account_id = $2",
        webhook.id.uuid(),
        webhook.account_id.uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Locks the cursor until the end of the transaction.
pub(super) async fn lock_cursor(conn: &mut PgConnection, webhook: Id<id::Webhook>) -> Result<()> {
    sqlx::query!(
        "SELECT seq FROM webhook_cursors WHERE webhook_id = $1 FOR UPDATE",
        webhook.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

pub(super) async fn forget_failures(
    conn: &mut PgConnection,
    webhook: Id<id::Webhook>,
) -> Result<()> {
    sqlx::query!(
        "UPDATE webhook_cursors SET failing_since = NULL WHERE webhook_id = $1",
        webhook.uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn update(
    conn: &mut PgConnection,
    vault: &Vault,
    webhook: &Webhook,
) -> Result<()> {
    sqlx::query!(
        "UPDATE webhooks SET url = $2, description = $3, event_types = $4, headers = $5,
             enabled = $6, disabled_reason = $7, updated_at = $8, domains = $9, tags = $10,
             deferred_interval_seconds = $11
         WHERE webhook_id = $1",
        webhook.id.uuid(),
        webhook.url,
        webhook.description,
        &webhook.event_types,
        seal_headers(vault, webhook)?,
        webhook.enabled,
        webhook.disabled_reason,
        webhook.updated_at,
        &webhook.domains,
        &webhook.tags,
        webhook.deferred_interval_seconds
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn delete(
    conn: &mut PgConnection,
    account: Id<Account>,
    webhook: Id<id::Webhook>,
) -> Result<bool> {
    let done = sqlx::query!(
        "DELETE FROM webhooks WHERE webhook_id = $1 AND account_id = $2",
        webhook.uuid(),
        account.uuid()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

pub(super) async fn find(
    conn: &mut PgConnection,
    vault: &Vault,
    account: Id<Account>,
    webhook: Id<id::Webhook>,
) -> Result<Option<Webhook>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT webhook_id, account_id, url, description, event_types, headers, domains, tags,
             deferred_interval_seconds, signature_scheme, payload, enabled, disabled_reason,
             created_at, updated_at
         FROM webhooks WHERE webhook_id = $1 AND account_id = $2",
        webhook.uuid(),
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| row.open(vault)).transpose()
}

pub(super) async fn list(
    conn: &mut PgConnection,
    vault: &Vault,
    account: Id<Account>,
    keyset: &Keyset,
) -> Result<Vec<Webhook>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT webhook_id, account_id, url, description, event_types, headers, domains, tags,
             deferred_interval_seconds, signature_scheme, payload, enabled, disabled_reason,
             created_at, updated_at
         FROM webhooks WHERE account_id = $3",
        "webhook_id",
        account.uuid(),
    );
    rows.into_iter().map(|row| row.open(vault)).collect()
}

/// A secret that was replaced, as it is sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Former {
    /// `whsec_…` or `whsk_…`
    pub secret: String,
    /// It signs until then.
    #[serde(with = "crate::time::millis")]
    pub until: OffsetDateTime,
}

/// Everything that signs what an endpoint gets.
pub(super) struct Keys {
    /// `whsec_…` or `whsk_…`
    pub current: String,
    /// Newest first, also those whose time is up.
    pub former: Vec<Former>,
}

impl Keys {
    fn open(vault: &Vault, current: &[u8], former: Option<&[u8]>) -> Result<Self> {
        let current = String::from_utf8(vault.open(SECRET, current)?).map_err(Error::internal)?;
        let former = former.map(|sealed| vault.open(FORMER, sealed)).transpose()?;
        let former = former.map(|json| serde_json::from_slice(&json)).transpose();
        Ok(Self { current, former: former.map_err(Error::internal)?.unwrap_or_default() })
    }
}

pub(super) async fn keys(
    conn: &mut PgConnection,
    vault: &Vault,
    account: Id<Account>,
    webhook: Id<id::Webhook>,
) -> Result<Option<Keys>> {
    let row = sqlx::query!(
        "SELECT secret, former_secrets FROM webhooks WHERE webhook_id = $1 AND account_id = $2",
        webhook.uuid(),
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| Keys::open(vault, &row.secret, row.former_secrets.as_deref())).transpose()
}

/// Writes the secrets of an endpoint, how the current one signs, and the time of the change.
pub(super) async fn save_keys(
    conn: &mut PgConnection,
    vault: &Vault,
    webhook: &Webhook,
    keys: &Keys,
) -> Result<()> {
    let former = serde_json::to_vec(&keys.former).map_err(Error::internal)?;
    let until = keys.former.iter().map(|former| former.until).max();
    let former = until.map(|_| vault.seal(FORMER, &former)).transpose()?;
    sqlx::query!(
        "UPDATE webhooks SET secret = $2, former_secrets = $3, former_secrets_until = $4,
             signature_scheme = $5, updated_at = $6
         WHERE webhook_id = $1",
        webhook.id.uuid(),
        vault.seal(SECRET, keys.current.as_bytes())?,
        former,
        until,
        webhook.signature_scheme.as_str(),
        webhook.updated_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Erases former secrets whose time is up.
async fn forget_former_secrets(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query!(
        "UPDATE webhooks SET former_secrets = NULL, former_secrets_until = NULL
         WHERE former_secrets_until < $1",
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An endpoint of any account, with its secrets: for the dispatcher.
pub(super) async fn with_keys(
    conn: &mut PgConnection,
    vault: &Vault,
    webhook: Id<id::Webhook>,
) -> Result<Option<(Webhook, Keys)>> {
    let account = sqlx::query_scalar!(
        "SELECT account_id FROM webhooks WHERE webhook_id = $1",
        webhook.uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(account) = account else { return Ok(None) };
    let keys = keys(conn, vault, account.into(), webhook).await?;
    let found = find(conn, vault, account.into(), webhook).await?;
    Ok(found.zip(keys))
}

/// Asks whoever serves the endpoint to look at retries and replays at once.
pub(super) async fn nudge(conn: &mut PgConnection, webhook: Id<id::Webhook>) -> Result<()> {
    sqlx::query!(
        "UPDATE webhook_cursors SET nudges = nudges + 1 WHERE webhook_id = $1",
        webhook.uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whom to write to about the account's endpoints: its first address.
pub(super) async fn address(
    conn: &mut PgConnection,
    account: Id<Account>,
) -> Result<Option<String>> {
    let address = sqlx::query_scalar!(
        r#"SELECT a.local_part || '@' || d.name AS "address!"
         FROM addresses AS a JOIN domains AS d USING (domain_id)
         WHERE a.account_id = $1 AND a.local_part <> '' ORDER BY a.address_id LIMIT 1"#,
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(address)
}

/// Deletes what is no longer kept.
pub(crate) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    forget_former_secrets(conn, now).await?;
    calls::purge(conn, now).await?;
    replays::purge(conn, now).await?;
    statistics::purge(conn, now).await
}
