//! SQL of results of TLS, and of reports about them.

use posthouse_mail::tls_report::{FailureDetails, Policy, TlsReport};
use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};
use time::{Date, Duration, OffsetDateTime, UtcOffset};
use uuid::Uuid;

use super::{
    collect::{Count, Key},
    sent::{Destination, Sent, SentFilter, Status},
};
use crate::{
    error::{Error, Result},
    id::{Id, TlsReportSent},
    page::{Keyset, fetch_page},
};

/// Results are kept so long, for those who look at them.
const RESULTS_KEPT: Duration = Duration::days(7);
/// Reports are kept so long, and what was skipped as long as results.
const REPORTS_KEPT: Duration = Duration::days(90);

/// Adds counts, which are in the order of their keys.
pub(super) async fn add(conn: &mut PgConnection, counts: &[(Key, Count)]) -> Result<()> {
    let days: Vec<Date> = counts.iter().map(|((day, ..), _)| *day).collect();
    let domains: Vec<&str> = counts.iter().map(|((_, domain, _), _)| domain.as_str()).collect();
    let keys: Vec<&[u8]> = counts.iter().map(|((.., key), _)| key.as_slice()).collect();
    let kinds: Vec<&str> = counts.iter().map(|(_, count)| count.policy_type.as_str()).collect();
    let whose: Vec<&str> = counts.iter().map(|(_, count)| count.policy_domain.as_str()).collect();
    let policies: Vec<&str> = counts.iter().map(|(_, count)| count.policy.as_str()).collect();
    let failures: Vec<Option<&str>> =
        counts.iter().map(|(_, count)| count.failure.as_deref()).collect();
    let sessions: Vec<i64> = counts.iter().map(|(_, count)| count.sessions).collect();
    sqlx::query!(
        "INSERT INTO tls_results AS r (day, domain, key, policy_type, policy_domain, policy,
             failure, sessions)
         SELECT d, n, k, t, w, p::json, f::json, c
         FROM unnest($1::date[], $2::text[], $3::bytea[], $4::text[], $5::text[], $6::text[],
             $7::text[], $8::bigint[]) AS new (d, n, k, t, w, p, f, c)
         ON CONFLICT (day, domain, key) DO UPDATE SET sessions = r.sessions + excluded.sessions",
        &days,
        &domains as &[&str],
        &keys as &[&[u8]],
        &kinds as &[&str],
        &whose as &[&str],
        &policies as &[&str],
        &failures as &[Option<&str>],
        &sessions
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Domains with results of days before `today` that no report is planned for: those of recipients
/// first, then mail exchangers.
pub(super) async fn unplanned(conn: &mut PgConnection, today: Date) -> Result<Vec<(Date, String)>> {
    let rows = sqlx::query!(
        r#"SELECT day AS "day!", domain AS "domain!" FROM (
             SELECT DISTINCT day, domain, 0 AS turn FROM tls_results
             WHERE day < $1 AND day >= $2
             UNION ALL
             SELECT DISTINCT day, policy_domain, 1 FROM tls_results
             WHERE day < $1 AND day >= $2 AND policy_type = 'tlsa') AS found
         WHERE NOT EXISTS (SELECT 1 FROM tls_reports_sent AS s
             WHERE s.day = found.day AND s.domain = found.domain)
         GROUP BY day, domain ORDER BY day, min(turn), md5(domain)"#,
        today,
        today.saturating_sub(Duration::days(3))
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.day, row.domain)).collect())
}

