//! Requests in a minute, of all keys and passwords of an account, at all nodes.

use std::time::Duration;

use super::store;
use crate::{cx::Actor, error::Result, platform::Platform};

/// What is left of the requests of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Requests in a minute.
    pub limit: u32,
    /// How many more may come.
    pub remaining: u32,
    /// When the next minute begins.
    pub reset: Duration,
    /// This one was too many.
    pub exceeded: bool,
}

/// Counts a request, if the account of the credential has a limit.
///
/// # Errors
/// `Unavailable`.
pub async fn take_request(platform: &Platform, actor: &Actor) -> Result<Option<Allowance>> {
    let Some(limit) = actor.requests_per_minute else { return Ok(None) };
    let now = platform.now();
    let into = now.unix_timestamp().rem_euclid(60);
    let minute = now.replace_nanosecond(0).unwrap_or(now) - time::Duration::seconds(into);
    let mut conn = platform.acquire().await?;
    let made = store::count_request(&mut conn, actor.owner, minute).await?;
    Ok(Some(Allowance {
        limit: u32::try_from(limit).unwrap_or(0),
        remaining: u32::try_from(limit.saturating_sub(made)).unwrap_or(0),
        reset: Duration::from_secs(u64::try_from(60 - into).unwrap_or(60)),
        exceeded: made > limit,
    }))
}
