//! Fetching policies again, each day, so that they hold on without mail (RFC 8461 §10.2, E5).

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;

use super::{
    Known, Mode,
    find::{self, Published},
    store,
};
use crate::{error::Result, platform::Platform};

/// Looks that often for policies whose time has come.
const EVERY: Duration = Duration::from_mins(1);
/// Policies that are taken at a time; each node takes others.
const PAGE: i64 = 50;
/// Fetches at a time.
const AT_ONCE: usize = 4;
/// What was fetched less long ago is left alone.
const YOUNG: time::Duration = time::Duration::hours(12);

/// Runs until shutdown.
pub(crate) async fn run(platform: Platform, shutdown: CancellationToken) {
    let refresh = async {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = refresh_due(&platform).await {
                tracing::warn!(error = ?error, "MTA-STS policies could not be refreshed; next time");
            }
        }
    };
    shutdown.run_until_cancelled(refresh).await;
}

/// Fetches what is due; every minute, and whenever somebody asks. Several nodes may do it at once.
///
/// # Errors
/// `Unavailable`; what was done until then stays done.
pub async fn refresh_due(platform: &Platform) -> Result<()> {
    loop {
        let mut conn = platform.acquire().await?;
        let due = store::claim(&mut conn, platform.now(), PAGE).await?;
        drop(conn);
        if due.is_empty() {
            return Ok(());
        }
        let mut done = stream::iter(due)
            .map(|(domain, known)| async move { refresh(platform, &domain, known).await })
            .buffer_unordered(AT_ONCE);
        while let Some(done) = done.next().await {
            done?;
        }
    }
}

async fn refresh(platform: &Platform, domain: &str, known: Known) -> Result<()> {
    let now = platform.now();
    let policy = known.policy.clone();
    match find::published(platform, domain).await {
        Published::Id(id) => {
            let is_young =
                |policy: &super::Policy| policy.record_id == id && now - policy.fetched_at < YOUNG;
            if !policy.is_some_and(|policy| is_young(&policy)) {
                find::fetch(platform, domain, &id, known).await?;
            }
        }
        // The domain has given it up in order, or long ago.
        Published::Nothing
            if policy.is_none_or(|it| it.mode == Mode::None || it.expires_at < now) =>
        {
            let mut conn = platform.acquire().await?;
            store::delete(&mut conn, domain).await?;
            drop(conn);
            platform.mta_sts().known.invalidate(domain).await;
        }
        // It holds until its time is over, but no longer.
        Published::Nothing | Published::Unknown => {}
    }
    Ok(())
}
