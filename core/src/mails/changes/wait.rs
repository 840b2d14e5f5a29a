//! Waiting for mail that fits: for tests and small tools.

use std::time::Duration;

use tokio::time::Instant;

use super::super::{Mail, MailFilter, list};
use crate::{cx::Cx, error::Result, page::PageRequest, wake::Wake};

/// How often a waiting caller looks without being woken.
const LOOK: Duration = Duration::from_millis(250);

/// Waits until there is mail that fits, up to `timeout`, and gives the newest.
///
/// # Errors
/// `Forbidden`, `InvalidInput`.
pub async fn wait(cx: &Cx, filter: &MailFilter, timeout: Duration) -> Result<Option<Mail>> {
    let deadline = Instant::now() + timeout;
    let mut changes = cx.platform().wake().subscribe();
    let newest = PageRequest { limit: Some(1), cursor: None };
    loop {
        if let Some(found) = list(cx, filter, &newest).await?.data.into_iter().next() {
            return Ok(Some(found));
        }
        let now = Instant::now();
        if now >= deadline {
            return Ok(None);
        }
        let pause = LOOK.min(deadline - now);
        // Woken or not: look again.
        drop(tokio::time::timeout(pause, Wake::changed(&mut changes, cx.account())).await);
    }
}
