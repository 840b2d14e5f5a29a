//! SQL of the audit log.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Entry, Filter};
use crate::{
    error::Result,
    id::Id,
    page::{Keyset, fetch_page},
};

pub(super) async fn insert(conn: &mut PgConnection, entry: &Entry) -> Result<()> {
    sqlx::query!(
        "INSERT INTO audit_log (audit_id, at, actor_account_id, credential, account_id, action,
             target, request_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        entry.id.uuid(),
        entry.at,
        entry.actor_account_id.uuid(),
        entry.credential,
        entry.account_id.map(Id::uuid),
        entry.action,
        entry.target,
        entry.request_id
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct Row {
    audit_id: Uuid,
    at: OffsetDateTime,
    actor_account_id: Uuid,
    credential: String,
    account_id: Option<Uuid>,
    action: String,
    target: String,
    request_id: String,
}

impl From<Row> for Entry {
    fn from(row: Row) -> Self {
        Self {
            id: row.audit_id.into(),
            at: row.at,
            actor_account_id: row.actor_account_id.into(),
            credential: row.credential,
            account_id: row.account_id.map(Id::from),
            action: row.action,
            target: row.target,
            request_id: row.request_id,
        }
    }
}

pub(super) async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    keyset: &Keyset,
) -> Result<Vec<Entry>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT audit_id, at, actor_account_id, credential, account_id, action, target, request_id
         FROM audit_log
         WHERE ($3::uuid IS NULL OR account_id = $3)
           AND ($4::uuid IS NULL OR actor_account_id = $4)
           AND ($5::text IS NULL OR action = $5)
           AND ($6::timestamptz IS NULL OR at >= $6)
           AND ($7::timestamptz IS NULL OR at < $7)",
        "audit_id",
        filter.account.map(Id::uuid) as Option<Uuid>,
        filter.actor.map(Id::uuid) as Option<Uuid>,
        filter.action.as_deref() as Option<&str>,
        filter.since as Option<OffsetDateTime>,
        filter.until as Option<OffsetDateTime>,
    );
    Ok(rows.into_iter().map(Entry::from).collect())
}
