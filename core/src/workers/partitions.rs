//! Partitions of the history, one a day: made ahead of time, dropped when no account wants them.
//!
//! Ids are UUIDv7, so the bounds of a day are bounds of ids. What falls outside of all days (a clock
//! that jumped) is in the default partition.

use time::{Date, Duration, OffsetDateTime, UtcOffset};

use crate::{
    error::{Error, Result},
    id::{Event, Id},
    platform::Platform,
};

/// Partitioned tables and their key.
const TABLES: [&str; 6] =
    ["messages", "message_labels", "deliveries", "attempts", "delivery_reports", "events"];
/// Days made ahead.
const AHEAD: i64 = 3;

/// Makes the partitions of today and the next days.
pub(super) async fn create(platform: &Platform) -> Result<()> {
    let today = platform.now().to_offset(UtcOffset::UTC).date();
    for table in TABLES {
        for ahead in 0..=AHEAD {
            let Some(day) = today.checked_add(Duration::days(ahead)) else {
                continue;
            };
            create_day(platform, table, day).await?;
        }
    }
    Ok(())
}

async fn create_day(platform: &Platform, table: &str, day: Date) -> Result<()> {
    let name = name(table, day);
    let from = Id::<Event>::lower_bound(day.midnight().assume_utc()).uuid();
    let until =
        day.next_day().map_or(OffsetDateTime::UNIX_EPOCH, |day| day.midnight().assume_utc());
    let until = Id::<Event>::lower_bound(until).uuid();
    // Names and bounds are ours: nothing from outside gets into this text.
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table}
         FOR VALUES FROM ('{from}') TO ('{until}')"
    );
    match sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(platform.pool()).await {
        Ok(_) => Ok(()),
        // 42P07: another node was faster. 23514: rows of the day are in the default partition already,
        // and stay there.
        Err(sqlx::Error::Database(error))
            if matches!(error.code().as_deref(), Some("42P07" | "23514" | "23505")) =>
        {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

fn name(table: &str, day: Date) -> String {
    format!("{table}_{:04}{:02}{:02}", day.year(), u8::from(day.month()), day.day())
}

/// Drops days that no account keeps any more.
pub(super) async fn drop_old(platform: &Platform) -> Result<()> {
    let longest = sqlx::query_scalar!(
        r#"SELECT coalesce(max(retention_seconds), 2592000) AS "longest!" FROM accounts"#
    )
    .fetch_one(platform.pool())
    .await?;
    // A message may wait 60 days for its time before its retention begins.
    let kept = Duration::seconds(longest.clamp(0, 3_153_600_000)) + Duration::days(61);
    let Some(oldest) = platform.now().checked_sub(kept) else {
        return Ok(());
    };
    let oldest = oldest.to_offset(UtcOffset::UTC).date();
    let names = sqlx::query_scalar!(
        r#"SELECT c.relname::text AS "name!" FROM pg_inherits AS i
         JOIN pg_class AS c ON c.oid = i.inhrelid JOIN pg_class AS p ON p.oid = i.inhparent
         WHERE p.relname = ANY($1)"#,
        &TABLES as &[&str]
    )
    .fetch_all(platform.pool())
    .await?;
    for found in names {
        let is_old = TABLES
            .iter()
            .any(|table| found.starts_with(&format!("{table}_2")) && found < name(table, oldest));
        if is_old {
            let sql = format!("DROP TABLE IF EXISTS {found}");
            let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(platform.pool()).await;
            done.map_err(Error::from)?;
            tracing::info!(partition = found, "dropped history that nobody keeps");
        }
    }
    Ok(())
}