/// Plans reports; those that are planned already stay as they are.
pub(super) async fn plan(
    conn: &mut PgConnection,
    planned: &[(Date, String)],
    (now, due): (OffsetDateTime, &[OffsetDateTime]),
) -> Result<()> {
    let ids: Vec<Uuid> = planned.iter().map(|_| Id::<TlsReportSent>::new(now).uuid()).collect();
    let days: Vec<Date> = planned.iter().map(|(day, _)| *day).collect();
    let domains: Vec<&str> = planned.iter().map(|(_, domain)| domain.as_str()).collect();
    sqlx::query!(
        "INSERT INTO tls_reports_sent (report_id, day, domain, due_at)
         SELECT * FROM unnest($1::uuid[], $2::date[], $3::text[], $4::timestamptz[])
         ON CONFLICT (day, domain) DO NOTHING",
        &ids,
        &days,
        &domains as &[&str],
        due
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct Row {
    report_id: Uuid,
    day: Date,
    domain: String,
    status: String,
    due_at: OffsetDateTime,
    attempts: i16,
    destinations: Json<Vec<Destination>>,
    report: Option<Json<Box<RawValue>>>,
    successes: i64,
    failures: i64,
    error: Option<String>,
    completed_at: Option<OffsetDateTime>,
}

impl From<Row> for Sent {
    fn from(row: Row) -> Self {
        Self {
            id: row.report_id.into(),
            day: row.day,
            domain: row.domain,
            status: row.status.parse().unwrap_or(Status::Failed),
            due_at: row.due_at,
            attempts: row.attempts,
            destinations: row.destinations.0,
            report: row.report.map(|report| report.0),
            successes: row.successes,
            failures: row.failures,
            error: row.error,
            completed_at: row.completed_at,
        }
    }
}

/// Takes a report whose time has come; nobody else takes it until `again`, a time that grows with the
/// attempts.
pub(super) async fn claim(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    again: Duration,
) -> Result<Option<Sent>> {
    let row = sqlx::query_as!(
        Row,
        r#"UPDATE tls_reports_sent SET attempts = attempts + 1,
             due_at = $1 + (attempts + 1) * make_interval(secs => $2)
         WHERE report_id = (SELECT report_id FROM tls_reports_sent
             WHERE status = 'waiting' AND due_at <= $1
             ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
         RETURNING report_id, day, domain, status, due_at, attempts,
             destinations AS "destinations: Json<Vec<Destination>>",
             report AS "report: Json<Box<RawValue>>", successes, failures, error, completed_at"#,
        now,
        again.as_seconds_f64()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Sent::from))
}

/// What is known of the day about a domain, whether it is that of recipients or a mail exchanger.
pub(super) async fn results(
    conn: &mut PgConnection,
    day: Date,
    domain: &str,
) -> Result<Vec<(Policy, Option<FailureDetails>, i64)>> {
    let rows = sqlx::query!(
        r#"SELECT policy AS "policy: Json<Policy>", failure AS "failure: Json<FailureDetails>",
             sessions
         FROM tls_results WHERE day = $1 AND domain = $2
         UNION ALL
         SELECT policy, failure, sessions FROM tls_results
         WHERE day = $1 AND policy_type = 'tlsa' AND policy_domain = $2 AND domain <> $2
         ORDER BY sessions DESC LIMIT 10000"#,
        day,
        domain
    )
    .fetch_all(conn)
    .await?;
    let told = rows.into_iter().filter_map(|row| {
        Some((row.policy?.0, row.failure.map(|failure| failure.0), row.sessions?))
    });
    Ok(told.collect())
}

/// Writes what became of a report.
pub(super) async fn finish(
    conn: &mut PgConnection,
    sent: &Sent,
    report: Option<&TlsReport>,
) -> Result<()> {
    let destinations = serde_json::to_string(&sent.destinations).map_err(Error::internal)?;
    let report = report.map(serde_json::to_string).transpose().map_err(Error::internal)?;
    sqlx::query!(
        "UPDATE tls_reports_sent SET status = $2, destinations = $3::text::json,
             report = coalesce($4::text::json, report), successes = $5, failures = $6, error = $7,
             completed_at = $8
         WHERE report_id = $1",
        sent.id.uuid(),
        sent.status.as_str(),
        destinations,
        report,
        sent.successes,
        sent.failures,
        sent.error,
        sent.completed_at
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(super) async fn list(
    conn: &mut PgConnection,
    filter: &SentFilter,
    keyset: &Keyset,
) -> Result<Vec<Sent>> {
    let rows = fetch_page!(
        conn,
        keyset,
        Row,
        r#"SELECT report_id, day, domain, status, due_at, attempts,
             destinations AS "destinations: Json<Vec<Destination>>",
             NULL::json AS "report: Json<Box<RawValue>>", successes, failures, error, completed_at
         FROM tls_reports_sent
         WHERE ($3::text IS NULL OR domain = $3) AND ($4::text IS NULL OR status = $4)"#,
        "report_id",
        filter.domain.as_deref() as Option<&str>,
        filter.status.map(Status::as_str) as Option<&str>,
    );
    Ok(rows.into_iter().map(Sent::from).collect())
}

pub(super) async fn find(
    conn: &mut PgConnection,
    report: Id<TlsReportSent>,
) -> Result<Option<Sent>> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT report_id, day, domain, status, due_at, attempts,
             destinations AS "destinations: Json<Vec<Destination>>",
             report AS "report: Json<Box<RawValue>>", successes, failures, error, completed_at
         FROM tls_reports_sent WHERE report_id = $1"#,
        report.uuid()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Sent::from))
}

/// Forgets what is old.
pub(crate) async fn purge(conn: &mut PgConnection, now: OffsetDateTime) -> Result<()> {
    let day = |kept: Duration| (now - kept).to_offset(UtcOffset::UTC).date();
    sqlx::query!("DELETE FROM tls_results WHERE day < $1", day(RESULTS_KEPT))
        .execute(&mut *conn)
        .await?;
    sqlx::query!(
        "DELETE FROM tls_reports_sent WHERE day < $1 OR (day < $2 AND status = 'skipped')",
        day(REPORTS_KEPT),
        day(RESULTS_KEPT)
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM tls_report_suppressions WHERE until_at < $1", now)
        .execute(conn)
        .await?;
    Ok(())
}
