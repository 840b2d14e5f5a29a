//! The daily job: after midnight in UTC reports about the day before are planned, spread over some
//! hours, and sent when their time comes (E8).

use std::{sync::PoisonError, time::Duration};

use time::{Date, OffsetDateTime, UtcOffset};
use tokio_util::sync::CancellationToken;

use super::{super::store, send};
use crate::{config::SendReports, error::Result, platform::Platform};

/// Looks that often for reports whose time has come.
const EVERY: Duration = Duration::from_secs(30);
/// After midnight other nodes write what they have counted; reports begin after a bit more.
const SETTLED: time::Duration = time::Duration::minutes(4);
const SPREAD_SECONDS: i64 = 120;
/// All reports of a day go within this time, and no two further apart than the other.
const WITHIN: time::Duration = time::Duration::hours(4);
const APART: time::Duration = time::Duration::minutes(5);
/// Whoever takes a report has it for so long; another try waits as many times that.
const AGAIN: time::Duration = time::Duration::minutes(15);

/// Runs until shutdown.
pub(crate) async fn run(platform: Platform, shutdown: CancellationToken) {
    let send = async {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = send_due(&platform).await {
                tracing::warn!(error = ?error, "reports about TLS could not be sent; next time");
            }
        }
    };
    shutdown.run_until_cancelled(send).await;
}

/// Plans and sends what is due; every half minute, and whenever somebody asks. Several nodes may do it
/// at once.
///
/// # Errors
/// `Unavailable`; what was done until then stays done.
pub async fn send_due(platform: &Platform) -> Result<()> {
    // A node without deliveries cannot send mail.
    if platform.config().tls_reports.send == SendReports::Off
        || platform.queue().shards.pick().is_err()
    {
        return Ok(());
    }
    platform.tls_reports().counted().write(platform).await?;
    plan(platform).await?;
    loop {
        let mut conn = platform.acquire().await?;
        let claimed = store::claim(&mut conn, platform.now(), AGAIN).await?;
        drop(conn);
        let Some(report) = claimed else { return Ok(()) };
        let id = report.id;
        if let Err(error) = Box::pin(send::send(platform, report)).await {
            tracing::warn!(report.id = %id, error = ?error, "a report about TLS waits");
        }
    }
}

/// Plans the reports of the days that have ended, once a day.
async fn plan(platform: &Platform) -> Result<()> {
    let now = platform.now().to_offset(UtcOffset::UTC);
    let today = now.date();
    let midnight = today.midnight().assume_utc();
    let planned = &platform.tls_reports().planned;
    let is_planned = || *planned.lock().unwrap_or_else(PoisonError::into_inner) == Some(today);
    if now < midnight + SETTLED || is_planned() {
        return Ok(());
    }
    let mut conn = platform.acquire().await?;
    let reports = store::unplanned(&mut conn, today).await?;
    let due = times(midnight, &reports);
    store::plan(&mut conn, &reports, (now, &due)).await?;
    *planned.lock().unwrap_or_else(PoisonError::into_inner) = Some(today);
    Ok(())
}

/// When each is due.
fn times(midnight: OffsetDateTime, reports: &[(Date, String)]) -> Vec<OffsetDateTime> {
    let first = midnight + SETTLED + time::Duration::seconds(rand::random_range(0..SPREAD_SECONDS));
    let count = i32::try_from(reports.len()).unwrap_or(i32::MAX).max(1);
    let apart = APART.min(WITHIN / count);
    (0..count).map(|number| first + apart * number).take(reports.len()).collect()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn reports_are_spread_over_four_hours_at_most() {
        let midnight = datetime!(2026-11-22 00:00 UTC);
        for (count, apart) in [(0, 0), (1, 0), (2, 300), (48, 300), (1000, 14)] {
            let reports = vec![(midnight.date(), String::new()); count];
            let times = times(midnight, &reports);
            assert_eq!(times.len(), count);
            let Some((first, last)) = times.first().zip(times.last()) else { continue };
            let wait = (*first - midnight).whole_seconds();
            assert!((240..360).contains(&wait), "{wait}");
            assert!(*last - *first <= WITHIN, "{count}");
            if count > 1 {
                assert_eq!((times[1] - times[0]).whole_seconds(), apart);
            }
        }
    }
}
