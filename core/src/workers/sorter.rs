//! Sorts the words of new mail into the index, so that no delivery has to.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{error::Result, mails, platform::Platform};

/// Mail that came within this time is found by reading its words; sorting in many at once costs less
/// for each.
const EVERY: Duration = Duration::from_secs(5);

/// Runs until shutdown. Several nodes may do it at once.
pub(super) async fn run(platform: Platform, shutdown: CancellationToken) {
    let mut warned = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shutdown.cancelled() => return,
        }
        if let Err(error) = sort_in(&platform).await {
            // The index sorts itself when the database cleans up, or when very much is waiting.
            if !std::mem::replace(&mut warned, true) {
                tracing::warn!(error = ?error, "words of new mail could not be sorted in");
            }
        }
    }
}

async fn sort_in(platform: &Platform) -> Result<()> {
    let mut conn = platform.acquire().await?;
    mails::store::search::sort_in(&mut conn).await
}
