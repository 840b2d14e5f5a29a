//! SQL of checks.

use sqlx::{PgConnection, types::Json};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Check, Checked, State};
use crate::{
    error::{Error, Result},
    id::{self, Id},
};

/// Whoever has taken a domain to check it has so long.
const CLAIMED: Duration = Duration::minutes(10);

/// A new domain is checked soon.
pub(in crate::domains) async fn insert(
    conn: &mut PgConnection,
    domain: Id<id::Domain>,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO domain_checks (domain_id, due_at) VALUES ($1, $2)",
        domain.uuid(),
        now + CLAIMED
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// There is a new key to look for.
pub(in crate::domains) async fn hasten(
    conn: &mut PgConnection,
    domain: Id<id::Domain>,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "UPDATE domain_checks SET due_at = least(due_at, $2) WHERE domain_id = $1",
        domain.uuid(),
        now + CLAIMED
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn find(
    conn: &mut PgConnection,
    domain: Id<id::Domain>,
) -> Result<Option<Checked>> {
    let row = sqlx::query!(
        r#"SELECT state, checks AS "checks: Json<Vec<Check>>", checked_at, due_at
         FROM domain_checks WHERE domain_id = $1"#,
        domain.uuid()
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let state = State::parse(&row.state)
        .ok_or_else(|| Error::internal("a domain is in a state that does not exist"))?;
    Ok(Some(Checked {
        domain,
        state,
        checked_at: row.checked_at,
        next_check_at: row.due_at,
        checks: row.checks.0,
    }))
}

pub(super) async fn save(conn: &mut PgConnection, checked: &Checked) -> Result<()> {
    sqlx::query!(
        "UPDATE domain_checks SET state = $2, checks = $3, checked_at = $4, due_at = $5
         WHERE domain_id = $1",
        checked.domain.uuid(),
        checked.state.as_str(),
        Json(&checked.checks) as _,
        checked.checked_at,
        checked.next_check_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Domains that are due, each for one node.
pub(super) async fn claim(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    most: i64,
) -> Result<Vec<Id<id::Domain>>> {
    let due: Vec<Uuid> = sqlx::query_scalar!(
        "UPDATE domain_checks SET due_at = $2 WHERE domain_id IN (
             SELECT domain_id FROM domain_checks WHERE due_at <= $1
             ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED)
         RETURNING domain_id",
        now,
        now + CLAIMED,
        most
    )
    .fetch_all(conn)
    .await?;
    Ok(due.into_iter().map(Id::from).collect())
}
