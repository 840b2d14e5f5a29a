//! SQL of inbound routes.

use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Action, Match, Route};
use crate::{
    error::{Error, Result},
    id::{self, Account, Id, InboundRoute, Mailbox},
};

struct Row {
    inbound_route_id: Uuid,
    account_id: Uuid,
    name: String,
    enabled: bool,
    priority: i32,
    go_on: bool,
    matches: Json<Match>,
    actions: Json<Vec<Action>>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
}

impl From<Row> for Route {
    fn from(row: Row) -> Self {
        Self {
            id: row.inbound_route_id.into(),
            account_id: row.account_id.into(),
            name: row.name,
            enabled: row.enabled,
            priority: row.priority,
            go_on: row.go_on,
            matches: row.matches.0,
            actions: row.actions.0,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// Nobody else changes routes of the account until the end of the transaction.
pub(super) async fn lock(conn: &mut PgConnection, account: Id<Account>) -> Result<()> {
    sqlx::query!(
        "SELECT account_id FROM accounts WHERE account_id = $1 FOR NO KEY UPDATE",
        account.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(())
}

/// All routes of an account, in the order in which they are asked.
pub(super) async fn list(conn: &mut PgConnection, account: Id<Account>) -> Result<Vec<Route>> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT inbound_route_id, account_id, name, enabled, priority, go_on,
             matches AS "matches: Json<Match>", actions AS "actions: Json<Vec<Action>>",
             created_at, updated_at
         FROM inbound_routes WHERE account_id = $1 ORDER BY priority, inbound_route_id"#,
        account.uuid()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Route::from).collect())
}

/// Writes a route, a new one or one that is there.
pub(super) async fn save(conn: &mut PgConnection, route: &Route) -> Result<()> {
    let json = |value: serde_json::Result<String>| value.map_err(Error::internal);
    sqlx::query!(
        "INSERT INTO inbound_routes (inbound_route_id, account_id, name, enabled, priority, go_on,
             matches, actions, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7::text::json, $8::text::json, $9, $10)
         ON CONFLICT (inbound_route_id) DO UPDATE SET name = excluded.name,
             enabled = excluded.enabled, priority = excluded.priority, go_on = excluded.go_on,
             matches = excluded.matches, actions = excluded.actions,
             updated_at = excluded.updated_at",
        route.id.uuid(),
        route.account_id.uuid(),
        route.name,
        route.enabled,
        route.priority,
        route.go_on,
        json(serde_json::to_string(&route.matches))?,
        json(serde_json::to_string(&route.actions))?,
        route.created_at,
        route.updated_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn delete(
    conn: &mut PgConnection,
    account: Id<Account>,
    route: Id<InboundRoute>,
) -> Result<bool> {
    let done = sqlx::query!(
        "DELETE FROM inbound_routes WHERE inbound_route_id = $1 AND account_id = $2",
        route.uuid(),
        account.uuid()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Those of these mailboxes that the account has.
pub(super) async fn known_mailboxes(
    conn: &mut PgConnection,
    account: Id<Account>,
    wanted: &[Id<Mailbox>],
) -> Result<Vec<Id<Mailbox>>> {
    let wanted: Vec<Uuid> = wanted.iter().copied().map(Id::uuid).collect();
    let found = sqlx::query_scalar!(
        "SELECT mailbox_id FROM mailboxes
         WHERE account_id = $1 AND mailbox_id = ANY($2) AND NOT expunged",
        account.uuid(),
        &wanted
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(Id::from).collect())
}

/// A webhook endpoint as routes see it.
pub(super) struct KnownWebhook {
    pub id: Id<id::Webhook>,
    pub event_types: Vec<String>,
    pub gets_messages: bool,
}

/// Those of these webhook endpoints that the account has.
pub(super) async fn known_webhooks(
    conn: &mut PgConnection,
    account: Id<Account>,
    wanted: &[Id<id::Webhook>],
) -> Result<Vec<KnownWebhook>> {
    let wanted: Vec<Uuid> = wanted.iter().copied().map(Id::uuid).collect();
    let found = sqlx::query!(
        r#"SELECT webhook_id, event_types, payload = 'message' AS "gets_messages!" FROM webhooks
         WHERE account_id = $1 AND webhook_id = ANY($2)"#,
        account.uuid(),
        &wanted
    )
    .fetch_all(conn)
    .await?;
    let known = found.into_iter().map(|row| KnownWebhook {
        id: row.webhook_id.into(),
        event_types: row.event_types,
        gets_messages: row.gets_messages,
    });
    Ok(known.collect())
}
