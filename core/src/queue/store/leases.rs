//! SQL of nodes and of who owns which shard.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{error::Result, queue::shards::Lease};

/// Told when shards are wanted or free, with the node that says so: others look at once.
pub(crate) const CHANNEL: &str = "posthouse_nodes";

async fn tell(conn: &mut PgConnection, node: Uuid) -> Result<()> {
    sqlx::query!("SELECT pg_notify($1, $2)", CHANNEL, node.to_string()).fetch_one(conn).await?;
    Ok(())
}

/// Makes `node` known; one of the same name that was there before is dead.
pub(in crate::queue) async fn join(
    conn: &mut PgConnection,
    node: Uuid,
    name: &str,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "UPDATE queue_shards SET owner = NULL, epoch = epoch + 1
         WHERE owner IN (SELECT node_id FROM nodes WHERE name = $1)",
        name
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM nodes WHERE name = $1", name).execute(&mut *conn).await?;
    sqlx::query!(
        "INSERT INTO nodes (node_id, name, started_at, lease_until)
         VALUES ($1, $2, $3, now() + interval '30 seconds')",
        node,
        name,
        now
    )
    .execute(&mut *conn)
    .await?;
    tell(conn, node).await
}

/// Renews the lease; false: the node is not known any more.
pub(in crate::queue) async fn renew(conn: &mut PgConnection, node: Uuid) -> Result<bool> {
    let done = sqlx::query!(
        "UPDATE nodes SET lease_until = now() + interval '30 seconds' WHERE node_id = $1",
        node
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Nodes with a valid lease.
pub(in crate::queue) async fn living(conn: &mut PgConnection) -> Result<i64> {
    let count =
        sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM nodes WHERE lease_until > now()"#)
            .fetch_one(conn)
            .await?;
    Ok(count)
}

/// What [`adopt`] did.
pub(in crate::queue) struct Bump {
    pub adopted: Vec<u8>,
    /// The transaction that changed the owners.
    pub transaction: i64,
}

/// Takes the shards whose owner is gone, up to a fair share of all.
pub(in crate::queue) async fn adopt(conn: &mut PgConnection, node: Uuid) -> Result<Bump> {
    let rows = sqlx::query!(
        r#"WITH living AS (
             SELECT node_id FROM nodes WHERE lease_until > now()
         ), free AS (
             SELECT shard FROM queue_shards
             WHERE owner IS NULL OR owner NOT IN (SELECT node_id FROM living)
             ORDER BY shard
             LIMIT greatest(0, (SELECT ceil(256.0 / greatest(1, count(*))) FROM living)
                 - (SELECT count(*) FROM queue_shards WHERE owner = $1))
             FOR UPDATE SKIP LOCKED
         )
         UPDATE queue_shards AS s SET owner = $1, epoch = s.epoch + 1
         FROM free WHERE s.shard = free.shard
         RETURNING s.shard, pg_current_xact_id()::text::bigint AS "transaction!""#,
        node
    )
    .fetch_all(conn)
    .await?;
    let transaction = rows.first().map_or(0, |row| row.transaction);
    let adopted = rows.iter().filter_map(|row| u8::try_from(row.shard).ok()).collect();
    Ok(Bump { adopted, transaction })
}

/// The oldest transaction that still runs.
pub(in crate::queue) async fn oldest_transaction(conn: &mut PgConnection) -> Result<i64> {
    let oldest = sqlx::query_scalar!(
        r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "oldest!""#
    )
    .fetch_one(conn)
    .await?;
    Ok(oldest)
}

/// The shards of `node`.
pub(in crate::queue) async fn owned(conn: &mut PgConnection, node: Uuid) -> Result<Vec<Lease>> {
    let rows =
        sqlx::query!("SELECT shard, epoch FROM queue_shards WHERE owner = $1 ORDER BY shard", node)
            .fetch_all(conn)
            .await?;
    let lease = |shard: i16, epoch| u8::try_from(shard).ok().map(|shard| Lease { shard, epoch });
    Ok(rows.into_iter().filter_map(|row| lease(row.shard, row.epoch)).collect())
}

/// Gives `shards` to nobody.
pub(in crate::queue) async fn release(
    conn: &mut PgConnection,
    node: Uuid,
    shards: &[i16],
) -> Result<()> {
    sqlx::query!(
        "UPDATE queue_shards SET owner = NULL, epoch = epoch + 1
         WHERE owner = $1 AND shard = ANY($2)",
        node,
        shards
    )
    .execute(&mut *conn)
    .await?;
    tell(conn, node).await
}

/// Gives all shards of `node` to nobody and forgets it.
pub(in crate::queue) async fn leave(conn: &mut PgConnection, node: Uuid) -> Result<()> {
    sqlx::query!(
        "WITH gone AS (DELETE FROM nodes WHERE node_id = $1)
         UPDATE queue_shards SET owner = NULL, epoch = epoch + 1 WHERE owner = $1",
        node
    )
    .execute(&mut *conn)
    .await?;
    tell(conn, node).await
}
