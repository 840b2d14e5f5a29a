//! SQL of attempts to log in.

use sqlx::PgConnection;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{LoginAttempt, places::REMEMBERED};
use crate::{
    error::Result,
    id::{Account, Id},
    page::{Keyset, fetch_page},
};

/// How long attempts are kept.
const KEPT: Duration = Duration::days(30);
/// Most different failures of an account that are kept.
const MOST_FAILURES: i64 = 10_000;

/// Failures of an address or network.
pub(super) struct Counts {
    pub network: String,
    pub minute_at: OffsetDateTime,
    pub minute_failures: i32,
    pub day_at: OffsetDateTime,
    pub day_failures: i32,
}

pub(super) async fn counts(conn: &mut PgConnection, networks: &[String]) -> Result<Vec<Counts>> {
    let rows = sqlx::query_as!(
        Counts,
        "SELECT network, minute_at, minute_failures, day_at, day_failures
         FROM login_throttle WHERE network = ANY($1)",
        networks
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Counts a failure for each network, from the narrowest to the widest, so that nobody waits for
/// somebody who waits for them.
pub(super) async fn add_failure(
    conn: &mut PgConnection,
    networks: &[String],
    minute: OffsetDateTime,
    day: OffsetDateTime,
) -> Result<Vec<Counts>> {
    let rows = sqlx::query_as!(
        Counts,
        "INSERT INTO login_throttle AS t
             (network, minute_at, minute_failures, day_at, day_failures)
         SELECT n, $2, 1, $3, 1 FROM unnest($1::text[]) WITH ORDINALITY AS new (n, i) ORDER BY i
         ON CONFLICT (network) DO UPDATE SET
             minute_failures =
                 CASE WHEN t.minute_at = $2 THEN t.minute_failures + 1 ELSE 1 END,
             minute_at = $2,
             day_failures = CASE WHEN t.day_at = $3 THEN t.day_failures + 1 ELSE 1 END,
             day_at = $3
         RETURNING network, minute_at, minute_failures, day_at, day_failures",
        networks,
        minute,
        day
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Forgets the failures of the narrowest network, and takes them off the counts of those around it,
/// in the same order.
pub(super) async fn forgive(conn: &mut PgConnection, networks: &[String; 3]) -> Result<()> {
    let [own, near, far] = networks;
    sqlx::query!(
        "WITH own AS (
             DELETE FROM login_throttle WHERE network = $1
             RETURNING minute_at, minute_failures, day_at, day_failures
         ), near AS (
             UPDATE login_throttle AS t SET
                 minute_failures = t.minute_failures
                     - CASE WHEN own.minute_at = t.minute_at THEN own.minute_failures ELSE 0 END,
                 day_failures = t.day_failures
                     - CASE WHEN own.day_at = t.day_at THEN own.day_failures ELSE 0 END
             FROM own WHERE t.network = $2
             RETURNING own.minute_at, own.minute_failures, own.day_at, own.day_failures
         )
         UPDATE login_throttle AS t SET
             minute_failures = t.minute_failures
                 - CASE WHEN near.minute_at = t.minute_at THEN near.minute_failures ELSE 0 END,
             day_failures = t.day_failures
                 - CASE WHEN near.day_at = t.day_at THEN near.day_failures ELSE 0 END
         FROM near WHERE t.network = $3",
        own,
        near,
        far
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes an attempt down, with those that are like it. For no account the same work is done for
/// nothing. A crash may lose the last second: nobody waits for the disk here.
pub(super) async fn record(
    conn: &mut PgConnection,
    account: Option<Id<Account>>,
    fingerprint: &[u8],
    attempt: &LoginAttempt,
) -> Result<()> {
    sqlx::query!(
        "WITH off AS (SELECT set_config('synchronous_commit', 'off', true) AS done)
         INSERT INTO login_attempts AS a (account_id, fingerprint, attempt_id, login,
             remote_address, tls, user_agent, door, mechanism, result, count, first_at, last_at)
         SELECT known.account_id, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $11
         FROM accounts AS known, off
         WHERE known.account_id = $1 AND off.done = 'off'
           AND ($10 = 'ok' OR (SELECT count(*) FROM login_attempts AS f
                 WHERE f.account_id = $1 AND f.result <> 'ok' AND f.fingerprint <> $2) < $12)
         ON CONFLICT (account_id, fingerprint) DO UPDATE SET
             attempt_id = excluded.attempt_id, count = a.count + 1, last_at = excluded.last_at",
        account.map_or(Uuid::nil(), Id::uuid),
        fingerprint,
        attempt.id.uuid(),
        attempt.login,
        attempt.remote_address,
        attempt.tls,
        attempt.user_agent,
        attempt.door,
        attempt.mechanism,
        attempt.result,
        attempt.last_at,
        MOST_FAILURES
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct Row {
    attempt_id: Uuid,
    login: String,
    remote_address: String,
    tls: Option<String>,
    user_agent: String,
    door: String,
    mechanism: String,
    result: String,
    count: i64,
    first_at: OffsetDateTime,
    last_at: OffsetDateTime,
}

impl From<Row> for LoginAttempt {
    fn from(row: Row) -> Self {
        Self {
            id: row.attempt_id.into(),
            login: row.login,
            remote_address: row.remote_address,
            tls: row.tls,
            user_agent: row.user_agent,
            door: row.door,
            mechanism: row.mechanism,
            result: row.result,
            count: row.count,
            first_at: row.first_at,
            last_at: row.last_at,
        }
    }
}

pub(super) async fn list(
    conn: &mut PgConnection,
    account: Id<Account>,
    keyset: &Keyset,
) -> Result<Vec<LoginAttempt>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT attempt_id, login, remote_address, tls, user_agent, door, mechanism, result, count,
             first_at, last_at
         FROM login_attempts WHERE account_id = $3",
        "attempt_id",
        account.uuid(),
    );
    Ok(rows.into_iter().map(LoginAttempt::from).collect())
}

/// When the account was last logged in to from a network.
pub(super) async fn last_login_from(
    conn: &mut PgConnection,
    account: Id<Account>,
    network: &str,
) -> Result<Option<OffsetDateTime>> {
    let last = sqlx::query_scalar!(
        "SELECT last_at FROM login_places WHERE account_id = $1 AND network = $2",
        account.uuid(),
        network
    )
    .fetch_optional(conn)
    .await?;
    Ok(last)
}

pub(super) async fn note_login_from(
    conn: &mut PgConnection,
    account: Id<Account>,
    network: &str,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "UPDATE login_places SET last_at = $3 WHERE account_id = $1 AND network = $2",
        account.uuid(),
        network,
        now
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes a login; whether there was none from that network since the time that is given.
pub(super) async fn learn_login_from(
    conn: &mut PgConnection,
    account: Id<Account>,
    network: &str,
    (now, since): (OffsetDateTime, OffsetDateTime),
) -> Result<bool> {
    let done = sqlx::query!(
        "INSERT INTO login_places AS p (account_id, network, last_at)
         SELECT account_id, $2, $3 FROM accounts WHERE account_id = $1
         ON CONFLICT (account_id, network) DO UPDATE SET last_at = $3 WHERE p.last_at <= $4",
        account.uuid(),
        network,
        now,
        since
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Forgets the places of an account that were not used for the longest time.
pub(super) async fn forget_places(
    conn: &mut PgConnection,
    account: Id<Account>,
    kept: i64,
) -> Result<()> {
    sqlx::query!(
        "DELETE FROM login_places WHERE account_id = $1 AND network IN (
             SELECT network FROM login_places WHERE account_id = $1
             ORDER BY last_at DESC, network OFFSET $2)",
        account.uuid(),
        kept
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets what is old.
pub(crate) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query!("DELETE FROM login_attempts WHERE last_at < $1", now - KEPT)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM login_places WHERE last_at < $1", now - REMEMBERED)
        .execute(&mut *conn)
        .await?;
    sqlx::query!("DELETE FROM login_throttle WHERE day_at < $1", now - Duration::days(2))
        .execute(conn)
        .await?;
    Ok(())
}
