//! SQL of endpoints and their history.
//!
//! Whoever changes an endpoint locks its cursor first, as the dispatcher does: so they never wait
//! for each other in a circle.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Webhook, WebhookDelivery};
use crate::{
    error::{Error, Result},
    id::{self, Account, Id},
    page::{Keyset, fetch_page},
    vault::Vault,
};

const SECRET: &str = "webhook secret";
const HEADERS: &str = "webhook headers";

/// How long calls are kept.
const KEPT: time::Duration = time::Duration::days(30);

struct Row {
    webhook_id: Uuid,
    account_id: Uuid,
    url: String,
    description: String,
    event_types: Vec<String>,
    headers: Vec<u8>,
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
             enabled, secret, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        webhook.id.uuid(),
        webhook.account_id.uuid(),
        webhook.url,
        webhook.description,
        &webhook.event_types,
        seal_headers(vault, webhook)?,
        webhook.enabled,
        vault.seal(SECRET, secret.as_bytes())?,
        webhook.created_at,
        webhook.updated_at
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
             enabled = $6, disabled_reason = $7, updated_at = $8
         WHERE webhook_id = $1",
        webhook.id.uuid(),
        webhook.url,
        webhook.description,
        &webhook.event_types,
        seal_headers(vault, webhook)?,
        webhook.enabled,
        webhook.disabled_reason,
        webhook.updated_at
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
        "SELECT webhook_id, account_id, url, description, event_types, headers, enabled,
             disabled_reason, created_at, updated_at
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
        "SELECT webhook_id, account_id, url, description, event_types, headers, enabled,
             disabled_reason, created_at, updated_at
         FROM webhooks WHERE account_id = $3",
        "webhook_id",
        account.uuid(),
    );
    rows.into_iter().map(|row| row.open(vault)).collect()
}

pub(super) async fn secret(
    conn: &mut PgConnection,
    vault: &Vault,
    account: Id<Account>,
    webhook: Id<id::Webhook>,
) -> Result<Option<String>> {
    let sealed = sqlx::query_scalar!(
        "SELECT secret FROM webhooks WHERE webhook_id = $1 AND account_id = $2",
        webhook.uuid(),
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    sealed.map(|sealed| open_secret(vault, &sealed)).transpose()
}

fn open_secret(vault: &Vault, sealed: &[u8]) -> Result<String> {
    String::from_utf8(vault.open(SECRET, sealed)?).map_err(Error::internal)
}

/// An endpoint of any account, with its secret: for the dispatcher.
pub(super) async fn with_secret(
    conn: &mut PgConnection,
    vault: &Vault,
    webhook: Id<id::Webhook>,
) -> Result<Option<(Webhook, String)>> {
    let row = sqlx::query!(
        "SELECT account_id, secret FROM webhooks WHERE webhook_id = $1",
        webhook.uuid()
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let found = find(conn, vault, row.account_id.into(), webhook).await?;
    let Some(found) = found else { return Ok(None) };
    Ok(Some((found, open_secret(vault, &row.secret)?)))
}

struct DeliveryRow {
    webhook_id: Uuid,
    webhook_delivery_id: Uuid,
    event_id: Uuid,
    seq: i64,
    event_type: String,
    attempt: i16,
    started_at: OffsetDateTime,
    duration_ms: i32,
    succeeded: bool,
    request_body: String,
    response_status: Option<i16>,
    response_body: Option<String>,
    error: Option<String>,
    next_attempt_at: Option<OffsetDateTime>,
}

impl From<DeliveryRow> for WebhookDelivery {
    fn from(row: DeliveryRow) -> Self {
        Self {
            id: row.webhook_delivery_id.into(),
            webhook_id: row.webhook_id.into(),
            event_id: row.event_id.into(),
            seq: row.seq,
            event_type: row.event_type,
            attempt: row.attempt,
            started_at: row.started_at,
            duration_ms: row.duration_ms,
            succeeded: row.succeeded,
            request_body: row.request_body,
            response_status: row.response_status,
            response_body: row.response_body,
            error: row.error,
            next_attempt_at: row.next_attempt_at,
        }
    }
}

pub(super) async fn deliveries(
    conn: &mut PgConnection,
    webhook: Id<id::Webhook>,
    keyset: &Keyset,
) -> Result<Vec<WebhookDelivery>> {
    let rows = fetch_page!(
        conn,
        keyset,
        DeliveryRow,
        "SELECT webhook_id, webhook_delivery_id, event_id, seq, event_type, attempt, started_at,
             duration_ms, succeeded, request_body, response_status, response_body, error,
             next_attempt_at
         FROM webhook_deliveries WHERE webhook_id = $3",
        "webhook_delivery_id",
        webhook.uuid(),
    );
    Ok(rows.into_iter().map(WebhookDelivery::from).collect())
}

/// Deletes calls that are no longer kept, some thousand at a time.
pub(crate) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    loop {
        let done = sqlx::query!(
            "DELETE FROM webhook_deliveries WHERE ctid = ANY(ARRAY(
                 SELECT ctid FROM webhook_deliveries WHERE started_at < $1 LIMIT 5000))",
            now - KEPT
        )
        .execute(&mut *conn)
        .await?;
        if done.rows_affected() < 5000 {
            return Ok(());
        }
    }
}
