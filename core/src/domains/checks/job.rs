//! Checking every domain again, each day.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use rand::Rng as _;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

use super::{State, probe, settle, store};
use crate::{
    domains::{DkimKey, Domain, store as domains},
    error::Result,
    id::{self, Id},
    platform::Platform,
};

/// Looks that often for domains whose time has come.
const EVERY: Duration = Duration::from_mins(1);
/// Domains that are taken at a time; each node takes others.
const PAGE: i64 = 20;
/// Domains that are checked at a time.
const AT_ONCE: usize = 4;
/// Somebody is about to publish records for so long.
const EAGER: time::Duration = time::Duration::days(3);

/// When a domain is to be checked again: soon while somebody waits for it, else after a day, and those
/// of one day not all at once.
pub(super) fn next(
    domain: &Domain,
    seen: &[String],
    state: State,
    now: OffsetDateTime,
) -> OffsetDateTime {
    let is_new = |at: OffsetDateTime| now - at < EAGER;
    let is_awaited = |key: &DkimKey| {
        key.published_at.is_none() && !seen.contains(&key.selector) && is_new(key.created_at)
    };
    if domain.dkim_keys.iter().any(is_awaited) {
        return now + time::Duration::minutes(10);
    }
    if state == State::Degraded || (state == State::Unverified && is_new(domain.created_at)) {
        return now + time::Duration::hours(1);
    }
    now + time::Duration::minutes(rand::rng().random_range(22 * 60..26 * 60))
}

/// Runs until shutdown.
pub(crate) async fn run(platform: Platform, shutdown: CancellationToken) {
    let check = async {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = run_due(&platform).await {
                tracing::warn!(error = ?error, "domains could not be checked; next time");
            }
        }
    };
    shutdown.run_until_cancelled(check).await;
}

/// Checks what is due; every minute, and whenever somebody asks. Several nodes may do it at once.
///
/// # Errors
/// `Unavailable`; what was done until then stays done.
pub async fn run_due(platform: &Platform) -> Result<()> {
    loop {
        let mut conn = platform.acquire().await?;
        let due = store::claim(&mut conn, platform.now(), PAGE).await?;
        drop(conn);
        if due.is_empty() {
            return Ok(());
        }
        let checks = due.into_iter().map(|domain| Box::pin(check(platform, domain)));
        let mut done = stream::iter(checks).buffer_unordered(AT_ONCE);
        while let Some(done) = done.next().await {
            done?;
        }
    }
}

async fn check(platform: &Platform, domain: Id<id::Domain>) -> Result<()> {
    let hostname = &platform.config().hostname;
    let mut tx = platform.begin("domains.check.find").await?;
    let found = domains::find_locked(&mut tx, domain, hostname).await?;
    drop(tx);
    let Some(found) = found else { return Ok(()) };
    let found = probe::look(platform, &found).await;
    let mut tx = platform.begin("domains.check").await?;
    settle(&mut tx, hostname, domain, found).await?;
    tx.commit().await?;
    platform.directory().forget();
    Ok(())
}
