//! SQL of rules.

use sqlx::{AssertSqlSafe, PgConnection};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Hold, HoldMatch};
use crate::{
    error::Result,
    id::{self, Account, Id},
    page::{Keyset, fetch_page},
};

/// Advisory lock: shared by those who take messages, exclusive for who makes a rule.
const NEW_RULES: i64 = 0x686f_6c64;

struct Row {
    hold_id: Uuid,
    account_id: Option<Uuid>,
    sender: Option<String>,
    recipient: Option<String>,
    sender_domain: Option<String>,
    recipient_domain: Option<String>,
    reason: String,
    expires_at: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
}

impl From<Row> for Hold {
    fn from(row: Row) -> Self {
        Self {
            id: row.hold_id.into(),
            account_id: row.account_id.map(Id::from),
            matches: HoldMatch {
                sender: row.sender,
                recipient: row.recipient,
                sender_domain: row.sender_domain,
                recipient_domain: row.recipient_domain,
            },
            reason: row.reason,
            expires_at: row.expires_at,
            created_at: row.created_at,
        }
    }
}

/// Waits for those who are taking messages, and lets no other begin until the end of the
/// transaction.
pub(super) async fn lock_against_new(conn: &mut PgConnection) -> Result<()> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", NEW_RULES).fetch_one(conn).await?;
    Ok(())
}

pub(super) async fn insert(conn: &mut PgConnection, hold: &Hold) -> Result<()> {
    sqlx::query!(
        "INSERT INTO queue_holds (hold_id, account_id, sender, recipient, sender_domain,
             recipient_domain, reason, expires_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        hold.id.uuid(),
        hold.account_id.map(Id::uuid),
        hold.matches.sender,
        hold.matches.recipient,
        hold.matches.sender_domain,
        hold.matches.recipient_domain,
        hold.reason,
        hold.expires_at,
        hold.created_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn list(
    conn: &mut PgConnection,
    account: Option<Id<Account>>,
    keyset: &Keyset,
) -> Result<Vec<Hold>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT hold_id, account_id, sender, recipient, sender_domain, recipient_domain, reason,
             expires_at, created_at
         FROM queue_holds WHERE ($3::uuid IS NULL OR account_id = $3)",
        "hold_id",
        account.map(Id::uuid) as Option<Uuid>,
    );
    Ok(rows.into_iter().map(Hold::from).collect())
}

pub(super) async fn find(
    conn: &mut PgConnection,
    account: Option<Id<Account>>,
    hold: Id<id::Hold>,
) -> Result<Option<Hold>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT hold_id, account_id, sender, recipient, sender_domain, recipient_domain, reason,
             expires_at, created_at
         FROM queue_holds WHERE hold_id = $1 AND ($2::uuid IS NULL OR account_id = $2)",
        hold.uuid(),
        account.map(Id::uuid) as Option<Uuid>
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Hold::from))
}

/// Writes reason and end of a rule; with `again` it is applied to what waits once more.
pub(super) async fn update(conn: &mut PgConnection, hold: &Hold, again: bool) -> Result<()> {
    sqlx::query!(
        "UPDATE queue_holds SET reason = $2, expires_at = $3,
             applied_at = CASE WHEN $4 THEN NULL ELSE applied_at END
         WHERE hold_id = $1",
        hold.id.uuid(),
        hold.reason,
        hold.expires_at,
        again
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn delete(
    conn: &mut PgConnection,
    account: Option<Id<Account>>,
    hold: Id<id::Hold>,
) -> Result<bool> {
    let done = sqlx::query!(
        "DELETE FROM queue_holds WHERE hold_id = $1 AND ($2::uuid IS NULL OR account_id = $2)",
        hold.uuid(),
        account.map(Id::uuid) as Option<Uuid>
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Begins a transaction in which messages are taken: no rule is made until its end, and all that it
/// asks is from after the last one was.
pub(super) fn begin() -> AssertSqlSafe<String> {
    AssertSqlSafe(format!("BEGIN; SELECT pg_advisory_xact_lock_shared({NEW_RULES})"))
}

/// What [`begin`] does, in a transaction that has begun.
pub(super) async fn lock_shared(conn: &mut PgConnection) -> Result<()> {
    // A statement of its own: what the next one sees is from after the lock.
    sqlx::query!("SELECT pg_advisory_xact_lock_shared($1)", NEW_RULES).fetch_one(conn).await?;
    Ok(())
}

/// Rules that new deliveries of these accounts are held by, oldest first: for certain in a
/// transaction that [`begin`] has begun.
pub(super) async fn in_force(
    conn: &mut PgConnection,
    accounts: &[Uuid],
    now: OffsetDateTime,
) -> Result<Vec<Hold>> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT hold_id, account_id, sender, recipient, sender_domain, recipient_domain, reason,
             expires_at, created_at
         FROM queue_holds
         WHERE (account_id IS NULL OR account_id = ANY($1))
           AND (expires_at IS NULL OR expires_at > $2)
         ORDER BY hold_id",
        accounts,
        now
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Hold::from).collect())
}

/// Takes a rule that is not applied yet to what waits, for a minute.
pub(super) async fn claim(conn: &mut PgConnection) -> Result<Option<Hold>> {
    let row = sqlx::query_as!(
        Row,
        "UPDATE queue_holds SET applying_until = now() + interval '1 minute'
         WHERE hold_id = (SELECT hold_id FROM queue_holds
             WHERE applied_at IS NULL AND (applying_until IS NULL OR applying_until < now())
             ORDER BY hold_id LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING hold_id, account_id, sender, recipient, sender_domain, recipient_domain, reason,
             expires_at, created_at"
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Hold::from))
}

/// Keeps a claim.
pub(super) async fn renew(conn: &mut PgConnection, hold: Id<id::Hold>) -> Result<()> {
    sqlx::query!(
        "UPDATE queue_holds SET applying_until = now() + interval '1 minute' WHERE hold_id = $1",
        hold.uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The rule is applied.
pub(super) async fn applied(
    conn: &mut PgConnection,
    hold: Id<id::Hold>,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "UPDATE queue_holds SET applied_at = $2, applying_until = NULL WHERE hold_id = $1",
        hold.uuid(),
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}
