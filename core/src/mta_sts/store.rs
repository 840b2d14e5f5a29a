//! SQL of policies: a row per domain, touched by its name.

use std::sync::Arc;

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Failure, Fault, KEPT, Known, Policy, PolicyFilter, StoredPolicy};
use crate::{
    error::Result,
    id::{Id, MtaStsPolicy},
    page::{Keyset, fetch_page},
};

/// What is claimed is due again after this time, whatever becomes of it.
const CLAIM: time::Duration = time::Duration::days(1);

struct Row {
    policy_id: Uuid,
    domain: String,
    record_id: Option<String>,
    mode: Option<String>,
    mx: Vec<String>,
    max_age_seconds: Option<i32>,
    fetched_at: Option<OffsetDateTime>,
    expires_at: Option<OffsetDateTime>,
    last_used_at: OffsetDateTime,
    refresh_at: OffsetDateTime,
    failed_at: Option<OffsetDateTime>,
    error: Option<String>,
    fault: Option<String>,
}

impl From<Row> for StoredPolicy {
    fn from(row: Row) -> Self {
        Self {
            id: row.policy_id.into(),
            domain: row.domain,
            record_id: row.record_id,
            mode: row.mode.and_then(|mode| mode.parse().ok()),
            mx: row.mx,
            max_age_seconds: row.max_age_seconds,
            fetched_at: row.fetched_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            refresh_at: row.refresh_at,
            failed_at: row.failed_at,
            error: row.error,
            fault: row.fault.as_deref().and_then(Fault::parse),
        }
    }
}

impl From<StoredPolicy> for Known {
    fn from(stored: StoredPolicy) -> Self {
        let times = stored.fetched_at.zip(stored.expires_at);
        let head = stored.record_id.zip(stored.mode).zip(stored.max_age_seconds).zip(times);
        let policy = head.map(|(((record_id, mode), max_age_seconds), times)| {
            let (fetched_at, expires_at) = times;
            let mx = stored.mx;
            Arc::new(Policy { record_id, mode, mx, max_age_seconds, fetched_at, expires_at })
        });
        Self {
            policy,
            last_used_at: Some(stored.last_used_at),
            failed_at: stored.failed_at,
            error: stored.error.map(Into::into),
            fault: stored.fault,
        }
    }
}

pub(super) async fn find(conn: &mut PgConnection, domain: &str) -> Result<Option<Known>> {
    let row = sqlx::query_as!(
        Row,
        "SELECT policy_id, domain, record_id, mode, mx, max_age_seconds, fetched_at, expires_at,
             last_used_at, refresh_at, failed_at, error, fault
         FROM mta_sts_policies WHERE domain = $1",
        domain
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| StoredPolicy::from(row).into()))
}

/// Stores a policy, unless a newer one was fetched meanwhile.
pub(super) async fn save(
    conn: &mut PgConnection,
    domain: &str,
    policy: &Policy,
    refresh_at: OffsetDateTime,
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO mta_sts_policies AS p (domain, policy_id, record_id, mode, mx,
             max_age_seconds, fetched_at, expires_at, last_used_at, refresh_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $7, $9)
         ON CONFLICT (domain) DO UPDATE SET record_id = $3, mode = $4, mx = $5,
             max_age_seconds = $6, fetched_at = $7, expires_at = $8, refresh_at = $9,
             failed_at = NULL, error = NULL, fault = NULL
             WHERE p.fetched_at IS NULL OR p.fetched_at <= $7",
        domain,
        Id::<MtaStsPolicy>::new(policy.fetched_at).uuid(),
        policy.record_id,
        policy.mode.as_str(),
        &policy.mx,
        policy.max_age_seconds,
        policy.fetched_at,
        policy.expires_at,
        refresh_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes that a fetch failed; the policy that is there stays.
pub(super) async fn save_failure(
    conn: &mut PgConnection,
    domain: &str,
    failure: &Failure,
    (now, refresh_at): (OffsetDateTime, OffsetDateTime),
) -> Result<()> {
    sqlx::query!(
        "INSERT INTO mta_sts_policies (domain, policy_id, last_used_at, refresh_at, failed_at, error,
             fault)
         VALUES ($1, $2, $3, $4, $3, $5, $6)
         ON CONFLICT (domain) DO UPDATE
             SET refresh_at = $4, failed_at = $3, error = $5, fault = $6",
        domain,
        Id::<MtaStsPolicy>::new(now).uuid(),
        now,
        refresh_at,
        failure.text,
        failure.fault.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn note_use(
    conn: &mut PgConnection,
    domain: &str,
    now: OffsetDateTime,
) -> Result<()> {
    sqlx::query!("UPDATE mta_sts_policies SET last_used_at = $2 WHERE domain = $1", domain, now)
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn delete(conn: &mut PgConnection, domain: &str) -> Result<()> {
    sqlx::query!("DELETE FROM mta_sts_policies WHERE domain = $1", domain).execute(conn).await?;
    Ok(())
}

/// Takes policies that are due and in use; nobody else takes them that day.
pub(super) async fn claim(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<(String, Known)>> {
    let rows = sqlx::query_as!(
        Row,
        "UPDATE mta_sts_policies SET refresh_at = $2
         WHERE domain IN (SELECT domain FROM mta_sts_policies
             WHERE refresh_at <= $1 AND last_used_at > $3
             ORDER BY refresh_at LIMIT $4 FOR UPDATE SKIP LOCKED)
         RETURNING policy_id, domain, record_id, mode, mx, max_age_seconds, fetched_at, expires_at,
             last_used_at, refresh_at, failed_at, error, fault",
        now,
        now + CLAIM,
        now - KEPT,
        limit
    )
    .fetch_all(conn)
    .await?;
    let with_domain = |row: Row| (row.domain.clone(), StoredPolicy::from(row).into());
    Ok(rows.into_iter().map(with_domain).collect())
}

/// Forgets what no delivery uses any more.
pub(crate) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    sqlx::query!("DELETE FROM mta_sts_policies WHERE last_used_at < $1", now - KEPT)
        .execute(conn)
        .await?;
    Ok(())
}

pub(super) async fn list(
    conn: &mut PgConnection,
    filter: &PolicyFilter,
    keyset: &Keyset,
) -> Result<Vec<StoredPolicy>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        "SELECT policy_id, domain, record_id, mode, mx, max_age_seconds, fetched_at, expires_at,
             last_used_at, refresh_at, failed_at, error, fault
         FROM mta_sts_policies
         WHERE ($3::text IS NULL OR domain = $3) AND ($4::text IS NULL OR mode = $4)",
        "policy_id",
        filter.domain.as_deref() as Option<&str>,
        filter.mode.map(super::Mode::as_str) as Option<&str>,
    );
    Ok(rows.into_iter().map(StoredPolicy::from).collect())
}
